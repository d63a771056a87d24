//! One TCP port for many daemons: asking for one of them, and being one.

use classad::ClassAd;

use crate::command::Command;
use crate::error::{Error, PeerMisbehaved, Result};
use crate::wire::Codec;
use crate::{Connection, Reader, Sinful, Writer};

/// The environment variable with the secret half of an endpoint's name.
pub const COOKIE_VARIABLE: &str = "CONDOR_PRIVATE_SHARED_PORT_COOKIE";
/// Ids and client names have to be shorter, bytes.
const MAX_NAME: usize = 1024;

/// The first message to a shared port: which daemon is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The daemon, by the `sock` of its address.
    pub id: String,
    /// Who asks: for logs, in at most 1023 bytes. HTCondor's starter says `STARTER <address>`.
    pub client: String,
    /// Seconds the shared port may take to pass the connection on; `None` is no limit.
    pub deadline: Option<u32>,
}

impl Codec for Request {
    fn encode(&self, to: &mut Writer) {
        let client = self.client.as_bytes();
        let client = &client[..client.len().min(MAX_NAME - 1)];
        to.value(&Command::SharedPortConnect).string(&self.id).string(client);
        // The last integer is a number of further arguments, of which there are none.
        to.i64(self.deadline.map_or(-1, i64::from)).i64(0);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self> {
        if from.value::<Command>()? != Command::SharedPortConnect {
            return Err(PeerMisbehaved::Unexpected("SHARED_PORT_CONNECT").into());
        }
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (id, client) = (text(from.string()?), text(from.string()?));
        let deadline = u32::try_from(from.i64()?).ok();
        let more: u16 = from.integer("number of arguments")?;
        for _ in 0..more {
            from.string()?;
        }
        Ok(Self { id, client, deadline })
    }
}

impl Request {
    /// Queues the request on a connection to the shared port, on which the daemon itself is
    /// reached from then on.
    pub fn send(&self, connection: &mut Connection) -> Result<()> {
        let valid = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        if self.id.is_empty() || self.id.len() >= MAX_NAME || !self.id.bytes().all(valid) {
            return Err(Error::Malformed { what: "shared port id", reason: "not a valid name" });
        }
        let mut message = connection.writer();
        message.value(self);
        connection.send(&message)?;
        // The daemon doesn't get to see this message.
        connection.forget_transcript();
        Ok(())
    }
}

impl Codec for Command {
    fn encode(&self, to: &mut Writer) {
        to.i64(self.number());
    }

    fn read(from: &mut Reader<'_>) -> Result<Self> {
        Ok(from.i32("command")?.into())
    }
}

/// What comes over the local socket before a passed connection: a whole message, so that it can be
/// read with its exact length. One zero byte follows, with the socket as its ancillary data.
pub const PASS_SOCKET: [u8; 13] = [1, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 76];

/// The name of an endpoint, `<cookie>/<id>`: a socket in Linux's abstract namespace, where knowing
/// the cookie is what admits to it.
#[derive(Clone, PartialEq, Eq)]
pub struct EndpointName {
    full: String,
    slash: usize,
}

impl EndpointName {
    /// Takes a name apart; for a socket in the file system everything before the last `/` is the
    /// directory.
    pub fn parse(full: &str) -> Result<Self> {
        let malformed = Error::Malformed { what: "endpoint name", reason: "not DIRECTORY/ID" };
        match full.rfind('/') {
            Some(slash) if slash + 1 < full.len() && full.len() < MAX_NAME => {
                Ok(Self { full: full.to_owned(), slash })
            }
            _ => Err(malformed),
        }
    }

    /// The whole name. The part before the slash may be the cookie: don't log it.
    pub fn reveal(&self) -> &str {
        &self.full
    }

    /// The public id, which goes into addresses.
    pub fn id(&self) -> &str {
        &self.full[self.slash + 1..]
    }
}

impl std::fmt::Debug for EndpointName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "EndpointName(../{})", self.id())
    }
}

/// The address of the endpoint `id`, by the ad that the shared port daemon leaves in the file
/// `SHARED_PORT_DAEMON_AD_FILE`.
pub fn published_address(ad: &ClassAd, id: &str) -> Result<Sinful> {
    let address = ad.eval_string("MyAddress").ok_or(PeerMisbehaved::Missing("MyAddress"))?;
    let mut address: Sinful = address.parse()?;
    address.set_shared_port_id(id);
    Ok(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_as_written() {
        let request = Request { id: "a_1".into(), client: "X <>".into(), deadline: Some(30) };
        let mut connection = Connection::new();
        request.send(&mut connection).unwrap();
        let mut shared_port = Connection::new();
        shared_port.feed(connection.pending());
        assert!(shared_port.receive().unwrap());
        assert_eq!(shared_port.message().only::<Request>(), Ok(request.clone()));
        let bad = Request { id: "a/b".into(), ..request };
        assert!(bad.send(&mut connection).is_err());
    }

    #[test]
    fn addresses_of_endpoints() {
        let address = "<1.2.3.4:5?addrs=1.2.3.4-5&noUDP>";
        let ad = ClassAd::parse_old(&format!("MyAddress = \"{address}\"\n")).unwrap();
        let sinful = published_address(&ad, "slot1_1_2_3").unwrap();
        assert_eq!(sinful.to_string(), "<1.2.3.4:5?addrs=1.2.3.4-5&noUDP&sock=slot1_1_2_3>");
        let name = EndpointName::parse("00ff/slot1_1_2_3").unwrap();
        assert_eq!(name.id(), "slot1_1_2_3");
        assert_eq!(format!("{name:?}"), "EndpointName(../slot1_1_2_3)");
        assert!(EndpointName::parse("x/").is_err());
    }
}
