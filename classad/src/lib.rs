//! The ClassAd language of HTCondor: parser, evaluator, built-in functions and printer.
//!
//! A [`ClassAd`] is a set of named expressions. A job, a machine and a daemon are each described by
//! one; policies are expressions evaluated in one ad, or in two during a match. This crate reads and
//! writes ads in all the forms HTCondor uses (old or *long*, new, JSON and XML) and evaluates
//! expressions as HTCondor 25.14.1 does, oddities included: its answers have been compared with that
//! release's library on many thousand expressions.
//!
//! ```
//! use classad::{ClassAd, Expr, MatchClassAd, Value};
//!
//! // Long form: job ad files, history, everything on the wire.
//! let mut job = ClassAd::parse_old(
//!     "Cmd = \"/bin/sleep\"\n\
//!      RequestMemory = ifThenElse(MemoryUsage =!= undefined, MemoryUsage, 128)\n\
//!      Requirements = TARGET.Memory >= RequestMemory && TARGET.OpSys == \"LINUX\"\n",
//! )?;
//! assert_eq!(job.eval_i64("requestmemory"), Some(128));
//! job.insert("MemoryUsage", 900);
//! assert_eq!(job.eval_i64("RequestMemory"), Some(900));
//!
//! // New form, and a match.
//! let slot = ClassAd::parse("[Memory = 1024; OpSys = \"linux\"; Requirements = true]")?;
//! assert!(MatchClassAd::new(&job, &slot).matches());
//!
//! // Expressions on their own.
//! let expr = Expr::parse("strcat(toUpper(OpSys), \"-\", Memory / 512)")?;
//! assert_eq!(expr.eval_in(&slot), Value::from("LINUX-2"));
//! assert_eq!(slot.to_json(), r#"{"OpSys": "linux","Memory": 1024,"Requirements": true}"#);
//! # Ok::<(), classad::ParseError>(())
//! ```
//!
//! # Undefined, error and failure
//!
//! A name that leads nowhere is `undefined`; an operation without meaning is `error`. Both are
//! values that expressions can test. Beyond that an evaluation can *fail*: it goes too deep, does
//! too much, or calls one of a few functions in a way that HTCondor gives up on. [`Context::eval`]
//! makes an `error` of a failure, as HTCondor's callers do, and [`Context::try_eval`] tells it apart.
//!
//! # Bytes
//!
//! Strings are bytes to HTCondor, and so they are here ([`Text`]). Every parser takes `&str` or
//! `&[u8]` alike; the `to_..._bytes` printers are lossless, and those that return a `String` put
//! U+FFFD where bytes are not UTF-8. `size()`, `substr()` and their like count bytes.
//!
//! # Limits
//!
//! Texts come from strangers. Nesting, the number of values in one text, the depth and the work of
//! one evaluation, and the length of a string that an expression may build are bounded: beyond
//! them there is an error, never an overflow of the stack. The first two kinds of limit are
//! HTCondor's own.
//!
//! # The world outside
//!
//! The crate does no I/O of its own. What functions such as `time()` or `userHome()` need to know
//! comes through [`Host`]; the local time zone is a [`Zone`].

#![forbid(unsafe_code)]

mod ad;
mod error;
mod eval;
mod expr;
mod forms;
mod functions;
mod host;
mod lexer;
mod matching;
mod num;
mod options;
mod parser;
mod print;
mod text;
mod time;
mod value;

pub use ad::{ClassAd, is_private};
pub use error::{ParseError, ParseErrorKind};
pub use eval::{Context, EvalFailed};
pub use expr::Expr;
pub use forms::Form;
pub use host::{Host, SystemHost};
pub use matching::MatchClassAd;
pub use options::{ParseOptions, Semantics, Syntax};
pub use text::Text;
pub use time::{AbsTime, RelTime, Zone};
pub use value::{List, ScopedAd, Value};

/// The examples of the page that registries show.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
