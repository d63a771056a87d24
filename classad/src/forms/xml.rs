//! XML form, read as leniently as HTCondor does: an end tag may be missing, and what is unknown
//! between elements is passed over.

use std::borrow::Cow;
use std::sync::Arc;

use crate::ParseOptions;
use crate::ad::ClassAd;
use crate::error::{ParseError, ParseErrorKind};
use crate::expr::{Expr, Literal, Node};
use crate::num::{self, is_space};
use crate::parser::{self, NodeBudget};
use crate::print::trim;
use crate::text::Text;
use crate::time;

const MAX_DEPTH: u32 = 165;

/// The first `<c>` element.
pub(crate) fn parse(text: &[u8], options: &ParseOptions) -> Result<ClassAd, ParseError> {
    let mut reader = Reader { text, at: 0, depth: 0, nodes: NodeBudget::default(), options };
    loop {
        match reader.next(false) {
            Some(Markup::Tag(tag)) if tag.name == b"c" => match tag.kind {
                TagKind::Start => return reader.ad(),
                TagKind::Empty | TagKind::End => return Ok(ClassAd::new()),
            },
            Some(_) => {}
            None => return Err(reader.error("no <c> element")),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TagKind {
    Start,
    End,
    Empty,
}

struct Tag<'a> {
    name: &'a [u8],
    kind: TagKind,
    attributes: &'a [u8],
}

enum Markup<'a> {
    Tag(Tag<'a>),
    Text(&'a [u8]),
}

struct Reader<'a, 'o> {
    text: &'a [u8],
    at: usize,
    depth: u32,
    nodes: NodeBudget,
    options: &'o ParseOptions,
}

impl<'a> Reader<'a, '_> {
    fn error(&self, reason: &'static str) -> ParseError {
        ParseError::new(self.at, ParseErrorKind::Xml(reason))
    }

    /// The next tag or text; white space alone is text only inside a string.
    fn next(&mut self, in_string: bool) -> Option<Markup<'a>> {
        let rest = &self.text[self.at..];
        let blank = if in_string { 0 } else { rest.iter().take_while(|b| is_space(**b)).count() };
        let rest = &rest[blank..];
        self.at += blank;
        if rest.first()? != &b'<' {
            let length = rest.iter().position(|b| *b == b'<').unwrap_or(rest.len());
            self.at += length;
            return Some(Markup::Text(&rest[..length]));
        }
        let end = rest.iter().position(|b| *b == b'>').unwrap_or(rest.len());
        self.at += (end + 1).min(rest.len());
        Some(Markup::Tag(tag(trim(&rest[1..end]))))
    }

    fn peek(&self) -> Option<Markup<'a>> {
        let mut ahead = Reader {
            text: self.text,
            at: self.at,
            depth: 0,
            nodes: NodeBudget::default(),
            options: self.options,
        };
        ahead.next(false)
    }

    /// Passes the end tag `name` if it is next.
    fn end(&mut self, name: &[u8]) {
        if let Some(Markup::Tag(tag)) = self.peek()
            && tag.kind == TagKind::End
            && tag.name == name
        {
            self.next(false);
        }
    }

    fn deeper(&mut self) -> Result<(), ParseError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(ParseError::new(self.at, ParseErrorKind::TooDeep));
        }
        Ok(())
    }

    /// The attributes of an ad, its start tag passed already.
    fn ad(&mut self) -> Result<ClassAd, ParseError> {
        self.deeper()?;
        let mut attrs = Vec::new();
        while let Some(markup) = self.next(false) {
            let Markup::Tag(tag) = markup else { continue };
            match (tag.name, tag.kind) {
                (b"a", TagKind::Start) => {
                    let name = attribute(tag.attributes, b"n")
                        .ok_or_else(|| self.error("an <a> without a name"))?;
                    attrs.push((Text::from(name), self.value()?));
                    self.end(b"a");
                }
                (b"c", TagKind::End) => break,
                _ => {}
            }
        }
        self.depth -= 1;
        Ok(ClassAd::from_pairs(attrs))
    }

    fn value(&mut self) -> Result<Expr, ParseError> {
        self.nodes.spend(self.at)?;
        let start = self.at;
        let Some(Markup::Tag(tag)) = self.next(false) else {
            return Err(ParseError::new(start, ParseErrorKind::Xml("an element is missing")));
        };
        let open = tag.kind == TagKind::Start;
        let node = match tag.name {
            b"c" => Node::Record(if open { self.ad()? } else { ClassAd::new() }),
            b"l" => Node::List(if open { self.list()? } else { Arc::from([]) }),
            b"i" => Node::Literal(self.content(open, integer)),
            b"r" => Node::Literal(self.content(open, |t| {
                num::strtod(t).map_or(Literal::Error, |(value, _)| Literal::Real(value))
            })),
            b"s" => Node::Literal(self.string(open)?),
            b"b" => {
                let value = attribute(tag.attributes, b"v");
                Node::Literal(Literal::Bool(matches!(value.as_deref(), Some(b"t" | b"T"))))
            }
            b"un" => Node::Literal(Literal::Undefined),
            b"er" => Node::Literal(Literal::Error),
            b"at" => {
                let zone = &self.options.zone;
                let time = self.text_content(open);
                let time = time.and_then(|t| time::parse_absolute(&t, zone));
                let time = time.ok_or_else(|| self.error("not an absolute time"))?;
                Node::Literal(Literal::AbsTime(time))
            }
            b"rt" => {
                let time = self.text_content(open).and_then(|t| time::parse_relative(&t));
                let time = time.ok_or_else(|| self.error("not a relative time"))?;
                Node::Literal(Literal::RelTime(time))
            }
            b"e" => {
                let text = self.text_content(open).ok_or_else(|| self.error("an empty <e>"))?;
                let expr = parser::expression_prefix(&text, self.options, &mut self.nodes)
                    .map_err(|e| ParseError::new(start, e.kind))?;
                self.end(b"e");
                return Ok(expr);
            }
            _ => return Err(ParseError::new(start, ParseErrorKind::Xml("an unknown element"))),
        };
        if open && !matches!(tag.name, b"c" | b"l") {
            self.end(tag.name);
        }
        Ok(Expr(node))
    }

    fn list(&mut self) -> Result<Arc<[Expr]>, ParseError> {
        self.deeper()?;
        let mut items = Vec::new();
        loop {
            match self.peek() {
                Some(Markup::Tag(tag)) if tag.kind == TagKind::End => {
                    self.next(false);
                    break;
                }
                Some(Markup::Tag(_)) => items.push(self.value()?),
                Some(Markup::Text(_)) => {
                    self.next(false);
                }
                None => break,
            }
        }
        self.depth -= 1;
        Ok(Arc::from(items))
    }

    /// The text of an element, entities resolved; none if there is none.
    fn text_content(&mut self, open: bool) -> Option<Cow<'a, [u8]>> {
        if !open {
            return None;
        }
        let Some(Markup::Text(text)) = self.peek() else { return None };
        self.next(false);
        Some(entities(text))
    }

    fn content(&mut self, open: bool, convert: impl Fn(&[u8]) -> Literal) -> Literal {
        self.text_content(open).map_or(Literal::Error, |text| convert(&text))
    }

    fn string(&mut self, open: bool) -> Result<Literal, ParseError> {
        if !open || self.text.get(self.at) == Some(&b'<') {
            return Ok(Literal::String(Text::from("")));
        }
        let start = self.at;
        let Some(Markup::Text(text)) = self.next(true) else {
            return Ok(Literal::String(Text::from("")));
        };
        let text = crate::lexer::unescape(&entities(text))
            .ok_or_else(|| ParseError::new(start, ParseErrorKind::BadEscape))?;
        Ok(Literal::String(Text::from(text)))
    }
}

