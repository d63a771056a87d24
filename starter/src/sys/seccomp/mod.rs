//! The filter of system calls that a job runs under.
//!
//! Some calls reach past every namespace: the user keyring of an account is one for the whole machine.
//! Others no job needs, but are where the kernel's weaknesses have been; and with namespaces and
//! mounts of its own a job would have rights in them. An admin chooses a profile for those that do
//! need some.

mod table;

use std::fmt;
use std::io;

use serde::{Deserialize, Serialize};

use super::quota::SET_ATTRIBUTES;
use table::{ARCHITECTURES, Answer, FAMILIES, NONE, ROWS};

const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
const SKIP: u16 = 0x05; // BPF_JMP | BPF_JA
const EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const AT_LEAST: u16 = 0x35; // BPF_JMP | BPF_JGE | BPF_K
const ANY_BIT: u16 = 0x45; // BPF_JMP | BPF_JSET | BPF_K
const RETURN: u16 = 0x06; // BPF_RET | BPF_K

/// Offsets in `seccomp_data`; of the arguments the low half, which is all that these calls look at.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const FIRST_ARGUMENT: u32 = 16;
const SECOND_ARGUMENT: u32 = 24;

const ALLOW: u32 = 0x7fff_0000;
const NO_SUCH_CALL: u32 = 0x0005_0000 | libc::ENOSYS.cast_unsigned();
const NO_SUCH_FAMILY: u32 = 0x0005_0000 | libc::EAFNOSUPPORT.cast_unsigned();
const NOT_PERMITTED: u32 = 0x0005_0000 | libc::EPERM.cast_unsigned();
const KILL: u32 = 0x8000_0000;

/// Numbers from here on are the x32 variant of x86-64, which nobody uses and few filters think of.
const X32: u32 = 0x4000_0000;

const TIOCSTI: u32 = 0x5412;
const TIOCLINUX: u32 = 0x541c;

/// Which calls are refused (JOB_SYSTEM_CALLS).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) enum Profile {
    /// All that a job has no business with.
    #[default]
    Default,
    /// But namespaces and mounts, of which containers are made.
    Nested,
    /// But counters of performance.
    Debug,
    /// Those for keyrings alone.
    Keyrings,
}

impl TryFrom<String> for Profile {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "default" => Ok(Self::Default),
            "nested" => Ok(Self::Nested),
            "debug" => Ok(Self::Debug),
            "keyrings" => Ok(Self::Keyrings),
            _ => Err(format!("{text:?}: default, nested, debug or keyrings is needed")),
        }
    }
}

impl Profile {
    fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Nested => "nested",
            Self::Debug => "debug",
            Self::Keyrings => "keyrings",
        }
    }
}

impl From<Profile> for String {
    fn from(profile: Profile) -> Self {
        profile.name().to_owned()
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let refused = match self {
            Self::Default => "keyrings, namespaces, mounts, perf and the machine itself",
            Self::Nested => "keyrings, perf and the machine itself",
            Self::Debug => "keyrings, namespaces, mounts and the machine itself",
            Self::Keyrings => "keyrings",
        };
        write!(f, "{} (none for {refused})", self.name())
    }
}

