//! Addresses of daemons: `<host:port?key=value&...>`.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::wire::within;

/// Longest address that is accepted, bytes.
pub const MAX_SINFUL: usize = 16 * 1024;

/// Parameter: all addresses of the daemon.
const ADDRS: &str = "addrs";
/// Parameter: which daemon behind a shared port.
const SOCK: &str = "sock";

/// An address of a daemon, called a sinful string because of its angle brackets.
///
/// ```
/// use condor_cedar::Sinful;
///
/// let mut address: Sinful = "<127.0.0.1:9618?addrs=127.0.0.1-9618&sock=startd_1_2>".parse()?;
/// assert_eq!(address.shared_port_id(), Some("startd_1_2"));
/// address.set_shared_port_id("slot1_1_3_4");
/// assert_eq!(address.to_string(), "<127.0.0.1:9618?addrs=127.0.0.1-9618&sock=slot1_1_3_4>");
/// # Ok::<(), condor_cedar::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Sinful {
    /// Name or address, without the brackets of IPv6. Empty in some addresses behind a CCB.
    host: String,
    port: Option<u16>,
    /// In byte order of the keys, as they are printed.
    params: BTreeMap<String, String>,
}

impl Sinful {
    /// An address without parameters.
    pub fn new(address: SocketAddr) -> Self {
        let host = address.ip().to_string();
        Self { host, port: Some(address.port()), params: BTreeMap::new() }
    }

    /// What a daemon without a shared port says of itself: no UDP, and under what name it is known.
    /// The addresses are those that peers can reach; a listening socket may only know `0.0.0.0`.
    pub fn published(addresses: &[SocketAddr], alias: Option<&str>) -> Option<Self> {
        let mut sinful = Self::new(*addresses.first()?);
        let list: Vec<String> = addresses.iter().map(compact).collect();
        sinful.set_param(ADDRS, list.join("+"));
        if let Some(alias) = alias {
            sinful.set_param("alias", alias);
        }
        sinful.set_param("noUDP", "");
        Some(sinful)
    }

    /// Name or address, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, if one is given.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// A parameter, decoded. Empty if it has no value.
    pub fn param(&self, key: &str) -> Option<&str> {
        self.params.get(key).map(String::as_str)
    }

    /// Sets a parameter.
    pub fn set_param(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.params.insert(key.into(), value.into());
    }

    /// Takes a parameter out.
    pub fn remove_param(&mut self, key: &str) -> Option<String> {
        self.params.remove(key)
    }

    /// Which daemon is meant, of those behind a shared port.
    pub fn shared_port_id(&self) -> Option<&str> {
        self.param(SOCK)
    }

    /// Names a daemon behind a shared port; in the address for the private network too.
    pub fn set_shared_port_id(&mut self, id: &str) {
        self.set_param(SOCK, id);
        let private = self.param("PrivAddr").and_then(|text| text.parse::<Self>().ok());
        if let Some(mut private) = private {
            private.set_param(SOCK, id);
            self.set_param("PrivAddr", private.to_string());
        }
    }

    /// The brokers that a connection has to be asked of, `address#id`, space separated.
    pub fn ccb(&self) -> Option<&str> {
        self.param("CCBID")
    }

    /// All addresses to connect to, best first: those of the parameter `addrs` if it is there, else
    /// the host, if it is an address.
    ///
    /// The order is HTCondor's: public, private, link-local, loopback; equals stay in the order they
    /// are listed.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let mut list: Vec<SocketAddr> = match self.param(ADDRS) {
            Some(addrs) => addrs.split('+').filter_map(expand).collect(),
            None => Vec::new(),
        };
        if list.is_empty() {
            let ip = self.host.parse::<IpAddr>().ok();
            list.extend(ip.zip(self.port).map(|(ip, port)| SocketAddr::new(ip, port)));
        }
        list.sort_by_key(|address| std::cmp::Reverse(desirability(address.ip())));
        list
    }

    /// This address with another one in front: what a client says it connected to.
    pub fn at(&self, address: SocketAddr) -> Self {
        let host = address.ip().to_string();
        Self { host, port: Some(address.port()), params: self.params.clone() }
    }
}

