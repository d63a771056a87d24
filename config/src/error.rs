//! What can go wrong, and how it is told.

use std::borrow::Cow;
use std::fmt;

/// Why a configuration could not be read, or a knob not be given a value.
///
/// Displayed, it is one line: place, what is wrong, and what to do about it.
/// [`Error::htcondor_text`] has the lines that HTCondor's own programs print in the same case, for
/// the eye (or the script) that knows those.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error(Box<Inner>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Inner {
    kind: ErrorKind,
    file: Option<String>,
    line: u32,
    what: String,
    remedy: Cow<'static, str>,
    told: Vec<String>,
}

/// The kinds of [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A file, directory or command could not be found or read.
    Source,
    /// A line is not in the configuration language.
    Syntax,
    /// The configuration itself says `error : ...`.
    Told,
    /// A function such as `$INT()` has no result.
    Function,
    /// A knob refers to itself, perhaps by way of others.
    Cycle,
    /// A text grew beyond what this library accepts.
    Limit,
    /// A knob has a value that its reader can't use.
    Value,
}

impl Error {
    pub(crate) fn new(
        kind: ErrorKind,
        what: impl Into<String>,
        remedy: impl Into<Cow<'static, str>>,
    ) -> Error {
        let (what, remedy) = (what.into(), remedy.into());
        Error(Box::new(Inner { kind, file: None, line: 0, what, remedy, told: Vec::new() }))
    }

    /// Adds the place, unless one nearer to the fault is known.
    #[must_use]
    pub(crate) fn at(mut self, file: &str, line: u32) -> Error {
        if self.0.file.is_none() {
            self.0.file = Some(file.to_owned());
            self.0.line = line;
        }
        self
    }

    #[must_use]
    pub(crate) fn told(mut self, lines: Vec<String>) -> Error {
        self.0.told = lines;
        self
    }

    /// What kind of fault it is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The file, command or pseudo-source (such as `<Environment>`) the fault is in.
    pub fn file(&self) -> Option<&str> {
        self.0.file.as_deref()
    }

    /// The line in [`Error::file`]; 0 if the fault isn't in a line.
    pub fn line(&self) -> u32 {
        self.0.line
    }

    /// What is wrong, without place and remedy.
    pub fn what(&self) -> &str {
        &self.0.what
    }

    /// What to do about it.
    pub fn remedy(&self) -> &str {
        &self.0.remedy
    }

    /// The lines that HTCondor 25.14.1 prints for the same fault, where it notices it.
    pub fn htcondor_text(&self) -> String {
        if self.0.told.is_empty() {
            format!("ERROR \"{}\"", self.0.what)
        } else {
            self.0.told.join("\n")
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &self.0;
        match &inner.file {
            Some(file) if inner.line > 0 => write!(f, "{file}:{}: ", inner.line)?,
            Some(file) => write!(f, "{file}: ")?,
            None => {}
        }
        // A text that came from the configuration can hold line ends; a log line can't.
        f.write_str(&inner.what.replace('\n', " "))?;
        if inner.remedy.is_empty() { Ok(()) } else { write!(f, ". {}", inner.remedy) }
    }
}

impl std::error::Error for Error {}

/// A knob's value is unusable: the error, and the value with which HTCondor's tools go on.
///
/// Daemons stop at such an error, and `?` makes an [`Error`] of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Invalid<T> {
    /// What is wrong.
    pub error: Error,
    /// What a tool of HTCondor would use after printing the error.
    pub fallback: T,
}

impl<T> From<Invalid<T>> for Error {
    fn from(invalid: Invalid<T>) -> Error {
        invalid.error
    }
}

/// Something an admin should know about a configuration that could be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The file, or pseudo-source.
    pub file: String,
    /// The line in it, 0 if none.
    pub line: u32,
    /// The sentence.
    pub text: String,
    told: String,
}

impl Warning {
    pub(crate) fn new(file: &str, line: u32, text: String, told: String) -> Warning {
        Warning { file: file.to_owned(), line, text, told }
    }

    /// The line HTCondor 25.14.1 prints.
    pub fn htcondor_text(&self) -> &str {
        &self.told
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.text)
    }
}
