//! Hostile depth and size: an error, in a small stack, whatever the text.

#![expect(clippy::expect_used, reason = "a test may fail by panic, in its helpers too")]

use classad::{ClassAd, Expr, MatchClassAd};

/// What a thread that evaluates strangers' expressions must have. Frames of a build without
/// optimization are several times as large.
const STACK: usize = if cfg!(debug_assertions) { 3 << 20 } else { 512 << 10 };

fn in_small_stack(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(STACK).spawn(test);
    thread.expect("a thread").join().expect("no overflow, no panic");
}

const NESTS: [(&str, &str); 17] = [
    ("(", ")"),
    ("{", "}"),
    ("[a=", "]"),
    ("[a=", "].a"),
    ("f(", ")"),
    ("-(", ")"),
    ("!", ""),
    ("~ ", ""),
    ("x[", "]"),
    ("1?", ":2"),
    ("x ?: ", ""),
    ("strcat(", ")"),
    ("size({", "})"),
    ("sum({", "})"),
    ("eval(", ")"),
    ("ifThenElse(true,", ",1)"),
    ("((1+1*1<1==1&1^1|1&&1||", "))"),
];

fn nest(open: &str, close: &str, depth: usize) -> String {
    format!("{}1{}", open.repeat(depth), close.repeat(depth))
}

#[test]
fn nested_texts() {
    in_small_stack(|| {
        let ad = ClassAd::parse("[x = undefined]").expect("an ad");
        for (open, close) in NESTS {
            for depth in [60, 82, 124, 160, 165, 166, 248, 249, 400, 498, 1000, 100_000] {
                let Ok(expr) = Expr::parse(&nest(open, close, depth)) else {
                    assert!(depth > 60, "{open} {depth}");
                    continue;
                };
                let _ = expr.eval_in(&ad);
                let _ = (expr.to_json(), expr.to_xml(), expr.to_pretty_string());
                assert_eq!(expr.clone(), expr);
                let again = Expr::parse(&expr.to_string());
                assert!(again.is_ok_and(|again| again.to_string() == expr.to_string()));
            }
        }
    });
}

#[test]
fn long_texts() {
    in_small_stack(|| {
        let ad = ClassAd::parse("[x = undefined]").expect("an ad");
        for part in ["+1", "||x", ".x", "[0]", " is 1"] {
            let expr = Expr::parse(&format!("x{}", part.repeat(100_000))).expect("an expression");
            let _ = expr.eval_in(&ad);
            assert_eq!(expr.clone(), expr);
            let _ = (expr.to_json(), expr.to_xml(), expr.to_pretty_string());
        }
    });
}

#[test]
fn chains_of_attributes() {
    in_small_stack(|| {
        let wrappers = [
            ("strcat(", ")"),
            ("ifThenElse(true,", ",1)"),
            ("(", ")"),
            ("sum({", "})"),
            ("size(split(", "))"),
            ("[q=", "].q"),
            ("eval(string(", "))"),
            ("evalInEachContext(", ",{[]})[0]"),
            ("{", "}[0]"),
            ("[a=", "][\"a\"]"),
            ("l[", "].x"),
        ];
        for (open, close) in wrappers {
            for depth in [1, 5, 40] {
                let mut text = String::from("[a0 = 1; l = {[x = 0]}");
                for n in 1..420 {
                    let before = format!("a{}", n - 1);
                    let (open, close) = (open.repeat(depth), close.repeat(depth));
                    text += &format!("; a{n} = {open}{before}{close}");
                }
                let ad = ClassAd::parse(&(text + "]")).expect("an ad");
                for n in [20, 100, 200, 399, 419] {
                    let _ = ad.eval(format!("a{n}"));
                    let unresolved = Expr::parse(&format!("unresolved(a{n})"));
                    let _ = unresolved.expect("an expression").eval_in(&ad);
                }
            }
        }
    });
}

#[test]
fn parsing_at_the_bottom_of_an_evaluation() {
    in_small_stack(|| {
        for (open, close) in NESTS {
            let text = Expr::from(nest(open, close, 165));
            let mut ad = ClassAd::new();
            ad.insert("t", text);
            ad.insert("a0", Expr::parse("eval(t)").expect("an expression"));
            for n in 1..420 {
                let text = format!("strcat(size(split(a{})))", n - 1);
                ad.insert(format!("a{n}"), Expr::parse(&text).expect("an expression"));
            }
            for n in (0..420).step_by(3) {
                let _ = ad.eval(format!("a{n}"));
            }
        }
    });
}

#[test]
fn circles() {
    in_small_stack(|| {
        for text in [
            "[e = \"eval(e)\"; a = eval(e)]",
            "[a = [b = eval(\"a.b\")]]",
            "[a = eval(strcat(\"[y = a]\", \".y\"))]",
            "[l = {[f = l.f]}; a = l.f]",
            "[a = evalInEachContext(a, {[z = 1]})]",
            "[a = unresolved(b); b = [c = a; d = b]]",
            "[a = MY.TARGET.a; b = parent.a]",
        ] {
            let ad = ClassAd::parse(text).expect("an ad");
            for name in ["a", "b", "l", "e"] {
                let _ = ad.eval(name);
                let pair = MatchClassAd::new(&ad, &ad);
                let _ = pair.left().eval_attr(name);
                for function in ["eval", "unresolved", "unparse", "string"] {
                    let expr = Expr::parse(&format!("{function}({name})")).expect("an expression");
                    let _ = (expr.eval_in(&ad), pair.left().eval(&expr));
                }
            }
        }
    });
}

#[test]
fn other_forms() {
    in_small_stack(|| {
        for depth in [100, 164, 165, 100_000] {
            let lists = format!("{{\"a\":{}1{}}}", "[".repeat(depth), "]".repeat(depth));
            let objects = format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
            for text in [lists, objects] {
                let read = ClassAd::parse_json(&text).map(|ad| ad.to_json());
                assert_eq!(read.is_ok(), depth < 165 || read.is_ok(), "{depth}");
                assert!(read.is_err() || depth < 1000);
            }
            let ads = "<c><a n=\"x\">".repeat(depth);
            let lists = format!("<c><a n=\"x\">{}", "<l>".repeat(depth));
            for text in [ads, lists] {
                let read = ClassAd::parse_xml(&text).map(|ad| ad.to_xml());
                assert!(read.is_err() || depth < 1000);
            }
        }
    });
}

#[test]
fn a_large_text_makes_a_bounded_tree() {
    let many = "x,".repeat(3_000_000);
    for text in [format!("{{{many}x}}"), format!("f({many}x)")] {
        assert!(Expr::parse(&text).is_err());
    }
    assert!(ClassAd::parse(&format!("[{}]", "a=1;".repeat(3_000_000))).is_err());
    // One long string is no tree.
    let text = format!("\"{}\"", "x".repeat(20_000_000));
    assert!(Expr::parse(&text).is_ok());
    // A long-form ad of many lines is read line by line, and counts as a whole.
    assert!(ClassAd::parse_old(&"Ab = 1\n".repeat(3_000_000)).is_err());
}
