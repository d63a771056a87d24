//! How fast a stream is: megabytes a second of processor time, for packets as HTCondor sends them
//! (4 KiB) and as this crate does (256 KiB).
//!
//! `cargo bench -p condor-cedar`

use std::fs;
use std::hint::black_box;
use std::time::Instant;

use condor_cedar::{Connection, Error, SessionKey};

/// Bytes of a file in a measurement.
const FILE: usize = 512 * 1024 * 1024;
/// Bytes of a message with a part of a file.
const CHUNK: usize = 256 * 1024;

fn main() -> Result<(), Error> {
    for packet in [4091, CHUNK] {
        let chunk = vec![7; CHUNK];
        measure(&format!("send, packets of {packet:6}"), || {
            let mut sender = encrypted()?;
            for _ in 0..FILE / CHUNK {
                queue(&mut sender, &chunk, packet)?;
                black_box(sender.pending());
                sender.advanced(usize::MAX);
            }
            Ok(())
        })?;
        // One chunk over and over would have the wrong nonce, hence few of them, and more rounds.
        let mut sender = encrypted()?;
        for _ in 0..32 {
            queue(&mut sender, &chunk, packet)?;
        }
        let wire = sender.pending().to_vec();
        measure(&format!("receive, packets of {packet:6}"), || {
            for _ in 0..FILE / CHUNK / 32 {
                let mut receiver = encrypted()?;
                receiver.set_buffer(1024 * 1024);
                let mut rest = &wire[..];
                while !rest.is_empty() {
                    // As a read from a socket would.
                    let space = receiver.space();
                    let count = space.len().min(rest.len());
                    space[..count].copy_from_slice(&rest[..count]);
                    receiver.filled(count);
                    rest = &rest[count..];
                    while receiver.receive()? {
                        black_box(receiver.message().rest());
                    }
                }
            }
            Ok(())
        })?;
    }
    Ok(())
}

fn encrypted() -> Result<Connection, Error> {
    let mut connection = Connection::new();
    connection.encrypt_with_vector(SessionKey::derive(b"text"), [1; 16])?;
    Ok(connection)
}

/// Queues a message in packets of that size.
fn queue(sender: &mut Connection, chunk: &[u8], packet: usize) -> Result<(), Error> {
    let mut parts = chunk.chunks(packet).peekable();
    while let Some(part) = parts.next() {
        let last = parts.peek().is_none();
        sender.send_part::<Error>(part.len(), last, |space| {
            space.copy_from_slice(part);
            Ok(part.len())
        })?;
    }
    Ok(())
}

fn measure(what: &str, run: impl Fn() -> Result<(), Error>) -> Result<(), Error> {
    run()?;
    let (wall, processor) = (Instant::now(), processor_seconds());
    run()?;
    let (wall, processor) = (wall.elapsed().as_secs_f64(), processor_seconds() - processor);
    let megabytes = f64::from(u32::try_from(FILE / 1_000_000).unwrap_or(u32::MAX));
    println!("{what}: {:6.0} MB/s, {:6.0} by the clock", megabytes / processor, megabytes / wall);
    Ok(())
}

/// Time that this process has had a processor, from the scheduler.
fn processor_seconds() -> f64 {
    let text = fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let nanoseconds = text.split(' ').next().and_then(|word| word.parse::<f64>().ok());
    nanoseconds.unwrap_or(0.0) / 1e9
}
