//! What a line of a client asks for. Most verbs are one request to the shadow, by the table.

use super::line::{number, text, words};
use super::{Fault, Rights};
use crate::parent::shadow::{Argument, Remote};

/// Bytes that one request reads or writes at most; a client asks again for more.
const MOST: i64 = 1 << 20;
/// Longest answer to `whoami`: a shadow of 25.14.1 refuses more, and condor_chirp asks for more.
const LONGEST_NAME: i64 = 1024;
/// Letters of an event that are kept.
const EVENT: usize = 128;

/// How the shadow's answer becomes the client's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Its number.
    Number,
    /// Its number, and so many bytes.
    Bytes,
    /// The length of a string, and the string.
    Text,
    /// Its number, and text up to the first NUL.
    Line,
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// One request to the shadow.
    Remote(Remote, Answer),
    /// Closes a descriptor.
    Close(i64),
    /// Opens a file: path, flags as on the wire, mode.
    Open(Vec<u8>, i64, i64),
    /// Sends a whole file to the client.
    Get(Vec<u8>),
    /// Makes a file of so many bytes that the client sends once it was answered: path, mode, length.
    Put(Vec<u8>, i64, u64),
    /// Writes so many bytes, which follow, to a descriptor, at an offset or where it stands.
    Write(i64, u64, Option<i64>),
    /// Writes so many bytes, which follow, in strides: descriptor, length, offset, stride, skip.
    Strided(i64, u64, [i64; 3]),
    /// An event in the job's log.
    Event(String),
    /// Sets an attribute with the next report: name, expression.
    SetDelayed(String, String),
    /// One of those, by name.
    GetDelayed(String),
    /// The version of the protocol.
    Version,
}

/// Which right a verb needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Needs {
    Files,
    Updates,
}

/// A verb that is one request to the shadow. Its arguments: `p` a path or text, `n` a number, `f` a
/// descriptor of this client's, `l` a length.
struct Verb(&'static str, Needs, &'static str, i64, Answer);

const VERBS: &[Verb] = {
    use Answer::{Bytes, Line, Number, Text};
    use Needs::{Files, Updates};
    &[
        Verb("lseek", Files, "fnn", 54, Number),
        Verb("read", Files, "fl", 71, Bytes),
        Verb("pread", Files, "fln", 289, Bytes),
        Verb("sread", Files, "flnnn", 299, Bytes),
        Verb("fsync", Files, "f", 26, Number),
        Verb("fstat", Files, "f", 24, Line),
        Verb("fstatfs", Files, "f", 25, Line),
        Verb("fchmod", Files, "fn", 19, Number),
        Verb("fchown", Files, "fnn", 20, Number),
        Verb("ftruncate", Files, "fn", 27, Number),
        Verb("lookup", Files, "p", -74, Text),
        Verb("unlink", Files, "p", 115, Number),
        Verb("rename", Files, "pp", 78, Number),
        Verb("mkdir", Files, "pn", 58, Number),
        Verb("rmdir", Files, "p", 79, Number),
        Verb("rmall", Files, "p", 292, Number),
        Verb("getdir", Files, "p", 296, Text),
        Verb("getlongdir", Files, "p", 295, Text),
        Verb("whoami", Files, "w", 297, Bytes),
        Verb("whoareyou", Files, "pw", 298, Bytes),
        Verb("link", Files, "pp", 52, Number),
        Verb("symlink", Files, "pp", 111, Number),
        Verb("readlink", Files, "pl", 72, Bytes),
        Verb("stat", Files, "p", 108, Line),
        Verb("lstat", Files, "p", 55, Line),
        Verb("statfs", Files, "p", 109, Line),
        Verb("access", Files, "pn", 1, Number),
        Verb("chmod", Files, "pn", 7, Number),
        Verb("chown", Files, "pnn", 8, Number),
        Verb("lchown", Files, "pnn", 251, Number),
        Verb("truncate", Files, "pn", 113, Number),
        Verb("utime", Files, "pnn", 242, Number),
        Verb("get_job_attr", Updates, "p", 285, Text),
        Verb("constrain", Updates, "p", 287, Number),
    ]
};

