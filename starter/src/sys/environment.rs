//! The block of environment strings that the kernel gave this process.

use std::ffi::CStr;

/// Overwrites variables where /proc/PID/environ shows them. To this process they are no longer set.
///
/// Called while there is one thread, and no reference to a variable's value.
pub(crate) fn wipe(names: &[&str]) {
    // SAFETY: `environ` is null, or points to a list of pointers to C strings that ends with a null
    // pointer; nothing changes it meanwhile, for there is one thread. The strings are memory of this
    // process that may be written, up to their own ends.
    unsafe {
        let mut next = environ;
        while !next.is_null() && !(*next).is_null() {
            let length = CStr::from_ptr(*next).to_bytes().len();
            let text = std::slice::from_raw_parts_mut((*next).cast::<u8>(), length);
            let named = |name: &&str| {
                text.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.first() == Some(&b'='))
            };
            if names.iter().any(named) {
                text.fill(0);
            }
            next = next.add(1);
        }
    }
}

unsafe extern "C" {
    static environ: *mut *mut libc::c_char;
}
