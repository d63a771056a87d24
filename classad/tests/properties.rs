//! Properties that hold for every text: what is printed reads as the same, and nothing panics.

use classad::{ClassAd, Context, Expr, MatchClassAd};
use proptest::prelude::*;

/// Texts of operands that may stand anywhere.
fn atom() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<i64>().prop_map(|i| i.to_string()),
        (-1000_i32..1000, 0_u8..10).prop_map(|(a, b)| format!("{a}.{b}5")),
        Just("1e300".to_owned()),
        "[a-hA-H_][a-z0-9_]{0,6}",
        "\\.[a-h]{1,3}",
        "\"([ -!#-\\[\\]-~é]|\\\\[\\\\\"ntab]|\\\\[1-7][0-7]{0,2}){0,8}\"",
        "'[a-z \\-.]{1,5}'",
        Just("absTime(\"2020-01-02T03:04:05+01:00\")".to_owned()),
        Just("relTime(\"1+02:03:04\")".to_owned()),
        Just("real(\"INF\")".to_owned()),
        prop::sample::select(vec!["true", "FALSE", "undefined", "error", "{}", "[]", "MY.a.b"])
            .prop_map(str::to_owned),
    ]
}

fn operator() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "||", "&&", "|", "^", "&", "==", "!=", "=?=", "=!=", "is", "isnt", "<", "<=", ">", ">=",
        "<<", ">>", ">>>", "+", "-", "*", "/", "%",
    ])
}

fn function() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "f",
        "strcat",
        "size",
        "sum",
        "min",
        "member",
        "substr",
        "split",
        "join",
        "eval",
        "regexp",
        "regexps",
        "replaceAll",
        "splitTime",
        "formatTime",
        "interval",
        "pow",
        "quantize",
        "int",
        "string",
        "stringListMember",
        "argsToList",
        "listToArgs",
        "unparse",
        "envV1ToV2",
        "mergeEnvironment",
        "versioncmp",
        "evalInEachContext",
        "unresolved",
        "ifThenElse",
        "stringListMax",
        "anyCompare",
    ])
}

/// Texts of expressions. A unary minus is not put before a number, and nothing is selected from
/// one: HTCondor prints such a tree as a text that reads as another.
fn expression() -> impl Strategy<Value = String> {
    atom().prop_recursive(6, 48, 4, |inner| {
        prop_oneof![
            (inner.clone(), operator(), inner.clone())
                .prop_map(|(a, op, b)| format!("{a} {op} {b}")),
            (prop::sample::select(vec!["-", "!", "~", "+"]), inner.clone())
                .prop_map(|(op, a)| format!("{op}({a})")),
            inner.clone().prop_map(|a| format!("({a})")),
            (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(a, b, c)| format!("{a} ? {b} : ({c})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) ?: ({b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a})[{b}]")),
            (inner.clone(), "[a-h]{1,2}").prop_map(|(a, n)| format!("({a}).{n}")),
            (function(), prop::collection::vec(inner.clone(), 0..4))
                .prop_map(|(f, args)| format!("{f}({})", args.join(", "))),
            prop::collection::vec(inner.clone(), 0..4)
                .prop_map(|items| format!("{{ {} }}", items.join(", "))),
            prop::collection::vec(("[a-zA-Z]{1,4}", inner), 0..4).prop_map(|attrs| {
                let attrs: Vec<_> = attrs.iter().map(|(n, e)| format!("{n}1 = {e}")).collect();
                format!("[ {} ]", attrs.join("; "))
            }),
        ]
    })
}

/// Tokens in no order.
fn soup() -> impl Strategy<Value = String> {
    let token = prop_oneof![
        atom(),
        operator().prop_map(str::to_owned),
        function().prop_map(str::to_owned),
        "[-+~!?:;,.(){}\\[\\]='\"/*\\\\ \n0-9xeE]",
        any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(token, 0..20).prop_map(|tokens| tokens.concat())
}

fn ad() -> ClassAd {
    let text =
        "[a = 1; b = \"x,y\"; c = {1, \"b\", a}; d = [a = 2; e = b + a]; f = f + 1; g = a.b]";
    ClassAd::parse(text).unwrap_or_default()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_printed_reads_as_the_same(text in expression()) {
        let expr = Expr::parse(&text).map_err(|e| TestCaseError::fail(e.render(&text)))?;
        let printed = expr.to_string();
        let again = Expr::parse(&printed).map_err(|e| TestCaseError::fail(e.render(&printed)))?;
        prop_assert_eq!(&again, &expr);

        let mut ad = ClassAd::new();
        ad.insert("x", expr);
        ad.insert("Other Name", Expr::from(text));
        prop_assert_eq!(&ClassAd::parse(&ad.to_new_string()).unwrap(), &ad);
        // Times do not survive the two others: there a relative one is a number.
        if !printed.contains("relTime(\"") {
            prop_assert_eq!(&ClassAd::parse_json(&ad.to_json_bytes()).unwrap(), &ad);
            prop_assert_eq!(&ClassAd::parse_xml(&ad.to_xml()).unwrap(), &ad);
        }
    }

    #[test]
    fn old_form_reads_as_the_same(text in expression()) {
        // A newline ends a line of that form, and a backslash before a closing quote is lost on it.
        let expr = Expr::parse(&text).map_err(|e| TestCaseError::fail(e.render(&text)))?;
        let printed = expr.to_old_bytes();
        if printed.iter().any(|b| matches!(b, b'\n' | b'\\')) {
            return Ok(());
        }
        let again = Expr::parse_old(&printed).map_err(|e| TestCaseError::fail(e.render(&printed)))?;
        prop_assert_eq!(&again, &expr);
        let ad: ClassAd = [("Name", expr)].into_iter().collect();
        prop_assert_eq!(&ClassAd::parse_old(&ad.to_old_bytes()).unwrap(), &ad);
    }

    #[test]
    fn evaluation_ends(text in expression()) {
        let (ad, expr) = (ad(), Expr::parse(&text).unwrap());
        let value = Context::new(&ad).max_steps(100_000).eval(&expr);
        // Values are expressions too, and print as something that reads; but not every time does.
        let printed = value.to_string();
        prop_assert!(Expr::parse(&printed).is_ok() || printed.contains("Time("), "{}", printed);
        let _ = MatchClassAd::new(&ad, &ad).left().max_steps(100_000).eval(&expr);
    }

    #[test]
    fn no_text_panics(text in soup(), bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        for text in [text.as_bytes(), &bytes] {
            for parsed in [Expr::parse(text), Expr::parse_old(text)] {
                match parsed {
                    Ok(expr) => {
                        let _ = Context::new(&ad()).max_steps(100_000).eval(&expr);
                        let _ = (expr.to_json(), expr.to_xml(), expr.to_old_string());
                    }
                    Err(error) => {
                        prop_assert!(error.offset <= text.len());
                        let _ = error.render(text);
                    }
                }
            }
            for parsed in [
                ClassAd::parse(text),
                ClassAd::parse_old(text),
                ClassAd::parse_json(text),
                ClassAd::parse_xml(text),
                ClassAd::parse_auto(text),
            ] {
                if let Err(error) = parsed {
                    let _ = error.render(text);
                }
            }
        }
    }
}
