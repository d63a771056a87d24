//! The `classad` crate against the answers of HTCondor 25.14.1's own library.
//!
//! `classad-corpus.jsonl` holds a question a line and what the library said;
//! `classad-real-ads.jsonl` the ads of a live pool that some questions are about. A difference is a
//! failure unless `classad-differences.tsv` lists its row with a reason, and so is a listed row that
//! does not differ any more.

#![expect(clippy::expect_used, reason = "a test may fail by panic, in its helpers too")]

use std::collections::BTreeMap;
use std::fmt::Write as _;

use classad::{
    ClassAd, Context, Expr, Form, Host, MatchClassAd, ParseOptions, Semantics, Syntax, Value, Zone,
};
use serde::Deserialize;

const CORPUS: &str = include_str!("classad-corpus.jsonl");
const REAL_ADS: &str = include_str!("classad-real-ads.jsonl");
const DIFFERENCES: &str = include_str!("classad-differences.tsv");

/// Less than this many of a thousand rows agreeing is a failure, listed or not.
const AT_LEAST: usize = 995;

/// A line of the corpus. Which fields there are depends on `kind`.
#[derive(Debug, Deserialize)]
struct Row {
    id: u32,
    kind: String,
    cat: String,
    expr: Option<String>,
    text: Option<String>,
    syntax: Option<String>,
    semantics: Option<String>,
    tz: Option<String>,
    ad: Option<String>,
    ad_ref: Option<String>,
    ad_format: Option<String>,
    target: Option<String>,
    target_ref: Option<String>,
    target_format: Option<String>,
    my_alias: Option<String>,
    target_alias: Option<String>,
    result: Option<String>,
    result_old: Option<String>,
    #[serde(rename = "type")]
    type_name: Option<String>,
    #[serde(default)]
    eval_failed: bool,
    #[serde(default)]
    volatile: bool,
    ok: Option<bool>,
    matches: Option<bool>,
    unparsed: Option<String>,
    unparsed_old: Option<String>,
    json: Option<String>,
    xml: Option<String>,
    pretty: Option<String>,
    long: Option<String>,
    new: Option<String>,
}

#[derive(Debug, Deserialize)]
struct RealAd {
    name: String,
    format: String,
    text: String,
}

/// The machine that the corpus was made on, as far as it shows.
struct Machine;

impl Host for Machine {
    fn now(&self) -> i64 {
        1_795_459_600
    }
    fn random(&self) -> u64 {
        0x9e37_79b9_7f4a_7c15
    }
    fn home_dir(&self, user: &str) -> Option<String> {
        (user == "root").then(|| "/root".to_owned())
    }
}

struct Checker {
    real_ads: BTreeMap<String, RealAd>,
}

/// What an ad of a row is.
type Ad = Result<Option<ClassAd>, String>;

impl Checker {
    fn new() -> Checker {
        let ads = REAL_ADS.lines().map(|line| {
            let ad: RealAd = serde_json::from_str(line).expect("an ad");
            (ad.name.clone(), ad)
        });
        Checker { real_ads: ads.collect() }
    }

    fn ad(
        &self,
        text: Option<&str>,
        name: Option<&str>,
        form: Option<&str>,
        options: &ParseOptions,
    ) -> Ad {
        let (text, form) = match (text, name) {
            (_, Some(name)) => {
                let ad = self.real_ads.get(name).ok_or("no such ad")?;
                (ad.text.as_str(), ad.format.as_str())
            }
            (Some(text), None) => (text, form.unwrap_or("new")),
            (None, None) => return Ok(None),
        };
        let form = match form {
            "new" => Form::New,
            "long" => Form::Old,
            "json" => Form::Json,
            "xml" => Form::Xml,
            other => return Err(format!("form {other}")),
        };
        ClassAd::parse_with(text, form, options).map(Some).map_err(|e| e.render(text))
    }

