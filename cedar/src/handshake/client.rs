//! The client's side: resuming a session.

use classad::ClassAd;

use super::{AUTHORIZED, MAX_HANDSHAKE, Progress, SID_NOT_FOUND, nonce, text};
use crate::error::{Refused, Result};
use crate::session::Session;
use crate::wire::handshake_ad;
use crate::{Command, Connection, SessionKey, Sinful};

/// What a client wants.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// The command whose messages will follow.
    pub command: Command,
    /// With [`Command::SecQuery`]: the command that is asked about.
    pub asked: Option<Command>,
    /// The session to resume.
    pub session: &'a Session,
    /// This side's `$CondorVersion: ...$`. A server takes a client without one for an old one.
    pub version: &'a str,
    /// The address that was connected to. Not needed.
    pub connected_to: Option<&'a Sinful>,
    /// Where this side takes commands. Not needed.
    pub own_address: Option<&'a Sinful>,
    /// Whether the server shall say if it knows the session. Without an answer a failure is only
    /// seen as a closed connection.
    pub answer: bool,
}

impl<'a> Request<'a> {
    /// A command in a session, to be answered.
    pub fn new(command: Command, session: &'a Session, version: &'a str) -> Self {
        Self {
            command,
            asked: None,
            session,
            version,
            connected_to: None,
            own_address: None,
            answer: true,
        }
    }

    /// Queues the request. What comes next is up to [`Opening::poll`].
    pub fn send(&self, connection: &mut Connection) -> Result<Opening> {
        let mut ad = ClassAd::new();
        ad.insert("Command", self.command.number());
        if let Some(asked) = self.asked {
            ad.insert("AuthCommand", asked.number());
        }
        // The method must be named: a server takes a client that doesn't for an old one, with
        // Blowfish.
        ad.insert("CryptoMethods", "AES");
        ad.insert("Nonce", nonce()?);
        ad.insert("RemoteVersion", self.version);
        ad.insert("ResumeResponse", self.answer);
        ad.insert("Sid", self.session.id.as_str());
        ad.insert("UseSession", "YES");
        if let Some(address) = self.connected_to {
            ad.insert("ConnectSinful", address.to_string());
        }
        if let Some(address) = self.own_address {
            ad.insert("ServerCommandSock", address.to_string());
        }
        let mut message = connection.writer();
        message.value(&Command::Authenticate).value(&ad);
        connection.send(&message)?;
        let key = self.session.key.clone();
        if self.answer {
            let limit = connection.limit();
            connection.set_limit(MAX_HANDSHAKE);
            return Ok(Opening { key, waiting: Some(limit) });
        }
        connection.encrypt(key.clone())?;
        Ok(Opening { key, waiting: None })
    }
}

/// A request that was sent.
#[derive(Debug)]
pub struct Opening {
    key: SessionKey,
    /// Whether an answer is due; the limit of messages after it.
    waiting: Option<usize>,
}

/// A connection on which the messages of the command follow, encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Established {
    /// The server's `$CondorVersion: ...$`, if it said so.
    ///
    /// That the server knows the session doesn't mean that it accepts the command: if it doesn't, it
    /// closes the connection.
    pub peer_version: Option<String>,
}

impl Opening {
    /// Goes on with what has been received.
    pub fn poll(self, connection: &mut Connection) -> Result<Progress<Self, Established>> {
        let Some(limit) = self.waiting else {
            return Ok(Progress::Done(Established { peer_version: None }));
        };
        if !connection.receive()? {
            return Ok(Progress::Wait(self));
        }
        let mut message = connection.message();
        let ad = handshake_ad(&mut message)?;
        message.finish()?;
        match text(&ad, "ReturnCode")?.as_str() {
            AUTHORIZED => {}
            SID_NOT_FOUND => return Err(Refused::UnknownSession.into()),
            other => return Err(Refused::Answer(other.chars().take(200).collect()).into()),
        }
        connection.encrypt(self.key)?;
        connection.set_limit(limit);
        Ok(Progress::Done(Established { peer_version: ad.eval_string("RemoteVersion") }))
    }
}
