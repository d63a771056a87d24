//! Expressions and new-form ads from tokens: precedence climbing over the nom lexer.

use std::sync::Arc;

use crate::ad::ClassAd;
use crate::error::{ParseError, ParseErrorKind};
use crate::expr::{BinaryOp, Call, Chain, Expr, Literal, Node, Postfix, Step, UnaryOp};
use crate::lexer::{Lexer, Token};
use crate::text::Text;
use crate::time;
use crate::{ParseOptions, Semantics, Syntax};

/// Nesting that HTCondor 25.14 accepts, counted as it counts: one for each expression, one for
/// each unary and one for each postfix level. A pair of parentheses costs three.
const MAX_DEPTH: u32 = 500;

/// Nodes of one text. The largest real ads have some ten thousand; this bounds the memory that a
/// hostile text of many tiny values can claim to a small multiple of what a real one needs.
const MAX_NODES: u32 = 1 << 20;

/// A whole expression.
pub(crate) fn expression(text: &[u8], options: &ParseOptions) -> Result<Expr, ParseError> {
    expression_within(text, options, &mut NodeBudget::default())
}

/// A whole expression that is part of a larger text.
pub(crate) fn expression_within(
    text: &[u8],
    options: &ParseOptions,
    budget: &mut NodeBudget,
) -> Result<Expr, ParseError> {
    let mut parser = Parser::new(text, options, budget).map_err(|e| *e)?;
    let expr = parser.expr().map_err(|e| *e)?;
    // HTCondor 25.14 does not look behind a conditional.
    if !matches!(expr.0, Node::Ternary(_)) {
        parser.finish("expression").map_err(|e| *e)?;
    }
    Ok(expr)
}

/// The expression at the front of a part of a larger text; whatever follows is ignored.
pub(crate) fn expression_prefix(
    text: &[u8],
    options: &ParseOptions,
    budget: &mut NodeBudget,
) -> Result<Expr, ParseError> {
    Parser::new(text, options, budget).and_then(|mut p| p.expr()).map_err(|e| *e)
}

/// A whole new-form ad.
pub(crate) fn ad(text: &[u8], options: &ParseOptions) -> Result<ClassAd, ParseError> {
    let mut budget = NodeBudget::default();
    let mut parser = Parser::new(text, options, &mut budget).map_err(|e| *e)?;
    let ad = parser.record().map_err(|e| *e)?;
    parser.finish("ad").map_err(|e| *e)?;
    Ok(ad)
}

/// Counts nodes, so that no text becomes more than a bounded tree.
#[derive(Debug, Default)]
pub(crate) struct NodeBudget {
    used: u32,
}

impl NodeBudget {
    pub(crate) fn spend(&mut self, offset: usize) -> Result<(), ParseError> {
        self.used += 1;
        if self.used > MAX_NODES {
            return Err(ParseError::new(offset, ParseErrorKind::TooLarge));
        }
        Ok(())
    }
}

struct Parser<'a, 'o> {
    lexer: Lexer<'a>,
    /// The token not yet consumed, and where it starts.
    token: Token<'a>,
    offset: usize,
    options: &'o ParseOptions,
    depth: u32,
    nodes: &'o mut NodeBudget,
}

/// The error is boxed because results of this type are what the frames of the recursion hold.
type Parsed<T = Expr> = Result<T, Box<ParseError>>;

impl<'a, 'o> Parser<'a, 'o> {
    fn new(text: &'a [u8], options: &'o ParseOptions, nodes: &'o mut NodeBudget) -> Parsed<Self> {
        let mut lexer = Lexer::new(text, options.syntax, options.semantics);
        let (offset, token) = lexer.next_token()?;
        Ok(Parser { lexer, token, offset, options, depth: 0, nodes })
    }

