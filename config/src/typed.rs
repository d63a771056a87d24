//! Typed reads: a knob's value as boolean, integer, real, list or expression.

use std::ops::RangeInclusive;

use classad::{ClassAd, Expr, Value};

use crate::config::Config;
use crate::defaults::{Kind, Knob};
use crate::error::{Error, ErrorKind, Invalid};
use crate::functions::short;
use crate::read::{self, Ads, Unreadable};
use crate::text;

/// Integers of 32 bits, which most of HTCondor's knobs are.
const INT: RangeInclusive<i64> = i32::MIN as i64..=i32::MAX as i64;

/// How HTCondor calls what a reader wants.
struct Wanted {
    value: &'static str,
    expression: &'static str,
    /// The range and the default.
    bounds: String,
}

impl Config {
    /// A boolean: the knob's, or the default HTCondor has for it; `None` if there is neither.
    pub fn bool(&self, name: &str) -> Result<Option<bool>, Error> {
        match (self.string(name)?, self.default_int(name)) {
            (None, default) => Ok(default.map(|number| number != 0)),
            (Some(text), default) => {
                let default = default.is_some_and(|number| number != 0);
                Ok(Some(self.read_bool(name, &text, default, Ads::default())?))
            }
        }
    }

    /// A boolean; `default` counts if HTCondor has none for this knob.
    pub fn bool_or(&self, name: &str, default: bool) -> Result<bool, Invalid<bool>> {
        self.bool_with(name, default, Ads::default())
    }

    /// A boolean that may be an expression over `my` and `target`, such as
    /// `STARTER_ALLOW_RUNAS_OWNER`. `None` if it isn't defined.
    pub fn eval_bool(
        &self,
        name: &str,
        my: Option<&ClassAd>,
        target: Option<&ClassAd>,
    ) -> Result<Option<bool>, Error> {
        let Some(text) = self.string(name)? else {
            return Ok(self.default_int(name).map(|number| number != 0));
        };
        Ok(Some(self.read_bool(name, &text, false, Ads { my, target })?))
    }

    fn bool_with(&self, name: &str, default: bool, ads: Ads<'_>) -> Result<bool, Invalid<bool>> {
        let default = self.default_int(name).map_or(default, |number| number != 0);
        let text = self.string(name).map_err(|error| Invalid { error, fallback: default })?;
        match text {
            Some(text) => self.read_bool(name, &text, default, ads),
            None => Ok(default),
        }
    }

    fn read_bool(
        &self,
        name: &str,
        text: &str,
        default: bool,
        ads: Ads<'_>,
    ) -> Result<bool, Invalid<bool>> {
        read::boolean_in(text, name, ads).map_err(|prefix| {
            let named = if default { "True" } else { "False" };
            let what = format!(
                "{name} in the condor configuration  is not a valid boolean (\"{text}\").  \
                 Please set it to True or False (default is {named})"
            );
            Invalid { error: self.value_error(name, what), fallback: prefix.unwrap_or(default) }
        })
    }

    /// A boolean for which the first letter is enough: `t`, `F`, but also `tomorrow`.
    pub fn bool_crufty(&self, name: &str, default: bool) -> Result<bool, Invalid<bool>> {
        let text = self.string(name).map_err(|error| Invalid { error, fallback: default })?;
        match text.as_deref().and_then(|text| text.bytes().next()) {
            Some(b't' | b'T') => Ok(true),
            Some(b'f' | b'F') => Ok(false),
            _ => self.bool_or(name, default),
        }
    }

    /// Is the knob defined, and a boolean that is true? Anything else is no.
    pub fn is_true(&self, name: &str) -> bool {
        self.plain_bool(name) == Some(true)
    }

    /// Is the knob defined, and a boolean that is false?
    pub fn is_false(&self, name: &str) -> bool {
        self.plain_bool(name) == Some(false)
    }

    fn plain_bool(&self, name: &str) -> Option<bool> {
        let text = self.string(name).ok()??;
        read::boolean_in(&text, "CondorBool", Ads::default()).ok()
    }

    /// An integer: the knob's, or the default HTCondor has for it; `None` if there is neither.
    pub fn int(&self, name: &str) -> Result<Option<i64>, Error> {
        if self.string(name)?.is_none() {
            return Ok(self.default_int(name));
        }
        Ok(Some(self.long_in(name, 0, i64::MIN..=i64::MAX)?))
    }

