//! Options of sockets.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// Length of an option that is a C integer.
const INTEGER: libc::socklen_t = 4;

/// Has a read wait until so many bytes are there (`SO_RCVLOWAT`), or the other side has ended, or the
/// time-out of reads is over, at which it gives what there is. 1 is usual.
///
/// Linux makes the receive buffer large enough for that.
pub(crate) fn wait_for(socket: impl AsFd, bytes: i32) -> io::Result<()> {
    // SAFETY: the pointer is to an integer of the length given, which is only read.
    let answer = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVLOWAT,
            (&raw const bytes).cast(),
            INTEGER,
        )
    };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_read_waits_for_more() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut here = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut there, _) = listener.accept().unwrap();
        here.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        wait_for(&here, 1000).unwrap();
        let mut buffer = [0; 5000];
        there.write_all(&[1; 999]).unwrap();
        // what there is, when the time is over
        assert_eq!(here.read(&mut buffer).unwrap(), 999);
        let other = std::thread::spawn(move || {
            for _ in 0..4 {
                there.write_all(&[1; 300]).unwrap();
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        here.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        assert_eq!(here.read(&mut buffer).unwrap(), 1200);
        // the end
        other.join().unwrap();
        assert_eq!(here.read(&mut buffer).unwrap(), 0);
    }
}