/// How much HTCondor likes an address.
fn desirability(ip: IpAddr) -> u8 {
    match ip {
        IpAddr::V4(ip) if ip.is_loopback() => 2,
        IpAddr::V4(ip) if ip.is_link_local() => 3,
        IpAddr::V4(ip) if ip.is_private() => 4,
        IpAddr::V6(ip) if ip.is_unicast_link_local() => 1,
        IpAddr::V6(ip) if ip.is_loopback() => 2,
        IpAddr::V6(ip) if ip.is_unique_local() => 4,
        _ => 5,
    }
}

/// `127.0.0.1-9618`, `[fd00--2]-9618`
fn compact(address: &SocketAddr) -> String {
    address.to_string().replace(':', "-")
}

fn expand(text: &str) -> Option<SocketAddr> {
    let (host, port) = text.rsplit_once('-')?;
    let port = port.parse().ok()?;
    match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(inner) => {
            let ip: Ipv6Addr = inner.replace('-', ":").parse().ok()?;
            Some(SocketAddrV6::new(ip, port, 0, 0).into())
        }
        None => Some(SocketAddr::new(host.parse::<Ipv4Addr>().ok()?.into(), port)),
    }
}

impl FromStr for Sinful {
    type Err = Error;

    /// With or without the angle brackets; brokers and configurations leave them out.
    fn from_str(text: &str) -> Result<Self> {
        within("sinful string", text.len(), MAX_SINFUL)?;
        let text = match text.strip_prefix('<') {
            Some(rest) => rest.strip_suffix('>').ok_or_else(|| malformed("no '>' at the end"))?,
            None => text,
        };
        if text.contains(['<', '>']) || text.bytes().any(|b| b.is_ascii_control() || b == b' ') {
            return Err(malformed("a character that can't be"));
        }
        let (address, params) = text.split_once('?').unwrap_or((text, ""));
        let (host, port) = match address.strip_prefix('[') {
            Some(rest) => {
                rest.split_once(']').ok_or_else(|| malformed("no ']' behind the address"))?
            }
            None => address.split_at(address.find(':').unwrap_or(address.len())),
        };
        let port = match port.strip_prefix(':') {
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                Some(digits.parse().map_err(|_| malformed("a port out of range"))?)
            }
            None if port.is_empty() => None,
            _ => return Err(malformed("something between address and parameters")),
        };
        Ok(Self { host: host.to_owned(), port, params: parse_params(params)? })
    }
}

fn malformed(reason: &'static str) -> Error {
    Error::Malformed { what: "sinful string", reason }
}

fn parse_params(text: &str) -> Result<BTreeMap<String, String>> {
    let mut params = BTreeMap::new();
    for pair in text.split(['&', ';']).filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        if key.is_empty() {
            return Err(malformed("a parameter without a name"));
        }
        // Of equal names the last counts.
        params.insert(decode(key)?, decode(value)?);
    }
    Ok(params)
}

fn decode(text: &str) -> Result<String> {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let code = part.get(..2).and_then(crate::crypto::unhex);
        let code = code.ok_or_else(|| malformed("a '%' without two digits"))?;
        bytes.extend(code);
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    String::from_utf8(bytes).map_err(|_| malformed("a parameter that is no text"))
}

impl fmt::Display for Sinful {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<")?;
        if self.host.contains(':') {
            write!(f, "[{}]", self.host)?;
        } else {
            f.write_str(&self.host)?;
        }
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        for (n, (key, value)) in self.params.iter().enumerate() {
            f.write_str(if n == 0 { "?" } else { "&" })?;
            encode(f, key)?;
            if !value.is_empty() {
                f.write_str("=")?;
                encode(f, value)?;
            }
        }
        f.write_str(">")
    }
}

fn encode(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    for byte in text.bytes() {
        match byte {
            b'.' | b'_' | b'-' | b':' | b'#' | b'[' | b']' | b'+' => {
                write!(f, "{}", char::from(byte))?
            }
            byte if byte.is_ascii_alphanumeric() => write!(f, "{}", char::from(byte))?,
            byte => write!(f, "%{byte:02x}")?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
