//! Stage three: statements, executed in order.

use crate::condition::{Blocks, Wrong};
use crate::error::{Error, ErrorKind, Warning};
use crate::expand::Dialect;
use crate::lines::{Comments, Lines, is_blank};
use crate::load::Loader;
use crate::macros::{Place, SourceId};
use crate::statement::{self, Operator, Statement};
use crate::template::{self, Template};
use crate::text::is_name;

/// Files within files, and templates within templates, as in HTCondor.
const MAX_NESTING: u32 = 20;

/// Why reading a source ended early.
pub(crate) struct Stop {
    pub(crate) error: Error,
    /// What HTCondor adds after its summary of the fault.
    pub(crate) message: String,
    /// The line that was read last.
    pub(crate) line: u32,
}

impl From<Error> for Stop {
    fn from(error: Error) -> Stop {
        Stop { error, message: String::new(), line: 0 }
    }
}

/// Whether a line was the last one to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    No,
    Yes,
}

/// What `NAME : value` leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Colon {
    Warning,
    Error,
    Nothing,
}

/// A value that is still being collected.
struct Here {
    name: String,
    end: String,
    value: Option<String>,
}

/// What is remembered from line to line of one source.
struct State {
    blocks: Blocks,
    here: Option<Here>,
    colon: Colon,
}

impl Loader {
    /// Executes the statements of a text.
    pub(crate) fn run_text(
        &mut self,
        text: &str,
        source: SourceId,
        depth: u32,
    ) -> Result<(), Stop> {
        let mut lines = Lines::new(text);
        let mut state = State { blocks: Blocks::default(), here: None, colon: Colon::Warning };
        while let Some(line) = lines.next() {
            if line.starts_with('#') || is_blank(&line) {
                directive(&line, &mut lines, &mut state);
                continue;
            }
            let place = Place { source, line: lines.number, template: None };
            let done = self.run_line(&line, place, depth, &mut state);
            if done.map_err(|stop| Stop { line: place.line, ..stop })? == Ended::Yes {
                return Ok(());
            }
        }
        let place = Place { source, line: lines.number, template: None };
        self.finish(&state, place)
    }

    fn finish(&mut self, state: &State, place: Place) -> Result<(), Stop> {
        let file = self.macros.source(place.source).to_owned();
        if state.blocks.is_open() {
            self.tell(format!("Config source Error \"{file}\", Line {}: ", place.line));
            let message = "endif(s) not found before end-of-file".to_owned();
            let stop = self.syntax(place, "an if has no endif", "Add the endif");
            return Err(Stop { message, line: place.line, ..stop });
        }
        if let Some(here) = &state.here {
            let end = &here.end;
            self.tell(format!(
                "Config source Found end-of-file while scanning for '@{end}' in {file}"
            ));
            let what = format!("the value of {} has no end", here.name);
            let stop = self.syntax(place, what, format!("Add a line @{end}"));
            return Err(Stop { line: place.line, ..stop });
        }
        Ok(())
    }

    fn run_line(
        &mut self,
        line: &str,
        place: Place,
        depth: u32,
        state: &mut State,
    ) -> Result<Ended, Stop> {
        if let Some(here) = &mut state.here {
            if line.strip_prefix('@') == Some(here.end.as_str()) {
                let name = std::mem::take(&mut here.name);
                let value = here.value.take().unwrap_or_default();
                state.here = None;
                return self.assign(&name, &value, place).map(|()| Ended::No);
            }
            match &mut here.value {
                Some(value) => {
                    value.push('\n');
                    value.push_str(line);
                }
                None => here.value = Some(line.to_owned()),
            }
            return Ok(Ended::No);
        }
        // Releases before 8.1.5 ignored a line that starts with a colon, so that is a way to
        // hide an `if` and its body from them.
        let line = match line.strip_prefix(':') {
            Some(rest) if state.blocks.is_open() || hides_if(rest) => rest,
            _ => line,
        };
        match state.blocks.line(line, &self.macros) {
            Ok(true) => return Ok(Ended::No),
            Ok(false) if !state.blocks.active() => return Ok(Ended::No),
            Ok(false) => {}
            Err(Wrong::Error(error)) => return Err(self.located(error, place)),
            Err(Wrong::Text(message)) => {
                let stop = self.syntax(place, message.clone(), "Correct the condition");
                return Err(Stop { message, ..stop });
            }
        }
        let statement = statement::parse(line);
        if self.description
            && let Some(done) = self.run_in_description(line, statement.as_ref(), place, depth)
        {
            return done;
        }
        self.run_statement(line, statement, place, depth, state).map(|()| Ended::No)
    }

