//! Kernel keyrings.

use std::ffi::CString;

/// The session's and the account's keyring, as keyctl(2) numbers them.
pub(crate) const SESSION: libc::c_long = -3;
pub(crate) const USER: libc::c_long = -4;

const KEYCTL_LINK: libc::c_long = 8;
const KEYCTL_SEARCH: libc::c_long = 10;
const KEYCTL_READ: libc::c_long = 11;

/// Puts a secret into a keyring. A kernel without keyrings says so.
pub(crate) fn add(keyring: libc::c_long, name: &str, secret: &str) -> std::io::Result<()> {
    let name = CString::new(name).unwrap();
    // SAFETY: the strings are terminated, and the payload is as long as it is said to be.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_add_key,
            c"user".as_ptr(),
            name.as_ptr(),
            secret.as_ptr(),
            secret.len(),
            keyring,
        )
    };
    if answer < 0 { Err(std::io::Error::last_os_error()) } else { Ok(()) }
}

/// Reads a key from a keyring, by linking the keyring into the own session first.
pub(crate) fn read(keyring: libc::c_long, name: &str) -> Result<String, String> {
    let name = CString::new(name).unwrap();
    let mut text = vec![0_u8; 256];
    // SAFETY: keyctl with these commands takes numbers, terminated strings, and a buffer of the
    // length that is given with it.
    let length = unsafe {
        if keyring != SESSION {
            libc::syscall(libc::SYS_keyctl, KEYCTL_LINK, keyring, SESSION);
        }
        let key = libc::syscall(
            libc::SYS_keyctl,
            KEYCTL_SEARCH,
            keyring,
            c"user".as_ptr(),
            name.as_ptr(),
            0,
        );
        if key < 0 {
            return Err(std::io::Error::last_os_error().to_string());
        }
        libc::syscall(libc::SYS_keyctl, KEYCTL_READ, key, text.as_mut_ptr(), text.len())
    };
    let length =
        usize::try_from(length).map_err(|_| std::io::Error::last_os_error().to_string())?;
    text.truncate(length);
    Ok(String::from_utf8_lossy(&text).into_owned())
}