    /// Consumes the current token and returns it.
    fn advance(&mut self) -> Parsed<Token<'a>> {
        let (offset, token) = self.lexer.next_token()?;
        self.offset = offset;
        Ok(std::mem::replace(&mut self.token, token))
    }

    fn eat(&mut self, token: &Token<'_>) -> Parsed<bool> {
        if self.token == *token {
            self.advance()?;
            return Ok(true);
        }
        Ok(false)
    }

    fn expect(&mut self, token: &Token<'_>) -> Parsed<()> {
        if self.eat(token)? { Ok(()) } else { Err(self.expected(token.describe())) }
    }

    fn expected(&self, expected: &'static str) -> Box<ParseError> {
        let found = self.token.describe();
        Box::new(ParseError::new(self.offset, ParseErrorKind::Expected { expected, found }))
    }

    fn finish(&self, what: &'static str) -> Parsed<()> {
        if self.token == Token::End {
            return Ok(());
        }
        let found = self.token.describe();
        Err(Box::new(ParseError::new(self.offset, ParseErrorKind::TrailingText { what, found })))
    }

    /// Enters `levels` levels; who enters leaves, except with an error, which ends the parse.
    fn enter(&mut self, levels: u32) -> Parsed<()> {
        self.depth += levels;
        if self.depth > MAX_DEPTH {
            return Err(Box::new(ParseError::new(self.offset, ParseErrorKind::TooDeep)));
        }
        Ok(())
    }

    fn node(&mut self, node: Node) -> Parsed {
        self.nodes.spend(self.offset)?;
        Ok(Expr(node))
    }

    fn expr(&mut self) -> Parsed {
        self.enter(1)?;
        let mut expr = self.binary(0)?;
        if self.token == Token::Question {
            expr = self.conditional(expr)?;
        }
        self.depth -= 1;
        Ok(expr)
    }

    fn conditional(&mut self, condition: Expr) -> Parsed {
        self.advance()?;
        let yes = self.expr()?;
        self.expect(&Token::Colon)?;
        let no = self.expr()?;
        self.node(Node::Ternary(Box::new((condition, yes, no))))
    }

    /// Operators that bind at least as tight as `min`.
    fn binary(&mut self, min: u8) -> Parsed {
        let mut left = self.unary()?;
        while let Some(op) = self.binary_operator().filter(|op| op.precedence() >= min) {
            self.advance()?;
            let right = self.binary(op.precedence() + 1)?;
            left = self.joined(left, op, right)?;
        }
        Ok(left)
    }

    fn binary_operator(&self) -> Option<BinaryOp> {
        match self.token {
            Token::Binary(op) => Some(op),
            Token::Plus => Some(BinaryOp::Add),
            Token::Minus => Some(BinaryOp::Subtract),
            _ => None,
        }
    }

    /// `left op right`, in one run with `left` if that is of the same precedence.
    fn joined(&mut self, left: Expr, op: BinaryOp, right: Expr) -> Parsed {
        match left {
            Expr(Node::Binary(mut chain)) if chain.precedence() == op.precedence() => {
                chain.rest.push((op, right));
                self.node(Node::Binary(chain))
            }
            first => self.node(Node::Binary(Box::new(Chain { first, rest: vec![(op, right)] }))),
        }
    }

    fn unary(&mut self) -> Parsed {
        let op = match self.token {
            Token::Minus => UnaryOp::Minus,
            Token::Plus => UnaryOp::Plus,
            Token::BitNot => UnaryOp::BitNot,
            Token::Not => UnaryOp::Not,
            _ => {
                self.enter(2)?;
                let expr = self.postfix()?;
                self.depth -= 2;
                return Ok(expr);
            }
        };
        self.enter(1)?;
        self.advance()?;
        let operand = self.unary()?;
        self.depth -= 1;
        self.node(Node::Unary(Box::new((op, operand))))
    }

    fn postfix(&mut self) -> Parsed {
        let base = self.primary()?;
        match self.token {
            Token::Dot | Token::OpenBracket | Token::Elvis => self.postfix_steps(base),
            _ => Ok(base),
        }
    }

    fn postfix_steps(&mut self, base: Expr) -> Parsed {
        let mut steps = Vec::new();
        loop {
            match self.token {
                Token::Dot => {
                    self.advance()?;
                    let name = self.name("an attribute name after '.'")?;
                    steps.push(Step::Select(name));
                }
                Token::OpenBracket => {
                    self.advance()?;
                    let index = self.expr()?;
                    self.expect(&Token::CloseBracket)?;
                    steps.push(Step::Index(index));
                }
                Token::Elvis => {
                    self.advance()?;
                    let left = self.with_steps(base, steps)?;
                    // The right side takes every further `?:`: the operator nests to the right.
                    self.enter(1)?;
                    let right = self.postfix()?;
                    self.depth -= 1;
                    return self.node(Node::Elvis(Box::new((left, right))));
                }
                _ => return self.with_steps(base, steps),
            }
            self.nodes.spend(self.offset)?;
        }
    }

    fn with_steps(&mut self, base: Expr, steps: Vec<Step>) -> Parsed {
        if steps.is_empty() {
            return Ok(base);
        }
        self.node(Node::Postfix(Box::new(Postfix { base, steps })))
    }

    fn name(&mut self, expected: &'static str) -> Parsed<Text> {
        let name = match &mut self.token {
            Token::Name(name) => Text::from(std::mem::take(name)),
            _ => return Err(self.expected(expected)),
        };
        self.advance()?;
        Ok(name)
    }

    fn primary(&mut self) -> Parsed {
        match self.token {
            Token::Name(_) => self.name_or_call(),
            Token::Dot => {
                self.advance()?;
                let name = self.name("an attribute name after '.'")?;
                self.node(Node::Attr { name, absolute: true })
            }
            Token::OpenParen => {
                self.advance()?;
                let inner = self.expr()?;
                self.expect(&Token::CloseParen)?;
                self.node(Node::Paren(Box::new(inner)))
            }
            Token::OpenBracket => {
                let record = self.record()?;
                self.node(Node::Record(record))
            }
            Token::OpenBrace => {
                self.advance()?;
                let items = self.items(&Token::CloseBrace, "',' or '}'")?;
                self.node(Node::List(Arc::from(items)))
            }
            _ => self.literal(),
        }
    }

    fn literal(&mut self) -> Parsed {
        let literal = match &mut self.token {
            Token::Integer(i) => Literal::Int(*i),
            Token::Real(r) => Literal::Real(*r),
            Token::Boolean(b) => Literal::Bool(*b),
            Token::String { text, .. } => Literal::String(Text::from(std::mem::take(text))),
            Token::Undefined => Literal::Undefined,
            Token::ErrorValue => Literal::Error,
            _ => return Err(self.expected("an expression")),
        };
        self.advance()?;
        self.node(Node::Literal(literal))
    }

    fn name_or_call(&mut self) -> Parsed {
        let start = self.offset;
        let name = self.name("a name")?;
        if self.token == Token::OpenParen {
            return self.call(name, start);
        }
        self.node(Node::Attr { name, absolute: false })
    }

    /// Comma-separated expressions up to `close`, which is consumed.
    fn items(&mut self, close: &Token<'_>, expected: &'static str) -> Parsed<Vec<Expr>> {
        let arguments = *close == Token::CloseParen;
        let mut items = Vec::new();
        if self.eat(close)? {
            return Ok(items);
        }
        loop {
            items.push(self.expr()?);
            if self.eat(close)? {
                return Ok(items);
            }
            // Old ClassAds separated arguments by semicolons as well.
            let separator = match self.token {
                Token::Comma => true,
                Token::Semicolon => arguments && self.options.semantics == Semantics::Old,
                _ => false,
            };
            if !separator {
                return Err(self.expected(expected));
            }
            self.advance()?;
        }
    }

    fn call(&mut self, name: Text, start: usize) -> Parsed {
        self.advance()?;
        let args = self.items(&Token::CloseParen, "',' or ')'")?;
        if let [Expr(Node::Literal(Literal::String(text)))] = args.as_slice()
            && let Some(literal) = self.time_literal(&name, text)
        {
            let literal = literal.ok_or_else(|| {
                let text = text.to_string_lossy().into_owned();
                Box::new(ParseError::new(start, ParseErrorKind::BadTime { text }))
            })?;
            return self.node(Node::Literal(literal));
        }
        self.node(Node::Call(Box::new(Call { name, args })))
    }

    /// `absTime("...")` and `relTime("...")` are literals, not calls. The inner option is none if
    /// the text is no time.
    fn time_literal(&self, name: &Text, text: &Text) -> Option<Option<Literal>> {
        if name.eq_ignore_case("abstime") {
            let time = time::parse_absolute(text.as_bytes(), &self.options.zone);
            return Some(time.map(Literal::AbsTime));
        }
        if name.eq_ignore_case("reltime") {
            return Some(time::parse_relative(text.as_bytes()).map(Literal::RelTime));
        }
        None
    }

    fn record(&mut self) -> Parsed<ClassAd> {
        self.expect(&Token::OpenBracket)?;
        let mut attrs = Vec::new();
        if self.eat(&Token::CloseBracket)? {
            return Ok(ClassAd::new());
        }
        // Semicolons may stand in front, but not alone.
        while self.eat(&Token::Semicolon)? {}
        loop {
            let start = self.offset;
            let name = self.name("an attribute name")?;
            if name.is_empty() {
                return Err(Box::new(ParseError::new(start, ParseErrorKind::EmptyName)));
            }
            self.expect(&Token::Assign)?;
            let value = self.expr()?;
            attrs.push((name, value));
            if !matches!(self.token, Token::Semicolon | Token::CloseBracket) {
                return Err(self.expected("';' or ']'"));
            }
            while self.eat(&Token::Semicolon)? {}
            if self.eat(&Token::CloseBracket)? {
                break;
            }
        }
        Ok(ClassAd::from_pairs(attrs))
    }
}

