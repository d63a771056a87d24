//! System calls that a job's filter has an eye on, in forms that do nothing even where they are let
//! through, and that the kernel itself then answers in a way of its own.

use std::io;

/// Makes each call and prints its name and the errno, or 0.
pub(crate) fn make() {
    const WRONG: libc::c_long = -1;
    // Bits above the low half change nothing for the kernel, which looks at 32 of them.
    let high = 1_i64 << 40;
    let new_user = i64::from(libc::CLONE_NEWUSER);
    let terminal = i64::from(terminal());
    let request = |request: libc::Ioctl| i64::try_from(request).unwrap();
    let key = b'x';
    let key = (&raw const key).addr().cast_signed() as libc::c_long;
    let calls: [(&str, libc::c_long, [libc::c_long; 5]); 18] = [
        ("keyctl", libc::SYS_keyctl, [WRONG, 0, 0, 0, 0]),
        ("io_uring_setup", libc::SYS_io_uring_setup, [0; 5]),
        ("userfaultfd", libc::SYS_userfaultfd, [WRONG, 0, 0, 0, 0]),
        ("bpf", libc::SYS_bpf, [WRONG, 0, 0, 0, 0]),
        ("open_by_handle_at", libc::SYS_open_by_handle_at, [WRONG, 0, 0, 0, 0]),
        ("kexec_load", libc::SYS_kexec_load, [0, 0, 0, WRONG, 0]),
        ("syslog", libc::SYS_syslog, [10, 0, 0, 0, 0]),
        ("clock_settime", libc::SYS_clock_settime, [WRONG, 0, 0, 0, 0]),
        ("perf_event_open", libc::SYS_perf_event_open, [0, 0, 0, WRONG, WRONG]),
        ("clone3", libc::SYS_clone3, [0; 5]),
        ("setns", libc::SYS_setns, [WRONG, 0, 0, 0, 0]),
        ("open_tree", libc::SYS_open_tree, [WRONG, 0, WRONG, 0, 0]),
        ("mount_setattr", libc::SYS_mount_setattr, [WRONG, 0, WRONG, 0, 0]),
        ("unshare", libc::SYS_unshare, [new_user, 0, 0, 0, 0]),
        ("unshare-high", libc::SYS_unshare, [new_user | high, 0, 0, 0, 0]),
        // One that would be, but for what the kernel forbids: a thread with memory of its own.
        ("clone", libc::SYS_clone, [new_user | i64::from(libc::CLONE_THREAD), 0, 0, 0, 0]),
        ("tiocsti", libc::SYS_ioctl, [terminal, request(libc::TIOCSTI), key, 0, 0]),
        ("tiocsti-high", libc::SYS_ioctl, [terminal, request(libc::TIOCSTI) | high, key, 0, 0]),
    ];
    for (name, number, [a, b, c, d, e]) in calls {
        // SAFETY: the arguments are wrong on purpose or name nothing; no memory of this process but
        // one byte, which lives, is pointed to.
        let answer = unsafe { libc::syscall(number, a, b, c, d, e) };
        let errno = io::Error::last_os_error().raw_os_error().unwrap();
        println!("call {name} {}", if answer < 0 { errno } else { 0 });
    }
}

/// A terminal of the job's own, which becomes its controlling one: there the kernel would let it type.
fn terminal() -> i32 {
    // SAFETY: the paths are terminated; the buffer has room for the name and outlives the calls.
    unsafe {
        let master = libc::open(c"/dev/ptmx".as_ptr(), libc::O_RDWR);
        libc::unlockpt(master);
        let mut name = [0; 64];
        libc::ptsname_r(master, name.as_mut_ptr(), name.len());
        libc::open(name.as_ptr(), libc::O_RDWR)
    }
}
