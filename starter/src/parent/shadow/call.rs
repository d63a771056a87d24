//! The requests, by HTCondor's numbers: the same in 23.9.6 and 25.14.1.

use classad::ClassAd;
use condor_cedar::{Error, Reader, Writer};

use super::remote::Remote;

/// A request to the shadow.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Call<'a> {
    /// The job ad, with the key of the file transfer. The first of all.
    JobInfo,
    /// What this starter is and where.
    StarterInfo(&'a ClassAd),
    /// Sessions for reconnecting and for file transfer.
    Sessions,
    /// Tokens of the OAuth services that the job needs.
    Credentials,
    /// An update of the job.
    JobUpdate(&'a ClassAd),
    /// The job is about to run.
    BeginExecution,
    /// What to do next (24.5 and later); the answer's number is whether the ad that follows says so.
    Guidance(&'a ClassAd),
    /// Something happened to the job.
    Event(&'a ClassAd),
    /// An event for the user's log, such as an error of this starter. It has no answer.
    UserLog(&'a ClassAd),
    /// The end. The last of all.
    JobExit(JobExit<'a>),
    /// Opens a file at the submit side; the answer's number is the shadow's descriptor.
    Open {
        /// As in the job ad: relative to the job's `Iwd`.
        path: &'a str,
        /// What for.
        mode: Mode,
    },
    /// Goes to a place in a file of the shadow's.
    Seek {
        /// The shadow's descriptor.
        fd: i64,
        /// From the beginning.
        offset: i64,
    },
    /// Goes to the end of a file of the shadow's; the answer's number is where that is.
    SeekEnd(i64),
    /// Reads this many bytes at most; the answer's number is how many follow.
    Read {
        /// The shadow's descriptor.
        fd: i64,
        /// Bytes.
        length: i64,
    },
    /// Writes; the answer's number is how many bytes were written.
    Write {
        /// The shadow's descriptor.
        fd: i64,
        /// What.
        bytes: &'a [u8],
    },
    /// Has a file of the shadow's written to disk.
    Sync(i64),
    /// Closes one.
    Close(i64),
    /// What the job asks for.
    Remote(&'a Remote),
}

/// What a file of the shadow's is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// For reading.
    Read,
    /// For writing, from the beginning.
    WriteAnew,
    /// For writing what is still missing.
    Write,
}

impl Mode {
    /// Flags of `open` as they are on the wire.
    fn flags(self) -> i64 {
        match self {
            Self::Read => 0,
            Self::WriteAnew => 0x301,
            Self::Write => 0x101,
        }
    }
}

/// Permission bits of a file that is made anew, less the umask of the shadow.
const PERMISSIONS: i64 = 0o666;

/// How the job ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JobExit<'a> {
    /// The status as wait(2) gives it.
    pub(crate) status: i32,
    /// One of HTCondor's reasons: 100 exited, 103 with a core, 107 to be requeued, 108 not started.
    pub(crate) reason: u8,
    /// The last update.
    pub(crate) ad: &'a ClassAd,
}

impl Call<'_> {
    fn number(&self) -> i64 {
        match self {
            Self::JobInfo => -63,
            Self::StarterInfo(_) => -77,
            Self::Sessions => 288,
            Self::Credentials => 302,
            Self::JobUpdate(_) => -81,
            Self::BeginExecution => -78,
            Self::Guidance(_) => 305,
            Self::Event(_) => 304,
            Self::UserLog(_) => 284,
            Self::JobExit(_) => -65,
            Self::Open { .. } => 66,
            Self::Seek { .. } | Self::SeekEnd(_) => 54,
            Self::Read { .. } => 71,
            Self::Write { .. } => 120,
            Self::Sync(_) => 26,
            Self::Close(_) => 10,
            Self::Remote(remote) => remote.number,
        }
    }

    /// Its name in HTCondor, for the log.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::JobInfo => "get_job_info",
            Self::StarterInfo(_) => "register_starter_info",
            Self::Sessions => "get_sec_session_info",
            Self::Credentials => "getcreds",
            Self::JobUpdate(_) => "register_job_info",
            Self::BeginExecution => "begin_execution",
            Self::Guidance(_) => "request_guidance",
            Self::Event(_) => "event_notification",
            Self::UserLog(_) => "ulog",
            Self::JobExit(_) => "job_exit",
            Self::Open { .. } => "open",
            Self::Seek { .. } | Self::SeekEnd(_) => "lseek",
            Self::Read { .. } => "read",
            Self::Write { .. } => "write",
            Self::Sync(_) => "fsync",
            Self::Close(_) => "close",
            Self::Remote(remote) => remote.name,
        }
    }

    /// Whether the shadow says anything to it.
    pub(crate) fn has_answer(&self) -> bool {
        !matches!(self, Self::UserLog(_))
    }

    pub(super) fn write(&self, to: &mut Writer) {
        to.i64(self.number());
        match self {
            Self::JobInfo | Self::BeginExecution => {}
            Self::Credentials => {
                to.string("");
            }
            // Wishes for both sessions; there are none.
            Self::Sessions => {
                to.string("").string("");
            }
            Self::StarterInfo(ad)
            | Self::JobUpdate(ad)
            | Self::Guidance(ad)
            | Self::Event(ad)
            | Self::UserLog(ad) => {
                to.value(*ad);
            }
            Self::JobExit(exit) => {
                to.i64(exit.status).i64(exit.reason).value(exit.ad);
            }
            Self::Open { path, mode } => {
                to.i64(mode.flags()).i64(PERMISSIONS).string(path);
            }
            // From the beginning.
            Self::Seek { fd, offset } => {
                to.i64(*fd).i64(*offset).i64(0);
            }
            Self::SeekEnd(fd) => {
                to.i64(*fd).i64(0).i64(2);
            }
            Self::Read { fd, length } => {
                to.i64(*fd).i64(*length);
            }
            Self::Write { fd, bytes } => {
                to.i64(*fd).size(bytes.len()).bytes(bytes);
            }
            Self::Sync(fd) | Self::Close(fd) => {
                to.i64(*fd);
            }
            Self::Remote(remote) => remote.write(to),
        }
    }
}

/// What the shadow answered.
#[derive(Debug)]
pub(crate) enum Answer<T> {
    /// It did it, and this is the number it gave, and the rest of its answer.
    Done(i64, T),
    /// It could not, for this errno.
    Failed(i64),
}

impl<T> Answer<T> {
    /// Reads a message: a value, an errno after a negative one, and the rest by `read`.
    pub(crate) fn read(
        mut message: Reader<'_>,
        call: &Call<'_>,
        read: impl FnOnce(&mut Reader<'_>) -> Result<T, Error>,
    ) -> Result<Self, Error> {
        let value = message.i64()?;
        // An event has no errno: 25.14.1 answers -3 to what 23.9.6 answers 0 to, and does the same.
        // Guidance comes with an ad in every case, and tokens come without an errno, too.
        let bare = matches!(call, Call::Event(_) | Call::Guidance(_) | Call::Credentials);
        if value < 0 && !bare {
            return Ok(Self::Failed(message.i64()?));
        }
        let read = read(&mut message)?;
        message.finish()?;
        Ok(Self::Done(value, read))
    }
}

/// A session as the shadow tells it: id, info and key.
#[derive(Clone)]
pub(crate) struct SessionTexts([String; 3]);

impl SessionTexts {
    /// Both: that for reconnecting, and that for file transfer.
    pub(crate) fn read(from: &mut Reader<'_>) -> Result<[Self; 2], Error> {
        let mut one = || -> Result<Self, Error> {
            let mut text = || -> Result<String, Error> {
                Ok(String::from_utf8_lossy(from.string()?).into_owned())
            };
            Ok(Self([text()?, text()?, text()?]))
        };
        Ok([one()?, one()?])
    }

    /// As a claim id: `id#[info]key`.
    pub(crate) fn claim_id(&self) -> Result<condor_cedar::session::ClaimId, Error> {
        let [id, info, key] = &self.0;
        condor_cedar::session::ClaimId::new(id, info, key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(call: Call<'_>) -> Vec<u8> {
        let mut to = Writer::new(true);
        call.write(&mut to);
        to.as_bytes().to_vec()
    }

    #[test]
    fn requests_are_as_recorded() {
        assert_eq!(written(Call::JobInfo), (-63_i64).to_be_bytes());
        let sessions = written(Call::Sessions);
        assert_eq!(sessions.len(), 26);
        assert_eq!(sessions[..8], 288_i64.to_be_bytes());
        let ad = ClassAd::new();
        let exit = written(Call::JobExit(JobExit { status: 768, reason: 100, ad: &ad }));
        assert_eq!(exit[..8], (-65_i64).to_be_bytes());
        assert_eq!(exit[8..16], 768_i64.to_be_bytes());
        assert_eq!(exit[16..24], 100_i64.to_be_bytes());
        assert!(!Call::UserLog(&ad).has_answer() && Call::Event(&ad).has_answer());
    }

    #[test]
    fn files_of_the_shadow() {
        let numbers = |call: Call<'_>| {
            let bytes = written(call);
            let number = |chunk: &[u8]| i64::from_be_bytes(chunk.try_into().unwrap());
            bytes.chunks_exact(8).map(number).collect::<Vec<_>>()
        };
        for (mode, flags) in [(Mode::WriteAnew, 0x301), (Mode::Write, 0x101), (Mode::Read, 0)] {
            assert_eq!(numbers(Call::Open { path: "o", mode })[..3], [66, flags, 0o666]);
        }
        assert_eq!(numbers(Call::SeekEnd(4)), [54, 4, 0, 2]);
        assert_eq!(numbers(Call::Seek { fd: 4, offset: 70 }), [54, 4, 70, 0]);
        assert_eq!(numbers(Call::Read { fd: 4, length: 9 }), [71, 4, 9]);
        let write = written(Call::Write { fd: 4, bytes: b"hello" });
        assert_eq!((write.len(), &write[24..]), (29, &b"hello"[..]));
        assert_eq!(numbers(Call::Sync(4)), [26, 4]);
        assert_eq!(numbers(Call::Close(4)), [10, 4]);
    }

    #[test]
    fn answers_with_and_without_an_errno() {
        let ad = ClassAd::new();
        let message = |numbers: &[i64]| {
            let mut to = Writer::new(true);
            for number in numbers {
                to.i64(*number);
            }
            to.as_bytes().to_vec()
        };
        let read = |bytes: &[u8], call: Call<'_>| {
            Answer::read(Reader::new(bytes, true), &call, |_| Ok(()))
        };
        assert!(matches!(read(&message(&[0]), Call::BeginExecution), Ok(Answer::Done(0, ()))));
        let failed = read(&message(&[-1, 13]), Call::BeginExecution);
        assert!(matches!(failed, Ok(Answer::Failed(13))));
        assert!(matches!(read(&message(&[-3]), Call::Event(&ad)), Ok(Answer::Done(-3, ()))));
        for bad in [&[][..], &[-1], &[0, 0]] {
            assert!(read(&message(bad), Call::BeginExecution).is_err(), "{bad:?}");
        }
    }
}
