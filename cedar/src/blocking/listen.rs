//! A port of one's own, where there is no shared one.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::ops::RangeInclusive;

/// Listens on a free port; with `LOWPORT` and `HIGHPORT` in force, on one of that range.
pub fn bind(ip: IpAddr, ports: Option<RangeInclusive<u16>>) -> io::Result<TcpListener> {
    let mut last = io::Error::from(io::ErrorKind::AddrInUse);
    for port in ports.unwrap_or(0..=0) {
        match TcpListener::bind(SocketAddr::new(ip, port)) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = error,
        }
    }
    Err(last)
}
