//! What a daemon gets from its parent through the environment: sockets and sessions.

mod fields;
mod private;
mod socket;

use std::fmt;
use std::str::FromStr;

pub use private::{PRIVATE_VARIABLE, PrivateInherit};
pub use socket::{Crypto, InheritedSocket, SocketKind, SocketState};

use crate::error::{Error, Result};
use crate::shared_port::EndpointName;
use crate::sinful::Sinful;
use crate::wire::within;
use fields::Fields;

/// The environment variable with the sockets.
pub const VARIABLE: &str = "CONDOR_INHERIT";
/// Longest value that is accepted, bytes.
const MAX_INHERIT: usize = 128 * 1024;
/// Most sockets that are accepted.
const MAX_SOCKETS: usize = 64;

/// `CONDOR_INHERIT`: who the parent is, and the sockets it handed down.
///
/// ```text
/// pid address {1 stream | 2 datagram}... 0 [SharedPort:endpoint] {1 stream | 2 datagram}... 0
/// ```
///
/// The descriptors are mere numbers here; they are open without `FD_CLOEXEC`, and the caller takes
/// them over. `Debug` leaves keys out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inherit {
    /// The parent's process id; 0 if it isn't a daemon.
    pub parent_pid: i32,
    /// The parent's address.
    pub parent: Sinful,
    /// Sockets for the daemon's work. A starter of a job with a shadow gets two: first the one for
    /// updates of the startd, then the one for calls to the shadow.
    pub sockets: Vec<InheritedSocket>,
    /// Where connections come in that the shared port passes on.
    pub endpoint: Option<Endpoint>,
    /// Without a shared port: where connections (and datagrams) come in.
    pub command_sockets: Vec<InheritedSocket>,
}

/// The listening socket of a daemon behind a shared port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Its name.
    pub name: EndpointName,
    /// The local socket.
    pub socket: InheritedSocket,
}

impl FromStr for Inherit {
    type Err = Error;

    /// Errors name the item, of those between blanks, that can't be used.
    fn from_str(text: &str) -> Result<Self> {
        within(VARIABLE, text.len(), MAX_INHERIT)?;
        let mut items = Items { rest: text.split_ascii_whitespace(), count: 0 };
        Self::parse(&mut items).map_err(|error| Error::Item {
            what: VARIABLE,
            item: items.count,
            error: Box::new(error),
        })
    }
}

/// What stands between blanks, counted.
struct Items<'a> {
    rest: std::str::SplitAsciiWhitespace<'a>,
    /// How many were asked for.
    count: usize,
}

impl<'a> Items<'a> {
    fn next(&mut self) -> Option<&'a str> {
        self.count += 1;
        self.rest.next()
    }
}

impl Inherit {
    fn parse(items: &mut Items<'_>) -> Result<Self> {
        let pid = items.next().and_then(|item| item.parse().ok());
        let parent_pid = pid.ok_or_else(|| malformed("no process id"))?;
        let parent = items.next().ok_or_else(|| malformed("no address of the parent"))?.parse()?;
        let sockets = sockets(items, None)?;
        let mut endpoint = None;
        let mut item = items.next();
        if let Some(text) = item.and_then(|item| item.strip_prefix("SharedPort:")) {
            endpoint = Some(Endpoint::parse(text)?);
            item = items.next();
        }
        // The second list may be missing, as it is when there is no parent.
        let command_sockets = match item {
            Some(first) => self::sockets(items, Some(first))?,
            None => Vec::new(),
        };
        Ok(Self { parent_pid, parent, sockets, endpoint, command_sockets })
    }
}

/// Reads a list of sockets up to its `0`.
fn sockets<'a>(items: &mut Items<'a>, first: Option<&'a str>) -> Result<Vec<InheritedSocket>> {
    let mut list = Vec::new();
    let mut next = first;
    loop {
        let kind = match next.take().or_else(|| items.next()) {
            Some("1") => SocketKind::Stream,
            Some("2") => SocketKind::Datagram,
            Some("0") => return Ok(list),
            _ => return Err(malformed("a list of sockets without its end")),
        };
        within("list of sockets", list.len() + 1, MAX_SOCKETS)?;
        let text = items.next().ok_or_else(|| malformed("a kind of socket without a socket"))?;
        list.push(InheritedSocket::parse(text, kind)?);
    }
}

impl Endpoint {
    fn parse(text: &str) -> Result<Self> {
        let (name, socket) =
            text.split_once('*').ok_or_else(|| malformed("an endpoint without socket"))?;
        let socket = InheritedSocket::parse(socket, SocketKind::Stream)?;
        Ok(Self { name: EndpointName::parse(name)?, socket })
    }
}

impl fmt::Display for Inherit {
    /// The value of the variable, keys and all.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, sockets: &[InheritedSocket]| {
            for socket in sockets {
                let kind = if socket.kind == SocketKind::Stream { 1 } else { 2 };
                write!(f, "{kind} {} ", socket.reveal())?;
            }
            f.write_str("0")
        };
        write!(f, "{} {} ", self.parent_pid, self.parent)?;
        list(f, &self.sockets)?;
        f.write_str(" ")?;
        if let Some(Endpoint { name, socket }) = &self.endpoint {
            write!(f, "SharedPort:{}*{} ", name.reveal(), socket.reveal())?;
        }
        list(f, &self.command_sockets)
    }
}

fn malformed(reason: &'static str) -> Error {
    Error::Malformed { what: "inheritance", reason }
}

#[cfg(test)]
mod tests;
