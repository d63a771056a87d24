//! Any bytes as an ad on the wire, and as the texts that come with one: no panic, and what was read
//! is read again from what is written.

use classad::ClassAd;
use condor_cedar::inherit::{Inherit, PrivateInherit};
use condor_cedar::message::{ChildAlive, MachineAds, Update, Vacate};
use condor_cedar::session::{ClaimId, SessionInfo};
use condor_cedar::{Reader, Sinful, Writer};

/// Runs the target on one input.
pub fn cedar_ad(bytes: &[u8]) {
    for encrypted in [false, true] {
        let reader = || Reader::new(bytes, encrypted);
        if let Ok(ad) = reader().value::<ClassAd>() {
            let mut writer = Writer::new(encrypted);
            writer.value(&ad);
            // Not every tree prints as a text that reads as the same tree (`- 0`), and not every
            // string has a text in old syntax.
            let again = Reader::new(writer.as_bytes(), encrypted).only::<ClassAd>();
            assert!(again.is_err() || again.is_ok_and(|again| again.len() <= ad.len()));
        }
        let _ = reader().only::<Update>();
        let _ = reader().only::<MachineAds>();
        let _ = reader().only::<Vacate>();
        let _ = reader().only::<ChildAlive>();
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(address) = text.parse::<Sinful>() {
        assert_eq!(address.to_string().parse::<Sinful>().as_ref(), Ok(&address));
        let _ = address.addresses();
    }
    if let Ok(claim) = text.parse::<ClaimId>() {
        let _ = (claim.session_info(), claim.address());
    }
    if let Ok(info) = text.parse::<SessionInfo>() {
        let _ = info.to_string().parse::<SessionInfo>();
    }
    if let Ok(inherit) = text.parse::<Inherit>() {
        let _ = inherit.sockets.iter().filter_map(|socket| socket.connection().ok()).count();
        let _ = inherit.to_string().parse::<Inherit>();
    }
    let _ = text.parse::<PrivateInherit>();
}
