//! Tokens of the ClassAd language, in its three syntaxes.
//!
//! The scanners are nom parsers over bytes; this module picks one by the first byte, so that a
//! token costs one pass over its bytes and, unless a string has escapes, no allocation.

mod number;
mod quoted;

pub(crate) use quoted::unescape;

use std::borrow::Cow;

use nom::IResult;
use nom::Parser as _;
use nom::bytes::complete::{tag, take_until, take_while, take_while1};

use crate::error::{ParseError, ParseErrorKind};
use crate::expr::BinaryOp;
use crate::num::is_space;
use crate::{Semantics, Syntax};

/// One token. Strings and names borrow from the text where they hold no escape.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Token<'a> {
    End,
    Integer(i64),
    Real(f64),
    Boolean(bool),
    Undefined,
    ErrorValue,
    /// `expression`: JSON's `"\/Expr(...)\/"`.
    String {
        text: Cow<'a, [u8]>,
        expression: bool,
    },
    Name(Cow<'a, [u8]>),
    /// All binary operators but `-` and `+`, which may be unary.
    Binary(BinaryOp),
    Plus,
    Minus,
    BitNot,
    Not,
    Assign,
    Question,
    Colon,
    Elvis,
    Dot,
    Comma,
    Semicolon,
    OpenParen,
    CloseParen,
    OpenBracket,
    CloseBracket,
    OpenBrace,
    CloseBrace,
}

impl Token<'_> {
    /// For messages.
    pub(crate) fn describe(&self) -> &'static str {
        match self {
            Token::End => "the end of the text",
            Token::Integer(_) => "an integer",
            Token::Real(_) => "a real",
            Token::Boolean(_) => "a boolean",
            Token::Undefined => "'undefined'",
            Token::ErrorValue => "'error'",
            Token::String { .. } => "a string",
            Token::Name(_) => "a name",
            Token::Binary(op) => op.describe(),
            Token::Plus => "'+'",
            Token::Minus => "'-'",
            Token::BitNot => "'~'",
            Token::Not => "'!'",
            Token::Assign => "'='",
            Token::Question => "'?'",
            Token::Colon => "':'",
            Token::Elvis => "'?:'",
            Token::Dot => "'.'",
            Token::Comma => "','",
            Token::Semicolon => "';'",
            Token::OpenParen => "'('",
            Token::CloseParen => "')'",
            Token::OpenBracket => "'['",
            Token::CloseBracket => "']'",
            Token::OpenBrace => "'{'",
            Token::CloseBrace => "'}'",
        }
    }

    /// After these a minus sign is an operator, never the sign of a literal.
    fn ends_operand(&self) -> bool {
        matches!(
            self,
            Token::Integer(_)
                | Token::Real(_)
                | Token::Boolean(_)
                | Token::String { .. }
                | Token::Undefined
                | Token::ErrorValue
                | Token::Name(_)
                | Token::Dot
                | Token::CloseBracket
                | Token::CloseParen
                | Token::CloseBrace
        )
    }
}

type Scan<'a> = Result<(usize, Token<'a>), ParseErrorKind>;

/// Where a text is read from, token by token.
pub(crate) struct Lexer<'a> {
    text: &'a [u8],
    at: usize,
    syntax: Syntax,
    semantics: Semantics,
    after_operand: bool,
}

impl<'a> Lexer<'a> {
    /// A NUL ends the text, as it ends a C string.
    pub(crate) fn new(text: &'a [u8], syntax: Syntax, semantics: Semantics) -> Self {
        let end = text.iter().position(|b| *b == 0).unwrap_or(text.len());
        Lexer { text: &text[..end], at: 0, syntax, semantics, after_operand: false }
    }

    /// The next token and the offset it starts at.
    pub(crate) fn next_token(&mut self) -> Result<(usize, Token<'a>), ParseError> {
        self.skip_blank()?;
        let start = self.at;
        match self.scan() {
            Ok((length, token)) => {
                self.at += length;
                self.after_operand = token.ends_operand();
                Ok((start, token))
            }
            Err(kind) => Err(ParseError::new(start, kind)),
        }
    }

