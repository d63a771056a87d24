//! The server's side: finding session and command, and letting the client in or not.

use classad::ClassAd;

use super::{AUTHORIZED, MAX_HANDSHAKE, Progress, SID_NOT_FOUND, nonce, text};
use crate::error::{PeerMisbehaved, Refused, Result, Unsupported};
use crate::session::{Level, Levels, Session, Sessions};
use crate::wire::handshake_ad;
use crate::{Command, Connection, Reader};

/// What a server goes by.
#[derive(Debug, Clone, Copy)]
pub struct Server<'a> {
    /// The sessions it has. Who lets them expire takes them out.
    pub sessions: &'a Sessions,
    /// Its `$CondorVersion: ...$`.
    pub version: &'a str,
    /// Which commands it has, and the level each asks for; [`Command::level`] is a starter's.
    pub commands: fn(Command) -> Option<Level>,
}

/// A connection that came in.
#[derive(Debug)]
pub struct Acceptor {
    limit: usize,
}

/// Who sent a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The session.
    pub session: String,
    /// Its identity.
    pub user: String,
    /// What it may do.
    pub levels: Levels,
    /// Its `$CondorVersion: ...$`, if it said so.
    pub version: Option<String>,
}

/// A command that may be carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    /// Without a session, in the clear. Its values are [`Incoming::payload`].
    Raw(Command),
    /// In a session: its values are the next message, if it has any. Whoever carries it out must not
    /// wait for one otherwise.
    ///
    /// It is that message which proves that the client has the key. A command without values comes
    /// with no such proof, and should do no more than anyone may ask for.
    Session(Command, Caller),
    /// A question about the session or another command, and it has been answered: nothing follows
    /// but what is pending.
    Answered(Caller),
}

impl Incoming {
    /// The values of a raw command: what is behind its number in the message received last.
    pub fn payload<'c>(&self, connection: &'c Connection) -> Result<Reader<'c>> {
        let mut message = connection.message();
        message.i64()?;
        Ok(message)
    }
}

impl Acceptor {
    /// Awaits the first message of a new connection.
    pub fn new(connection: &mut Connection) -> Self {
        let limit = connection.limit();
        connection.set_limit(MAX_HANDSHAKE);
        Self { limit }
    }

    /// Goes on with what has been received. After an error the connection is to be closed, once
    /// what is pending has been sent: a client that may know hears that its session doesn't exist.
    pub fn poll(
        self,
        connection: &mut Connection,
        server: Server<'_>,
    ) -> Result<Progress<Self, Incoming>> {
        if !connection.receive()? {
            return Ok(Progress::Wait(self));
        }
        let mut message = connection.message();
        let command: Command = message.value()?;
        if command != Command::Authenticate {
            authorize(command, server, Levels::ALLOW)?;
            connection.set_limit(self.limit);
            return Ok(Progress::Done(Incoming::Raw(command)));
        }
        let ad = handshake_ad(&mut message)?;
        message.finish()?;
        let asked = Asked::read(&ad)?;
        // No answer at all to a command that doesn't exist here, as HTCondor has it.
        if (server.commands)(asked.checked).is_none() {
            return Err(Refused::UnknownCommand(asked.checked.number()).into());
        }
        let session = find(&ad, connection, server, asked.answer)?;
        if asked.answer {
            let mut reply = ClassAd::new();
            reply.insert("ReturnCode", AUTHORIZED);
            reply.insert("RemoteVersion", server.version);
            reply.insert("Nonce", nonce()?);
            send(connection, &reply)?;
        }
        connection.encrypt(session.key.clone())?;
        connection.set_limit(self.limit);
        authorize(asked.checked, server, session.levels)?;
        let caller = Caller {
            session: session.id.clone(),
            user: session.peer.clone(),
            levels: session.levels,
            version: ad.eval_string("RemoteVersion"),
        };
        Ok(Progress::Done(match asked.command {
            Command::Authenticate => Incoming::Answered(caller),
            Command::SecQuery => {
                let mut reply = ClassAd::new();
                reply.insert("AuthorizationSucceeded", true);
                send(connection, &reply)?;
                Incoming::Answered(caller)
            }
            command => Incoming::Session(command, caller),
        }))
    }
}

/// What a request asks for.
struct Asked {
    command: Command,
    /// The command whose level counts.
    checked: Command,
    /// Whether the client waits for an answer to the request itself.
    answer: bool,
}

impl Asked {
    fn read(ad: &ClassAd) -> Result<Self> {
        let command = number(ad, "Command")?;
        let checked = match command {
            Command::Authenticate | Command::SecQuery => number(ad, "AuthCommand")?,
            other => other,
        };
        let uses_session = ad.eval_string("UseSession");
        if !uses_session.is_some_and(|text| text.starts_with(['Y', 'y'])) {
            return Err(Unsupported::Negotiation.into());
        }
        Ok(Self { command, checked, answer: ad.eval_bool("ResumeResponse").unwrap_or(false) })
    }
}

fn number(ad: &ClassAd, name: &'static str) -> Result<Command> {
    let number = ad.eval_i64(name).and_then(|number| i32::try_from(number).ok());
    Ok(number.ok_or(PeerMisbehaved::Missing(name))?.into())
}

fn find<'s>(
    ad: &ClassAd,
    connection: &mut Connection,
    server: Server<'s>,
    answer: bool,
) -> Result<&'s Session> {
    let Some(session) = server.sessions.get(&text(ad, "Sid")?) else {
        if answer {
            let mut reply = ClassAd::new();
            reply.insert("ReturnCode", SID_NOT_FOUND);
            send(connection, &reply)?;
        }
        return Err(Refused::UnknownSession.into());
    };
    // A client of before AES names no method.
    let methods = ad.eval_string("CryptoMethods").unwrap_or_else(|| "BLOWFISH".to_owned());
    let first = methods.split(',').next().unwrap_or_default().trim();
    if !first.eq_ignore_ascii_case("AES") {
        return Err(Unsupported::Cipher(first.chars().take(40).collect()).into());
    }
    Ok(session)
}

fn authorize(command: Command, server: Server<'_>, levels: Levels) -> Result<()> {
    match (server.commands)(command) {
        None => Err(Refused::UnknownCommand(command.number()).into()),
        Some(level) if !levels.contains(level) => Err(Refused::Level(command.number()).into()),
        Some(_) => Ok(()),
    }
}

fn send(connection: &mut Connection, ad: &ClassAd) -> Result<()> {
    let mut message = connection.writer();
    message.value(ad);
    connection.send(&message)
}
