//! Arguments and environments of jobs, accounts and maps.

use std::collections::BTreeMap;

use super::{Call, list_of_strings};
use crate::EvalFailed;
use crate::eval::Evaluated;
use crate::num;
use crate::text::Text;
use crate::value::Value;

/// The second argument: the syntax, 2 if there is none.
fn version(call: &mut Call<'_, '_>) -> Result<Option<i32>, EvalFailed> {
    Ok(match call.count() {
        1 => Some(2),
        2 => match call.arg(1)? {
            Value::Int(i) => Some(num::low32(i)).filter(|n| matches!(n, 1 | 2)),
            _ => None,
        },
        _ => None,
    })
}

fn is_blank(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\n' | b'\r')
}

pub(super) fn args_to_list(call: &mut Call<'_, '_>) -> Evaluated {
    let Some(version) = version(call)? else { return Ok(Value::Error) };
    let Value::String(text) = call.arg(0)? else { return Ok(Value::Error) };
    let items = if version == 1 {
        let blank = |b: &u8| is_blank(*b);
        Some(text.as_bytes().split(blank).filter(|a| !a.is_empty()).map(<[u8]>::to_vec).collect())
    } else {
        split_v2(text.as_bytes())
    };
    Ok(match items {
        Some(items) => {
            let items: Vec<Vec<u8>> = items;
            call.eval.spend_bytes(text.len() + items.len() * 16)?;
            list_of_strings(items)
        }
        None => Value::Error,
    })
}

/// Words with single quotes around what holds blanks; a quote inside quotes is doubled. None if a
/// quote is not closed.
fn split_v2(text: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut words = Vec::new();
    let mut word: Option<Vec<u8>> = None;
    let mut at = 0;
    while let Some(b) = text.get(at).copied() {
        at += 1;
        if is_blank(b) {
            words.extend(word.take());
            continue;
        }
        let word = word.get_or_insert_default();
        if b != b'\'' {
            word.push(b);
            continue;
        }
        loop {
            let b = *text.get(at)?;
            at += 1;
            if b == b'\'' {
                if text.get(at) != Some(&b'\'') {
                    break;
                }
                at += 1;
            }
            word.push(b);
        }
    }
    words.extend(word);
    Some(words)
}

/// Appends a word in that syntax; only the bytes that need it are quoted.
fn append_v2(word: &[u8], out: &mut Vec<u8>) {
    if !out.is_empty() {
        out.push(b' ');
    }
    if word.is_empty() {
        out.extend_from_slice(b"''");
    }
    let mut quoted = false;
    for b in word {
        let special = is_blank(*b) || *b == b'\'';
        if special != quoted {
            out.push(b'\'');
            quoted = special;
        }
        out.push(*b);
        if *b == b'\'' {
            out.push(b'\'');
        }
    }
    if quoted {
        out.push(b'\'');
    }
}

pub(super) fn list_to_args(call: &mut Call<'_, '_>) -> Evaluated {
    let Some(version) = version(call)? else { return Ok(Value::Error) };
    let Value::List(list) = call.arg(0)? else { return Ok(Value::Error) };
    let mut out = Vec::new();
    for n in 0..list.len() {
        let Value::String(word) = call.element(&list, n)? else { return Ok(Value::Error) };
        let word = word.as_bytes();
        if version == 2 {
            append_v2(word, &mut out);
        } else if word.iter().any(|b| is_blank(*b)) {
            // The old syntax has no quotes.
            return Ok(Value::Error);
        } else {
            if n > 0 {
                out.push(b' ');
            }
            out.extend_from_slice(word);
        }
    }
    call.string(out)
}

/// Variables by name.
#[derive(Default)]
struct Environment(BTreeMap<Vec<u8>, Option<Vec<u8>>>);

impl Environment {
    /// `NAME=value`. A macro still to be expanded stands alone.
    fn set(&mut self, entry: &[u8]) -> bool {
        match entry.iter().position(|b| *b == b'=') {
            Some(0) => false,
            Some(at) => {
                self.0.insert(entry[..at].to_vec(), Some(entry[at + 1..].to_vec()));
                true
            }
            None if entry.windows(2).any(|w| w == b"$$") => {
                self.0.insert(entry.to_vec(), None);
                true
            }
            None => false,
        }
    }

    fn into_v2(self) -> Vec<u8> {
        let mut out = Vec::new();
        for (mut entry, value) in self.0 {
            if let Some(value) = value {
                entry.push(b'=');
                entry.extend_from_slice(&value);
            }
            append_v2(&entry, &mut out);
        }
        out
    }
}

pub(super) fn env_v1_to_v2(call: &mut Call<'_, '_>) -> Evaluated {
    let text = match call.values()? {
        Some([Value::String(text)]) => text,
        Some([Value::Undefined]) => return Ok(Value::Undefined),
        _ => return Ok(Value::Error),
    };
    let mut text = text.as_bytes();
    let mut delimiter = b';';
    // A text that starts with one of these says what its delimiter is.
    if let Some((first, rest)) = text.split_first()
        && b"!#$%&*+,-/:;<>?@^`|~\x1f".contains(first)
    {
        delimiter = *first;
        text = rest;
    }
    let mut env = Environment::default();
    while !text.is_empty() {
        let blank = text.iter().take_while(|b| is_blank(**b)).count();
        text = &text[blank..];
        let end = text.iter().position(|b| *b == b'\n' || *b == delimiter);
        let entry = &text[..end.unwrap_or(text.len())];
        text = end.map_or(&[][..], |end| &text[end + 1..]);
        if !entry.is_empty() && !env.set(entry) {
            return Ok(Value::Error);
        }
    }
    call.string(env.into_v2())
}