    /// An integer of 64 bits; `default` counts if HTCondor has none for this knob.
    pub fn int_or(&self, name: &str, default: i64) -> Result<i64, Invalid<i64>> {
        self.long_in(name, default, i64::MIN..=i64::MAX)
    }

    /// An integer of 32 bits within `range`. If HTCondor's table has the knob as an integer, its
    /// default and its range count, not the ones given here.
    pub fn int_in(
        &self,
        name: &str,
        default: i64,
        range: RangeInclusive<i64>,
    ) -> Result<i64, Invalid<i64>> {
        self.integer(name, default, range, INT)
    }

    /// An integer of 64 bits within `range`, as [`Config::int_in`].
    pub fn long_in(
        &self,
        name: &str,
        default: i64,
        range: RangeInclusive<i64>,
    ) -> Result<i64, Invalid<i64>> {
        self.integer(name, default, range, i64::MIN..=i64::MAX)
    }

    fn integer(
        &self,
        name: &str,
        default: i64,
        range: RangeInclusive<i64>,
        width: RangeInclusive<i64>,
    ) -> Result<i64, Invalid<i64>> {
        let default = self.default_int(name).map_or(default, |default| clamp(default, &width));
        let range = match self.macros.default(name).and_then(|(_, knob)| knob.range()) {
            Some((min, max)) => clamp(min, &width)..=clamp(max, &width),
            None => range,
        };
        let text = self.string(name).map_err(|error| Invalid { error, fallback: default })?;
        let Some(text) = text else { return Ok(default) };
        let bounds =
            format!("in the range {} to {} (default {default}).", range.start(), range.end());
        match read::long_in(&text, name, Ads::default()) {
            Ok(number) if !width.contains(&number) => {
                let what = format!(
                    "{name} in the condor configuration is out of bounds for an integer ({text}).  \
                     Please set it to an integer {bounds}"
                );
                let fallback = clamp(number, &width);
                Err(Invalid { error: self.value_error(name, what), fallback })
            }
            read => {
                let (value, expression) = ("an integer", "an integer expression");
                let wanted = Wanted { value, expression, bounds };
                self.within(name, &text, read, default, &range, &wanted)
            }
        }
    }

    /// The number that was read if it lies within the range; otherwise the nearer end of it, and
    /// HTCondor's words.
    fn within<T: Copy + PartialOrd>(
        &self,
        name: &str,
        text: &str,
        read: Result<T, Unreadable>,
        default: T,
        range: &RangeInclusive<T>,
        wanted: &Wanted,
    ) -> Result<T, Invalid<T>> {
        let Wanted { value, expression, bounds } = wanted;
        let number = *read.as_ref().unwrap_or(&default);
        let (result, wrong) = if number < *range.start() {
            (*range.start(), Some("low"))
        } else if number > *range.end() {
            (*range.end(), Some("high"))
        } else {
            (number, None)
        };
        let what = match (wrong, read) {
            (None, Ok(_)) => return Ok(result),
            (Some(how), _) => format!(
                "{name} in the condor configuration is too {how} ({text}).  \
                 Please set it to {value} {bounds}"
            ),
            (None, Err(reason)) => {
                let what = match reason {
                    Unreadable::Syntax => "Invalid expression".to_owned(),
                    Unreadable::Kind => format!("Invalid result (not {value})"),
                };
                format!(
                    "{what} for {name} ({text}) in condor configuration.  \
                     Please set it to {expression} {bounds}"
                )
            }
        };
        Err(Invalid { error: self.value_error(name, what), fallback: result })
    }

    /// A real number: the knob's, or the default HTCondor has for it; `None` if there is neither.
    pub fn real(&self, name: &str) -> Result<Option<f64>, Error> {
        if self.string(name)?.is_none() {
            return Ok(self.default_real(name));
        }
        Ok(Some(self.real_in(name, 0.0, f64::MIN..=f64::MAX)?))
    }

    /// A real number; `default` counts if HTCondor has none for this knob.
    pub fn real_or(&self, name: &str, default: f64) -> Result<f64, Invalid<f64>> {
        self.real_in(name, default, f64::MIN..=f64::MAX)
    }

