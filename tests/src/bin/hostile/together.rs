//! What processes of one job may do to each other: as the ranks of a parallel program do, or a debugger.

use std::io::IoSliceMut;
use std::os::fd::AsFd;

use nix::sys::signal::{Signal, kill};
use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, fork};
use rustix::process::{PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

const WORDS: &[u8; 8] = b"together";

/// Two brothers: one waits, the other reads its memory, takes a descriptor, connects, traces and ends it.
pub(crate) fn brothers() {
    let words = Box::new(*WORDS);
    let address = words.as_ptr().addr();
    let name = format!("together-{}", std::process::id());
    let listener = listen(&name);
    // SAFETY: this program has one thread.
    let ForkResult::Parent { child: one } = unsafe { fork() }.unwrap() else {
        loop {
            std::thread::sleep(std::time::Duration::from_secs(60));
        }
    };
    // SAFETY: as above.
    let ForkResult::Parent { child: other } = unsafe { fork() }.unwrap() else {
        reach(one, address, &name);
        return;
    };
    waitpid(other, None).unwrap();
    waitpid(one, None).unwrap();
    drop((words, listener));
}

fn listen(name: &str) -> std::os::unix::net::UnixListener {
    use std::os::linux::net::SocketAddrExt;
    let address = std::os::unix::net::SocketAddr::from_abstract_name(name).unwrap();
    std::os::unix::net::UnixListener::bind_addr(&address).unwrap()
}

fn reach(brother: Pid, address: usize, name: &str) {
    use std::os::linux::net::SocketAddrExt;
    let mut bytes = [0; WORDS.len()];
    let remote = [RemoteIoVec { base: address, len: bytes.len() }];
    let read = process_vm_readv(brother, &mut [IoSliceMut::new(&mut bytes)], &remote);
    println!("memory {}", read.is_ok() && &bytes == WORDS);
    let number = rustix::process::Pid::from_raw(brother.as_raw()).unwrap();
    let taken = pidfd_open(number, PidfdFlags::empty())
        .and_then(|pidfd| pidfd_getfd(pidfd.as_fd(), 1, PidfdGetfdFlags::empty()));
    println!("descriptor {}", taken.is_ok());
    let socket = std::os::unix::net::SocketAddr::from_abstract_name(name)
        .and_then(|address| std::os::unix::net::UnixStream::connect_addr(&address));
    println!("socket {}", socket.is_ok());
    let traced = nix::sys::ptrace::seize(brother, nix::sys::ptrace::Options::empty());
    println!("trace {}", traced.is_ok());
    println!("signal {}", kill(brother, Signal::SIGKILL).is_ok());
}
