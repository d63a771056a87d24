//! What a case left behind, as a text of sections and lines that two runs can be compared by.

use std::fmt::Write as _;

use classad::ClassAd;
use glob::Pattern;

use crate::ads::Attributes;
use crate::event_log::Event;
use crate::normal::Normal;

/// Sections in order: name and lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) sections: Vec<(String, Vec<String>)>,
}

/// Events that are compared apart from the others, because another process of the shadow's writes them
/// (040, transfers), or not at all, because they follow measurements (006, sizes).
const APART: [&str; 2] = ["006", "040"];

impl Record {
    /// The record of one case. `files` are the sections of its files, `chance` what it says isn't to be
    /// compared (`SECTION: LINE`).
    pub(crate) fn new(
        ads: &[&ClassAd],
        log: &[Event],
        files: Vec<(String, Vec<String>)>,
        chance: &[Pattern],
        attributes: &Attributes,
        normal: &Normal,
    ) -> Self {
        let mut sections = Vec::new();
        let one = ads.len() <= 1;
        for ad in ads {
            let proc = ad.eval_i64("ProcId").unwrap_or(-1);
            let name = if one { "ad".to_owned() } else { format!("ad {proc}") };
            sections.push((name, attributes.lines(ad, normal)));
        }
        let mut procs: Vec<u32> = log.iter().map(|event| event.proc).collect();
        procs.sort_unstable();
        procs.dedup();
        for proc in &procs {
            let section = |name: &str, wanted: &dyn Fn(&str) -> bool| {
                let its = log.iter().filter(|event| event.proc == *proc && wanted(&event.number));
                let lines = its.flat_map(|event| {
                    let text = format!("{} {}", event.number, event.text);
                    text.lines().map(|line| normal.event_line(line)).collect::<Vec<_>>()
                });
                let lines = lines.filter(|line| !line.trim().is_empty()).collect();
                let one = procs.len() == 1;
                (if one { name.to_owned() } else { format!("{name} {proc}") }, lines)
            };
            sections.push(section("log", &|number| !APART.contains(&number)));
            sections.push(section("transfers", &|number| number == "040"));
        }
        sections.extend(files);
        for (name, lines) in &mut sections {
            lines.retain(|line| !chance.iter().any(|it| it.matches(&format!("{name}: {line}"))));
        }
        Self { sections }
    }

    /// The text that is kept: `== NAME`, then each line after a tab.
    pub(crate) fn to_text(&self) -> String {
        let mut text = String::new();
        for (name, lines) in &self.sections {
            let _ = writeln!(text, "== {name}");
            for line in lines {
                let _ = writeln!(text, "\t{line}");
            }
        }
        text
    }

    /// Reads that text.
    pub(crate) fn from_text(text: &str) -> Self {
        let mut sections: Vec<(String, Vec<String>)> = Vec::new();
        for line in text.split('\n') {
            if let Some(name) = line.strip_prefix("== ") {
                sections.push((name.to_owned(), Vec::new()));
            } else if let (Some(line), Some((_, lines))) =
                (line.strip_prefix('\t'), sections.last_mut())
            {
                lines.push(line.to_owned());
            }
        }
        Self { sections }
    }

    /// The lines of a section; none if it isn't there.
    pub(crate) fn section(&self, name: &str) -> &[String] {
        let found = self.sections.iter().find(|(section, _)| section == name);
        found.map_or(&[], |(_, lines)| lines)
    }
}
