//! A request on behalf of the job: a file or attribute at the submit side, as HTCondor numbers them.

use condor_cedar::Writer;

/// What goes along with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Argument {
    /// A descriptor, length, mode and so on.
    Number(i64),
    /// A path or expression.
    Text(Vec<u8>),
    /// Bytes for a file, whose length is an argument before.
    Bytes(Vec<u8>),
}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Remote {
    /// HTCondor's number.
    pub(crate) number: i64,
    /// Its name, for the log.
    pub(crate) name: &'static str,
    /// In the order of the wire.
    pub(crate) arguments: Vec<Argument>,
}

impl Remote {
    /// One with these arguments.
    pub(crate) fn new(number: i64, name: &'static str, arguments: Vec<Argument>) -> Self {
        Self { number, name, arguments }
    }

    pub(super) fn write(&self, to: &mut Writer) {
        for argument in &self.arguments {
            match argument {
                Argument::Number(number) => to.i64(*number),
                Argument::Text(text) => to.string(text),
                Argument::Bytes(bytes) => to.bytes(bytes),
            };
        }
    }
}