/// Applies a profile to this process and all it will start. Needs no_new_privs.
pub(crate) fn refuse(profile: Profile) -> io::Result<()> {
    let mut program = filter(profile);
    let length = u16::try_from(program.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let program = libc::sock_fprog { len: length, filter: program.as_mut_ptr() };
    // SAFETY: `program` points to `length` instructions that outlive the call; the kernel checks them.
    let answer = unsafe {
        libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program, 0, 0)
    };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

type Steps = Vec<libc::sock_filter>;

fn step(code: u16, k: u32) -> libc::sock_filter {
    libc::sock_filter { code, jt: 0, jf: 0, k }
}

fn jump(code: u16, k: u32, jt: u8, jf: u8) -> libc::sock_filter {
    libc::sock_filter { code, jt, jf, k }
}

fn filter(profile: Profile) -> Steps {
    let mut program = Vec::with_capacity(512);
    for (architecture, column) in ARCHITECTURES {
        let part = search(&ranges(profile, column));
        program.extend([
            step(LOAD, ARCHITECTURE),
            jump(EQUAL, architecture, 1, 0),
            // Past the number and the search; this jump alone reaches further than 255 steps.
            step(SKIP, u32::try_from(part.len() + 1).unwrap_or(u32::MAX)),
            step(LOAD, NUMBER),
        ]);
        program.extend(part);
    }
    program.push(step(RETURN, KILL));
    program
}

/// Every number belongs to the range that begins at or below it; `None` is allowed.
fn ranges(profile: Profile, column: usize) -> Vec<(u32, Option<Answer>)> {
    let rows = ROWS.iter().filter(|(.., purpose, _)| purpose.refused_in(profile));
    let mut refused: Vec<(u32, Answer)> = rows
        .map(|(_, numbers, _, answer)| (numbers[column], *answer))
        .filter(|(number, _)| *number != NONE)
        .collect();
    refused.sort_unstable_by_key(|(number, _)| *number);
    let mut ranges = vec![(0, None)];
    for (number, answer) in refused {
        ranges.retain(|(start, _)| *start != number);
        ranges.extend([(number, Some(answer)), (number + 1, None)]);
    }
    ranges.push((X32, Some(Answer::Unknown)));
    // Neighbours with one answer are one.
    ranges.dedup_by(|next, before| next.1 == before.1);
    ranges
}

/// A binary search: the kernel runs the filter over every number when it is loaded.
fn search(ranges: &[(u32, Option<Answer>)]) -> Steps {
    let (lower, upper) = ranges.split_at(ranges.len() / 2);
    let (Some(_), Some((start, _))) = (lower.first(), upper.first()) else {
        return ranges.first().map(|(_, answer)| end(*answer)).unwrap_or_default();
    };
    let (lower, upper) = (search(lower), search(upper));
    let mut steps = match u8::try_from(lower.len()) {
        Ok(length) => vec![jump(AT_LEAST, *start, length, 0)],
        Err(_) => vec![
            jump(AT_LEAST, *start, 0, 1),
            step(SKIP, u32::try_from(lower.len()).unwrap_or(u32::MAX)),
        ],
    };
    steps.extend(lower);
    steps.extend(upper);
    steps
}

fn end(answer: Option<Answer>) -> Steps {
    match answer {
        None => vec![step(RETURN, ALLOW)],
        Some(Answer::Unknown) => vec![step(RETURN, NO_SUCH_CALL)],
        Some(Answer::Forbidden) => vec![step(RETURN, NOT_PERMITTED)],
        Some(Answer::WithNamespaces(flags)) => vec![
            step(LOAD, FIRST_ARGUMENT),
            jump(ANY_BIT, flags, 0, 1),
            step(RETURN, NOT_PERMITTED),
            step(RETURN, ALLOW),
        ],
        Some(Answer::OfAccount(which)) => vec![
            step(LOAD, FIRST_ARGUMENT),
            jump(EQUAL, which, 0, 1),
            step(RETURN, NOT_PERMITTED),
            step(RETURN, ALLOW),
        ],
        Some(Answer::OfFamilies) => {
            let mut steps = vec![step(LOAD, FIRST_ARGUMENT)];
            for (left, family) in (1..=FAMILIES.len()).rev().zip(FAMILIES) {
                steps.push(jump(EQUAL, family, u8::try_from(left).unwrap_or(u8::MAX), 0));
            }
            steps.extend([step(RETURN, NO_SUCH_FAMILY), step(RETURN, ALLOW)]);
            steps
        }
        Some(Answer::Requests) => vec![
            step(LOAD, SECOND_ARGUMENT),
            jump(EQUAL, TIOCSTI, 2, 0),
            jump(EQUAL, SET_ATTRIBUTES, 1, 0),
            jump(EQUAL, TIOCLINUX, 0, 1),
            step(RETURN, NOT_PERMITTED),
            step(RETURN, ALLOW),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::table::Use;
    use super::*;

    const PROFILES: [Profile; 4] =
        [Profile::Default, Profile::Nested, Profile::Debug, Profile::Keyrings];

    /// What the kernel would do: runs the filter on a call.
    fn run(program: &[libc::sock_filter], architecture: u32, number: u32, args: [u32; 2]) -> u32 {
        let (mut at, mut value) = (0, 0);
        loop {
            let step = program[at];
            at += 1;
            let go = |yes: bool| usize::from(if yes { step.jt } else { step.jf });
            match step.code {
                LOAD => {
                    value = match step.k {
                        NUMBER => number,
                        ARCHITECTURE => architecture,
                        FIRST_ARGUMENT => args[0],
                        SECOND_ARGUMENT => args[1],
                        other => panic!("nothing is at {other}"),
                    }
                }
                SKIP => at += usize::try_from(step.k).unwrap(),
                EQUAL => at += go(value == step.k),
                AT_LEAST => at += go(value >= step.k),
                ANY_BIT => at += go(value & step.k != 0),
                _ => return step.k,
            }
        }
    }

    /// What the row says of a call with these arguments.
    fn expected(profile: Profile, purpose: Use, answer: Answer, args: [u32; 2]) -> u32 {
        let refused = purpose.refused_in(profile);
        match answer {
            _ if !refused => ALLOW,
            Answer::Unknown => NO_SUCH_CALL,
            Answer::Forbidden => NOT_PERMITTED,
            Answer::WithNamespaces(flags) if args[0] & flags != 0 => NOT_PERMITTED,
            Answer::Requests if [TIOCSTI, TIOCLINUX, SET_ATTRIBUTES].contains(&args[1]) => {
                NOT_PERMITTED
            }
            Answer::OfAccount(which) if args[0] == which => NOT_PERMITTED,
            Answer::OfFamilies if !FAMILIES.contains(&args[0]) => NO_SUCH_FAMILY,
            _ => ALLOW,
        }
    }

    #[test]
    fn every_row_holds_in_every_profile_and_on_every_architecture() {
        for profile in PROFILES {
            let program = filter(profile);
            assert!(program.len() < 1000);
            for (architecture, column) in ARCHITECTURES {
                for (name, numbers, purpose, answer) in ROWS {
                    let number = numbers[column];
                    let flags = [0, 0x80, 0x11, 0x0002_0000, 0x0200_0000, 0x1000_0000, 0x4000_0000];
                    let small = (0..64).map(|first| [first, TIOCSTI]);
                    for args in flags.map(|flag| [flag, TIOCSTI]).into_iter().chain(small).chain([
                        [0x0d0f00, TIOCLINUX],
                        [0x0d0f00, SET_ATTRIBUTES],
                        [0x0d0f00, 0x5413],
                        [0, 0],
                    ]) {
                        let got = run(&program, architecture, number, args);
                        let wanted = match number {
                            NONE => NO_SUCH_CALL,
                            _ => expected(profile, *purpose, *answer, args),
                        };
                        assert_eq!(got, wanted, "{profile:?} {name} {number} {args:x?}");
                    }
                    let x32 = run(&program, architecture, number | X32, [0, 0]);
                    assert_eq!(x32, NO_SUCH_CALL, "{name}");
                }
            }
        }
    }

    #[test]
    fn nothing_else_is_refused() {
        for profile in PROFILES {
            let program = filter(profile);
            for (architecture, column) in ARCHITECTURES {
                for number in 0..1000 {
                    if ROWS.iter().all(|(_, numbers, ..)| numbers[column] != number) {
                        let args = [u32::MAX, TIOCSTI];
                        assert_eq!(run(&program, architecture, number, args), ALLOW, "{number}");
                    }
                }
            }
            assert_eq!(run(&program, 0x1234, 0, [0, 0]), KILL);
        }
    }

    #[test]
    fn numbers_are_those_of_the_c_library() {
        let column = ARCHITECTURES[0].1;
        macro_rules! check {
            ($($name:ident)+) => {$(
                let name = stringify!($name).strip_prefix("SYS_").unwrap();
                let row = ROWS.iter().find(|(known, ..)| *known == name).unwrap();
                assert_eq!(libc::c_long::from(row.1[column]), libc::$name, "{name}");
            )+};
        }
        check!(
            SYS_add_key SYS_request_key SYS_keyctl SYS_io_uring_setup SYS_io_uring_enter
            SYS_io_uring_register SYS_userfaultfd SYS_bpf SYS_perf_event_open
            SYS_open_by_handle_at SYS_kexec_load SYS_kexec_file_load SYS_init_module
            SYS_finit_module SYS_delete_module SYS_swapon SYS_swapoff SYS_reboot SYS_settimeofday
            SYS_clock_settime SYS_acct SYS_quotactl SYS_quotactl_fd SYS_syslog SYS_ioctl SYS_mount
            SYS_umount2 SYS_pivot_root SYS_chroot SYS_setns SYS_open_tree SYS_move_mount SYS_fsopen
            SYS_fsconfig SYS_fsmount SYS_fspick SYS_mount_setattr SYS_unshare SYS_clone SYS_clone3
            SYS_fanotify_init SYS_fanotify_mark SYS_setpriority SYS_ioprio_set SYS_socket
        );
        #[cfg(target_arch = "x86_64")]
        check!(SYS_iopl SYS_ioperm);
    }

    #[test]
    fn profiles_have_names() {
        for (name, profile) in ["default", "Nested", "DEBUG", "keyrings"].into_iter().zip(PROFILES)
        {
            assert_eq!(Profile::try_from(name.to_owned()), Ok(profile));
        }
        assert!(Profile::try_from("none".to_owned()).unwrap_err().contains("keyrings is needed"));
    }
}