/// Digits at the front, as `from_chars` takes them.
fn integer(text: &[u8]) -> Literal {
    let sign = usize::from(text.first() == Some(&b'-'));
    let digits = text[sign..].iter().take_while(|b| b.is_ascii_digit()).count();
    std::str::from_utf8(&text[..sign + digits])
        .ok()
        .and_then(|digits| digits.parse().ok())
        .map_or(Literal::Error, Literal::Int)
}

fn tag(text: &[u8]) -> Tag<'_> {
    let (text, kind) = if let Some(rest) = text.strip_prefix(b"/") {
        (rest, TagKind::End)
    } else if let Some(rest) = text.strip_suffix(b"/") {
        (rest, TagKind::Empty)
    } else {
        (text, TagKind::Start)
    };
    let length = text.iter().position(|b| is_space(*b)).unwrap_or(text.len());
    Tag { name: &text[..length], kind, attributes: &text[length..] }
}

/// The value of an attribute of a tag. None if it is absent, empty, or has a bad escape.
fn attribute(mut text: &[u8], name: &[u8]) -> Option<Vec<u8>> {
    loop {
        text = trim(text);
        if text.is_empty() {
            return None;
        }
        let length = text.iter().position(|b| is_space(*b) || *b == b'=').unwrap_or(text.len());
        let found = &text[..length] == name;
        text = &text[length..];
        let skip = text.iter().take_while(|b| is_space(**b) || **b == b'=').count();
        text = text.get(skip + 1..)?;
        let mut before = 0;
        let close = text.iter().position(|b| {
            let close = *b == b'"' && before != b'\\';
            before = *b;
            close
        });
        let close = close.unwrap_or(text.len());
        if found {
            return crate::lexer::unescape(&entities(&text[..close])).filter(|v| !v.is_empty());
        }
        text = text.get(close + 1..)?;
    }
}

/// The three entities HTCondor writes; others stay as they are.
fn entities(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.contains(&b'&') {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let entity = [(&b"&amp;"[..], b'&'), (b"&lt;", b'<'), (b"&gt;", b'>')]
            .into_iter()
            .find_map(|(entity, byte)| rest.strip_prefix(entity).map(|rest| (rest, byte)));
        let (after, byte) = entity.unwrap_or((after, *first));
        out.push(byte);
        rest = after;
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        parse(text.as_bytes(), &ParseOptions::NEW)
            .map_or_else(|e| e.to_string(), |ad| ad.to_new_string())
    }

    #[test]
    fn values() {
        assert_eq!(
            read(
                "<c> <a n=\"l\"><l><i> 1 </i><s> a&amp;\\n</s><l/><c></c></l></a>\
                  <a n=\"b\"><b v=\"t\"/></a><a n=\"e\"><e>x &lt; 1</e></a></c>"
            ),
            "[ b = true; e = x < 1; l = { 1,\" a&\\n\",{  },[  ] } ]"
        );
        assert_eq!(
            read("<c><a n=\"r\"><r>-INF</r></a><a n=\"u\"><un/></a>"),
            "[ r = real(\"-INF\"); u = undefined ]"
        );
    }

    #[test]
    fn what_is_no_ad() {
        assert!(read("<classads></classads>").contains("no <c> element"));
        assert!(read("<c><a><i>1</i></a></c>").contains("without a name"));
        assert!(read(&"<c><a n=\"x\">".repeat(1000)).contains("nested too deeply"));
    }
}
