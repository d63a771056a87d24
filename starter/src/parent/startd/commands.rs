//! The commands that are served, and what each does. One more is a level in [`level`], and an arm in
//! [`begin`] or [`carry_out`].

use condor_cedar::blocking::StreamError;
use condor_cedar::handshake::Incoming;
use condor_cedar::message::{Done, Signal, Vacate};
use condor_cedar::{Command, Error, Level, Refused};

use super::orders::{Asked, Peek};
use super::owner::{self, Owner};
use crate::parent::link::Link;

/// What a caller has to be allowed for a command; `None` for one that isn't served, which then is
/// refused before anything else is looked at.
///
/// Commands without a payload come without a proof that the caller has the session's key, so none of
/// those that change something (`DC_OFF_FAST`, `DC_RECONFIG`) is here: a startd never sends them.
pub(super) fn level(command: Command) -> Option<Level> {
    match command {
        Command::RaiseSignal
        | Command::VacateJob
        | Command::CreateJobOwnerSession
        | Command::Peek
        | Command::UpdateGsiCred
        | Command::QueryInstance
        | Command::SecQuery
        | Command::Nop
        | Command::NopRead
        | Command::NopWrite
        | Command::NopNegotiator
        | Command::NopAdministrator
        | Command::NopConfig
        | Command::NopDaemon => command.level(),
        _ => None,
    }
}

/// What follows a command.
#[derive(Debug)]
pub(super) enum Then {
    /// Its values have to be read.
    Payload(Command),
    /// A file, for which there is an answer later.
    File,
    /// Nothing but an answer that is pending.
    Leave,
}

/// What a starter says about itself while commands are served.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manners<'a> {
    /// The name of this process that tools tell restarts by.
    pub(super) instance: &'a [u8; 16],
    /// Whether `STARTER_VACATE_JOB` vacates; before 24.1 it holds.
    pub(super) vacates: bool,
    /// Whose job it is.
    pub(super) owner: Option<&'a Owner>,
    /// Where this starter is.
    pub(super) address: &'a str,
    /// The number of the connection.
    pub(super) call: u64,
}

/// A command was let in.
pub(super) fn begin(
    incoming: Incoming,
    link: &mut Link,
    manners: Manners<'_>,
) -> Result<Then, StreamError> {
    if let Incoming::Session(Command::Peek, caller) = &incoming
        && manners.owner.is_none_or(|owner| owner.user != caller.user)
    {
        tracing::warn!("Unauthorized attempt to peek at job logfiles by '{}'", caller.user);
        return Err(Error::from(Refused::Level(Command::Peek.number())).into());
    }
    let command = match incoming {
        Incoming::Answered(_) => return Ok(Then::Leave),
        Incoming::Raw(command) | Incoming::Session(command, _) => command,
    };
    Ok(match command {
        Command::RaiseSignal
        | Command::VacateJob
        | Command::CreateJobOwnerSession
        | Command::Peek => Then::Payload(command),
        Command::UpdateGsiCred => Then::File,
        Command::QueryInstance => {
            link.connection.send_bytes(manners.instance)?;
            Then::Leave
        }
        _ => Then::Leave,
    })
}

/// The values of a command are here, as the link's message: they prove that the caller has the key.
pub(super) fn carry_out(
    command: Command,
    link: &mut Link,
    manners: Manners<'_>,
) -> Result<Option<Asked>, StreamError> {
    let message = link.connection.message();
    if command == Command::VacateJob {
        let vacate: Vacate = message.only()?;
        // At once: what becomes of the job doesn't change it, and a startd waits for it.
        let mut reply = link.connection.writer();
        reply.value(&Done);
        link.connection.send(&reply)?;
        let (code, subcode) = (vacate.code, vacate.subcode);
        let asked = Asked::from_vacate(vacate, manners.vacates);
        if let Asked::Soft(Some(why))
        | Asked::Hard(Some(why))
        | Asked::Hold { why: Some(why), .. } = &asked
        {
            tracing::info!("Got vacate code={code} subcode={subcode} reason={}", why.text);
        }
        return Ok(Some(asked));
    }
    if command == Command::Peek {
        let ad = message.only()?;
        return Ok(Some(Asked::Peek(Box::new(Peek { call: manners.call, ad }))));
    }
    if command == Command::CreateJobOwnerSession {
        let request = message.only()?;
        let (reply, session) = owner::session(&request, manners)?;
        let mut answer = link.connection.writer();
        answer.value(&reply);
        link.connection.send(&answer)?;
        return Ok(session.map(|session| Asked::Owner(Box::new(session))));
    }
    let signal: Signal = message.only()?;
    let asked = Asked::from_signal(signal);
    if asked.is_none() {
        tracing::info!("signal {} means nothing to a starter", signal.number());
    }
    Ok(asked)
}