    fn run_statement(
        &mut self,
        line: &str,
        statement: Option<Statement<'_>>,
        place: Place,
        depth: u32,
        state: &mut State,
    ) -> Result<(), Stop> {
        match statement {
            None => {
                let what = format!("this is no statement: {line}");
                Err(self.syntax(place, what, "Write NAME = value"))
            }
            Some(Statement::Section) => Ok(()),
            Some(Statement::Assign { name, operator, value }) => {
                self.run_assign(name, operator, value, place, state)
            }
            Some(Statement::Use { category, templates }) => {
                let category = self.expand_in(category, place)?;
                let used = self.use_templates(&category, templates, place, depth + 1);
                used.inspect_err(|_| {
                    let file = self.macros.source(place.source);
                    let line = place.line;
                    self.told.push(format!(
                        "Config source Error \"{file}\", Line {line}: at use {category}:{templates}"
                    ));
                })
            }
            Some(Statement::Include { options, what }) => self.include(options, what, place, depth),
            Some(Statement::Error { text }) => {
                let text = self.expand_in(text, place)?;
                let told = self.message("Error", place, &text);
                self.tell(told);
                let error = Error::new(ErrorKind::Told, text, "");
                Err(self.located(error, place))
            }
            Some(Statement::Warning { text }) => {
                let text = self.expand_in(text, place)?;
                self.warn(place, text);
                Ok(())
            }
        }
    }

    fn run_assign(
        &mut self,
        name: &str,
        operator: Operator,
        value: &str,
        place: Place,
        state: &mut State,
    ) -> Result<(), Stop> {
        if operator == Operator::Colon {
            self.check_colon(name, value, place, state)?;
        }
        let name = self.expand_in(name, place)?;
        if !is_name(&name) {
            let told = self.message("Error", place, &format!("Illegal Identifier: <{name}>"));
            self.tell(told);
            let what = format!("{name:?} is not a knob's name");
            let remedy = "Use letters, digits, dots, slashes and underscores, \
                          and a blank before += or @=";
            return Err(self.syntax(place, what, remedy));
        }
        match operator {
            Operator::Assign | Operator::Colon => self.assign(&name, value, place),
            Operator::Here => {
                state.here = Some(Here { name, end: value.to_owned(), value: None });
                Ok(())
            }
            Operator::Append(separator) => {
                let old = self.macros.find(&name).filter(|found| !found.text.is_empty());
                let Some(old) = old else { return self.assign(&name, value, place) };
                let mut joined = old.text.to_owned();
                match separator {
                    None => joined.push(' '),
                    Some(separator) => separator.append_to(&mut joined),
                }
                joined.push_str(value);
                self.assign(&name, &joined, place)
            }
        }
    }

    fn check_colon(
        &mut self,
        name: &str,
        value: &str,
        place: Place,
        state: &mut State,
    ) -> Result<(), Stop> {
        let text = format!("obsolete use of ':' for parameter assignment at {name} : {value}");
        let is_benchmarks = name.eq_ignore_ascii_case("RunBenchmarks");
        match state.colon {
            Colon::Error if !is_benchmarks => {
                let told = self.message("Error", place, &text);
                self.tell(told);
                Err(self.syntax(place, text, "Write = for :"))
            }
            Colon::Warning if is_benchmarks => {
                // HTCondor says nothing about it, nor about what follows in this file.
                state.colon = Colon::Nothing;
                Ok(())
            }
            Colon::Warning | Colon::Error => {
                self.warn(place, text);
                Ok(())
            }
            Colon::Nothing => Ok(()),
        }
    }

    fn assign(&mut self, name: &str, value: &str, place: Place) -> Result<(), Stop> {
        let assigned = self
            .macros
            .expand_self(value, name)
            .and_then(|value| self.macros.insert(name, &value, place));
        assigned.map_err(|error| self.located(error, place))
    }

