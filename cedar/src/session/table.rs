//! The sessions a daemon holds.

use std::collections::HashMap;

use super::Session;

/// Sessions by their id.
#[derive(Debug, Clone, Default)]
pub struct Sessions {
    by_id: HashMap<String, Session>,
}

impl Sessions {
    /// No sessions.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a session; one of the same id is replaced and comes back.
    pub fn insert(&mut self, session: Session) -> Option<Session> {
        self.by_id.insert(session.id.clone(), session)
    }

    /// The session of that id.
    pub fn get(&self, id: &str) -> Option<&Session> {
        self.by_id.get(id)
    }

    /// Forgets a session.
    pub fn remove(&mut self, id: &str) -> Option<Session> {
        self.by_id.remove(id)
    }

    /// All sessions, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Session> {
        self.by_id.values()
    }
}
