//! How the program is linked, as far as that depends on the machine that builds it.

use std::env;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // A static program that is at another address each time relocates itself at every start. Packed, that is
    // 3 KB to read instead of 275. A C library that can't unpack them would make it crash, hence the question.
    if env::var("HOST").is_ok_and(|host| env::var("TARGET").is_ok_and(|target| host == target))
        && glibc().is_some_and(|version| version >= (2, 36))
    {
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

/// The version of this machine's C library, if that is glibc.
fn glibc() -> Option<(u32, u32)> {
    let output = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (major, minor) = text.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.split('.').next()?.parse().ok()?))
}
