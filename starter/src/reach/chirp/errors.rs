//! Chirp's numbers for what went wrong.

/// A failed request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// No cookie, or the wrong one.
    NotAuthenticated,
    /// Permission denied.
    NotAuthorized,
    /// There is no such thing.
    DoesntExist,
    /// There is one already.
    AlreadyExists,
    /// Too large.
    TooBig,
    /// The disk is full.
    NoSpace,
    /// Memory is full.
    NoMemory,
    /// Not a request.
    Invalid,
    /// Too many files are open.
    TooManyOpen,
    /// In use.
    Busy,
    /// Not now.
    TryAgain,
    /// No descriptor of this client's.
    BadFd,
    /// A directory.
    IsDir,
    /// No directory.
    NotDir,
    /// A directory with something in it.
    NotEmpty,
    /// On another file system.
    CrossDevice,
    /// The shadow is away.
    Offline,
    /// Anything else.
    Unknown,
}

impl Fault {
    /// As it is answered.
    pub(crate) fn number(self) -> i64 {
        match self {
            Self::NotAuthenticated => -1,
            Self::NotAuthorized => -2,
            Self::DoesntExist => -3,
            Self::AlreadyExists => -4,
            Self::TooBig => -5,
            Self::NoSpace => -6,
            Self::NoMemory => -7,
            Self::Invalid => -8,
            Self::TooManyOpen => -9,
            Self::Busy => -10,
            Self::TryAgain => -11,
            Self::BadFd => -12,
            Self::IsDir => -13,
            Self::NotDir => -14,
            Self::NotEmpty => -15,
            Self::CrossDevice => -16,
            Self::Offline => -17,
            Self::Unknown => -127,
        }
    }
}

/// The fault for an errno as the shadow numbers it: Linux's numbers, but for a few.
pub(crate) fn of_errno(errno: i64) -> Fault {
    match i32::try_from(errno).unwrap_or(0) {
        41 => Fault::NotEmpty,
        43 => Fault::Busy,
        libc::EPERM | libc::EACCES => Fault::NotAuthorized,
        libc::ENOENT => Fault::DoesntExist,
        libc::EEXIST => Fault::AlreadyExists,
        libc::EFBIG => Fault::TooBig,
        libc::ENOSPC => Fault::NoSpace,
        libc::ENOMEM => Fault::NoMemory,
        libc::E2BIG | libc::EINVAL => Fault::Invalid,
        libc::ENFILE | libc::EMFILE => Fault::TooManyOpen,
        libc::EBUSY => Fault::Busy,
        libc::EAGAIN | libc::EINTR => Fault::TryAgain,
        libc::EBADF => Fault::BadFd,
        libc::EISDIR => Fault::IsDir,
        libc::ENOTDIR => Fault::NotDir,
        libc::EXDEV => Fault::CrossDevice,
        libc::ETIMEDOUT => Fault::Offline,
        _ => Fault::Unknown,
    }
}