pub(super) fn merge_environment(call: &mut Call<'_, '_>) -> Evaluated {
    let mut env = Environment::default();
    for n in 0..call.count() {
        let text = match call.arg(n)? {
            Value::Undefined => continue,
            Value::String(text) => text,
            _ => return Ok(Value::Error),
        };
        let Some(entries) = split_v2(text.as_bytes()) else { return Ok(Value::Error) };
        if !entries.iter().all(|entry| env.set(entry)) {
            return Ok(Value::Error);
        }
    }
    call.string(env.into_v2())
}

/// The home directory that the host knows, else the second argument.
pub(super) fn user_home(call: &mut Call<'_, '_>) -> Evaluated {
    if !(1..=2).contains(&call.count()) {
        return Err(EvalFailed);
    }
    let (args, scope) = (call.args, call.scope);
    let mut value = |n: usize| match args.get(n) {
        Some(arg) => call.eval.contained(|e| e.eval(arg, scope)),
        None => Value::Undefined,
    };
    let default = match value(1) {
        Value::String(text) if !text.is_empty() => Some(Value::String(text)),
        _ => None,
    };
    Ok(match value(0) {
        Value::Undefined => default.unwrap_or(Value::Undefined),
        Value::String(user) => {
            let home = user.to_str().and_then(|user| call.eval.host.home_dir(user));
            home.map(Value::from).or(default).unwrap_or(Value::Undefined)
        }
        _ => default.unwrap_or(Value::Error),
    })
}

/// What a configured map makes of a name: all of it, or with a third argument the preferred item,
/// else the first.
pub(super) fn user_map(call: &mut Call<'_, '_>) -> Evaluated {
    let count = call.count();
    if !(2..=4).contains(&count) {
        return Ok(Value::Error);
    }
    let (map, user) = (call.arg(0)?, call.arg(1)?);
    let (preferred, default) = (call.arg(2)?, call.arg(3)?);
    let (Value::String(map), Value::String(user)) = (&map, &user) else {
        return Ok(if map.is_error() || user.is_error() { Value::Error } else { default });
    };
    let output = match (map.to_str(), user.to_str()) {
        (Some(map), Some(user)) => call.eval.host.map_user(map, user),
        _ => None,
    };
    let Some(output) = output else { return Ok(default) };
    if count == 2 {
        return Ok(Value::from(output));
    }
    let items = || super::string_list::items(output.as_bytes(), b",");
    let wanted = preferred.as_bytes();
    let item = items()
        .find(|item| wanted.is_some_and(|w| w.eq_ignore_ascii_case(item)))
        .or_else(|| items().next());
    Ok(item.map_or(default, |item| Value::String(Text::from(item))))
}

#[cfg(test)]
mod tests {
    use super::super::tests::eval;
    use crate::{ClassAd, Context, Expr, Host, SystemHost};

    #[test]
    fn arguments() {
        assert_eq!(eval("argsToList(\"a 'b c' it''''s\")"), "{ \"a\",\"b c\",\"it's\" }");
        assert_eq!(eval("argsToList(\"'a\")"), "error");
        assert_eq!(eval("argsToList(\"a 'b\",1)"), "{ \"a\",\"'b\" }");
        assert_eq!(eval("listToArgs({\"a\",\"b c\",\"d'e\",\"\"})"), "\"a b' 'c d''''e ''\"");
        assert_eq!(eval("listToArgs({\"a b\"},1)"), "error");
    }

    #[test]
    fn environments() {
        assert_eq!(eval("envV1ToV2(\"B=x y;A=1\")"), "\"A=1 B=x' 'y\"");
        assert_eq!(eval("envV1ToV2(\"|B=2|A=1;\")"), "\"A=1; B=2\"");
        assert_eq!(eval("envV1ToV2(\"A\")"), "error");
        assert_eq!(eval("mergeEnvironment(\"A=1 B=2\",undefined,\"A=3\")"), "\"A=3 B=2\"");
        assert_eq!(eval("mergeEnvironment(\"=1\")"), "error");
    }

    struct Known;

    impl Host for Known {
        fn now(&self) -> i64 {
            0
        }
        fn random(&self) -> u64 {
            SystemHost.random()
        }
        fn home_dir(&self, user: &str) -> Option<String> {
            (user == "root").then(|| "/root".to_owned())
        }
        fn map_user(&self, _: &str, input: &str) -> Option<String> {
            (input == "u").then(|| "g1, g2".to_owned())
        }
    }

    #[test]
    fn the_host_knows_accounts_and_maps() {
        let ad = ClassAd::new();
        let context = Context::new(&ad).host(&Known);
        let value = |text: &str| context.eval(&Expr::parse(text).unwrap()).to_string();
        assert_eq!(value("userHome(\"root\")"), "\"/root\"");
        assert_eq!(value("userHome(\"x\",\"/d\")"), "\"/d\"");
        assert_eq!(value("userHome(undefined)"), "undefined");
        assert_eq!(value("userMap(\"m\",\"u\")"), "\"g1, g2\"");
        assert_eq!(value("userMap(\"m\",\"u\",\"G2\")"), "\"g2\"");
        assert_eq!(value("userMap(\"m\",\"v\",\"G2\",\"d\")"), "\"d\"");
    }
}
