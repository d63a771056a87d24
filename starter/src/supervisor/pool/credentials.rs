//! Tokens of OAuth services: fetched from the shadow before anything else is, and again from time to
//! time while the job runs, because they expire. And proxies, which the shadow brings when there is a
//! newer one.

use std::time::{Duration, Instant};

use condor_cedar::{Error, Reader};
use zeroize::Zeroizing;

use base64ct::{Base64, Encoding as _};
use classad::ClassAd;

use super::super::unexpected;
use super::{Broken, Pool};
use crate::failure::{Failure, Step};
use crate::job::{Credentials, Job};
use crate::launcher::message::{Order, Report};
use crate::launcher::place::{MAX, Placed};
use crate::parent::shadow::{Call, Shadow};
use crate::parent::startd::Proxy;

/// Most tokens of a job.
const MAX_TOKENS: usize = 256;

/// What the job holds that is renewed while it runs.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// The name of the job's proxy in the sandbox.
    pub(super) proxy: Option<String>,
    /// How many newer ones are being put in its place.
    pub(super) placing: usize,
    /// When its tokens are to be fetched again.
    pub(super) due: Option<Instant>,
}

type Tokens = Vec<(String, Zeroizing<Vec<u8>>)>;

impl Pool<'_> {
    /// Fetches the job's tokens into the sandbox.
    pub(super) fn tokens(&mut self, job: &Job) -> Result<(), Broken> {
        if job.credentials.services.is_empty() {
            return Ok(());
        }
        let tokens = self.fetch_tokens(job)?;
        self.desk.order(&Order::Place(Placed::Tokens(tokens)))?;
        match self.report()? {
            Report::Placed(None) => {}
            Report::Placed(Some(failure)) => return Err(failure.into()),
            other => return Err(unexpected(&other).into()),
        }
        tracing::info!("tokens of {} are in the sandbox", job.credentials.services.join(", "));
        self.credentials.due = self.next_tokens();
        Ok(())
    }

    fn next_tokens(&self) -> Option<Instant> {
        let seconds = u64::try_from(self.knobs.sec_credential_refresh).unwrap_or(0);
        (seconds > 0).then(|| Instant::now() + Duration::from_secs(seconds))
    }

    /// Renews them when it is time. What goes wrong is said; the job has its old ones.
    pub(super) fn renew_tokens(&mut self, job: &Job) -> Result<(), Broken> {
        if self.credentials.due.is_none_or(|due| due > Instant::now()) {
            return Ok(());
        }
        self.credentials.due = self.next_tokens();
        match self.fetch_tokens(job) {
            Ok(tokens) => self.desk.order(&Order::Renew(Placed::Tokens(tokens)))?,
            Err(Broken::Failed(failure)) => tracing::warn!("tokens aren't renewed: {failure}"),
            Err(broken) => return Err(broken),
        }
        Ok(())
    }

    /// From now on a newer proxy takes the place of the job's: one that came with its files.
    pub(super) fn expect_proxies(&mut self, job: &Job) {
        let name = job.credentials.proxy.as_ref().and_then(|path| path.file_name());
        let name = name.filter(|_| job.transfer.is_some());
        self.credentials.proxy = name.map(|name| name.to_string_lossy().into_owned());
    }

    pub(super) fn place_proxy(&mut self, proxy: &Proxy) -> Result<(), Failure> {
        let Some(name) = self.credentials.proxy.clone() else {
            tracing::warn!("a proxy came for a job that has none here");
            self.startd.proxy_is_placed(false);
            return Ok(());
        };
        self.credentials.placing += 1;
        self.desk.order(&Order::Place(Placed::Proxy(name, proxy.0.clone())))
    }

    pub(super) fn proxy_is_placed(&mut self, end: Option<Failure>) {
        self.credentials.placing -= 1;
        self.startd.proxy_is_placed(end.is_none());
        match end {
            None => tracing::info!("a newer proxy is in its place"),
            Some(failure) => tracing::warn!("the proxy isn't renewed: {failure}"),
        }
    }

    fn fetch_tokens(&mut self, job: &Job) -> Result<Tokens, Broken> {
        let allowed = self.knobs.allow_oauth_without_encryption && !self.host.privileged;
        let encrypted = self.line.shadow.as_ref().is_some_and(Shadow::is_encrypted);
        if !encrypted && !allowed {
            return Err(failure(
                "the connection with the shadow isn't encrypted, over which no token is sent: set \
                 SEC_DEFAULT_ENCRYPTION = REQUIRED on both sides",
            ));
        }
        let (number, (ads, last)) =
            self.ask(&Call::Credentials, read)?.map_err(|_| unavailable())?;
        if number < 0 || last < 0 {
            return Err(unavailable());
        }
        let tokens = ads.iter().map(token).collect::<Result<Tokens, _>>().map_err(failure)?;
        let mut wanted = Vec::new();
        for service in &job.credentials.services {
            let name = Credentials::token_file(service);
            let Some((_, content)) = tokens.iter().find(|(known, _)| *known == name) else {
                return Err(failure(&format!("the shadow sent no token for {service}")));
            };
            wanted.push((name, content.clone()));
        }
        Ok(wanted)
    }
}