    /// White space and comments.
    fn skip_blank(&mut self) -> Result<(), ParseError> {
        loop {
            let rest = &self.text[self.at..];
            let blank = take_while::<_, _, ()>(is_space)
                .parse(rest)
                .map_or(0, |(_, blank): (&[u8], &[u8])| blank.len());
            self.at += blank;
            let rest = &rest[blank..];
            if rest.first() != Some(&b'/') {
                return Ok(());
            }
            let comment = match rest.get(1) {
                Some(b'/') => line_comment(rest),
                Some(b'*') => block_comment(rest),
                _ => return Ok(()),
            };
            match comment {
                Ok((after, _)) => self.at = self.text.len() - after.len(),
                Err(_) => {
                    return Err(ParseError::new(self.at, ParseErrorKind::UnterminatedComment));
                }
            }
        }
    }

    fn scan(&self) -> Scan<'a> {
        let rest = &self.text[self.at..];
        let Some(first) = rest.first() else {
            return Ok((0, Token::End));
        };
        match first {
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => Ok(self.word(rest)),
            b'0'..=b'9' | b'.' => number::scan(rest, self.leading_zero_allowed()),
            b'-' if !self.after_operand && number::follows_minus(rest) => {
                number::scan(rest, self.leading_zero_allowed())
            }
            b'"' => quoted::scan(rest, self.syntax)
                .map(|q| (q.length, Token::String { text: q.text, expression: q.expression })),
            b'\'' => quoted::scan(rest, self.syntax).map(|q| (q.length, Token::Name(q.text))),
            _ => punctuation(rest),
        }
    }

    fn leading_zero_allowed(&self) -> bool {
        self.semantics == Semantics::Strict && self.syntax != Syntax::Json
    }

    /// A name or keyword.
    fn word(&self, rest: &'a [u8]) -> (usize, Token<'a>) {
        let word = take_while1::<_, _, ()>(|b: u8| b.is_ascii_alphanumeric() || b == b'_')
            .parse(rest)
            .map_or(&rest[..1], |(_, word)| word);
        let is = |keyword: &[u8]| word.eq_ignore_ascii_case(keyword);
        let json = self.syntax == Syntax::Json;
        let token = match word.len() {
            2 if is(b"is") => Token::Binary(BinaryOp::Is),
            4 if is(b"true") => Token::Boolean(true),
            4 if is(b"isnt") => Token::Binary(BinaryOp::Isnt),
            4 if json && is(b"null") => Token::Undefined,
            5 if is(b"false") => Token::Boolean(false),
            5 if is(b"error") => Token::ErrorValue,
            9 if !json && is(b"undefined") => Token::Undefined,
            _ => Token::Name(Cow::Borrowed(word)),
        };
        (word.len(), token)
    }
}

fn line_comment(text: &[u8]) -> IResult<&[u8], &[u8], ()> {
    take_while(|b| b != b'\n').parse(text)
}

fn block_comment(text: &[u8]) -> IResult<&[u8], &[u8], ()> {
    let (rest, _) = tag(&b"/*"[..]).parse(text)?;
    let (rest, _) = take_until(&b"*/"[..]).parse(rest)?;
    tag(&b"*/"[..]).parse(rest)
}

