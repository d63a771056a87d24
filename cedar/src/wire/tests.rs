//! Values come back as they were written, and bytes of strangers do no harm.

use classad::{ClassAd, ParseErrorKind};
use proptest::prelude::*;

use super::ad::handshake_ad;
use super::*;
use crate::error::{Error, PeerMisbehaved};

fn written(encrypted: bool, fill: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut writer = Writer::new(encrypted);
    fill(&mut writer);
    writer.as_bytes().to_vec()
}

#[test]
fn values_may_not_reach_beyond_the_end() {
    let mut reader = Reader::new(&[0; 7], true);
    assert_eq!(reader.i64(), Err(Error::Truncated("an integer")));
    assert_eq!(reader.bytes(8).map(<[u8]>::len), Err(Error::Truncated("bytes")));
    assert_eq!(reader.sub(3).map(|sub| sub.remaining()), Ok(3));
    assert_eq!(reader.u8(), Ok(0));
    assert_eq!(reader.remaining(), 3);
    assert_eq!(reader.finish(), Err(PeerMisbehaved::TrailingBytes(3).into()));
    assert_eq!(Reader::new(b"abc", false).string(), Err(Error::Truncated("a string")));
}

#[test]
fn lengths_of_strings_are_checked() {
    let string = |length: i64, bytes: &[u8]| {
        let message = written(true, |w| {
            w.i64(length).bytes(bytes);
        });
        Reader::new(&message, true).string().map(<[u8]>::to_vec)
    };
    assert_eq!(string(2, b"x\0"), Ok(b"x".to_vec()));
    assert_eq!(string(4, b"x\0y\0"), Ok(b"x".to_vec()), "as C sees it");
    assert_eq!(string(1, b"\xad"), Err(PeerMisbehaved::NullString.into()));
    assert_eq!(string(2, b"xy"), Err(PeerMisbehaved::BadString.into()));
    assert_eq!(string(0, b""), Err(PeerMisbehaved::BadString.into()));
    assert_eq!(string(3, b"x\0"), Err(Error::Truncated("a string")));
    let fault = PeerMisbehaved::BadInteger { what: "length", value: -1 };
    assert_eq!(string(-1, b"x\0"), Err(fault.into()));
    assert!(matches!(string(10_000_001, b""), Err(Error::TooLarge { .. })));
}

#[test]
fn integers_have_to_fit() {
    let message = written(true, |w| {
        w.i64(1i64 << 40);
    });
    let fault = PeerMisbehaved::BadInteger { what: "signal", value: 1 << 40 };
    assert_eq!(Reader::new(&message, true).i32("signal"), Err(fault.into()));
}

#[test]
fn nothing_is_sent_behind_a_nul() {
    assert_eq!(
        written(false, |w| {
            w.string("a\0b");
        }),
        b"a\0"
    );
    assert_eq!(
        written(true, |w| {
            w.string("a\0b");
        }),
        b"\0\0\0\0\0\0\0\x02a\0"
    );
}

#[test]
fn ads_keep_newlines_backslashes_and_secrets() {
    let message = written(false, |w| {
        w.i64(3).string("A=1").string("ZKM").string("ClaimId = \"x#y\"");
        w.string("  Text = \"one\ntwo \\\" c:\\\"").string("").string("");
    });
    let ad: ClassAd = Reader::new(&message, false).only().unwrap();
    assert_eq!(ad.eval_i64("a"), Some(1));
    assert_eq!(ad.eval_string("ClaimId").as_deref(), Some("x#y"));
    assert_eq!(ad.eval_string("Text").as_deref(), Some("one\ntwo \" c:\\"));
    let again = written(true, |w| {
        w.value(&ad);
    });
    assert_eq!(Reader::new(&again, true).only(), Ok(ad));
}

#[test]
fn bad_ads_are_refused() {
    let ad = |count: i64, lines: &[&str]| {
        let message = written(false, |w| {
            w.i64(count);
            for line in lines {
                w.string(line);
            }
            w.string("").string("");
        });
        Reader::new(&message, false).only::<ClassAd>()
    };
    assert_eq!(ad(1, &["no assignment"]), Err(PeerMisbehaved::NoAttribute.into()));
    assert_eq!(ad(1, &[" = 1"]), Err(PeerMisbehaved::NoAttribute.into()));
    assert!(matches!(ad(2, &["a = 1"]), Err(Error::Peer(_) | Error::Truncated(_))));
    assert!(matches!(ad(i64::MAX, &["a = 1"]), Err(Error::TooLarge { what: "ad", .. })));
    let parens = ParseErrorKind::Expected { expected: "')'", found: "the end of the text" };
    let error = Error::Expression { name: "a".to_owned(), reason: parens };
    assert_eq!(ad(1, &["a = (1"]), Err(error));
}

