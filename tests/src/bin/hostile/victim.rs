//! The job that is attacked: puts a secret wherever it has a place of its own, waits until its input
//! ends, and reports what has changed.

use std::fs;
use std::io::{Read, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::sync::atomic::{AtomicI32, Ordering};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

use crate::ipc::Planted;
use crate::keys;

/// Length of the memory that the attacker is told about.
pub(crate) const MEMORY: usize = 32;

static SIGNALS: AtomicI32 = AtomicI32::new(0);

extern "C" fn count(_signal: libc::c_int) {
    SIGNALS.fetch_add(1, Ordering::Relaxed);
}

/// The System V key that belongs to a name.
pub(crate) fn key_of(name: &str) -> i32 {
    let sum = name.bytes().fold(0x1234_i32, |sum, byte| sum.wrapping_mul(31) ^ i32::from(byte));
    (sum & 0x3fff_ffff) | 0x4000_0000
}

/// `name` is what the attacker knows, too.
pub(crate) fn main(name: &str) {
    let secret = std::env::var("HIDDEN").unwrap();
    // Where the machine restricts tracing to ancestors, this permits it, so that the cell alone is
    // what is tested.
    let anyone = libc::c_ulong::MAX;
    // SAFETY: PR_SET_PTRACER takes numbers only.
    unsafe { libc::prctl(libc::PR_SET_PTRACER, anyone, 0, 0, 0) };
    for signal in [Signal::SIGUSR1, Signal::SIGUSR2] {
        let action =
            SigAction::new(SigHandler::Handler(count), SaFlags::SA_RESTART, SigSet::empty());
        // SAFETY: the handler only adds to an atomic number.
        unsafe { sigaction(signal, &action) }.unwrap();
    }

    let sandbox = std::env::var("_CONDOR_SCRATCH_DIR").unwrap();
    std::env::set_current_dir(&sandbox).unwrap();
    fs::write("secret", &secret).unwrap();
    for dir in ["/tmp", "/var/tmp", "/dev/shm"] {
        fs::write(format!("{dir}/{name}"), &secret).unwrap();
    }
    let planted = Planted::new(key_of(name), name, &secret);
    if let Err(error) = &planted {
        println!("ipc-failed {error}");
    }
    for (what, keyring) in [("session", keys::SESSION), ("user", keys::USER)] {
        if let Err(error) = keys::add(keyring, &format!("{name}-{what}"), &secret) {
            println!("key-failed {what} {error}");
        }
    }
    serve(name, &secret).unwrap();
    let address = SocketAddr::from_abstract_name(format!("{name}-datagrams")).unwrap();
    let datagrams = std::os::unix::net::UnixDatagram::bind_addr(&address).unwrap();
    let mut memory = Box::new([0_u8; MEMORY]);
    memory[..secret.len()].copy_from_slice(secret.as_bytes());
    println!("memory {}", memory.as_ptr().addr());
    let before = list(&sandbox);
    println!("ready {sandbox}");

    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();

    println!("signals {}", SIGNALS.load(Ordering::Relaxed));
    datagrams.set_nonblocking(true).unwrap();
    println!("datagrams {}", if datagrams.recv(&mut [0]).is_ok() { "came" } else { "none" });
    println!("files {}", if list(&sandbox) == before { "as before" } else { "changed" });
    let intact = fs::read_to_string(format!("{sandbox}/secret")).is_ok_and(|text| text == secret);
    println!("secret {}", if intact { "as before" } else { "changed" });
    if let Ok(planted) = planted {
        println!("ipc {}", planted.content());
    }
    // Read anew: another process may have written there.
    let memory = std::hint::black_box(&memory);
    let intact = memory.starts_with(secret.as_bytes());
    println!("memory-content {}", if intact { "as before" } else { "changed" });
}

/// Says the secret to whoever connects to an abstract Unix socket, which lies in no directory.
fn serve(name: &str, secret: &str) -> std::io::Result<()> {
    let listener = UnixListener::bind_addr(&SocketAddr::from_abstract_name(name)?)?;
    let secret = secret.to_owned();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            stream.and_then(|mut stream| stream.write_all(secret.as_bytes())).unwrap();
        }
    });
    Ok(())
}

fn list(dir: &str) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}