fn punctuation(rest: &[u8]) -> Scan<'_> {
    let at = |n: usize| rest.get(n).copied().unwrap_or(0);
    let binary = |length, op| (length, Token::Binary(op));
    Ok(match (at(0), at(1)) {
        (b'*', _) => binary(1, BinaryOp::Multiply),
        (b'/', _) => binary(1, BinaryOp::Divide),
        (b'%', _) => binary(1, BinaryOp::Modulo),
        (b'+', _) => (1, Token::Plus),
        (b'-', _) => (1, Token::Minus),
        (b'~', _) => (1, Token::BitNot),
        (b'^', _) => binary(1, BinaryOp::BitXor),
        (b'?', _) => {
            let blank = rest[1..].iter().take_while(|b| is_space(**b)).count();
            if at(1 + blank) == b':' { (2 + blank, Token::Elvis) } else { (1, Token::Question) }
        }
        (b':', _) => (1, Token::Colon),
        (b';', _) => (1, Token::Semicolon),
        (b',', _) => (1, Token::Comma),
        (b'[', _) => (1, Token::OpenBracket),
        (b']', _) => (1, Token::CloseBracket),
        (b'(', _) => (1, Token::OpenParen),
        (b')', _) => (1, Token::CloseParen),
        (b'{', _) => (1, Token::OpenBrace),
        (b'}', _) => (1, Token::CloseBrace),
        (b'&', b'&') => binary(2, BinaryOp::And),
        (b'&', _) => binary(1, BinaryOp::BitAnd),
        (b'|', b'|') => binary(2, BinaryOp::Or),
        (b'|', _) => binary(1, BinaryOp::BitOr),
        (b'<', b'=') => binary(2, BinaryOp::LessOrEqual),
        (b'<', b'<') => binary(2, BinaryOp::ShiftLeft),
        (b'<', _) => binary(1, BinaryOp::Less),
        (b'>', b'=') => binary(2, BinaryOp::GreaterOrEqual),
        (b'>', b'>') if at(2) == b'>' => binary(3, BinaryOp::ShiftRightLogical),
        (b'>', b'>') => binary(2, BinaryOp::ShiftRight),
        (b'>', _) => binary(1, BinaryOp::Greater),
        (b'=', b'=') => binary(2, BinaryOp::Equal),
        (b'=', b'?') if at(2) == b'=' => binary(3, BinaryOp::Is),
        (b'=', b'?') => return Err(ParseErrorKind::BadCharacter),
        (b'=', b'!') if at(2) == b'=' => binary(3, BinaryOp::Isnt),
        (b'=', _) => (1, Token::Assign),
        (b'!', b'=') => binary(2, BinaryOp::NotEqual),
        (b'!', _) => (1, Token::Not),
        _ => return Err(ParseErrorKind::BadCharacter),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str, syntax: Syntax) -> Vec<Token<'_>> {
        let mut lexer = Lexer::new(text.as_bytes(), syntax, Semantics::Old);
        let mut out = Vec::new();
        loop {
            match lexer.next_token().unwrap() {
                (_, Token::End) => return out,
                (_, token) => out.push(token),
            }
        }
    }

    #[test]
    fn a_minus_belongs_to_a_number_unless_an_operand_precedes() {
        use Token::{Integer, Minus};
        assert_eq!(tokens("2-3", Syntax::New), [Integer(2), Minus, Integer(3)]);
        assert_eq!(tokens("2 - -3", Syntax::New), [Integer(2), Minus, Integer(-3)]);
        assert_eq!(tokens("- 3", Syntax::New), [Minus, Integer(3)]);
    }

    #[test]
    fn comments_are_blank() {
        assert_eq!(tokens("1 /* x */ // y\n 2", Syntax::New).len(), 2);
        let error = Lexer::new(b" /*", Syntax::New, Semantics::Old).next_token().unwrap_err();
        assert_eq!(error, ParseError::new(1, ParseErrorKind::UnterminatedComment));
    }

    #[test]
    fn keywords_depend_on_the_syntax() {
        assert_eq!(tokens("NULL", Syntax::Json), [Token::Undefined]);
        assert_eq!(tokens("null", Syntax::New), [Token::Name(b"null"[..].into())]);
        assert_eq!(tokens("true1", Syntax::New), [Token::Name(b"true1"[..].into())]);
        assert_eq!(tokens("iSnT", Syntax::Old), [Token::Binary(BinaryOp::Isnt)]);
    }

    #[test]
    fn elvis_may_be_stretched() {
        assert_eq!(tokens("? \n:", Syntax::New), [Token::Elvis]);
        assert_eq!(tokens("?1:", Syntax::New).len(), 3);
    }

    #[test]
    fn shifts_are_greedy() {
        use BinaryOp::{Greater, ShiftRightLogical};
        let expected = [Token::Binary(ShiftRightLogical), Token::Binary(Greater)];
        assert_eq!(tokens(">>>>", Syntax::New), expected);
    }
}
