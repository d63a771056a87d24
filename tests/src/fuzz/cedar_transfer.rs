//! Any bytes as the stream of a file transfer: what is received is bounded, and never more than was
//! announced.

use std::io::{self, Cursor, Read, Write};

use condor_cedar::Connection;
use condor_cedar::blocking::Stream;
use condor_cedar::file::Mode;

/// Most bytes of a file.
const LIMIT: u64 = 1 << 16;

/// Runs the target on one input.
pub fn cedar_transfer(bytes: &[u8]) {
    let Some((first, stream)) = bytes.split_first() else { return };
    let mut connection = Connection::new();
    connection.set_limit(1 << 17);
    let mut stream = Stream::with_connection(connection, Peer(Cursor::new(stream)));
    // Every other stream has a disk that is full after a few bytes.
    let mut disk = Disk { room: if first & 1 == 0 { u64::MAX } else { 8 }, used: 0 };
    while stream.receive_value::<Mode>().is_ok() {
        disk.used = 0;
        match stream.receive_body(LIMIT, &mut disk) {
            Ok(received) => {
                assert!(received.bytes <= LIMIT && disk.used <= received.bytes);
                assert!(received.trouble.is_some() || disk.used == received.bytes);
            }
            Err(_) => break,
        }
    }
}

/// A peer that has said all it will.
struct Peer<'a>(Cursor<&'a [u8]>);

impl Read for Peer<'_> {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        self.0.read(space)
    }
}

impl Write for Peer<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Counts what is written to it.
struct Disk {
    room: u64,
    used: u64,
}

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len() as u64;
        if self.used + count > self.room {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.used += count;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