    /// A real number within `range`. HTCondor's default for the knob, if there is one, counts.
    pub fn real_in(
        &self,
        name: &str,
        default: f64,
        range: RangeInclusive<f64>,
    ) -> Result<f64, Invalid<f64>> {
        let default = self.default_real(name).unwrap_or(default);
        let text = self.string(name).map_err(|error| Invalid { error, fallback: default })?;
        let Some(text) = text else { return Ok(default) };
        let (low, high) = (*range.start(), *range.end());
        let bounds =
            format!("in the range {} to {} (default {}).", short(low), short(high), short(default));
        let read = read::double_in(&text, name, Ads::default());
        let wanted = Wanted { value: "a number", expression: "a numeric expression", bounds };
        self.within(name, &text, read, default, &range, &wanted)
    }

    /// The items of a list: commas and blanks separate.
    pub fn list(&self, name: &str) -> Result<Vec<String>, Error> {
        let text = self.string(name)?.unwrap_or_default();
        Ok(text::list(&text).map(str::to_owned).collect())
    }

    /// An expression, for knobs that are evaluated again and again.
    pub fn expr(&self, name: &str) -> Result<Option<Expr>, Error> {
        let Some(text) = self.string(name)? else { return Ok(None) };
        Expr::parse_old(&text).map(Some).map_err(|error| {
            let what = format!("{name} is not an expression ({text}): {error}");
            self.value_error(name, what)
        })
    }

    /// The value of a knob that is an expression over `my` and `target`. `None` if it isn't defined.
    pub fn eval(
        &self,
        name: &str,
        my: Option<&ClassAd>,
        target: Option<&ClassAd>,
    ) -> Result<Option<Value>, Error> {
        let Some(text) = self.string(name)? else { return Ok(None) };
        read::evaluate(&text, name, Ads { my, target })
            .map(Some)
            .map_err(|_| self.value_error(name, format!("{name} is not an expression ({text})")))
    }

    /// A string that may be an expression over `my` and `target`, such as `MOUNT_UNDER_SCRATCH`:
    /// the expression's if it gives a string, otherwise the text as it is. The flag tells which.
    pub fn eval_string(
        &self,
        name: &str,
        my: Option<&ClassAd>,
        target: Option<&ClassAd>,
    ) -> Result<Option<(String, bool)>, Error> {
        let Some(text) = self.string(name)? else { return Ok(None) };
        let value = read::evaluate(&text, "_condor_bool", Ads { my, target });
        Ok(Some(match value {
            Ok(Value::String(value)) => (value.to_string_lossy().into_owned(), true),
            _ => (text, false),
        }))
    }

    /// HTCondor's own default as an integer, if its table has the knob as a number or boolean.
    fn default_int(&self, name: &str) -> Option<i64> {
        let knob = self.table_entry(name)?;
        match knob.kind {
            Kind::Bool => Some(i64::from(knob.default.eq_ignore_ascii_case("true"))),
            // A default that refers to another knob counts as 0 here, as it does in HTCondor.
            Kind::Int | Kind::Long => Some(read::long(knob.default).unwrap_or(0)),
            Kind::Double | Kind::String | Kind::Path => None,
        }
    }

    fn default_real(&self, name: &str) -> Option<f64> {
        let knob = self.table_entry(name)?;
        match knob.kind {
            Kind::Double => Some(read::double(knob.default).unwrap_or(0.0)),
            _ => read::double(&self.default_int(name)?.to_string()),
        }
    }

    fn table_entry(&self, name: &str) -> Option<&'static Knob> {
        self.macros
            .default_for(self.subsystem(), name)
            .or_else(|| self.macros.default(name))
            .map(|(_, knob)| knob)
            .filter(|knob| !knob.default.is_empty())
    }

    fn value_error(&self, name: &str, what: String) -> Error {
        let error = Error::new(ErrorKind::Value, what, "");
        match self.origin(name) {
            Some(origin) => error.at(&origin.file, origin.line),
            None => error,
        }
    }
}

fn clamp(number: i64, range: &RangeInclusive<i64>) -> i64 {
    number.clamp(*range.start(), *range.end())
}
