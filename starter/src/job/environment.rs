//! The two syntaxes of job environments, and an ordered set of variables.

use super::arguments::{SyntaxError, parse_v2};

/// Environment variables in the order they were first set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Variables(Vec<(String, String)>);

impl Variables {
    /// Sets a variable, replacing an earlier value.
    pub(crate) fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        let (name, value) = (name.into(), value.into());
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some(entry) => entry.1 = value,
            None => self.0.push((name, value)),
        }
    }

    /// Sets a variable that has no value yet.
    pub(crate) fn set_default(&mut self, name: &str, value: impl Into<String>) {
        if self.get(name).is_none() {
            self.0.push((name.to_owned(), value.into()));
        }
    }

    /// The value of a variable.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// All variables.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Takes over all variables of another set, which wins.
    pub(crate) fn extend(&mut self, other: &Self) {
        for (name, value) in other.iter() {
            self.set(name, value);
        }
    }

    fn add_assignment(&mut self, assignment: &str) -> Result<(), SyntaxError> {
        match assignment.split_once('=') {
            None => Err(SyntaxError::NoEquals(assignment.to_owned())),
            Some(("", _)) => Err(SyntaxError::NoName(assignment.to_owned())),
            Some((name, value)) => {
                self.set(name, value);
                Ok(())
            }
        }
    }
}

/// V2: words as in arguments, each `NAME=VALUE`.
pub(crate) fn parse_env_v2(raw: &str) -> Result<Variables, SyntaxError> {
    let mut variables = Variables::default();
    for word in parse_v2(raw)? {
        variables.add_assignment(&word)?;
    }
    Ok(variables)
}

/// V1: assignments between separators; nothing can quote the separator.
pub(crate) fn parse_env_v1(raw: &str, separator: char) -> Result<Variables, SyntaxError> {
    let mut variables = Variables::default();
    for part in raw.split([separator, '\n']).map(str::trim_start).filter(|part| !part.is_empty()) {
        variables.add_assignment(part)?;
    }
    Ok(variables)
}

/// The value of STARTER_JOB_ENVIRONMENT: V2 if the whole is in double quotes, else V1.
pub(crate) fn parse_env_either(raw: &str) -> Result<Variables, SyntaxError> {
    let raw = raw.trim();
    match raw.strip_prefix('"').and_then(|inner| inner.strip_suffix('"')) {
        Some(inner) => parse_env_v2(&inner.replace("\"\"", "\"")),
        None => parse_env_v1(raw, ';'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(variables: &Variables) -> Vec<(&str, &str)> {
        variables.iter().collect()
    }

    #[test]
    fn v2_as_measured_on_stock() {
        let variables = parse_env_v2("A=1 B='x y' C='it''s' D=\"q\"").unwrap();
        assert_eq!(pairs(&variables), [("A", "1"), ("B", "x y"), ("C", "it's"), ("D", "\"q\"")]);
    }

    #[test]
    fn v1_as_measured_on_stock() {
        let variables = parse_env_v1("A=1;B=x y;C=it's", ';').unwrap();
        assert_eq!(pairs(&variables), [("A", "1"), ("B", "x y"), ("C", "it's")]);
    }

    #[test]
    fn the_last_assignment_wins_and_names_are_needed() {
        assert_eq!(pairs(&parse_env_v2("A=1 A=2").unwrap()), [("A", "2")]);
        assert_eq!(parse_env_v2("=1"), Err(SyntaxError::NoName("=1".into())));
        assert_eq!(parse_env_v1("A", ';'), Err(SyntaxError::NoEquals("A".into())));
    }

    #[test]
    fn the_admins_variables_come_in_either_syntax() {
        assert_eq!(pairs(&parse_env_either("\"A='x y'\"").unwrap()), [("A", "x y")]);
        assert_eq!(pairs(&parse_env_either("A=x y;B=2").unwrap()), [("A", "x y"), ("B", "2")]);
    }
}
