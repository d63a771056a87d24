//! What holds for every configuration, however broken.

use condor_config::{Config, ErrorKind, Options};
use proptest::prelude::*;

fn parse(text: &str) -> Result<Config, condor_config::Error> {
    Config::parse_str("test", text, &Options::new("STARTER"))
}

/// Pieces that statements and references are made of, more likely to hit something than letters.
fn piece() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "A",
        "B",
        "STARTER.A",
        " = ",
        " += ",
        " @=end",
        "\n",
        "\\\n",
        "#",
        "$(A)",
        "$(B:d)",
        "$(",
        ")",
        "$INT(A)",
        "$EVAL(A+1)",
        "$SUBSTR(A,1,2)",
        "$Fnq(A)",
        "$CHOICE(0,B)",
        "$$(A)",
        "$(DOLLAR)",
        "if ",
        "endif",
        "else",
        "true",
        "defined A",
        "version > 8.1",
        "use ",
        "FEATURE : ",
        "GPUs",
        "(",
        "@end",
        ":",
        ",",
        "1",
        " ",
        "\t",
        "é",
        "\"",
        "$REAL(A,%5.2f)",
    ])
}

/// No command is run and no file read: neither belongs in a test of random text.
fn is_harmless(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    !text.contains("include") && !text.contains("config")
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(pieces in prop::collection::vec(piece(), 0..60)) {
        let text = pieces.concat();
        prop_assume!(is_harmless(&text));
        if let Ok(config) = parse(&text) {
            for name in ["A", "B", "END"] {
                let _ = config.string(name);
                let _ = config.int(name);
                let _ = config.bool(name);
                let _ = config.real(name);
            }
        }
    }

    #[test]
    fn any_characters_are_read_or_refused(text in "(?s).{0,200}") {
        prop_assume!(is_harmless(&text));
        let _ = parse(&text);
    }

    #[test]
    fn what_has_no_dollar_is_itself(value in "[!-#%-\\[\\]-~][ -#%-\\[\\]-~]{0,40}[!-#%-\\[\\]-~]") {
        let config = parse(&format!("A = {value}\n"))?;
        prop_assert_eq!(config.string("a").unwrap(), Some(value));
    }

    #[test]
    fn the_order_of_definitions_does_not_matter_to_references(
        first in "[a-z]{1,8}", second in "[a-z]{1,8}"
    ) {
        let one = parse(&format!("A = $(B)-$(C)\nB = {first}\nC = {second}\n"))?;
        let two = parse(&format!("C = {second}\nB = {first}\nA = $(B)-$(C)\n"))?;
        prop_assert_eq!(one.string("A").unwrap(), two.string("A").unwrap());
    }

    #[test]
    fn integers_are_read_as_they_are_written(number: i64) {
        let config = parse(&format!("A = {number}\n"))?;
        prop_assert_eq!(config.int("A").unwrap(), Some(number));
        let within = config.int_in("A", 0, -5..=5);
        prop_assert_eq!(within.is_ok(), (-5..=5).contains(&number));
    }
}

#[test]
fn cycles_are_errors() {
    for text in [
        "A = $(B)\nB = $(A) x\n",
        "A = $INT(A)\n",
        "A = $INT(B)\nB = $(A)\n",
        "A = x$(B)\nB = $(C)\nC = $EVAL(B)\n",
        "A = $(B$(C))\nC = 1\nB1 = $(A)\n",
    ] {
        let error = parse(text).unwrap().string("A").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cycle, "{text}{error}");
    }
    let config = parse("A = $(B)\nB = $(C)\nC = -$(B)\n").unwrap();
    let error = config.string("A").unwrap_err();
    assert!(error.what().contains("B refers to itself by way of C"), "{error}");
    assert_eq!((error.file(), error.line()), (Some("test"), 2));
}

#[test]
fn growth_is_bounded() {
    let mut text = "K0 = xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n".to_owned();
    for n in 1..60 {
        text.push_str(&format!("K{n} = $(K{0})$(K{0})\n", n - 1));
    }
    let error = parse(&text).unwrap().string("K59").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit);

    let doubled = "A = 0123456789\n".to_owned() + &"A = $(A)$(A)\n".repeat(60);
    assert_eq!(parse(&doubled).err().map(|error| error.kind()), Some(ErrorKind::Limit));

    let appended = "A = 0123456789\n".to_owned() + &"A += $(A)$(A)\n".repeat(60);
    assert_eq!(parse(&appended).err().map(|error| error.kind()), Some(ErrorKind::Limit));

    let mut options = Options::new("STARTER");
    options.env = vec![("X".into(), "$ENV(X)".into())];
    let config = Config::parse_str("test", "A = $ENV(X)\n", &options).unwrap();
    assert_eq!(config.string("A").unwrap_err().kind(), ErrorKind::Limit);
}

#[test]
fn nesting_is_bounded() {
    let mut text = String::new();
    for n in 0..200 {
        text.push_str(&format!("K{n} = $INT(K{})\n", n + 1));
    }
    assert_eq!(parse(&text).unwrap().string("K0").unwrap_err().kind(), ErrorKind::Limit);
}