#[test]
fn only_literals_before_the_peer_is_known() {
    let ad = |lines: &[&str]| {
        let message = written(false, |w| {
            w.size(lines.len());
            for line in lines {
                w.string(line);
            }
            w.string("").string("");
        });
        handshake_ad(&mut Reader::new(&message, false)).map(|ad| ad.len())
    };
    assert_eq!(ad(&["A = 1", "B = \"x\"", "C = true"]), Ok(3));
    assert_eq!(ad(&["A = B"]), Err(PeerMisbehaved::NotLiteral.into()));
    assert_eq!(ad(&["A = {1}"]), Err(PeerMisbehaved::NotLiteral.into()));
    assert_eq!(ad(&["A = 1 + 1"]), Err(PeerMisbehaved::NotLiteral.into()));
    assert_eq!(ad(&["ZKM", "A = 1"]), Err(PeerMisbehaved::NoAttribute.into()));
    assert!(matches!(ad(&["A = 1"; 101]), Err(Error::TooLarge { limit: 100, .. })));
}

#[derive(Debug, Clone)]
enum Value {
    Integer(i64),
    Real(f64),
    Text(Vec<u8>),
    Null,
    Byte(u8),
}

fn value() -> impl Strategy<Value = Value> {
    // No NUL, and no byte of an absent string in front.
    let text = proptest::collection::vec(1..=0xacu8, 0..40);
    prop_oneof![
        any::<i64>().prop_map(Value::Integer),
        any::<f64>().prop_filter("finite", |real| real.is_finite()).prop_map(Value::Real),
        text.prop_map(Value::Text),
        Just(Value::Null),
        any::<u8>().prop_map(Value::Byte),
    ]
}

proptest! {
    #[test]
    fn values_come_back(values in proptest::collection::vec(value(), 0..20), encrypted: bool) {
        let message = written(encrypted, |w| {
            for value in &values {
                match value {
                    Value::Integer(value) => w.i64(*value),
                    Value::Real(value) => w.f64(*value),
                    Value::Text(text) => w.string(text),
                    Value::Null => w.null_string(),
                    Value::Byte(byte) => w.u8(*byte),
                };
            }
        });
        let mut reader = Reader::new(&message, encrypted);
        for value in &values {
            match value {
                Value::Integer(value) => prop_assert_eq!(reader.i64(), Ok(*value)),
                Value::Real(value) => {
                    let again = reader.f64().unwrap();
                    prop_assert!((again - value).abs() <= value.abs() * 2e-9);
                }
                Value::Text(text) => prop_assert_eq!(reader.string(), Ok(&text[..])),
                Value::Null => prop_assert_eq!(reader.nullable_string(), Ok(None)),
                Value::Byte(byte) => prop_assert_eq!(reader.u8(), Ok(*byte)),
            }
        }
        prop_assert_eq!(reader.finish(), Ok(()));
    }

    #[test]
    fn ads_come_back(
        // An escaped quote before a newline ends a string: the old form can't say it.
        pairs in proptest::collection::vec(("[A-Za-z_][A-Za-z0-9_]{0,12}", any::<i64>(), "[^\0\"]{0,20}|[^\0\n\r]{0,20}"), 0..20),
        encrypted: bool,
    ) {
        let mut ad = ClassAd::new();
        for (name, number, text) in &pairs {
            ad.insert(format!("n{name}"), *number);
            ad.insert(format!("t{name}"), text.as_str());
        }
        let message = written(encrypted, |w| { w.value(&ad); });
        let again: ClassAd = Reader::new(&message, encrypted).only().unwrap();
        for (name, _) in ad.iter() {
            prop_assert_eq!(ad.eval(name), again.eval(name));
        }
        prop_assert_eq!(ad.len(), again.len());
    }

    #[test]
    fn any_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200), encrypted: bool) {
        let reader = || Reader::new(&bytes, encrypted);
        let _ = reader().only::<ClassAd>();
        let _ = reader().nullable_string();
        let _ = reader().f64();
        let _ = handshake_ad(&mut reader());
    }
}
