//! A shadow that comes back to a job whose last one is gone.

use std::io::Write as _;

use classad::ClassAd;
use condor_cedar::Command;
use condor_cedar::blocking::{Result, Stream};
use condor_cedar::handshake::Request;

use super::files::Deed as FileDeed;
use super::shadow::{self, Deed};
use super::{Claim, files};

/// The session in which it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum In {
    /// That of the claim.
    Claim,
    /// That of all daemons of the machine.
    Family,
    /// That of the startd.
    Parent,
}

/// How it comes back.
#[derive(Clone, Debug)]
pub(crate) struct Back {
    pub(crate) session: In,
    pub(crate) command: &'static str,
    /// The job that it names; real ones name none.
    pub(crate) job: Option<&'static str>,
    /// In place of its ad it sends this, in the clear.
    pub(crate) garbage: Option<&'static [u8]>,
    /// What it does wrong from then on.
    pub(crate) shadow: Option<(i64, usize, Deed)>,
    /// What it does wrong with connections for output.
    pub(crate) delivering: Vec<FileDeed>,
}

impl Back {
    pub(crate) fn new() -> Self {
        Self {
            session: In::Claim,
            command: "CA_RECONNECT_JOB",
            job: None,
            garbage: None,
            shadow: None,
            delivering: Vec::new(),
        }
    }

    /// With this wrong at the first request with that number.
    pub(crate) fn failing(number: i64, deed: Deed) -> Self {
        Self { shadow: Some((number, 1, deed)), ..Self::new() }
    }
}

impl Claim {
    /// A shadow comes back, with a server for files of its own; the starter's answer.
    pub(crate) fn shadow_returns(&mut self, back: &Back) -> Result<ClassAd> {
        let mut setup = self.setup.clone();
        (setup.shadow, setup.delivering) = (back.shadow, back.delivering.clone());
        let transfer = files::Server::start(&setup, self.tell.clone()).attributes();
        let startd = &self.startd;
        let session = match back.session {
            In::Claim => &startd.claim,
            In::Family => &startd.family,
            In::Parent => &startd.parent,
        };
        let mut stream = Stream::new(startd.connect());
        stream.open(&Request::new(Command::CaCmd, session, setup.release))?;
        if let Some(garbage) = back.garbage {
            stream.socket().write_all(garbage)?;
        }
        let mut ad = ClassAd::new();
        ad.insert_value("MyType", "Command");
        ad.insert_value("TargetType", "Reply");
        ad.insert_value("Command", back.command);
        ad.insert_value("ShadowIpAddr", "<127.0.0.1:2?noUDP>");
        ad.insert_value("ShadowVersion", setup.release);
        ad.insert_value("UidDomain", "pool.test");
        for (name, value) in transfer.clone() {
            ad.insert_value(name, value);
        }
        if let Some(job) = back.job {
            ad.insert_value("GlobalJobId", job);
        }
        stream.send_value(&ad)?;
        let reply: ClassAd = stream.receive_value()?;
        if reply.eval_string("Result").as_deref() == Some("Success") {
            self.shadows += 1;
            shadow::start(stream, &setup, transfer, self.tell.clone());
        }
        Ok(reply)
    }
}
