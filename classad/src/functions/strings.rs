//! Strings: joining, cutting, comparing.

use std::cmp::Ordering;

use super::{Call, list_of_strings};
use crate::eval::{Evaluated, NoValue, string_of};
use crate::num::{self, is_space};
use crate::value::Value;

/// Undefined if an argument is, from the left on.
pub(super) fn strcat(call: &mut Call<'_, '_>) -> Evaluated {
    let mut out = Vec::new();
    for n in 0..call.count() {
        let value = deeper(call, n)?;
        match string_of(value) {
            Ok(text) => out.extend_from_slice(text.as_bytes()),
            Err(reason) => return Ok(reason.into()),
        }
        // Not only at the end: the arguments may be many, and long.
        call.eval.spend_bytes(0)?;
    }
    call.string(out)
}

/// The value of argument `n`, one level deeper, as HTCondor counts it for these two functions.
fn deeper(call: &mut Call<'_, '_>, n: usize) -> Evaluated {
    let (args, scope) = (call.args, call.scope);
    call.eval.deeper(|e| e.eval(&args[n], scope))
}

/// `join(separator, items...)`, `join(separator, list)`, `join(list)`. Undefined items are left
/// out, and no separator is put while there is nothing yet.
pub(super) fn join(call: &mut Call<'_, '_>) -> Evaluated {
    let count = call.count();
    if count == 0 {
        return call.string(Vec::new());
    }
    let mut joiner = Joiner::default();
    if count <= 2 {
        let last = deeper(call, count - 1)?;
        if let Value::List(list) = last {
            if count == 2 {
                let separator = deeper(call, 0)?;
                if joiner.separator(separator).is_err() {
                    return Ok(Value::Error);
                }
            }
            for n in 0..list.len() {
                let item = call.element(&list, n)?;
                if joiner.push(item).is_err() {
                    return Ok(Value::Error);
                }
            }
            return joiner.finish(call);
        }
    }
    for n in 0..count {
        let value = deeper(call, n)?;
        let pushed = if n == 0 { joiner.separator(value) } else { joiner.push(value) };
        if pushed.is_err() {
            return Ok(Value::Error);
        }
    }
    joiner.finish(call)
}

#[derive(Default)]
struct Joiner {
    out: Vec<u8>,
    separator: Vec<u8>,
    undefined: bool,
    defined: bool,
}

/// An item that is an error, or cannot be text.
struct BadItem;

impl Joiner {
    fn separator(&mut self, value: Value) -> Result<(), BadItem> {
        match string_of(value) {
            Ok(text) => self.separator = text.as_bytes().to_vec(),
            Err(NoValue::Undefined) => self.undefined = true,
            Err(NoValue::Error) => return Err(BadItem),
        }
        Ok(())
    }

    fn push(&mut self, value: Value) -> Result<(), BadItem> {
        match string_of(value) {
            Ok(text) => {
                if !self.out.is_empty() {
                    self.out.extend_from_slice(&self.separator);
                }
                self.out.extend_from_slice(text.as_bytes());
                self.defined = true;
            }
            Err(NoValue::Undefined) => self.undefined = true,
            Err(NoValue::Error) => return Err(BadItem),
        }
        Ok(())
    }

    fn finish(self, call: &mut Call<'_, '_>) -> Evaluated {
        if self.undefined && !self.defined {
            return Ok(Value::Undefined);
        }
        call.string(self.out)
    }
}

pub(super) fn change_case(call: &mut Call<'_, '_>, change: fn(&u8) -> u8) -> Evaluated {
    let Some([value]) = call.values()? else { return Ok(Value::Error) };
    match string_of(value) {
        Ok(text) => call.string(text.as_bytes().iter().map(change).collect()),
        Err(reason) => Ok(reason.into()),
    }
}

/// Bytes, as in Perl: a negative offset or length counts from the end.
pub(super) fn substr(call: &mut Call<'_, '_>) -> Evaluated {
    let count = call.count();
    if !(2..=3).contains(&count) {
        return Ok(Value::Error);
    }
    let values =
        [call.arg(0)?, call.arg(1)?, if count == 3 { call.arg(2)? } else { Value::Int(0) }];
    if values.iter().any(Value::is_undefined) {
        return Ok(Value::Undefined);
    }
    let [Value::String(text), Value::Int(offset), Value::Int(length)] = values else {
        return Ok(Value::Error);
    };
    let size = num::len(text.len());
    let mut offset = i64::from(num::low32(offset));
    if offset < 0 {
        offset = (size + offset).max(0);
    }
    offset = offset.min(size);
    let wanted = i64::from(num::low32(length));
    let length = match wanted {
        0 if count == 3 => 0,
        ..=0 => (size - offset + wanted).max(0),
        _ => wanted.min(size - offset),
    };
    let from = usize::try_from(offset).unwrap_or(0);
    let to = usize::try_from(offset + length).unwrap_or(0);
    call.string(text.as_bytes().get(from..to).unwrap_or_default().to_vec())
}

