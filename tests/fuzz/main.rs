//! The fuzz targets on what other tests have as input, changed at random: a few seconds of what
//! `cargo fuzz` does for hours. The changes are the same in every run, so a failure is one for all.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that can't go on fails, and says where"
)]

use cloister_tests::fuzz;
use serde_json::Value as Json;

const CLASSADS: &str = include_str!("../conformance/classad-corpus.jsonl");
const ADS: &str = include_str!("../conformance/classad-real-ads.jsonl");
const CONFIGURATIONS: &str = include_str!("../conformance/config-corpus.jsonl");
const CONVERSATIONS: &str = include_str!("../conformance/cedar-vectors.json");

/// Longest input, as libFuzzer's default.
const MAX: usize = 4096;

/// Pieces that mean something in one of the languages.
const PIECES: [&str; 22] = [
    "$(",
    ")",
    "(",
    "[",
    "]",
    "{",
    "}",
    "\"",
    "'",
    "\\",
    "\n",
    "=",
    "-",
    "9223372036854775808",
    ".",
    "if ",
    "endif\n",
    "$INT(",
    "<a n=\"x\">",
    "\u{e9}",
    "\0",
    "?",
];

/// A small generator (xorshift64*), for changes that look random and are the same everywhere.
struct Random(u64);

impl Random {
    /// A number below `limit`, 0 if that is 0.
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(high).unwrap().checked_rem(limit).unwrap_or(0)
    }

    fn range(&mut self, length: usize) -> std::ops::Range<usize> {
        let start = self.below(length + 1);
        start..start + self.below((length - start).min(64) + 1)
    }
}

/// The input, shown if the target panics on it.
struct Shown<'a>(&'a [u8]);

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the input: b\"{}\"", self.0.escape_ascii());
        }
    }
}

/// Runs a target on every seed, and `rounds` times on a changed one.
fn run(seeds: &[Vec<u8>], rounds: usize, target: impl Fn(&[u8])) {
    assert!(seeds.len() > 5, "only {} seeds", seeds.len());
    let run = |bytes: &[u8]| {
        let shown = Shown(bytes);
        target(shown.0);
    };
    for seed in seeds {
        run(&seed[..seed.len().min(MAX)]);
    }
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for _ in 0..rounds {
        let mut bytes = seeds[random.below(seeds.len())].clone();
        for _ in 0..=random.below(4) {
            change(&mut bytes, seeds, &mut random);
            bytes.truncate(MAX);
        }
        run(&bytes);
    }
}

fn change(bytes: &mut Vec<u8>, seeds: &[Vec<u8>], random: &mut Random) {
    let at = random.below(bytes.len() + 1);
    let part = random.range(bytes.len());
    match random.below(6) {
        0 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << random.below(8);
            }
        }
        1 => drop(bytes.drain(part)),
        2 => {
            let again = bytes[part].to_vec();
            bytes.splice(at..at, again);
        }
        3 => {
            let piece = PIECES[random.below(PIECES.len())];
            bytes.splice(at..at, piece.bytes());
        }
        4 => {
            let other = &seeds[random.below(seeds.len())];
            let piece = other[random.range(other.len())].to_vec();
            bytes.splice(part, piece);
        }
        _ => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = [0, 1, 0x7f, 0x80, 0xff][random.below(5)];
            }
        }
    }
}

/// Every `step`th row of a corpus.
fn rows(corpus: &str, step: usize) -> impl Iterator<Item = Json> {
    corpus.lines().step_by(step).map(|line| serde_json::from_str(line).unwrap())
}

/// All strings in a value, however deep.
fn strings(value: &Json, found: &mut Vec<String>) {
    match value {
        Json::String(text) => found.push(text.clone()),
        Json::Array(items) => items.iter().for_each(|item| strings(item, found)),
        Json::Object(items) => items.values().for_each(|item| strings(item, found)),
        _ => {}
    }
}

fn texts(corpus: &str, step: usize) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    rows(corpus, step).for_each(|row| strings(&row, &mut found));
    found.retain(|text| text.len() > 3);
    found.into_iter().map(String::into_bytes).collect()
}

/// Bytes of the recorded conversations: those under a name in them. `before` is put in front.
fn recorded(name: &str, before: &[u8]) -> Vec<Vec<u8>> {
    fn find(value: &Json, name: &str, found: &mut Vec<String>) {
        match value {
            Json::Array(items) => items.iter().for_each(|item| find(item, name, found)),
            Json::Object(items) => {
                if let Some(Json::String(text)) = items.get(name) {
                    found.push(text.clone());
                }
                items.values().for_each(|item| find(item, name, found));
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    find(&serde_json::from_str(CONVERSATIONS).unwrap(), name, &mut found);
    let byte = |pair: &[u8]| {
        let digits = std::str::from_utf8(pair).unwrap();
        u8::from_str_radix(digits, 16).expect("vectors are in hexadecimal digits")
    };
    let bytes = found.iter().map(|text| text.as_bytes().chunks(2).map(byte));
    bytes.map(|bytes| before.iter().copied().chain(bytes).collect()).collect()
}

#[test]
fn classad_parse() {
    let mut seeds = texts(CLASSADS, 40);
    seeds.extend(texts(ADS, 2));
    run(&seeds, 1500, fuzz::classad_parse);
}

#[test]
fn config_parse() {
    run(&texts(CONFIGURATIONS, 12), 300, |bytes| {
        fuzz::config_parse(&String::from_utf8_lossy(bytes));
    });
}

#[test]
fn cedar_ad() {
    run(&recorded("message_plaintext", b""), 3000, fuzz::cedar_ad);
}

#[test]
fn cedar_packet() {
    run(&recorded("packet", b"\x10"), 500, fuzz::cedar_packet);
}

#[test]
fn cedar_transfer() {
    run(&recorded("packet", b"\x02"), 3000, fuzz::cedar_transfer);
}
