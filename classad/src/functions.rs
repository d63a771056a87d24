//! Built-in functions: the table, and how they get at their arguments.
//!
//! Functions that want a value of one type are strict about the number of arguments (a wrong one
//! is an error value) but differ, each in its own way, in what they make of `undefined`. Where a
//! function here looks irregular, HTCondor 25.14 is.

mod context;
mod jobs;
mod lists;
mod math;
mod pattern;
mod regex;
mod string_list;
mod strings;
mod times;
mod types;
mod version;

use crate::EvalFailed;
use crate::eval::{Evaluated, Evaluator, Scope};
use crate::expr::{self, Expr};
use crate::text::{Text, cmp_ignore_case};
use crate::value::{List, Value};

/// One call of a function.
pub(crate) struct Call<'c, 'a> {
    eval: &'c mut Evaluator<'a>,
    args: &'c [Expr],
    /// Where the call stands.
    scope: Option<&'c Scope>,
}

type Function = fn(&mut Call<'_, '_>) -> Evaluated;

/// Names in lower case, sorted.
#[rustfmt::skip]
const TABLE: &[(&str, Function)] = &[
    ("abstime", times::abs_time),
    ("allcompare", |c| lists::compare(c, true)),
    ("anycompare", |c| lists::compare(c, false)),
    ("argstolist", jobs::args_to_list),
    ("avg", |c| lists::sum(c, true)),
    ("bool", types::boolean),
    ("ceil", |c| math::round(c, f64::ceil)),
    ("ceiling", |c| math::round(c, f64::ceil)),
    ("countmatches", |c| context::each(c, true)),
    ("currenttime", times::current_time),
    ("daytime", times::day_time),
    ("debug", context::debug),
    ("envv1tov2", jobs::env_v1_to_v2),
    ("eval", context::eval),
    ("evalineachcontext", |c| context::each(c, false)),
    ("floor", |c| math::round(c, f64::floor)),
    ("formattime", times::format_time),
    ("getdayofmonth", |c| times::field(c, times::Field::DayOfMonth)),
    ("getdayofweek", |c| times::field(c, times::Field::DayOfWeek)),
    ("getdayofyear", |c| times::field(c, times::Field::DayOfYear)),
    ("getdays", |c| times::field(c, times::Field::Days)),
    ("gethours", |c| times::field(c, times::Field::Hours)),
    ("getminutes", |c| times::field(c, times::Field::Minutes)),
    ("getmonth", |c| times::field(c, times::Field::Month)),
    ("getseconds", |c| times::field(c, times::Field::Seconds)),
    ("getyear", |c| times::field(c, times::Field::Year)),
    ("identicalmember", |c| lists::member(c, true)),
    ("ifthenelse", context::if_then_else),
    ("int", types::integer),
    ("interval", times::interval),
    ("isabstime", |c| types::is(c, |v| matches!(v, Value::AbsTime(_)))),
    ("isboolean", |c| types::is(c, |v| matches!(v, Value::Bool(_)))),
    ("isclassad", |c| types::is(c, |v| matches!(v, Value::Ad(_)))),
    ("iserror", |c| types::is(c, Value::is_error)),
    ("isinteger", |c| types::is(c, |v| matches!(v, Value::Int(_)))),
    ("islist", |c| types::is(c, |v| matches!(v, Value::List(_)))),
    ("isreal", |c| types::is(c, |v| matches!(v, Value::Real(_)))),
    ("isreltime", |c| types::is(c, |v| matches!(v, Value::RelTime(_)))),
    ("isstring", |c| types::is(c, |v| matches!(v, Value::String(_)))),
    ("isundefined", |c| types::is(c, Value::is_undefined)),
    ("join", strings::join),
    ("listtoargs", jobs::list_to_args),
    ("max", |c| lists::bound(c, true)),
    ("member", |c| lists::member(c, false)),
    ("mergeenvironment", jobs::merge_environment),
    ("min", |c| lists::bound(c, false)),
    ("pow", math::pow),
    ("quantize", math::quantize),
    ("random", math::random),
    ("real", types::real),
    ("regexp", regex::regexp),
    ("regexpmember", regex::regexp_member),
    ("regexps", |c| regex::substitute(c, "")),
    ("reltime", times::rel_time),
    ("replace", |c| regex::substitute(c, "f")),
    ("replaceall", |c| regex::substitute(c, "fg")),
    ("round", |c| math::round(c, f64::round_ties_even)),
    ("size", lists::size),
    ("split", strings::split),
    ("splitslotname", |c| strings::split_at(c, true)),
    ("splittime", times::split_time),
    ("splitusername", |c| strings::split_at(c, false)),
    ("strcat", strings::strcat),
    ("strcmp", |c| strings::compare(c, Ord::cmp)),
    ("stricmp", |c| strings::compare(c, cmp_ignore_case)),
    ("string", types::string),
    ("stringlist_regexpmember", regex::string_list_member),
    ("stringlistavg", |c| string_list::summarize(c, string_list::Summary::Avg)),
    ("stringlistimember", |c| string_list::member(c, true)),
    ("stringlistisubsetmatch", |c| string_list::subset(c, true)),
    ("stringlistmax", |c| string_list::summarize(c, string_list::Summary::Max)),
    ("stringlistmember", |c| string_list::member(c, false)),
    ("stringlistmin", |c| string_list::summarize(c, string_list::Summary::Min)),
    ("stringlistsintersect", string_list::intersect),
    ("stringlistsize", string_list::size),
    ("stringlistsubsetmatch", |c| string_list::subset(c, false)),
    ("stringlistsum", |c| string_list::summarize(c, string_list::Summary::Sum)),
    ("substr", strings::substr),
    ("sum", |c| lists::sum(c, false)),
    ("time", times::time),
    ("timezoneoffset", times::zone_offset),
    ("tolower", |c| strings::change_case(c, u8::to_ascii_lowercase)),
    ("toupper", |c| strings::change_case(c, u8::to_ascii_uppercase)),
    ("unparse", context::unparse),
    ("unresolved", context::unresolved),
    ("userhome", jobs::user_home),
    ("usermap", jobs::user_map),
    ("version_in_range", version::in_range),
    ("versioncmp", version::compare),
    ("versioneq", |c| version::test(c, |n| n == 0)),
    ("versionge", |c| version::test(c, |n| n >= 0)),
    ("versiongt", |c| version::test(c, |n| n > 0)),
    ("versionle", |c| version::test(c, |n| n <= 0)),
    ("versionlt", |c| version::test(c, |n| n < 0)),
];

