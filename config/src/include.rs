//! `include`: files and the output of commands.

use crate::error::{Error, ErrorKind, Warning};
use crate::execute::{Stop, is_too_deep};
use crate::io;
use crate::load::Loader;
use crate::macros::Place;
use crate::text::{is_space_char, items, trim_start};

/// What stands between `include` and the colon.
#[derive(Debug, Default, PartialEq, Eq)]
struct Options<'a> {
    may_be_missing: bool,
    is_command: bool,
    into: Option<&'a str>,
}

impl<'a> Options<'a> {
    fn parse(text: &'a str) -> Result<Options<'a>, &'static str> {
        let mut words = items(text, &[' ', '\t']);
        let mut options = Options::default();
        let mut word = words.next();
        if matches!(word, Some("ifexist" | "ifexists")) {
            options.may_be_missing = true;
            word = words.next();
        }
        match word {
            None => return Ok(options),
            Some("output" | "command") => options.is_command = true,
            Some(_) => return Err(""),
        }
        if words.next() == Some("into") {
            let into = words.next().ok_or("expected filename after keyword 'into'")?;
            options.into = Some(into);
        }
        Ok(options)
    }
}

/// A source that could be opened.
pub(crate) struct Opened {
    /// As messages call it: a command ends in `|`.
    pub(crate) name: String,
    pub(crate) text: String,
    /// Wait status of a command.
    pub(crate) status: i32,
}

impl Loader {
    pub(crate) fn include(
        &mut self,
        options: &str,
        what: &str,
        place: Place,
        depth: u32,
    ) -> Result<(), Stop> {
        let text = options;
        let options = Options::parse(options).map_err(|why| {
            let file = self.macros.source(place.source);
            let told = format!(
                "Config source Error \"{file}\", Line {}: \
                 unexpected keyword(s) '{text}' after include {why}",
                place.line
            );
            self.told.push(told);
            let what = format!("include does not know {text}");
            let remedy = "Write include [ifexist] [command [into FILE]] : WHAT, in lower case";
            self.syntax(place, what, remedy)
        })?;
        let name = self.expand_in(what, place)?;
        let opened = match options.into {
            Some(cache) => self.open_cached(cache, &name, place)?,
            None => self.open(&name, options.is_command),
        };
        let opened = match opened {
            Ok(opened) => opened,
            Err(_) if options.may_be_missing => return Ok(()),
            Err(message) => {
                return Err(self.include_failed(&name, 0, depth, message, place));
            }
        };
        if is_too_deep(depth + 1) {
            let message = "includes nested too deep".to_owned();
            return Err(self.include_failed(&name, 0, depth, message, place));
        }
        self.files.push(opened.name.clone());
        let source = self.macros.add_source(&opened.name);
        if opened.status != 0 {
            let told = format!("{} ended with wait status {}", opened.name, opened.status);
            let file = self.macros.source(place.source);
            // HTCondor does not look at the status here, so this is not in its words.
            self.warnings.push(Warning::new(file, place.line, told, String::new()));
        }
        self.run_text(&opened.text, source, depth + 1).map_err(|stop| {
            let Stop { error, message, line } = stop;
            let outer = self.include_failed(&name, line, depth, message, place);
            Stop { error, ..outer }
        })
    }

    fn include_failed(
        &mut self,
        name: &str,
        line: u32,
        depth: u32,
        message: String,
        place: Place,
    ) -> Stop {
        let depth = depth + 1;
        self.tell(format!(
            "Config source Error \"{name}\", Line {line}, Include Depth {depth}: {message}"
        ));
        let remedy = "Correct the path, or write include ifexist";
        let what = format!("{name} can't be included: {message}");
        self.located(Error::new(ErrorKind::Source, what, remedy), place)
    }