/// -1, 0 or 1.
pub(super) fn compare(call: &mut Call<'_, '_>, order: fn(&[u8], &[u8]) -> Ordering) -> Evaluated {
    let Some([a, b]) = call.values()? else { return Ok(Value::Error) };
    if a.is_undefined() || b.is_undefined() {
        return Ok(Value::Undefined);
    }
    Ok(match (string_of(a), string_of(b)) {
        (Ok(a), Ok(b)) => Value::Int(match order(a.as_bytes(), b.as_bytes()) {
            Ordering::Less => -1,
            Ordering::Equal => 0,
            Ordering::Greater => 1,
        }),
        _ => Value::Error,
    })
}

/// At the separators; an empty item comes of two equal ones in a row that are no blanks.
pub(super) fn split(call: &mut Call<'_, '_>) -> Evaluated {
    let count = call.count();
    if !(1..=2).contains(&count) {
        return Ok(Value::Error);
    }
    let text = call.arg(0)?;
    let separators = if count == 2 { call.arg(1)? } else { Value::from(", \t") };
    let (Value::String(text), Value::String(separators)) = (text, separators) else {
        return Ok(Value::Error);
    };
    let text = text.as_bytes();
    let mut items: Vec<&[u8]> = Vec::new();
    let mut start = 0;
    // The last separator that was no blank.
    let mut last = None;
    for (at, b) in text.iter().enumerate() {
        if !separators.as_bytes().contains(b) {
            continue;
        }
        if at > start {
            items.push(&text[start..at]);
        } else if last == Some(*b) {
            items.push(b"");
        }
        if !is_space(*b) {
            last = Some(*b);
        }
        start = at + 1;
    }
    if start < text.len() {
        items.push(&text[start..]);
    }
    call.eval.spend_bytes(text.len() + items.len() * 16)?;
    Ok(list_of_strings(items))
}

/// User and domain, or slot and machine. Without `@` the text is the user, or the machine.
pub(super) fn split_at(call: &mut Call<'_, '_>, slot: bool) -> Evaluated {
    let Some([Value::String(text)]) = call.values()? else { return Ok(Value::Error) };
    let text = text.as_bytes();
    Ok(list_of_strings(match text.iter().position(|b| *b == b'@') {
        Some(at) => [&text[..at], &text[at + 1..]],
        None if slot => [b"", text],
        None => [text, b""],
    }))
}

#[cfg(test)]
mod tests {
    use super::super::tests::eval;

    #[test]
    fn joining() {
        assert_eq!(eval("strcat(1,\"a\",{2})"), "\"1a{ 2 }\"");
        assert_eq!(eval("strcat(\"a\",undefined)"), "undefined");
        assert_eq!(eval("join(\",\",\"a\",undefined,\"b\")"), "\"a,b\"");
        assert_eq!(eval("join(\",\",{\"a\",\"b\"})"), "\"a,b\"");
        assert_eq!(eval("join({\"a\",\"b\"})"), "\"ab\"");
        assert_eq!(eval("join(\",\")"), "\"\"");
        assert_eq!(eval("join(\",\",undefined)"), "undefined");
    }

    #[test]
    fn cutting() {
        assert_eq!(eval("substr(\"abcdef\",1,2)"), "\"bc\"");
        assert_eq!(eval("substr(\"abcdef\",-2)"), "\"ef\"");
        assert_eq!(eval("substr(\"abcdef\",1,-1)"), "\"bcde\"");
        assert_eq!(eval("substr(\"abc\",9,9)"), "\"\"");
        assert_eq!(eval("substr(\"abc\",0,0)"), "\"\"");
        assert_eq!(eval("split(\"a,,b, c\")"), "{ \"a\",\"\",\"b\",\"c\" }");
        assert_eq!(eval("splitSlotName(\"m\")"), "{ \"\",\"m\" }");
    }

    #[test]
    fn memory_is_bounded() {
        let mut ad = String::from("[a0=\"0123456789abcdef\"");
        for n in 1..40 {
            ad.push_str(&format!(";a{n}=strcat(a{0},a{0})", n - 1));
        }
        let ad = crate::ClassAd::parse(&(ad + "]")).unwrap();
        assert!(ad.eval("a39").is_error());
        assert_eq!(ad.eval_text("a3").map(|t| t.len()), Some(128));
    }
}
