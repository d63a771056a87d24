//! Processes that try to outlive their job.

use std::io::Write;
use std::time::{Duration, Instant};

use nix::unistd::{ForkResult, fork, setsid};

/// Leaves its session, its environment, its directory and its files behind, so that nothing ties it
/// to the job any more, and stays. It says that it lives before it closes the job's output.
pub(crate) fn leave_one_behind() {
    let (told, tell) = nix::unistd::pipe().unwrap();
    // SAFETY: this program has one thread, so the child may do what it likes.
    if let ForkResult::Child = unsafe { fork() }.unwrap() {
        setsid().unwrap();
        // SAFETY: as above.
        if let ForkResult::Child = unsafe { fork() }.unwrap() {
            println!("alive");
            std::io::stdout().flush().unwrap();
            drop((told, tell));
            stay();
        }
        return;
    }
    drop(tell);
    // Ends when the last other process has closed its end.
    let _ = nix::unistd::read(&told, &mut [0]);
    println!("left one behind");
}

fn stay() -> ! {
    std::env::set_current_dir("/").unwrap();
    for fd in 0..3 {
        // SAFETY: nothing here uses these descriptors any more.
        unsafe { libc::close(fd) };
    }
    let null: *const libc::c_char = std::ptr::null();
    let arguments = [c"sleep".as_ptr(), c"100000".as_ptr(), null];
    let environment = [null];
    // SAFETY: both lists are of terminated strings and end with a null pointer.
    unsafe { libc::execve(c"/bin/sleep".as_ptr(), arguments.as_ptr(), environment.as_ptr()) };
    loop {
        std::thread::park();
    }
}

/// Processes that are gone before anybody can name them: each makes the next and ends. Should nobody
/// catch them they give up after some minutes.
pub(crate) fn multiply(chains: usize) {
    let end = Instant::now() + Duration::from_secs(300);
    for _ in 0..chains {
        // SAFETY: this program has one thread.
        if let ForkResult::Child = unsafe { fork() }.unwrap() {
            setsid().unwrap();
            while Instant::now() < end {
                // SAFETY: as above.
                match unsafe { fork() } {
                    // SAFETY: _exit only ends the process.
                    Ok(ForkResult::Parent { .. }) => unsafe { libc::_exit(0) },
                    Ok(ForkResult::Child) | Err(_) => {}
                }
            }
            return;
        }
    }
    println!("ready");
    loop {
        std::thread::park();
    }
}

/// Makes orphans that end at once, and waits until somebody has taken notice of the end of each.
pub(crate) fn make_orphans(number: usize) {
    for _ in 0..number {
        // SAFETY: this program has one thread.
        if let ForkResult::Child = unsafe { fork() }.unwrap() {
            // SAFETY: as above.
            let _ = unsafe { fork() }.unwrap();
            // SAFETY: _exit only ends the process.
            unsafe { libc::_exit(0) };
        }
        nix::sys::wait::wait().unwrap();
    }
    while zombies() > 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    println!("all reaped");
}

fn zombies() -> usize {
    let list = std::fs::read_dir("/proc").unwrap();
    list.filter_map(|entry| std::fs::read_to_string(entry.ok()?.path().join("stat")).ok())
        .filter(|stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z')))
        .count()
}

/// A process that is no child of this one, but of whoever started this one, who may not know it.
pub(crate) fn brother() {
    let flags = libc::c_long::from(libc::CLONE_PARENT | libc::SIGCHLD);
    // SAFETY: without CLONE_VM the new process has memory of its own, as after fork; it only sleeps.
    let answer = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) };
    if answer == 0 {
        std::thread::sleep(std::time::Duration::from_secs(600));
        // SAFETY: _exit only ends the process.
        unsafe { libc::_exit(0) };
    }
    let errno = std::io::Error::last_os_error().raw_os_error().unwrap();
    println!("brother {}", if answer < 0 { errno } else { 0 });
}
