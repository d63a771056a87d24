//! Single values and keys.

use condor_cedar::file::EmptyMark;
use condor_cedar::{Reader, SessionKey, Writer};
use serde_json::Value as Json;

use super::play::{array, text, unhex};

pub(crate) fn primitives(row: &Json) {
    for case in row["cases"].as_array().expect("cases") {
        for (name, encrypted) in [("enc", true), ("plain", false)] {
            let Some(hex) = case[name].as_str() else {
                // The mark of an empty file is only recorded encrypted.
                assert_eq!((text(case, "type"), name), ("empty file marker", "plain"));
                continue;
            };
            let bytes = unhex(hex);
            let mut writer = Writer::new(encrypted);
            let mut reader = Reader::new(&bytes, encrypted);
            match text(case, "type") {
                "int" => {
                    let value = case["value"].as_i64().expect("an integer");
                    writer.i64(value);
                    assert_eq!(reader.i64(), Ok(value));
                }
                "string" => {
                    writer.string(text(case, "value"));
                    assert_eq!(reader.string(), Ok(text(case, "value").as_bytes()));
                }
                "nullable string" => {
                    writer.null_string();
                    assert_eq!(reader.nullable_string(), Ok(None));
                }
                "double" => {
                    let value = case["value"].as_f64().expect("a real");
                    writer.f64(value);
                    assert!((reader.f64().expect("a real") - value).abs() < 1e-9);
                }
                "empty file marker" => {
                    writer.value(&EmptyMark);
                    assert_eq!(reader.value(), Ok(EmptyMark));
                }
                other => panic!("a primitive of type {other}"),
            }
            assert_eq!(writer.as_bytes(), bytes);
            assert_eq!(reader.finish(), Ok(()));
        }
    }
}

pub(crate) fn key_derivation(row: &Json) {
    for case in row["cases"].as_array().expect("cases") {
        let key = SessionKey::derive(text(case, "key_text").as_bytes());
        assert_eq!(key.as_bytes(), &array(text(case, "hkdf_sha256_32")), "{case}");
        // `md5_16` would be the key of an old cipher.
    }
}
