//! What a hostile job does: each subcommand is one attempt, or one side of a pair. Run by the tests
//! as a job, never for itself.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "an attempt that can't be made fails the test that makes it"
)]

mod attacker;
mod calls;
mod confined;
mod daemon;
mod ipc;
mod keys;
mod surface;
mod together;
mod tree;
mod victim;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["args", rest @ ..] => rest.iter().for_each(|word| println!("<{word}>")),
        ["descriptors"] => descriptors(),
        ["calls"] => calls::make(),
        ["daemon"] => daemon::leave_one_behind(),
        ["multiply", chains] => daemon::multiply(chains.parse().unwrap()),
        ["brother"] => daemon::brother(),
        ["brothers"] => together::brothers(),
        ["terminal"] => terminal(),
        ["orphans", number] => daemon::make_orphans(number.parse().unwrap()),
        ["tree", levels] => tree::plant(levels.parse().unwrap()),
        ["confined", covers, wanted] => confined::break_out(covers, wanted),
        ["without-user-namespaces", uid, program, rest @ ..] => {
            return confined::without_user_namespaces(uid.parse().unwrap(), program, rest);
        }
        ["victim", name] => victim::main(name),
        ["surface", facts @ ..] => surface::main(facts),
        ["attacker", facts @ ..] => attacker::main(facts),
        other => {
            eprintln!("hostile: unknown: {other:?}");
            return ExitCode::from(64);
        }
    }
    ExitCode::SUCCESS
}

/// Every open descriptor and what it is, but the one that lists them.
fn descriptors() {
    let list = std::fs::read_dir("/proc/self/fd").unwrap();
    for entry in list {
        let path = entry.unwrap().path();
        let number = path.file_name().unwrap().to_string_lossy().into_owned();
        let target = std::fs::read_link(&path).unwrap_or_default();
        if !target.ends_with("fd") {
            println!("{number} {}", target.display());
        }
    }
}

/// What a job can do to the terminal that it writes to.
fn terminal() {
    for fd in 0..3 {
        // SAFETY: the request reads one byte, and `read` writes one, both to places that outlive the
        // calls.
        let (typed, read) = unsafe {
            let key = b'x';
            let typed = libc::ioctl(fd, libc::TIOCSTI, &raw const key);
            let mut byte = 0_u8;
            (typed, if fd == 0 { -1 } else { libc::read(fd, (&raw mut byte).cast(), 1) })
        };
        println!("{fd} typed {} read {}", typed == 0, read >= 0);
    }
    println!("own {}", std::fs::File::open("/dev/tty").is_ok());
}
