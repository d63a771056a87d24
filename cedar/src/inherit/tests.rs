//! Environments that no parent leaves behind, and cuts of one that a parent does.

use proptest::prelude::*;

use super::*;
use crate::error::Unsupported;

const KEY: &str = "B277C1D6FD490C451E4DA058B3DC411AFA7BB945ACFA5E52DB44DAC7A146312D";
const COUNTERS: &str =
    "0100000002000000601DC3FC650A6FE8BFB7CF0616FB689EE08E469A68EE7805CC81BF43B36804CF";

fn aes(flags: &str) -> String {
    format!(
        "33629 <127.0.0.1:21718?noUDP&sock=startd_1> 1 10*3*0*0*0*0***0*<127.0.0.1:19835>*0*0*0*0*0*0*0* \
         1 8*3*20*1*24*23*submit-side@matchsession*$CondorVersion:_25.14.1*0*<127.0.0.1:13019>*\
         64*3*1*{COUNTERS}*{KEY}*{flags}*0* 0 SharedPort:00ff/slot1_1*13*6*0*0*0*0***1**0*0*0*0*0*0*0* 0"
    )
}

#[test]
fn fields_may_hold_the_separator() {
    let text = "1 <1.2.3.4:5> 1 4*3*0*0*3*2*a*b*$_*0**0*0*0*0*0*0*0* 0";
    let inherit: Inherit = text.parse().unwrap();
    assert_eq!(inherit.sockets[0].user, "a*b");
    assert_eq!(inherit.sockets[0].peer_version, "$ ");
    assert_eq!(inherit.endpoint, None);
}

#[test]
fn unconfirmed_digests_are_taken_over() {
    let sent = "11".repeat(32);
    let received = "22".repeat(32);
    let text = aes(&format!("1*0*0*1*64*{sent}{received}"));
    let inherit: Inherit = text.parse().unwrap();
    let Crypto::Aes(state) = &inherit.sockets[1].crypto else { panic!("AES") };
    assert!(!state.send.confirmed && state.receive.confirmed);
    assert_eq!(state.digests.sent, [0x11; 32]);
    assert_eq!(state.digests.received, [0; 32], "it wasn't final");
    let none: Inherit = aes("1*1*1*1*0").parse().unwrap();
    assert!(none.sockets[1].connection().is_ok());
}

#[test]
fn secrets_are_not_shown() {
    let inherit: Inherit = aes("1*1*1*1*0").parse().unwrap();
    let shown = format!("{inherit:?}").to_ascii_uppercase();
    assert!(!shown.contains("B277C1") && !shown.contains("178, 119") && !shown.contains("00FF"));
    let private: PrivateInherit =
        " SessionKey:ab#[X=1;]k3y FamilySessionKey:family:cd#k3y Other:x".parse().unwrap();
    assert_eq!(private.parent.as_ref().unwrap().session_id(), "ab");
    assert_eq!(private.family.as_ref().unwrap().secret(), "k3y");
    assert!(!format!("{private:?}").contains("k3y"));
}

#[test]
fn old_ciphers_are_recognized() {
    let text = "1 <1.2.3.4:5> 1 7*3*20*1*0*0***0*<127.0.0.1:1>*32*1*1*00112233445566778899AABBCCDDEEFF*0*0*1*1*0*32*00112233445566778899AABBCCDDEEFF* 0 0";
    let inherit: Inherit = text.parse().unwrap();
    let error = inherit.sockets[0].connection().map(|_| ()).unwrap_err();
    assert_eq!(error, Unsupported::Cipher("BLOWFISH".to_owned()).into());
}

#[test]
fn malformed_ones_are_refused() {
    for text in [
        "",
        "x",
        "1",
        "1 <a>",
        "1 <a> 1",
        "1 <a> 3 x",
        "1 <a> 0 SharedPort:x 0",
        "1 <a> 1 x 0",
        "1 <a> 1 4*3*0*0*9*0*a*b*0**0*0*0*0*0*0*0* 0",
        "1 <a> 1 -1*3*0*0*0*0***0**0*0*0*0*0*0*0* 0",
        "1 <a> 1 4*3*0*0*0*0***0**64*3*1*00*00*1*1*1*1*0*0* 0",
        "1 <a> 1 4*3*0*0*0*0***0**0*0*0*0*0*0*0*x 0",
        "1 <a> 1 4*3*0*0*0*0***0**0*0*0*0*0*5*00*0* 0",
        "1 <a> 1 4*3*0*0*99999999999*0***0** 0",
    ] {
        assert!(text.parse::<Inherit>().is_err(), "{text}");
    }
    let many = format!("1 <a> {}0 0", "2 4*2*0*0*0*0***0** ".repeat(MAX_SOCKETS + 1));
    let Err(Error::Item { error, .. }) = many.parse::<Inherit>() else { panic!("too many") };
    assert!(matches!(*error, Error::TooLarge { .. }));
}

#[test]
fn the_item_at_fault_is_named() {
    let said = |text: &str| text.parse::<Inherit>().unwrap_err().to_string();
    assert_eq!(said(""), "CONDOR_INHERIT, item 1: malformed inheritance: no process id");
    assert_eq!(
        said("1 <1.2.3.4:5> 1 4*3*0 0"),
        "CONDOR_INHERIT, item 4: malformed inheritance: too few fields"
    );
    let cut = said("1 <1.2.3.4:5> 1 4*3*0*0*0*0***0**0*0*0*0*0*0*0*");
    assert_eq!(
        cut,
        "CONDOR_INHERIT, item 5: malformed inheritance: a list of sockets without its end"
    );
    let private = " SessionKey:ab#k3y FamilySessionKey:nothing".parse::<PrivateInherit>();
    assert_eq!(
        private.unwrap_err().to_string(),
        "CONDOR_PRIVATE_INHERIT, item 2: malformed claim id: no '#'"
    );
}

proptest! {
    #[test]
    fn cuts_and_changes_do_no_harm(cut in 0usize..700, at in 0usize..700, byte in 0x20u8..0x7f) {
        let digests = format!("1*1*1*1*64*{}", "AB".repeat(64));
        let text = aes(&digests);
        let whole: Inherit = text.parse().unwrap();
        prop_assert_eq!(whole.to_string(), text.clone());
        let mut changed = text.clone().into_bytes();
        let at = at % changed.len();
        changed[at] = byte;
        let changed = String::from_utf8(changed).unwrap();
        let _ = changed.parse::<Inherit>();
        let _ = changed[..cut.min(changed.len())].parse::<Inherit>();
        let _ = changed.parse::<PrivateInherit>();
    }
}