    /// Executes the named templates of a category.
    pub(crate) fn use_templates(
        &mut self,
        category: &str,
        list: &str,
        place: Place,
        depth: u32,
    ) -> Result<(), Stop> {
        let remedy = "Write use CATEGORY : TEMPLATE; condor_config_val use names them";
        if category.is_empty() {
            self.tell(format!("Error: use needs a keyword before : {list}"));
            return Err(self.syntax(place, "use names no category", remedy));
        }
        let kind = category.split(':').next().unwrap_or_default();
        if !template::is_category(kind) {
            let what = format!("there is no category {kind} of templates");
            return Err(self.syntax(place, what, remedy));
        }
        let mut rest = list;
        loop {
            let next = template::next_call(rest);
            let call = next.map_err(|what| self.syntax(place, what, "Add the parenthesis"))?;
            let Some(call) = call else { return Ok(()) };
            rest = call.rest;
            let Some(template) = template::find(kind, call.name) else {
                let name = call.name;
                self.tell(format!("Error: use {category}: does not recognise {name}"));
                let what = format!("there is no template {name} in category {kind}");
                return Err(self.syntax(place, what, remedy));
            };
            self.run_template(template, call.arguments, place, depth)?;
        }
    }

    /// Executes one template.
    pub(crate) fn run_template(
        &mut self,
        template: &'static Template,
        arguments: &str,
        place: Place,
        depth: u32,
    ) -> Result<(), Stop> {
        if depth > MAX_NESTING {
            let what = format!("templates within templates, {MAX_NESTING} deep, at {template}");
            return Err(self.syntax(place, what, "Look for one that uses itself"));
        }
        let body = template::with_arguments(template.body, arguments)
            .map_err(|error| self.located(error, place))?;
        let mut state = State { blocks: Blocks::default(), here: None, colon: Colon::Nothing };
        let lines = body.lines().map(crate::text::trim).filter(|line| !line.is_empty());
        for (number, line) in (0..).zip(lines) {
            if line.starts_with('#') {
                continue;
            }
            let place = Place { template: Some((template, number)), ..place };
            if let Some(text) = template::error_text(line).filter(|_| state.blocks.active()) {
                // Unlike the one of files, this keyword tells no place.
                let text = self.expand_in(text, place)?;
                self.tell(format!(" Error : {text}"));
                let error = Error::new(ErrorKind::Told, text, "");
                return Err(self.located(error, place));
            }
            if let Some((category, list)) = template::nested(line).filter(|_| state.blocks.active())
            {
                self.use_templates(category, list, place, depth + 1)?;
                continue;
            }
            self.run_line(line, place, depth, &mut state)?;
        }
        Ok(())
    }

    /// The text with references replaced.
    pub(crate) fn expand_in(&self, text: &str, place: Place) -> Result<String, Stop> {
        if !text.contains('$') {
            return Ok(text.to_owned());
        }
        let expanded = self.macros.expand_text(text, Dialect::Param);
        expanded.map_err(|error| self.located(error, place))
    }

    pub(crate) fn tell(&mut self, line: String) {
        self.told.push(line);
    }

    fn message(&self, kind: &str, place: Place, text: &str) -> String {
        let file = self.macros.source(place.source);
        format!("Config source {kind} \"{file}\", Line {}: {text}", place.line)
    }

    fn warn(&mut self, place: Place, text: String) {
        let told = self.message("Warning", place, &text);
        let file = self.macros.source(place.source);
        self.warnings.push(Warning::new(file, place.line, text, told));
    }

    pub(crate) fn syntax(
        &self,
        place: Place,
        what: impl Into<String>,
        remedy: impl Into<std::borrow::Cow<'static, str>>,
    ) -> Stop {
        self.located(Error::new(ErrorKind::Syntax, what, remedy), place)
    }

    pub(crate) fn located(&self, error: Error, place: Place) -> Stop {
        Stop::from(error.at(self.macros.source(place.source), place.line))
    }
}

pub(crate) const fn is_too_deep(depth: u32) -> bool {
    depth >= MAX_NESTING
}

fn hides_if(rest: &str) -> bool {
    rest.strip_prefix("if")
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(crate::text::is_space_char))
}

/// `#opt:...`, with which a file chooses between old and new ways.
fn directive(line: &str, lines: &mut Lines<'_>, state: &mut State) {
    if line.eq_ignore_ascii_case("#opt:oldcomment") {
        lines.comments = Comments::Old;
    } else if line.eq_ignore_ascii_case("#opt:newcomment") {
        lines.comments = Comments::New;
    } else if line.eq_ignore_ascii_case("#opt:strict") {
        state.colon = Colon::Error;
    }
}
