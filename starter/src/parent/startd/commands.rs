//! The commands that are served, and what each does. One more is a level in [`level`], and an arm in
//! [`begin`] or [`carry_out`].

use classad::ClassAd;
use condor_cedar::blocking::StreamError;
use condor_cedar::handshake::Incoming;
use condor_cedar::message::{Done, Signal, Vacate};
use condor_cedar::{Command, Error, Level, Refused};

use super::orders::{Asked, Peek};
use super::owner::{self, Owner};
use super::reconnect::{self, Terms};
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
        | Command::StartSshd
        | Command::UpdateGsiCred
        | Command::CaCmd
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
    /// What a shadow needs to come back, once there is a job to come back to.
    pub(super) terms: Option<&'a Terms>,
}

/// A command was let in.
pub(super) fn begin(
    incoming: Incoming,
    link: &mut Link,
    manners: Manners<'_>,
) -> Result<Then, StreamError> {
    if let Incoming::Session(command @ (Command::Peek | Command::StartSshd), caller) = &incoming
        && manners.owner.is_none_or(|owner| owner.user != caller.user)
    {
        tracing::warn!("Unauthorized attempt to use {command} by '{}'", caller.user);
        return Err(Error::from(Refused::Level(command.number())).into());
    }
    let command = match incoming {
        Incoming::Answered(_) => return Ok(Then::Leave),
        Incoming::Raw(command) => command,
        Incoming::Session(Command::CaCmd, caller)
            if manners.terms.is_some_and(|terms| terms.session != caller.session) =>
        {
            let refused = Refused::Level(Command::CaCmd.number());
            return Err(condor_cedar::Error::Refused(refused).into());
        }
        Incoming::Session(command, _) => command,
    };
    Ok(match command {
        Command::RaiseSignal
        | Command::VacateJob
        | Command::CreateJobOwnerSession
        | Command::Peek
        | Command::StartSshd
        | Command::CaCmd => Then::Payload(command),
        Command::UpdateGsiCred => Then::File,
        Command::QueryInstance => {
            link.connection.send_bytes(manners.instance)?;
            Then::Leave
        }
        _ => Then::Leave,
    })
}

/// What came of a command.
#[derive(Debug)]
pub(super) enum Carried {
    /// Somebody wants something of the job, or nothing.
    Asked(Option<Asked>),
    /// The caller is the job's shadow from now on, and this connection the channel to it.
    Shadow(ClassAd),
}

/// The values of a command are here, as the link's message: they prove that the caller has the key.
pub(super) fn carry_out(
    command: Command,
    link: &mut Link,
    manners: Manners<'_>,
) -> Result<Carried, StreamError> {
    let message = link.connection.message();
    if command == Command::CaCmd {
        let ad: ClassAd = message.only()?;
        let (reply, accepted) = reconnect::answer(&ad, manners.terms);
        let mut answer = link.connection.writer();
        answer.value(&reply);
        link.connection.send(&answer)?;
        return Ok(if accepted { Carried::Shadow(ad) } else { Carried::Asked(None) });
    }
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
        return Ok(Carried::Asked(Some(asked)));
    }
    if let Command::Peek | Command::StartSshd = command {
        let wish = Box::new(Peek { call: manners.call, ad: message.only()? });
        let asked = if command == Command::Peek { Asked::Peek(wish) } else { Asked::Ssh(wish) };
        return Ok(Carried::Asked(Some(asked)));
    }
    if command == Command::CreateJobOwnerSession {
        let request = message.only()?;
        let (reply, session) = owner::session(&request, manners)?;
        let mut answer = link.connection.writer();
        answer.value(&reply);
        link.connection.send(&answer)?;
        return Ok(Carried::Asked(session.map(|session| Asked::Owner(Box::new(session)))));
    }
    let signal: Signal = message.only()?;
    let asked = Asked::from_signal(signal);
    if asked.is_none() {
        tracing::info!("signal {} means nothing to a starter", signal.number());
    }
    Ok(Carried::Asked(asked))
}
