//! The functions of the language: `$INT()`, `$SUBSTR()`, `$F...()` and the others.

mod choose;
mod number;
mod path;
mod printf;
mod words;

pub(crate) use printf::short;

use crate::error::{Error, ErrorKind};
use crate::expand::{Dialect, Work};
use crate::macros::Macros;
use crate::scan::{Function, Reference};
use crate::text::{nth, trim};

/// One call: the knobs it can see, its text, and what has been used up so far.
pub(crate) struct Call<'m, 'w> {
    macros: &'m Macros,
    dialect: Dialect,
    work: &'w mut Work,
}

/// The value of a function, which is looked through for references again.
pub(crate) fn evaluate(
    macros: &Macros,
    reference: &Reference<'_>,
    dialect: Dialect,
    work: &mut Work,
) -> Result<String, Error> {
    let mut call = Call { macros, dialect, work };
    let body = reference.body;
    match reference.function {
        Function::Value | Function::Env => Ok(String::new()),
        Function::RandomChoice => choose::random_choice(&mut call, body),
        Function::RandomInteger => choose::random_integer(&call, body),
        Function::Choice => choose::choice(&mut call, body),
        Function::Substr => words::substr(&mut call, body),
        Function::String => words::string(&mut call, body),
        Function::Eval => words::eval(&mut call, body),
        Function::Int => number::int(&mut call, body),
        Function::Real => number::real(&mut call, body),
        Function::Basename => path::basename(&mut call, body),
        Function::Dirname => path::dirname(&mut call, body),
        Function::Filename => path::filename(&mut call, &reference.word[1..], body),
    }
}

impl Call<'_, '_> {
    /// The value of an argument: a knob's if it names one, otherwise its own text; expanded.
    fn value(&mut self, argument: &str, dialect: Dialect) -> Result<String, Error> {
        match self.macros.find(argument) {
            Some(found) => self.macros.expand_value(&found, dialect, self.work),
            None => self.macros.expand(argument.to_owned(), dialect, self.work),
        }
    }

    /// The value of the knob an argument names.
    fn knob(&mut self, argument: &str, dialect: Dialect) -> Option<Result<String, Error>> {
        let found = self.macros.find(argument)?;
        Some(self.macros.expand_value(&found, dialect, self.work))
    }

    /// The value of the argument at `index`, as the second expander takes it.
    fn inline_value(&mut self, body: &str, index: usize) -> Option<Result<String, Error>> {
        let argument = trim(nth(body, ',', index)?);
        Some(self.value(argument, Dialect::Inline))
    }

    /// First argument and format: the text before, and all behind, the first comma.
    fn value_and_format<'b>(&mut self, body: &'b str) -> (&'b str, Option<&'b str>) {
        let (argument, format) = match body.split_once(',') {
            Some((argument, format)) => (argument, Some(format)),
            None => (body, None),
        };
        match self.dialect {
            Dialect::Param => (argument, format),
            Dialect::Inline => (trim(argument), format),
        }
    }
}

/// A function has no value. Daemons of HTCondor stop here, tools print the sentence and go on with
/// rubbish, which is not imitated.
fn fault(what: String) -> Error {
    Error::new(ErrorKind::Function, what, "Correct the function's arguments")
}