    /// The differences of one row, none if all agrees.
    fn check(&self, row: &Row) -> Vec<String> {
        let semantics = match row.semantics.as_deref() {
            Some("strict") => Semantics::Strict,
            _ => Semantics::Old,
        };
        let zone = row
            .tz
            .as_deref()
            .map_or_else(Zone::utc, |tz| Zone::named(tz).expect("zone data on this host"));
        let syntax = match row.syntax.as_deref() {
            Some("old") => Syntax::Old,
            _ => Syntax::New,
        };
        let options = ParseOptions { syntax, semantics, zone };
        let mut diff = Diff::default();
        match row.kind.as_str() {
            "eval" => self.check_eval(row, &options, &mut diff),
            "match" => self.check_match(row, &options, &mut diff),
            "roundtrip" => check_roundtrip(row, &options, &mut diff),
            "ad" => self.check_ad(row, &options, &mut diff),
            other => diff.0.push(format!("kind {other}")),
        }
        diff.0
    }

    fn sides(&self, row: &Row, options: &ParseOptions) -> Result<[Option<ClassAd>; 2], String> {
        let ad =
            self.ad(row.ad.as_deref(), row.ad_ref.as_deref(), row.ad_format.as_deref(), options)?;
        let target = self.ad(
            row.target.as_deref(),
            row.target_ref.as_deref(),
            row.target_format.as_deref(),
            options,
        )?;
        Ok([ad, target])
    }

    fn check_eval(&self, row: &Row, options: &ParseOptions, diff: &mut Diff) {
        let [ad, target] = match self.sides(row, options) {
            Ok(sides) => sides,
            Err(error) => return diff.0.push(error),
        };
        let ad = ad.unwrap_or_default();
        let text = row.expr.as_deref().expect("an expression");
        let expr = match Expr::parse_with(text, options) {
            Ok(expr) => expr,
            Err(error) => {
                if row.type_name.as_deref() != Some("parse-error") {
                    diff.0.push(error.render(text));
                }
                return;
            }
        };
        let alias = |name: &Option<String>| name.clone().unwrap_or_default();
        let pair = target.map(|target| {
            let (mine, other) = (alias(&row.my_alias), alias(&row.target_alias));
            MatchClassAd::with_aliases(&ad, &target, &mine, &other)
        });
        let context = match &pair {
            Some(pair) => pair.left(),
            None => Context::new(&ad),
        };
        let context =
            context.semantics(options.semantics).zone(options.zone.clone()).host(&Machine);
        let result = context.try_eval(&expr);
        let failed = result.is_err();
        let value = result.unwrap_or(Value::Error);
        diff.compare("type", row.type_name.as_deref(), value.type_name());
        if row.volatile {
            return;
        }
        diff.compare(
            "eval_failed",
            Some(if row.eval_failed { "yes" } else { "no" }),
            if failed { "yes" } else { "no" },
        );
        let new = value.to_string();
        diff.compare("result", row.result.as_deref(), &new);
        let old = row.result_old.as_deref().or(row.result.as_deref());
        diff.compare_old("result_old", old, &value.to_old_bytes());
    }

    fn check_match(&self, row: &Row, options: &ParseOptions, diff: &mut Diff) {
        match self.sides(row, options) {
            Ok([Some(ad), Some(target)]) => {
                let pair = MatchClassAd::new(&ad, &target).semantics(options.semantics);
                let matches = pair.matches_with(&Machine, &options.zone).to_string();
                diff.compare("matches", row.matches.map(|m| m.to_string()).as_deref(), &matches);
            }
            Ok(_) => diff.0.push("an ad is missing".to_owned()),
            Err(error) => diff.0.push(error),
        }
    }

    fn check_ad(&self, row: &Row, options: &ParseOptions, diff: &mut Diff) {
        let (text, name) = (row.text.as_deref(), row.ad_ref.as_deref());
        let ad = self.ad(text, name, row.ad_format.as_deref(), options);
        let ok = ad.is_ok();
        diff.compare("ok", row.ok.map(|ok| ok.to_string()).as_deref(), &ok.to_string());
        let Ok(Some(ad)) = ad else { return };
        diff.compare("long", row.long.as_deref(), &ad.to_old_string());
        diff.compare("new", row.new.as_deref(), &ad.to_new_string());
        diff.compare("json", row.json.as_deref(), &ad.to_json());
        diff.compare("xml", row.xml.as_deref(), &ad.to_xml());
    }
}