impl Chain {
    pub(crate) fn precedence(&self) -> u8 {
        self.rest.first().map_or(0, |(op, _)| op.precedence())
    }
}

impl ParseOptions {
    /// New syntax with the old semantics, as HTCondor's tools and daemons read `[...]`.
    pub(crate) const NEW: ParseOptions = ParseOptions::new(Syntax::New);
    /// Long-form values.
    pub(crate) const OLD: ParseOptions = ParseOptions::new(Syntax::Old);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(text: &str) -> String {
        Expr::parse(text).map_or_else(|e| e.render(text), |e| e.to_string())
    }

    #[test]
    fn precedence_and_association() {
        let value = |text: &str| Expr::parse(text).unwrap().eval_in(&ClassAd::new()).to_string();
        assert_eq!(value("1 + 2 * 3 - 4"), "3");
        assert_eq!(value("10 - 4 - 3"), "3");
        assert_eq!(value("1 | 2 ^ 3 & 2 == 2"), "error");
        assert_eq!(value("false && true || true"), "true");
        assert_eq!(value("true ? 1 : false ? 2 : 3"), "1");
    }

    #[test]
    fn elvis_binds_like_a_postfix() {
        assert_eq!(printed("-a ?: 3"), " -a ?: 3");
        assert!(Expr::parse("x ?: !y").is_err());
        let ad = ClassAd::parse("[u = undefined]").unwrap();
        let value = Expr::parse("1 + u ?: 9").unwrap().eval_in(&ad);
        assert_eq!(value.to_string(), "10");
    }

