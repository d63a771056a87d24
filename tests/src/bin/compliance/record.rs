//! What a case left behind, as a text of sections and lines that two runs can be compared by.

use std::fmt::Write as _;

use classad::ClassAd;

use crate::ads::Attributes;
use crate::event_log::Event;
use crate::normal::Normal;

/// Sections in order: name and lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) sections: Vec<(String, Vec<String>)>,
}

/// Events that appear or not, or twice, by chance: changes of size follow measurements, and the start of
/// a transfer is only noted if it was ever seen waiting.
fn by_chance(event: &Event) -> bool {
    event.number == "006" || event.number == "040" && event.text.starts_with("Started transferring input")
}

impl Record {
    /// The record of one case. `files` are the sections of its files.
    pub(crate) fn new(
        ads: &[&ClassAd],
        log: &[Event],
        files: Vec<(String, Vec<String>)>,
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
            let events = log.iter().filter(|event| event.proc == *proc && !by_chance(event));
            let lines = events.flat_map(|event| {
                let text = format!("{} {}", event.number, event.text);
                text.lines().map(|line| normal.event_line(line)).collect::<Vec<_>>()
            });
            let name = if procs.len() == 1 { "log".to_owned() } else { format!("log {proc}") };
            sections.push((name, lines.filter(|line| !line.trim().is_empty()).collect()));
        }
        sections.extend(files);
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
            } else if let (Some(line), Some((_, lines))) = (line.strip_prefix('\t'), sections.last_mut())
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
