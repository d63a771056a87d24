//! System V and POSIX ways to talk to another process.

use std::ffi::CString;
use std::io;

use libc::{IPC_CREAT, IPC_RMID};

/// Bytes of a shared segment and of a message.
const SIZE: usize = 64;
/// `SETVAL` and `GETVAL` of semctl(2), `union semun` with its integer only.
const SETVAL: i32 = 16;
const GETVAL: i32 = 12;
/// The segment in a place of the kernel's table, shmctl(2).
const SHM_STAT: i32 = 13;

#[repr(C)]
struct Message {
    kind: libc::c_long,
    text: [u8; SIZE],
}

fn fixed(text: &str) -> [u8; SIZE] {
    let mut bytes = [0; SIZE];
    bytes[..text.len()].copy_from_slice(text.as_bytes());
    bytes
}

fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

fn checked(number: i32) -> io::Result<i32> {
    if number < 0 { Err(io::Error::last_os_error()) } else { Ok(number) }
}

/// A segment, a semaphore and a queue under one System V key, and a POSIX queue.
#[derive(Debug)]
pub(crate) struct Planted {
    shm: i32,
    sem: i32,
    msg: i32,
    mq: i32,
    name: CString,
}

/// A name that belongs to a POSIX queue.
fn queue_name(name: &str) -> CString {
    CString::new(format!("/{name}")).unwrap()
}

impl Planted {
    /// Makes all four, with a secret in each.
    pub(crate) fn new(key: i32, name: &str, secret: &str) -> io::Result<Self> {
        let name = queue_name(name);
        let message = Message { kind: 1, text: fixed(secret) };
        // SAFETY: the calls take numbers, terminated strings, and buffers whose sizes are given.
        unsafe {
            let shm = checked(libc::shmget(key, SIZE, IPC_CREAT | 0o600))?;
            let sem = checked(libc::semget(key, 1, IPC_CREAT | 0o600))?;
            checked(libc::semctl(sem, 0, SETVAL, 42))?;
            let msg = checked(libc::msgget(key, IPC_CREAT | 0o600))?;
            checked(libc::msgsnd(msg, (&raw const message).cast(), SIZE, 0))?;
            let flags = libc::O_CREAT | libc::O_RDWR | libc::O_NONBLOCK;
            let mode: libc::mode_t = 0o600;
            let mq = checked(libc::mq_open(name.as_ptr(), flags, mode, std::ptr::null::<u8>()))?;
            checked(libc::mq_send(mq, message.text.as_ptr().cast(), SIZE, 0))?;
            let planted = Self { shm, sem, msg, mq, name };
            write_segment(shm, secret)?;
            Ok(planted)
        }
    }

    /// What is in them now.
    pub(crate) fn content(&self) -> String {
        // SAFETY: the structures are plain and outlive the calls that fill them.
        unsafe {
            let mut queue: libc::msqid_ds = std::mem::zeroed();
            libc::msgctl(self.msg, libc::IPC_STAT, &raw mut queue);
            let mut attributes: libc::mq_attr = std::mem::zeroed();
            libc::mq_getattr(self.mq, &raw mut attributes);
            format!(
                "segment {} semaphore {} messages {} queue {}",
                read_segment(self.shm).unwrap_or_default(),
                libc::semctl(self.sem, 0, GETVAL),
                queue.msg_qnum,
                attributes.mq_curmsgs
            )
        }
    }
}

impl Drop for Planted {
    fn drop(&mut self) {
        // SAFETY: the calls take numbers and a terminated string.
        unsafe {
            libc::shmctl(self.shm, IPC_RMID, std::ptr::null_mut());
            libc::semctl(self.sem, 0, IPC_RMID, 0);
            libc::msgctl(self.msg, IPC_RMID, std::ptr::null_mut());
            libc::mq_unlink(self.name.as_ptr());
        }
    }
}

/// Attaches a segment for as long as a function runs.
fn with_segment<T>(shm: i32, use_it: impl FnOnce(*mut u8) -> T) -> io::Result<T> {
    // SAFETY: the kernel chooses the address; the segment is detached after its only use.
    unsafe {
        let place = libc::shmat(shm, std::ptr::null(), 0);
        if place.addr() == usize::MAX {
            return Err(io::Error::last_os_error());
        }
        let result = use_it(place.cast());
        libc::shmdt(place);
        Ok(result)
    }
}

fn write_segment(shm: i32, secret: &str) -> io::Result<()> {
    let bytes = fixed(secret);
    // SAFETY: the segment is mapped and at least SIZE bytes long.
    with_segment(shm, |place| unsafe { place.copy_from_nonoverlapping(bytes.as_ptr(), SIZE) })
}

fn read_segment(shm: i32) -> io::Result<String> {
    let mut bytes = [0; SIZE];
    // SAFETY: the segment is mapped and at least SIZE bytes long.
    with_segment(shm, |place| unsafe { place.copy_to_nonoverlapping(bytes.as_mut_ptr(), SIZE) })?;
    Ok(text(&bytes))
}

/// Reads the segment of a key, and writes into it.
pub(crate) fn segment(key: i32) -> io::Result<String> {
    // SAFETY: shmget takes numbers only.
    let shm = checked(unsafe { libc::shmget(key, 0, 0) })?;
    let found = read_segment(shm)?;
    write_segment(shm, "changed")?;
    Ok(found)
}

/// Reads the first segment that can be attached, by its place in the kernel's table instead of its
/// key.
pub(crate) fn any_segment() -> io::Result<String> {
    for index in 0..1024 {
        // SAFETY: all-zero is a valid shmid_ds, which outlives the call.
        let shm = unsafe {
            let mut info: libc::shmid_ds = std::mem::zeroed();
            libc::shmctl(index, SHM_STAT, &raw mut info)
        };
        if let Ok(found) = checked(shm).and_then(read_segment) {
            return Ok(found);
        }
    }
    Err(io::ErrorKind::NotFound.into())
}

/// Reads the semaphore of a key, and changes it.
pub(crate) fn semaphore(key: i32) -> io::Result<String> {
    // SAFETY: the calls take numbers only.
    unsafe {
        let sem = checked(libc::semget(key, 0, 0))?;
        let value = checked(libc::semctl(sem, 0, GETVAL))?;
        checked(libc::semctl(sem, 0, SETVAL, 7))?;
        Ok(format!("SECRET-{value}"))
    }
}

/// Takes the message from the queue of a key.
pub(crate) fn message(key: i32) -> io::Result<String> {
    let mut message = Message { kind: 0, text: [0; SIZE] };
    // SAFETY: the buffer is as large as it is said to be and outlives the call.
    unsafe {
        let msg = checked(libc::msgget(key, 0))?;
        let flags = libc::IPC_NOWAIT;
        let length = libc::msgrcv(msg, (&raw mut message).cast(), SIZE, 0, flags);
        checked(i32::try_from(length).unwrap())?;
    }
    Ok(text(&message.text))
}

/// Takes the message from the POSIX queue of a name.
pub(crate) fn queue(name: &str) -> io::Result<String> {
    let name = queue_name(name);
    let mut bytes = vec![0_u8; 1 << 16];
    // SAFETY: the buffer is as large as it is said to be and outlives the call.
    unsafe {
        let mq = checked(libc::mq_open(name.as_ptr(), libc::O_RDWR | libc::O_NONBLOCK))?;
        let length =
            libc::mq_receive(mq, bytes.as_mut_ptr().cast(), bytes.len(), std::ptr::null_mut());
        checked(i32::try_from(length).unwrap())?;
    }
    Ok(text(&bytes))
}