fn check_roundtrip(row: &Row, options: &ParseOptions, diff: &mut Diff) {
    let text = row.text.as_deref().expect("a text");
    let parsed = Expr::parse_with(text, options);
    let ok = parsed.is_ok().to_string();
    diff.compare("ok", row.ok.map(|ok| ok.to_string()).as_deref(), &ok);
    let Ok(expr) = parsed else { return };
    let new = expr.to_string();
    diff.compare("unparsed", row.unparsed.as_deref(), &new);
    let old = row.unparsed_old.as_deref().or(row.unparsed.as_deref());
    diff.compare_old("unparsed_old", old, &expr.to_old_bytes());
    diff.compare("json", row.json.as_deref(), &expr.to_json());
    diff.compare("xml", row.xml.as_deref(), &expr.to_xml());
    diff.compare("pretty", row.pretty.as_deref(), &expr.to_pretty_string());
}

#[derive(Default)]
struct Diff(Vec<String>);

impl Diff {
    /// Old form, of which the corpus holds only what is UTF-8.
    fn compare_old(&mut self, field: &str, expected: Option<&str>, found: &[u8]) {
        if let Ok(found) = std::str::from_utf8(found) {
            self.compare(field, expected, found);
        }
    }

    /// Nothing was said about a field that the row has not.
    fn compare(&mut self, field: &str, expected: Option<&str>, found: &str) {
        if let Some(expected) = expected
            && expected != found
        {
            self.0.push(format!("{field}: expected {expected:?}, found {found:?}"));
        }
    }
}

/// Row number and reason.
fn listed() -> BTreeMap<u32, &'static str> {
    let lines = DIFFERENCES.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (id, reason) = line.split_once('\t').expect("row, tab, reason");
            assert!(reason.len() > 10, "row {id}: a reason is more than that");
            (id.parse().expect("a row number"), reason)
        })
        .collect()
}

#[test]
fn every_row_of_the_corpus() {
    let checker = Checker::new();
    let mut listed = listed();
    let (mut total, mut agreeing) = (0, 0);
    let mut by_category: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let mut complaints = String::new();
    for line in CORPUS.lines() {
        let row: Row = serde_json::from_str(line).expect("a row");
        let differences = checker.check(&row);
        let known = listed.remove(&row.id);
        total += 1;
        let category = by_category.entry(format!("{}/{}", row.kind, row.cat)).or_default();
        category.0 += 1;
        if differences.is_empty() {
            agreeing += 1;
            category.1 += 1;
        }
        match (differences.is_empty(), known) {
            (false, None) => {
                let text = row.expr.as_deref().or(row.text.as_deref()).unwrap_or_default();
                let head: String = text.chars().take(200).collect();
                let _ = writeln!(complaints, "row {} ({}): {head}", row.id, row.cat);
                for difference in &differences {
                    let _ = writeln!(complaints, "    {difference}");
                }
            }
            (true, Some(reason)) => {
                let _ = writeln!(complaints, "row {} does not differ any more: {reason}", row.id);
            }
            _ => {}
        }
    }
    for id in listed.keys() {
        let _ = writeln!(complaints, "row {id} is listed but not in the corpus");
    }
    for (category, (rows, same)) in &by_category {
        println!("{category:24} {same:6} of {rows:6}");
    }
    println!("{agreeing} of {total} rows agree");
    assert!(complaints.is_empty(), "{agreeing} of {total} rows agree\n{complaints}");
    assert!(agreeing * 1000 >= total * AT_LEAST, "{agreeing} of {total} rows agree");
}

#[test]
fn real_ads_survive_every_form() {
    for ad in Checker::new().real_ads.values() {
        let parsed = ClassAd::parse_auto(&ad.text).expect(&ad.name);
        assert!(parsed.len() > 5, "{}", ad.name);
        for text in [parsed.to_old_string(), parsed.to_new_string(), parsed.to_json()] {
            let again =
                ClassAd::parse_auto(&text).unwrap_or_else(|e| panic!("{}", e.render(&text)));
            assert_eq!(again, parsed, "{}", ad.name);
        }
        // A string in long form holds no newline; what was read from it is printed as it was.
        let again = ClassAd::parse_old(&parsed.to_old_string()).expect("long form");
        assert_eq!(again.to_old_string(), parsed.to_old_string());
    }
}