/// Calls the function of that name; one that there is not gives error, its arguments untouched.
pub(crate) fn call(
    eval: &mut Evaluator<'_>,
    call: &expr::Call,
    scope: Option<&Scope>,
) -> Evaluated {
    let name = call.name.as_bytes();
    match TABLE.binary_search_by(|(entry, _)| cmp_ignore_case(entry.as_bytes(), name)) {
        Ok(at) => TABLE[at].1(&mut Call { eval, args: &call.args, scope }),
        Err(_) => Ok(Value::Error),
    }
}

impl Call<'_, '_> {
    fn count(&self) -> usize {
        self.args.len()
    }

    /// The value of argument `n`; undefined if there is none.
    fn arg(&mut self, n: usize) -> Evaluated {
        match self.args.get(n) {
            Some(expr) => self.eval.eval(expr, self.scope),
            None => Ok(Value::Undefined),
        }
    }

    /// The values of all arguments if there are `N`.
    fn values<const N: usize>(&mut self) -> Result<Option<[Value; N]>, EvalFailed> {
        if self.count() != N {
            return Ok(None);
        }
        let mut values = [const { Value::Undefined }; N];
        for (n, value) in values.iter_mut().enumerate() {
            *value = self.arg(n)?;
        }
        Ok(Some(values))
    }

    /// The value of an element of a list that was passed.
    fn element(&mut self, list: &List, n: usize) -> Evaluated {
        match list.exprs().get(n) {
            Some(item) => self.eval.element(item, list, self.scope),
            None => Ok(Value::Undefined),
        }
    }

    /// A string value, accounted for.
    fn string(&mut self, bytes: Vec<u8>) -> Evaluated {
        self.eval.spend_bytes(bytes.len())?;
        Ok(Value::String(Text::from(bytes)))
    }
}

/// A list value of strings.
fn list_of_strings<T: Into<Text>>(items: impl IntoIterator<Item = T>) -> Value {
    Value::List(List::new(items.into_iter().map(|s| Expr::string(s)).collect(), None))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ClassAd;

    /// The value of `expr`, text in new form.
    pub(super) fn eval(expr: &str) -> String {
        Expr::parse(expr).unwrap().eval_in(&ClassAd::new()).to_string()
    }

    #[test]
    fn the_table_is_sorted() {
        assert!(TABLE.is_sorted_by(|a, b| cmp_ignore_case(a.0.as_bytes(), b.0.as_bytes()).is_lt()));
        assert!(TABLE.iter().all(|(name, _)| *name == name.to_ascii_lowercase()));
    }

    #[test]
    fn unknown_functions_are_errors() {
        assert_eq!(eval("sqrt(4)"), "error");
        assert_eq!(eval("IsError(abs(-1))"), "true");
    }
}
