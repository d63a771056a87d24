//! CEDAR, the protocol between the daemons of HTCondor, without I/O.
//!
//! A [`Connection`] is one side of a stream: bytes of a socket go in, messages come out, and the
//! other way round. It frames, encrypts and decrypts, and keeps every length within bounds. What is
//! inside messages is read with a [`Reader`] and written with a [`Writer`]. [`handshake`] opens
//! conversations in a [`session`], as a client and as a server; [`inherit`] takes over what the
//! parent process hands down. [`blocking`] puts all that on sockets for those who wait.
//!
//! All is as HTCondor 23.9.6 and 25.14.1 have it, and tested with what real daemons of both were
//! recorded to say.
//!
//! ```
//! use condor_cedar::handshake::{Acceptor, Incoming, Progress, Request, Server};
//! use condor_cedar::message::Signal;
//! use condor_cedar::session::{ClaimId, Session, Sessions};
//! use condor_cedar::{Command, Connection};
//!
//! const VERSION: &str = "$CondorVersion: 25.14.1 2026-10-16 $";
//! // Both were told the key of a session.
//! let claim: ClaimId = "0123#[CryptoMethods=\"AES\";]a secret text".parse()?;
//! let session = Session::parent(&claim)?;
//! let mut sessions = Sessions::new();
//! sessions.insert(session.clone());
//!
//! // The client says what it wants, and under which session.
//! let mut client = Connection::new();
//! let opening = Request::new(Command::RaiseSignal, &session, VERSION).send(&mut client)?;
//!
//! // The server finds the session and answers.
//! let mut server = Connection::new();
//! let acceptor = Acceptor::new(&mut server);
//! server.feed(client.pending());
//! client.advanced(client.pending().len());
//! let rules = Server { sessions: &sessions, version: VERSION, commands: Command::level };
//! let Progress::Done(incoming) = acceptor.poll(&mut server, rules)? else { unreachable!() };
//! assert!(matches!(incoming, Incoming::Session(Command::RaiseSignal, _)));
//!
//! // The client reads the answer and goes on, encrypted.
//! client.feed(server.pending());
//! server.advanced(server.pending().len());
//! let Progress::Done(_) = opening.poll(&mut client)? else { unreachable!() };
//! let mut message = client.writer();
//! message.value(&Signal::Suspend);
//! client.send(&message)?;
//!
//! server.feed(client.pending());
//! assert!(server.receive()?);
//! assert_eq!(server.message().only::<Signal>()?, Signal::Suspend);
//! # Ok::<(), condor_cedar::Error>(())
//! ```
//!
//! # What isn't here
//!
//! Ciphers other than AES, and negotiation of new sessions: both are refused with an error that says
//! so. Brokers (CCB). UDP.
//!
//! # Choice of cryptography
//!
//! HTCondor uses AES-256-GCM with a nonce of 16 bytes, for which ring and aws-lc-rs have no
//! interface. Measured on an EPYC with VAES, megabytes per second of processor time, and the size of
//! a program with nothing else in it:
//!
//! | | 4 KiB | 256 KiB | size | needs |
//! |---|---|---|---|---|
//! | `aes-gcm` of RustCrypto | 1490 | 1580 | 390 KB | |
//! | its parts, put together here | 2830 | 3010 | 400 KB | |
//! | ring, with 12 bytes | 6980 | 8320 | 400 KB | C compiler; not this nonce |
//! | AWS-LC by aws-lc-sys | 7460 | 9590 | 1140 KB | C compiler, 50 s of build, `unsafe` calls |
//!
//! All of them take about 2 MB of memory, nearly all of it the program itself. A whole stream
//! (`cargo bench`), which also takes packets apart and joins them, receives 2270 MB/s in the packets
//! of 4 KiB that HTCondor sends, and 2720 MB/s in large ones.
//!
//! The parts of RustCrypto won: no C in the build, and no `unsafe` in this project. What decides is
//! in one private module with three functions, should a faster one be worth its price.

#![forbid(unsafe_code)]

pub mod blocking;
mod command;
mod crypto;
mod error;
pub mod file;
pub mod handshake;
pub mod inherit;
pub mod message;
pub mod session;
pub mod shared_port;
mod sinful;
mod stream;
mod wire;

pub use command::Command;
pub use crypto::SessionKey;
pub use error::{Error, PeerMisbehaved, Refused, Result, Unsupported};
pub use session::Level;
pub use sinful::{MAX_SINFUL, Sinful};
pub use stream::{Connection, Digests, Direction, MAX_MESSAGE, MAX_PACKET, StreamState};
pub use wire::{Codec, MAX_ATTRIBUTES, MAX_HANDSHAKE_ATTRIBUTES, MAX_STRING, Reader, Writer};

/// The examples of the page that registries show.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
