//! What a startd hands down through the environment, taken over: descriptors become sockets, secrets
//! become sessions.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::net::TcpStream;
use std::os::fd::OwnedFd;

use condor_cedar::blocking::Stream;
use condor_cedar::inherit::{
    Inherit, InheritedSocket, PRIVATE_VARIABLE, PrivateInherit, SocketKind, VARIABLE,
};
use condor_cedar::session::{Session, Sessions};
use condor_cedar::{Connection, Sinful};

use super::door::Door;
use crate::failure::{Context, Failure, Step};
use crate::sys::inherited::take;

/// The sockets.
#[derive(Debug)]
pub(super) struct Sockets {
    /// To the startd.
    pub(super) updates: Option<(Connection, TcpStream)>,
    /// To the shadow. It blocks.
    pub(super) shadow: Option<Stream<TcpStream>>,
    /// Where commands come in.
    pub(super) door: Door,
    /// The address of that.
    pub(super) address: Sinful,
    /// The startd's address.
    pub(super) parent: Sinful,
}

/// The value of a variable, which has to follow its grammar.
pub(super) fn parse<T: std::str::FromStr<Err = condor_cedar::Error>>(
    text: &str,
) -> Result<T, Failure> {
    text.parse().map_err(|error: condor_cedar::Error| unusable(error))
}

fn unusable(message: impl fmt::Display) -> Failure {
    Failure::host(Step::Internal, message.to_string())
}

/// Takes over everything that `CONDOR_INHERIT` names. From then on nothing of it survives an exec, and
/// what a starter has no use for is closed.
pub(super) fn sockets(inherit: Inherit) -> Result<Sockets, Failure> {
    let endpoint = inherit.endpoint.as_ref();
    let all = inherit.sockets.iter().chain(endpoint.map(|endpoint| &endpoint.socket));
    let mut numbers = BTreeSet::new();
    for socket in all.chain(&inherit.command_sockets) {
        if !numbers.insert(socket.fd) {
            return Err(unusable(format!("{VARIABLE}: descriptor {} is there twice", socket.fd)));
        }
    }
    let mut connected = Vec::new();
    for (n, socket) in inherit.sockets.iter().enumerate() {
        let what = ["update socket", "shadow socket"].get(n).copied();
        let fd = take(socket.fd).at(Step::Internal, place(socket, what.unwrap_or("socket")))?;
        if what.is_some() {
            connected.push(stream(socket, fd).map_err(|error| {
                unusable(format!("{}: {error}", place(socket, what.unwrap_or_default())))
            })?);
        }
    }
    let mut connected = connected.into_iter();
    let (updates, shadow) = (connected.next(), connected.next());
    let mut ports = Vec::new();
    for socket in &inherit.command_sockets {
        let fd = take(socket.fd).at(Step::Internal, place(socket, "command socket"))?;
        // Datagrams are closed: nobody who may use TCP needs them.
        if socket.kind == SocketKind::Stream {
            ports.push(fd);
        }
    }
    let door = match endpoint {
        Some(endpoint) => {
            let socket = &endpoint.socket;
            let what = place(socket, "endpoint of the shared port");
            take(socket.fd).and_then(Door::local).at(Step::Internal, what)?
        }
        None if ports.is_empty() => {
            return Err(unusable(format!("{VARIABLE}: no socket for commands")));
        }
        None => Door::ports(ports).at(Step::Internal, format!("{VARIABLE}: a command socket"))?,
    };
    let address = door.address(&inherit.parent, endpoint.map(|endpoint| endpoint.name.id()));
    let address = address.ok_or_else(|| {
        unusable(format!("{VARIABLE}: no address of the machine fits the command sockets"))
    })?;
    Ok(Sockets {
        updates,
        shadow: shadow.map(|(connection, socket)| Stream::with_connection(connection, socket)),
        door,
        address,
        parent: inherit.parent,
    })
}

/// A stream to go on with, blocking.
fn stream(socket: &InheritedSocket, fd: OwnedFd) -> io::Result<(Connection, TcpStream)> {
    let connection = socket.connection().map_err(io::Error::other)?;
    let stream = TcpStream::from(fd);
    stream.peer_addr()?;
    // The shadow socket comes without; a program that inherits it can't rely on either.
    stream.set_nonblocking(false)?;
    stream.set_nodelay(true)?;
    Ok((connection, stream))
}

fn place(socket: &InheritedSocket, what: &str) -> String {
    format!("{VARIABLE}: descriptor {} ({what})", socket.fd)
}

/// The sessions of `CONDOR_PRIVATE_INHERIT`, and that with the startd, which there has to be.
pub(super) fn sessions(inherit: &PrivateInherit) -> Result<(Sessions, Session), Failure> {
    let at =
        |name: &'static str| move |error| unusable(format!("{PRIVATE_VARIABLE}: {name}: {error}"));
    let Some(parent) = &inherit.parent else {
        return Err(unusable(format!("{PRIVATE_VARIABLE}: no SessionKey")));
    };
    let parent = Session::parent(parent).map_err(at("SessionKey"))?;
    let mut sessions = Sessions::new();
    sessions.insert(parent.clone());
    if let Some(family) = &inherit.family {
        sessions.insert(Session::family(family).map_err(at("FamilySessionKey"))?);
    }
    Ok((sessions, parent))
}
