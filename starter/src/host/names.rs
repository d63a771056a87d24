//! Names of machines, asked of the name service without loading it into this process.

use std::net::IpAddr;
use std::process::{Command, Stdio};

/// The name that belongs to an address.
pub(crate) fn name_of(address: IpAddr) -> Option<String> {
    let answer = Command::new("/usr/bin/getent")
        .args(["hosts", &address.to_string()])
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    // ADDRESS NAME ALIAS ...
    let text = String::from_utf8_lossy(&answer.stdout).into_owned();
    text.split_ascii_whitespace().nth(1).map(str::to_owned)
}

/// Whether a name is in a domain, or is the domain itself; capitals don't matter.
pub(crate) fn is_in_domain(name: &str, domain: &str) -> bool {
    let (name, domain) = (name.to_ascii_lowercase(), domain.to_ascii_lowercase());
    let domain = domain.trim_start_matches('.');
    !domain.is_empty()
        && name.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_has_whole_words() {
        for (name, domain, inside) in [
            ("node1.Example.org", "example.org", true),
            ("example.org", "example.org", true),
            ("node1.example.org", ".example.org", true),
            ("badexample.org", "example.org", false),
            ("example.org.evil.net", "example.org", false),
            ("node", "", false),
            ("org", "example.org", false),
        ] {
            assert_eq!(is_in_domain(name, domain), inside, "{name} {domain}");
        }
    }

    #[test]
    fn the_machine_knows_itself() {
        let name = name_of("127.0.0.1".parse().unwrap());
        assert!(name.is_some_and(|name| name.starts_with("localhost")));
        assert_eq!(name_of("192.0.2.77".parse().unwrap()), None);
    }
}