    /// The output of a command from the file that an earlier reading saved, or else anew.
    fn open_cached(
        &mut self,
        cache: &str,
        command: &str,
        place: Place,
    ) -> Result<Result<Opened, String>, Stop> {
        if cache.ends_with('|') {
            return Err(self.bad_cache("destination for 'include into' may not be a script", place));
        }
        let cache = self.expand_in(cache, place)?;
        if cache.is_empty() {
            return Err(self.bad_cache("destination for 'include into' expanded to ''", place));
        }
        if let Ok(opened) = self.open(&cache, false) {
            return Ok(Ok(opened));
        }
        let opened = match self.open(command, true) {
            Err(_) => return Ok(Err("not a valid command".to_owned())),
            Ok(opened) if opened.status != 0 => {
                return Ok(Err(format!("exited with error {}", opened.status)));
            }
            Ok(opened) => opened,
        };
        if io::save(&cache, &opened.text).is_err() {
            return Ok(Err(format!("can't open '{cache}' for write")));
        }
        Ok(Ok(opened))
    }

    fn bad_cache(&mut self, text: &str, place: Place) -> Stop {
        let file = self.macros.source(place.source);
        self.told.push(format!("Config source Error \"{file}\", Line {}, {text}", place.line));
        self.syntax(place, text, "Name a file after into")
    }

    /// Reads a file, or runs a command: what holds a `|` is one, too.
    pub(crate) fn open(&self, name: &str, is_command: bool) -> Result<Opened, String> {
        let piped = name.contains('|');
        if !is_command && !piped {
            return match io::read(name) {
                Ok(file) => Ok(Opened { name: name.to_owned(), text: file.text, status: 0 }),
                Err(error) => Err(format!("can't open file {name}: {}", io::words(&error))),
            };
        }
        let shown = if piped { name.to_owned() } else { format!("{name} |") };
        let Some(command) = shown.strip_suffix('|') else {
            return Err("not a valid command, | must be at the end".to_owned());
        };
        let arguments = arguments(command.trim_end_matches(['|', ' ']))
            .map_err(|why| format!("Can't append args, {why}"))?;
        match io::run(&arguments, &self.macros.env) {
            Ok((text, status)) => Ok(Opened { name: shown, text, status }),
            Err(error) => {
                let number = error.raw_os_error().unwrap_or_default();
                Err(format!("not a valid command, errno={number} : {}", io::words(&error)))
            }
        }
    }
}

/// The arguments of a command: split at blanks, or, if all is in double quotes, with single quotes
/// around what holds blanks.
fn arguments(text: &str) -> Result<Vec<String>, &'static str> {
    let text = trim_start(text);
    let Some(quoted) = text.strip_prefix('"') else {
        return Ok(text
            .split(is_space_char)
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect());
    };
    let mut inner = String::new();
    let mut rest = quoted;
    loop {
        let (part, after) = rest.split_once('"').ok_or("Unterminated double-quote.")?;
        inner.push_str(part);
        // A doubled quote stands for one.
        let Some(more) = after.strip_prefix('"') else {
            if after.chars().all(is_space_char) {
                break;
            }
            return Err("Unexpected characters following double-quote.");
        };
        inner.push('"');
        rest = more;
    }
    split_quoted(&inner)
}

fn split_quoted(text: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next().ok_or("Unbalanced single quote.")? {
                        '\'' if chars.peek() == Some(&'\'') => {
                            chars.next();
                            word.push('\'');
                        }
                        '\'' => break,
                        c => word.push(c),
                    }
                }
            }
            c if is_space_char(c) => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options() {
        assert_eq!(Options::parse(""), Ok(Options::default()));
        assert_eq!(
            Options::parse("ifexists command into /c"),
            Ok(Options { may_be_missing: true, is_command: true, into: Some("/c") })
        );
        assert!(Options::parse("IFEXIST").is_err());
        assert!(Options::parse("ifexist bogus").is_err());
        assert!(Options::parse("command into").is_err());
    }

    #[test]
    fn command_lines() {
        assert_eq!(arguments("/bin/x \"a b\" c").unwrap(), ["/bin/x", "\"a", "b\"", "c"]);
        assert_eq!(
            arguments("\"/bin/x 'a b' it''s \"\"q\"\"\"").unwrap(),
            ["/bin/x", "a b", "its", "\"q\""]
        );
        assert!(arguments("\"/bin/x").is_err());
        assert!(arguments("\"/bin/x 'a\"").is_err());
    }
}
