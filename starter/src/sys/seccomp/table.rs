//! Which system calls are refused, with their numbers on every architecture.

use super::Profile;

/// What is done about a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// As a kernel without it: programs know another way.
    Unknown,
    /// As for somebody without the right: there is no other way.
    Forbidden,
    /// Forbidden with a flag in the first argument that makes a namespace.
    WithNamespaces(u32),
    /// Forbidden with requests that put something into a terminal's input, or take a file out of its project, whose
    /// disk quota it counts for.
    Requests,
    /// Forbidden with this first argument: all processes of an account, whichever job's they are.
    OfAccount(u32),
    /// As a kernel without that family of sockets, for all but the usual ones.
    OfFamilies,
}

/// What a call is for, which decides in which profiles it is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// Keyrings: refused to every job.
    Keys,
    /// What an administrator does to a machine, and what is known for its weaknesses.
    Machine,
    /// Namespaces and mounts, as containers are made of.
    Containers,
    /// Counters of performance.
    Performance,
}

impl Use {
    pub(super) fn refused_in(self, profile: Profile) -> bool {
        match self {
            Self::Keys => true,
            Self::Machine => profile != Profile::Keyrings,
            Self::Containers => matches!(profile, Profile::Default | Profile::Debug),
            Self::Performance => matches!(profile, Profile::Default | Profile::Nested),
        }
    }
}

/// A row: name, number on each of [`ARCHITECTURES`], what for, what is done.
pub(super) type Row = (&'static str, [u32; 4], Use, Answer);

/// A call that an architecture doesn't have.
pub(super) const NONE: u32 = u32::MAX;

/// Architectures of the audit subsystem that this kernel runs programs of, each with its column.
#[cfg(target_arch = "x86_64")]
pub(super) const ARCHITECTURES: [(u32, usize); 2] = [(0xc000_003e, 0), (0x4000_0003, 1)];
#[cfg(target_arch = "aarch64")]
pub(super) const ARCHITECTURES: [(u32, usize); 2] = [(0xc000_00b7, 2), (0x4000_0028, 3)];

/// `CLONE_NEW*` but that of time, whose bit means something else to clone.
const NAMESPACES: u32 = 0x7e02_0000;
const NAMESPACE_OF_TIME: u32 = 0x80;
const PRIO_USER: u32 = 2;
const IOPRIO_WHO_USER: u32 = 3;

/// Families of sockets that jobs use: unspecified, Unix, IPv4, IPv6, netlink, packet. Others lead to the host
/// of a virtual machine (vsock) or into parts of the kernel that few use and many weaknesses were in.
pub(super) const FAMILIES: [u32; 6] = [0, 1, 2, 10, 16, 17];

use Answer::{Forbidden, OfAccount, OfFamilies, Requests, Unknown, WithNamespaces};
use Use::{Containers, Keys, Machine, Performance};

/// x86-64, i386, arm64, arm.
#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    ("add_key", [248, 286, 217, 309], Keys, Unknown),
    ("request_key", [249, 287, 218, 310], Keys, Unknown),
    ("keyctl", [250, 288, 219, 311], Keys, Unknown),
    ("io_uring_setup", [425, 425, 425, 425], Machine, Unknown),
    ("io_uring_enter", [426, 426, 426, 426], Machine, Unknown),
    ("io_uring_register", [427, 427, 427, 427], Machine, Unknown),
    ("userfaultfd", [323, 374, 282, 388], Machine, Forbidden),
    ("bpf", [321, 357, 280, 386], Machine, Forbidden),
    ("perf_event_open", [298, 336, 241, 364], Performance, Forbidden),
    ("open_by_handle_at", [304, 342, 265, 371], Machine, Forbidden),
    ("kexec_load", [246, 283, 104, 347], Machine, Forbidden),
    ("kexec_file_load", [320, NONE, 294, 401], Machine, Forbidden),
    ("init_module", [175, 128, 105, 128], Machine, Forbidden),
    ("finit_module", [313, 350, 273, 379], Machine, Forbidden),
    ("delete_module", [176, 129, 106, 129], Machine, Forbidden),
    ("iopl", [172, 110, NONE, NONE], Machine, Forbidden),
    ("ioperm", [173, 101, NONE, NONE], Machine, Forbidden),
    ("swapon", [167, 87, 224, 87], Machine, Forbidden),
    ("swapoff", [168, 115, 225, 115], Machine, Forbidden),
    ("reboot", [169, 88, 142, 88], Machine, Forbidden),
    ("settimeofday", [164, 79, 170, 79], Machine, Forbidden),
    ("stime", [NONE, 25, NONE, 25], Machine, Forbidden),
    ("clock_settime", [227, 264, 112, 262], Machine, Forbidden),
    ("clock_settime64", [NONE, 404, NONE, 404], Machine, Forbidden),
    ("acct", [163, 51, 89, 51], Machine, Forbidden),
    ("quotactl", [179, 131, 60, 131], Machine, Forbidden),
    ("quotactl_fd", [443, 443, 443, 443], Machine, Forbidden),
    ("syslog", [103, 103, 116, 103], Machine, Forbidden),
    ("file_setattr", [469, 469, 469, 469], Machine, Forbidden),
    ("ioctl", [16, 54, 29, 54], Machine, Requests),
    ("fanotify_init", [300, 338, 262, 367], Machine, Forbidden),
    ("fanotify_mark", [301, 339, 263, 368], Machine, Forbidden),
    ("setpriority", [141, 97, 140, 97], Machine, OfAccount(PRIO_USER)),
    ("ioprio_set", [251, 289, 30, 314], Machine, OfAccount(IOPRIO_WHO_USER)),
    ("socket", [41, 359, 198, 281], Machine, OfFamilies),
    // Whatever it is asked for, its arguments are in memory, where no filter looks.
    ("socketcall", [NONE, 102, NONE, 102], Machine, Unknown),
    ("mount", [165, 21, 40, 21], Containers, Forbidden),
    ("umount", [NONE, 22, NONE, 22], Containers, Forbidden),
    ("umount2", [166, 52, 39, 52], Containers, Forbidden),
    ("pivot_root", [155, 217, 41, 218], Containers, Forbidden),
    ("chroot", [161, 61, 51, 61], Containers, Forbidden),
    ("setns", [308, 346, 268, 375], Containers, Forbidden),
    ("open_tree", [428, 428, 428, 428], Containers, Forbidden),
    ("move_mount", [429, 429, 429, 429], Containers, Forbidden),
    ("fsopen", [430, 430, 430, 430], Containers, Forbidden),
    ("fsconfig", [431, 431, 431, 431], Containers, Forbidden),
    ("fsmount", [432, 432, 432, 432], Containers, Forbidden),
    ("fspick", [433, 433, 433, 433], Containers, Forbidden),
    ("mount_setattr", [442, 442, 442, 442], Containers, Forbidden),
    ("open_tree_attr", [467, 467, 467, 467], Containers, Forbidden),
    ("unshare", [272, 310, 97, 337], Containers, WithNamespaces(NAMESPACES | NAMESPACE_OF_TIME)),
    ("clone", [56, 120, 220, 120], Containers, WithNamespaces(NAMESPACES)),
    ("clone3", [435, 435, 435, 435], Containers, Unknown),
];
