//! A filter for the few system calls that reach past every namespace.
//!
//! The user keyring of an account is one for the whole machine; only refusing the calls keeps two
//! jobs of one account apart there. They answer as in a kernel without keyrings, which programs are
//! prepared for.

use std::io;

const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
const EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const AT_LEAST: u16 = 0x35; // BPF_JMP | BPF_JGE | BPF_K
const RETURN: u16 = 0x06; // BPF_RET | BPF_K

/// Offsets in `seccomp_data`.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;

const ALLOW: u32 = 0x7fff_0000;
const NO_SUCH_CALL: u32 = 0x0005_0000 | libc::ENOSYS.cast_unsigned();
const KILL: u32 = 0x8000_0000;

/// Architecture of the audit subsystem, and the numbers of add_key, request_key and keyctl there.
/// Every architecture that the kernel runs programs of has a row.
#[cfg(target_arch = "x86_64")]
const KEY_CALLS: [(u32, [u32; 3]); 2] =
    [(0xc000_003e, [248, 249, 250]), (0x4000_0003, [286, 287, 288])];
#[cfg(target_arch = "aarch64")]
const KEY_CALLS: [(u32, [u32; 3]); 2] =
    [(0xc000_00b7, [217, 218, 219]), (0x4000_0028, [309, 310, 311])];

/// Numbers from here on are the x32 variant of x86-64, which nobody uses and few filters think of.
const X32: u32 = 0x4000_0000;

/// Refuses the calls for keyrings to this process and all it will start. Needs no_new_privs.
pub(crate) fn refuse_keyrings() -> io::Result<()> {
    let mut program = filter();
    let length = u16::try_from(program.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let program = libc::sock_fprog { len: length, filter: program.as_mut_ptr() };
    // SAFETY: `program` points to `length` instructions that outlive the call; the kernel checks them.
    let answer = unsafe {
        libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program, 0, 0)
    };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn filter() -> Vec<libc::sock_filter> {
    let step = |code, k| libc::sock_filter { code, jt: 0, jf: 0, k };
    let jump = |code, k, jt, jf| libc::sock_filter { code, jt, jf, k };
    let mut program = Vec::with_capacity(16);
    for (architecture, [first, second, third]) in KEY_CALLS {
        program.extend([
            step(LOAD, ARCHITECTURE),
            // Seven steps make up the rest of this architecture.
            jump(EQUAL, architecture, 0, 7),
            step(LOAD, NUMBER),
            jump(EQUAL, first, 4, 0),
            jump(EQUAL, second, 3, 0),
            jump(EQUAL, third, 2, 0),
            jump(AT_LEAST, X32, 1, 0),
            step(RETURN, ALLOW),
            step(RETURN, NO_SUCH_CALL),
        ]);
    }
    program.push(step(RETURN, KILL));
    program
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel would do: runs the filter on a call.
    fn answer(architecture: u32, number: u32) -> u32 {
        let program = filter();
        let (mut at, mut value) = (0, 0);
        loop {
            let step = program[at];
            at += 1;
            match step.code {
                LOAD => value = if step.k == NUMBER { number } else { architecture },
                EQUAL => at += usize::from(if value == step.k { step.jt } else { step.jf }),
                AT_LEAST => at += usize::from(if value >= step.k { step.jt } else { step.jf }),
                _ => return step.k,
            }
        }
    }

    #[test]
    fn key_calls_are_refused_on_every_architecture_and_others_are_not() {
        for (architecture, calls) in KEY_CALLS {
            for call in calls {
                assert_eq!(answer(architecture, call), NO_SUCH_CALL);
                assert_eq!(answer(architecture, call + X32), NO_SUCH_CALL);
            }
            for call in [0, 1, 59, 231, 247, 251, 285, 289] {
                if !calls.contains(&call) {
                    assert_eq!(answer(architecture, call), ALLOW, "{call}");
                }
            }
        }
        assert_eq!(answer(0x1234, 0), KILL);
    }
}