/// The ads of the answer, whose first number has been read, and its last number.
fn read(message: &mut Reader<'_>) -> Result<(Vec<ClassAd>, i64), Error> {
    let mut ads = Vec::new();
    let mut last = 0;
    while message.remaining() > 0 && ads.len() < MAX_TOKENS {
        ads.push(message.value()?);
        last = message.i64()?;
        if last <= 0 {
            break;
        }
    }
    Ok((ads, last))
}

/// File name and content. Shadows before 10.8 send the name of the file, not of the service.
fn token(ad: &ClassAd) -> Result<(String, Zeroizing<Vec<u8>>), &'static str> {
    let service = ad.eval_string("Service").unwrap_or_default();
    let service = service.strip_suffix(".use").unwrap_or(&service);
    let data = Zeroizing::new(ad.eval_string("Data").unwrap_or_default());
    let text: Zeroizing<String> =
        Zeroizing::new(data.chars().filter(|c| !c.is_ascii_whitespace()).collect());
    let content = Base64::decode_vec(&text).map(Zeroizing::new);
    match content {
        Ok(content) if !content.is_empty() && content.len() as u64 <= MAX => {
            Ok((Credentials::token_file(service), content))
        }
        _ => Err("a token of the shadow is no token"),
    }
}

fn failure(why: &str) -> Broken {
    Broken::Failed(Failure::host(Step::Credentials, why))
}

/// The shadow holds the job itself (code 4) where that is not to be cured.
fn unavailable() -> Broken {
    failure("the access point has no token for the job: condor_store_cred there, or its credmon")
}

#[cfg(test)]
mod tests {
    use condor_cedar::Writer;

    use super::*;

    fn ad(service: &str, data: &str) -> ClassAd {
        let mut ad = ClassAd::new();
        ad.insert_value("Service", service.to_owned());
        ad.insert_value("Data", data.to_owned());
        ad
    }

    #[test]
    fn answers_end_with_a_number() {
        let mut to = Writer::new(true);
        to.value(&ad("a", "eA==")).i64(1).value(&ad("b", "eQ==")).i64(0);
        let (ads, last) = read(&mut Reader::new(to.as_bytes(), true)).unwrap();
        assert_eq!((ads.len(), last), (2, 0));
        let mut to = Writer::new(true);
        to.value(&ad("a", "eA==")).i64(-1);
        assert_eq!(read(&mut Reader::new(to.as_bytes(), true)).unwrap().1, -1);
        assert_eq!(read(&mut Reader::new(&[], true)).unwrap().1, 0);
        assert!(read(&mut Reader::new(&[1], true)).is_err());
    }

    #[test]
    fn names_of_both_kinds() {
        let name = |service: &str| token(&ad(service, "c2Vj\ncmV0")).unwrap();
        assert_eq!(name("box*a").0, "box_a.use");
        assert_eq!(name("box_a.use").0, "box_a.use");
        assert_eq!(name("x").1.as_slice(), b"secret");
        for data in ["", "=", "not base64"] {
            assert!(token(&ad("x", data)).is_err(), "{data}");
        }
    }
}