    #[test]
    fn a_conditional_hides_what_follows() {
        assert_eq!(printed("1 ? 2 : 3 junk"), "1 ? 2 : 3");
        assert!(Expr::parse("1 junk").is_err());
    }

    #[test]
    fn separators() {
        for text in ["{1,2,}", "{,1}", "f(1,)", "[;]", "{,}", "f(1;)"] {
            assert!(Expr::parse(text).is_err(), "{text}");
        }
        assert_eq!(printed("f(1;2)"), "f(1,2)");
        assert_eq!(printed("[;;a=1;;b=2;]"), "[ a = 1; b = 2 ]");
        assert!(Expr::parse("[a=1,b=2]").is_err());
    }

    #[test]
    fn depth_is_that_of_htcondor() {
        let parens = |n: usize| format!("{}1{}", "(".repeat(n), ")".repeat(n));
        assert!(Expr::parse(&parens(165)).is_ok());
        let error = Expr::parse(&parens(166)).unwrap_err();
        assert_eq!(error.kind, ParseErrorKind::TooDeep);
        for (open, close) in
            [("(", ")"), ("{", "}"), ("[a=", "]"), ("f(", ")"), ("-(", ")"), ("!", "")]
        {
            let text = format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
            assert_eq!(Expr::parse(&text).unwrap_err().kind, ParseErrorKind::TooDeep);
        }
    }

    #[test]
    fn length_is_no_depth() {
        for part in ["+1", ".a", "[0]", "&&1"] {
            let text = format!("a{}", part.repeat(100_000));
            let expr = Expr::parse(&text).unwrap();
            assert_eq!(expr.clone(), expr);
            assert!(expr.to_string().len() >= text.len());
        }
    }

    #[test]
    fn size_is_bounded() {
        let text = format!("{{{}}}", "1,".repeat(2_000_000));
        assert_eq!(Expr::parse(&text).unwrap_err().kind, ParseErrorKind::TooLarge);
    }

    #[test]
    fn errors_say_where() {
        assert_eq!(
            printed("a = 1"),
            "line 1, column 3: unexpected '=' after the end of the expression\n    a = 1\n      ^"
        );
        assert_eq!(
            printed("strcat(\"a\", )x"),
            "line 1, column 13: expected an expression, found ')'\
             \n    strcat(\"a\", )x\n                ^"
        );
    }
}
