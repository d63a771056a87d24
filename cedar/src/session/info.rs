//! What two sides agreed on for a session: `[Encryption="YES";CryptoMethods="AES";]`.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result, Unsupported};
use crate::wire::within;

/// Longest info that is accepted, bytes.
const MAX_INFO: usize = 16 * 1024;
/// Most commands a session may name.
const MAX_COMMANDS: usize = 4096;

/// A cipher, by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Method {
    /// AES-256-GCM, the only one this crate has.
    Aes,
    /// Blowfish in CFB mode, with MD5.
    Blowfish,
    /// Triple DES in CFB mode, with MD5.
    TripleDes,
    /// Any other.
    Unknown(String),
}

impl Method {
    fn parse(name: &str) -> Self {
        match name.trim().to_ascii_uppercase().as_str() {
            "AES" => Self::Aes,
            "BLOWFISH" => Self::Blowfish,
            "3DES" | "TRIPLEDES" => Self::TripleDes,
            other => Self::Unknown(other.to_owned()),
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Aes => "AES",
            Self::Blowfish => "BLOWFISH",
            Self::TripleDes => "3DES",
            Self::Unknown(name) => name,
        })
    }
}

/// What was agreed on. Attributes that HTCondor doesn't import either are ignored.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SessionInfo {
    /// Ciphers in order of preference. Empty if nothing is said about them: then it is up to the
    /// configuration, and AES comes first there.
    pub methods: Vec<Method>,
    /// Release of whoever wrote the info, as "25.14.1".
    pub version: Option<String>,
    /// End of the session in seconds since 1970; `None` is never.
    pub expires: Option<i64>,
    /// Commands that the session is meant for. Only a hint for clients.
    pub commands: Vec<i32>,
}

impl SessionInfo {
    /// The info to give out for a new session: encrypted with AES.
    pub fn aes(version: &str) -> Self {
        Self { methods: vec![Method::Aes], version: Some(version.to_owned()), ..Self::default() }
    }

    /// Fails if AES isn't to be used.
    ///
    /// Peers use the first method that both have, and AES is the first of every list that HTCondor
    /// makes with it.
    pub(crate) fn require_aes(&self) -> Result<()> {
        if self.methods.is_empty() || self.methods.contains(&Method::Aes) {
            return Ok(());
        }
        let names: Vec<String> = self.methods.iter().map(Method::to_string).collect();
        Err(Unsupported::Cipher(names.join(",")).into())
    }
}

impl FromStr for SessionInfo {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        within("session info", text.len(), MAX_INFO)?;
        let malformed = |reason| Error::Malformed { what: "session info", reason };
        if text.is_empty() {
            return Ok(Self::default());
        }
        let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
        let inner = inner.ok_or_else(|| malformed("no brackets around it"))?;
        let mut info = Self::default();
        let mut list = None;
        for pair in inner.split(';') {
            let Some((name, value)) = pair.split_once('=') else { continue };
            // Two infos in a row come as one text: `[a;][b;]`.
            let name = name.trim().trim_start_matches("][");
            let value = value.trim();
            let value = value.strip_prefix('"').and_then(|v| v.strip_suffix('"')).unwrap_or(value);
            match name.to_ascii_lowercase().as_str() {
                "cryptomethods" => info.methods = methods(value, ','),
                // An old peer reads the other, which has a method that it knows.
                "cryptomethodslist" => list = Some(methods(value, '.')),
                "shortversion" => info.version = Some(value.to_owned()),
                "sessionexpires" => {
                    let end = value.parse().map_err(|_| malformed("SessionExpires is no time"))?;
                    info.expires = (end != 0).then_some(end);
                }
                "validcommands" => {
                    let commands = value.split(',').filter_map(|number| number.trim().parse().ok());
                    info.commands = commands.take(MAX_COMMANDS).collect();
                }
                _ => {}
            }
        }
        if let Some(list) = list {
            info.methods = list;
        }
        Ok(info)
    }
}

fn methods(value: &str, separator: char) -> Vec<Method> {
    value.split([separator, ',', ' ']).filter(|name| !name.is_empty()).map(Method::parse).collect()
}

impl fmt::Display for SessionInfo {
    /// As a claim id holds it. Encryption and integrity always are part of it, for AES is both.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[Encryption=\"YES\";Integrity=\"YES\";")?;
        if let Some(version) = &self.version {
            write!(f, "ShortVersion=\"{version}\";")?;
        }
        if let Some(end) = self.expires {
            write!(f, "SessionExpires={end};")?;
        }
        if !self.commands.is_empty() {
            let list: Vec<String> = self.commands.iter().map(i32::to_string).collect();
            write!(f, "ValidCommands=\"{}\";", list.join(","))?;
        }
        if let Some(first) = self.methods.first() {
            let list: Vec<String> = self.methods.iter().map(Method::to_string).collect();
            write!(f, "CryptoMethods=\"{first}\";CryptoMethodsList=\"{}\";", list.join("."))?;
        }
        f.write_str("]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_overrides_the_method_for_old_peers() {
        let text = "[Integrity=\"YES\";ShortVersion=\"23.9.6\";CryptoMethodsList=\"AES.BLOWFISH\";\
                    ValidCommands=\"60000,60008\";CryptoMethods=\"BLOWFISH\";]";
        let info: SessionInfo = text.parse().unwrap();
        assert_eq!(info.methods, [Method::Aes, Method::Blowfish]);
        assert_eq!(info.version.as_deref(), Some("23.9.6"));
        assert_eq!(info.commands, [60000, 60008]);
        assert_eq!(info.to_string().parse(), Ok(info));
    }

    #[test]
    fn two_infos_in_a_row() {
        let text = "[Encryption=\"YES\";][cryptoMethods=\"3DES\";Other=1;]";
        let info: SessionInfo = text.parse().unwrap();
        assert_eq!(info.methods, [Method::TripleDes]);
        assert_eq!(info.require_aes(), Err(Unsupported::Cipher("3DES".to_owned()).into()));
    }

    #[test]
    fn nothing_is_an_info_too() {
        assert_eq!("".parse(), Ok(SessionInfo::default()));
        assert_eq!("[]".parse(), Ok(SessionInfo::default()));
        assert!("[".parse::<SessionInfo>().is_err());
        assert_eq!(SessionInfo::default().require_aes(), Ok(()));
    }
}
