//! Credentials that a job carries: tokens of OAuth services, and an X.509 proxy.

use std::path::PathBuf;

use classad::ClassAd;

use super::text;
use crate::failure::Failure;

/// What a job needs of credentials.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Credentials {
    /// `OAuthServicesNeeded`: each with a token.
    pub(crate) services: Vec<String>,
    /// `x509userproxy`: a file of the submit side.
    pub(crate) proxy: Option<PathBuf>,
}

/// The directory of the tokens, in the sandbox.
pub(crate) const TOKENS: &str = ".condor_creds";

impl Credentials {
    pub(super) fn from_ad(ad: &ClassAd) -> Result<Self, Failure> {
        let mut services = Vec::new();
        for service in text(ad, "OAuthServicesNeeded")?
            .unwrap_or_default()
            .split([',', ' ', '\t', '\r', '\n'])
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
        {
            if !services.contains(&service) {
                services.push(service);
            }
        }
        Ok(Self { services, proxy: text(ad, "x509userproxy")?.map(PathBuf::from) })
    }

    /// The file of a service's token, as jobs know it: `service*handle` becomes `service_handle.use`.
    pub(crate) fn token_file(service: &str) -> String {
        format!("{}.use", service.replace('*', "_"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_service_counts_once() {
        let text =
            "OAuthServicesNeeded = \"box*a, box*b  scitokens,box*a\"\nx509userproxy = \"p\"\n";
        let credentials = Credentials::from_ad(&ClassAd::parse_old(text).unwrap()).unwrap();
        assert_eq!(credentials.services, ["box*a", "box*b", "scitokens"]);
        assert_eq!(credentials.proxy, Some("p".into()));
        assert_eq!(Credentials::token_file("box*a"), "box_a.use");
        assert_eq!(Credentials::from_ad(&ClassAd::new()).unwrap(), Credentials::default());
    }
}
