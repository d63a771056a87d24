//! JSON form.

use std::sync::Arc;

use crate::ad::ClassAd;
use crate::error::{ParseError, ParseErrorKind};
use crate::expr::{Expr, Literal, Node};
use crate::lexer::{Lexer, Token};
use crate::parser::{self, NodeBudget};
use crate::text::Text;
use crate::{ParseOptions, Semantics, Syntax};

/// As deep as brackets in the other forms may be.
const MAX_DEPTH: u32 = 165;

/// One JSON object. Extra commas between members are tolerated, as HTCondor does.
pub(crate) fn parse(text: &[u8], options: &ParseOptions) -> Result<ClassAd, ParseError> {
    let mut lexer = Lexer::new(text, Syntax::Json, Semantics::Old);
    let (offset, token) = lexer.next_token()?;
    let nodes = NodeBudget::default();
    let mut reader = Reader { lexer, token, offset, depth: 0, nodes, options };
    let ad = reader.object()?;
    if reader.token == Token::End {
        return Ok(ad);
    }
    let found = reader.token.describe();
    Err(ParseError::new(reader.offset, ParseErrorKind::TrailingText { what: "ad", found }))
}

struct Reader<'a, 'o> {
    lexer: Lexer<'a>,
    token: Token<'a>,
    offset: usize,
    depth: u32,
    nodes: NodeBudget,
    options: &'o ParseOptions,
}

impl<'a> Reader<'a, '_> {
    fn advance(&mut self) -> Result<Token<'a>, ParseError> {
        let (offset, token) = self.lexer.next_token()?;
        self.offset = offset;
        Ok(std::mem::replace(&mut self.token, token))
    }

    fn expected(&self, expected: &'static str) -> ParseError {
        let found = self.token.describe();
        ParseError::new(self.offset, ParseErrorKind::Expected { expected, found })
    }

    fn expect(&mut self, token: &Token<'_>) -> Result<(), ParseError> {
        if self.token != *token {
            return Err(self.expected(token.describe()));
        }
        self.advance().map(|_| ())
    }

    fn deeper(&mut self) -> Result<(), ParseError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(ParseError::new(self.offset, ParseErrorKind::TooDeep));
        }
        Ok(())
    }

    fn object(&mut self) -> Result<ClassAd, ParseError> {
        self.deeper()?;
        self.expect(&Token::OpenBrace)?;
        let mut attrs = Vec::new();
        if self.token != Token::CloseBrace {
            self.skip_commas()?;
            while self.token != Token::CloseBrace || attrs.is_empty() {
                attrs.push(self.member()?);
                if !matches!(self.token, Token::Comma | Token::CloseBrace) {
                    return Err(self.expected("',' or '}'"));
                }
                self.skip_commas()?;
            }
        }
        self.advance()?;
        self.depth -= 1;
        Ok(ClassAd::from_pairs(attrs))
    }

    fn skip_commas(&mut self) -> Result<(), ParseError> {
        while self.token == Token::Comma {
            self.advance()?;
        }
        Ok(())
    }

    fn member(&mut self) -> Result<(Text, Expr), ParseError> {
        let start = self.offset;
        if !matches!(self.token, Token::String { .. }) {
            return Err(self.expected("an attribute name in quotes"));
        }
        let name = match self.advance()? {
            Token::String { text, .. } if !text.is_empty() => Text::from(text),
            _ => return Err(ParseError::new(start, ParseErrorKind::EmptyName)),
        };
        self.expect(&Token::Colon)?;
        Ok((name, self.value()?))
    }

    fn list(&mut self) -> Result<Vec<Expr>, ParseError> {
        self.deeper()?;
        self.advance()?;
        let mut items = Vec::new();
        if self.token != Token::CloseBracket {
            items.push(self.value()?);
            while self.token == Token::Comma {
                self.advance()?;
                items.push(self.value()?);
            }
        }
        if self.token != Token::CloseBracket {
            return Err(self.expected("',' or ']'"));
        }
        self.advance()?;
        self.depth -= 1;
        Ok(items)
    }

    fn value(&mut self) -> Result<Expr, ParseError> {
        self.nodes.spend(self.offset)?;
        let start = self.offset;
        match self.token {
            Token::OpenBrace => return Ok(Expr(Node::Record(self.object()?))),
            Token::OpenBracket => return Ok(Expr(Node::List(Arc::from(self.list()?)))),
            Token::Integer(_)
            | Token::Real(_)
            | Token::Boolean(_)
            | Token::Undefined
            | Token::String { .. } => {}
            _ => return Err(self.expected("a JSON value")),
        }
        Ok(Expr(Node::Literal(match self.advance()? {
            Token::Integer(i) => Literal::Int(i),
            Token::Real(r) => Literal::Real(r),
            Token::Boolean(b) => Literal::Bool(b),
            Token::String { text, expression } => {
                if let Some(inner) = expression.then(|| quoted_expression(&text)).flatten() {
                    // Offsets inside do not map back through the escapes: say where it begins.
                    return parser::expression_within(inner, self.options, &mut self.nodes)
                        .map_err(|e| ParseError::new(start, e.kind));
                }
                Literal::String(Text::from(text))
            }
            _ => Literal::Undefined,
        })))
    }
}

/// What stands between `/Expr(` and `)/`.
fn quoted_expression(text: &[u8]) -> Option<&[u8]> {
    let (head, rest) = text.split_at_checked(6)?;
    if !head.eq_ignore_ascii_case(b"/Expr(") {
        return None;
    }
    rest.strip_suffix(b")/")
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
            read(r#"{"a": [1, 2.5, {"b": NULL}], "c d": "x", "e": "\/Expr(a[0] + 1)\/"}"#),
            "[ a = { 1,2.500000000000000E+00,[ b = undefined ] }; e = a[0] + 1; 'c d' = \"x\" ]"
        );
        assert_eq!(read(r#"{,"a":1,,}"#), "[ a = 1 ]");
        assert_eq!(read(r#"{"a":"/Expr(1)/"}"#), "[ a = \"/Expr(1)/\" ]");
    }

    #[test]
    fn what_json_has_not() {
        assert!(read(r"{a:1}").starts_with("expected an attribute name in quotes"));
        assert!(read(r#"{"a":error}"#).starts_with("expected a JSON value"));
        assert!(read(r#"{"a":01}"#).starts_with("not a number"));
        assert!(read(r#"{"":1}"#).starts_with("an attribute with an empty name"));
        assert!(read(r#"{"a":1}x"#).contains("after the end of the ad"));
    }

    #[test]
    fn depth_is_bounded() {
        let text = format!("{{\"a\":{}", "[".repeat(100_000));
        assert_eq!(
            parse(text.as_bytes(), &ParseOptions::NEW).unwrap_err().kind,
            ParseErrorKind::TooDeep
        );
    }
}
