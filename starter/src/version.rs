//! Which dialect of HTCondor this starter speaks, as its peers see it: one place for both strings.
//!
//! A shadow takes the version of a starter for what the starter understands, so it is chosen by what
//! is implemented here, not by what is the newest. The thresholds in HTCondor 23.9.6 and 25.14.1:
//!
//! | since | what the peer assumes | here |
//! |---|---|---|
//! | 8.9.4 | file transfer knows reuse information and S3 URLs | yes |
//! | 10.6.0 | the executable is not renamed to condor_exec.exe | yes |
//! | 10.5.0, 10.8.0 | newer names of credential files | yes |
//! | 23.1.0 | protected URLs | yes |
//! | 25.2.0 | common input files may be offered (schedd, shadow) | no |
//! | 25.3.0 | delayed chirp attributes come nested in `ChirpDelayedAttrs` | no |
//! | 25.10.0, 25.12.0 | version 2 of the common files' commands | no |
//! | 25.12.0 | the disk test may be left out of Requirements | not from here: condor_submit looks at the startd's version |
//!
//! Hence 25.1: new enough for everything that is implemented, and older than all that isn't.

/// The release whose dialect that is, for sessions.
pub(crate) const DIALECT: &str = "25.1.1";

/// `$CondorVersion$`. The form is parsed by every peer: three numbers, a date, then free text.
pub(crate) const CONDOR_VERSION: &str = concat!(
    "$CondorVersion: 25.1.1 2026-11-25 BuildID: Cloister-",
    env!("CARGO_PKG_VERSION"),
    " $"
);

/// This program's own version, in three numbers.
pub(crate) const CLOISTER: &str = env!("CARGO_PKG_VERSION");

/// `$CondorPlatform$`: architecture, a hyphen, operating system. Peers log it only.
#[cfg(target_arch = "x86_64")]
pub(crate) const CONDOR_PLATFORM: &str = "$CondorPlatform: X86_64-Linux $";
/// `$CondorPlatform$`: architecture, a hyphen, operating system. Peers log it only.
#[cfg(target_arch = "aarch64")]
pub(crate) const CONDOR_PLATFORM: &str = "$CondorPlatform: aarch64-Linux $";
/// `$CondorPlatform$`: architecture, a hyphen, operating system. Peers log it only.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(crate) const CONDOR_PLATFORM: &str = "$CondorPlatform: Unknown-Linux $";

#[cfg(test)]
mod tests {
    use super::*;

    /// The checks of HTCondor's own parser, and the thresholds of the table above.
    #[test]
    fn peers_can_read_it_and_take_the_right_dialect() {
        let rest = CONDOR_VERSION.strip_prefix("$CondorVersion: ").unwrap();
        let (numbers, rest) = rest.split_once(' ').unwrap();
        let numbers: Vec<u32> = numbers.split('.').map(|n| n.parse().unwrap()).collect();
        assert!(numbers.as_slice() >= &[23, 1, 0][..] && numbers.as_slice() < &[25, 2, 0][..]);
        assert!(rest.ends_with(" $") && rest.matches(" $").count() == 1);
        let date: Vec<&str> = rest.split(' ').next().unwrap().split('-').collect();
        assert_eq!(date.iter().map(|part| part.len()).collect::<Vec<_>>(), [4, 2, 2]);
        let platform = CONDOR_PLATFORM.strip_prefix("$CondorPlatform: ").unwrap();
        assert!(platform.ends_with("-Linux $"));
    }
}