impl Request {
    /// Reads a line; `owns` says whether a descriptor is this client's.
    pub(super) fn parse(
        line: &[u8],
        rights: Rights,
        owns: impl Fn(i64) -> bool,
    ) -> Result<Self, Fault> {
        let words = words(line);
        let (verb, given) = words.split_first().ok_or(Fault::Invalid)?;
        let verb = std::str::from_utf8(verb).map_err(|_| Fault::Invalid)?;
        let word = |index: usize| given.get(index).map(Vec::as_slice).ok_or(Fault::Invalid);
        let path = |index| word(index).and_then(text);
        let int = |index| word(index).and_then(number);
        let utf8 = |index| -> Result<String, Fault> {
            String::from_utf8(path(index)?).map_err(|_| Fault::Invalid)
        };
        let fd = |index| match int(index)? {
            fd if owns(fd) => Ok(fd),
            _ => Err(Fault::BadFd),
        };
        let size = |index| u64::try_from(int(index)?).map_err(|_| Fault::Invalid);
        match verb {
            "open" if rights.files => Ok(Self::Open(path(0)?, flags(word(1)?), int(2)?)),
            "close" if rights.files => Ok(Self::Close(fd(0)?)),
            "getfile" if rights.files => Ok(Self::Get(path(0)?)),
            "putfile" if rights.files => Ok(Self::Put(path(0)?, int(1)?, size(2)?)),
            "write" if rights.files => Ok(Self::Write(int(0)?, size(1)?, None)),
            "pwrite" if rights.files => Ok(Self::Write(int(0)?, size(1)?, Some(int(2)?))),
            "swrite" if rights.files => {
                Ok(Self::Strided(int(0)?, size(1)?, [int(2)?, int(3)?, int(4)?]))
            }
            "set_job_attr" if rights.updates => {
                // The value goes first there.
                let arguments = vec![Argument::Text(path(1)?), Argument::Text(path(0)?)];
                Ok(Self::Remote(Remote::new(286, "set_job_attr", arguments), Answer::Number))
            }
            "ulog" if rights.updates => {
                let text = String::from_utf8_lossy(&path(0)?).replace(['\n', '\r'], " ");
                Ok(Self::Event(text.chars().take(EVENT).collect()))
            }
            "version" if rights.updates => Ok(Self::Version),
            "set_job_attr_delayed" if rights.delayed => Ok(Self::SetDelayed(utf8(0)?, utf8(1)?)),
            "get_job_attr_delayed" if rights.delayed => Ok(Self::GetDelayed(utf8(0)?)),
            _ => {
                let Verb(name, _, layout, number, answer) = VERBS
                    .iter()
                    .find(|known| known.0 == verb && known.1.granted(rights))
                    .ok_or(Fault::Invalid)?;
                let arguments = layout.bytes().enumerate().map(|(index, kind)| {
                    Ok(match kind {
                        b'p' => Argument::Text(path(index)?),
                        b'f' => Argument::Number(fd(index)?),
                        b'l' => Argument::Number(length(int(index)?, MOST)?),
                        b'w' => Argument::Number(length(int(index)?, LONGEST_NAME)?),
                        _ => Argument::Number(int(index)?),
                    })
                });
                let arguments = arguments.collect::<Result<_, Fault>>()?;
                Ok(Self::Remote(Remote::new(*number, name, arguments), *answer))
            }
        }
    }
}

impl Needs {
    fn granted(self, rights: Rights) -> bool {
        match self {
            Self::Files => rights.files,
            Self::Updates => rights.updates,
        }
    }
}

fn length(wanted: i64, most: i64) -> Result<i64, Fault> {
    if wanted < 0 { Err(Fault::Invalid) } else { Ok(wanted.min(most)) }
}

/// The letters of `open` as flags on the wire.
fn flags(letters: &[u8]) -> i64 {
    let has = |letter: u8| letters.contains(&letter);
    let access = match (has(b'w'), has(b'r')) {
        (true, true) => 2,
        (true, false) => 1,
        (false, _) => 0,
    };
    let more = [(b'c', 0x100), (b't', 0x200), (b'x', 0x400), (b'a', 0x1000)];
    more.iter().filter(|(letter, _)| has(*letter)).fold(access, |flags, (_, bit)| flags | bit)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Rights = Rights { files: true, updates: true, delayed: true };

    fn parse(line: &str, rights: Rights) -> Result<Request, Fault> {
        Request::parse(line.as_bytes(), rights, |fd| fd == 5)
    }

    #[test]
    fn lines_become_requests() {
        assert_eq!(parse("open a\\ b wtc 420", ALL), Ok(Request::Open(b"a b".into(), 0x301, 420)));
        assert_eq!(parse("putfile p 420 5", ALL), Ok(Request::Put(b"p".into(), 420, 5)));
        let read = Remote::new(71, "read", vec![Argument::Number(5), Argument::Number(MOST)]);
        assert_eq!(parse("read 5 999999999999", ALL), Ok(Request::Remote(read, Answer::Bytes)));
        let value = ["1", "A"].map(|text| Argument::Text(text.into()));
        let set = Remote::new(286, "set_job_attr", value.into());
        assert_eq!(parse("set_job_attr A 1", ALL), Ok(Request::Remote(set, Answer::Number)));
        assert_eq!(
            parse(&format!("ulog {}", "x".repeat(500)), ALL),
            Ok(Request::Event("x".repeat(128)))
        );
        let name = Remote::new(297, "whoami", vec![Argument::Number(1024)]);
        assert_eq!(parse("whoami 5120", ALL), Ok(Request::Remote(name, Answer::Bytes)));
    }

    #[test]
    fn what_was_not_granted_is_no_verb() {
        let files = Rights { files: true, ..Rights::default() };
        let updates = Rights { updates: true, ..Rights::default() };
        let delayed = Rights { delayed: true, ..Rights::default() };
        for verb in VERBS {
            let line = format!("{} 5 1 1 1 1", verb.0);
            assert!(parse(&line, ALL).is_ok(), "{line}");
            assert_eq!(parse(&line, delayed), Err(Fault::Invalid), "{line}");
        }
        for line in ["open p r 0", "getfile p", "putfile p 1 1", "write 5 1", "unlink p"] {
            assert_eq!(parse(line, updates), Err(Fault::Invalid));
        }
        for line in ["set_job_attr a 1", "ulog a", "get_job_attr a", "set_job_attr_delayed a 1"] {
            assert_eq!(parse(line, files), Err(Fault::Invalid));
        }
    }

    #[test]
    fn a_client_has_its_own_descriptors_only() {
        for line in ["read 6 1", "close 0", "fstat 6", "fchmod -1 7", "lseek 4 0 0"] {
            assert_eq!(parse(line, ALL), Err(Fault::BadFd), "{line}");
        }
        for line in ["", "nonsense", "read 5 -1", "read 5", "open p r", "putfile p 1 -1"] {
            assert_eq!(parse(line, ALL), Err(Fault::Invalid), "{line}");
        }
    }
}
