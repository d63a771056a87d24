//! What a run says to whoever started it.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::case::Place;
use crate::compare::{Compared, List};
use crate::pool::Verdict;

/// One row per place and starter, and what is wrong as it is found.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<String>,
    used: BTreeSet<usize>,
    compared: bool,
    wrong: bool,
}

impl Table {
    /// Takes in what a starter's run gave.
    pub(crate) fn ran(&mut self, place: &Place, label: &str, verdicts: &[Verdict], took: Duration) {
        let mut failed = 0;
        for Verdict { name, fault } in verdicts {
            if let Some(fault) = fault {
                println!("{} {} {label}: {name}: {fault}", place.suite, place.flavour);
                failed += 1;
            }
        }
        self.wrong |= failed > 0;
        let good = verdicts.len() - failed;
        self.row(place, label, &format!("{good} hold, {failed} fail, {:.0} s", took.as_secs_f64()));
    }

    /// Takes in that there are no results, and why.
    pub(crate) fn did_not_run(&mut self, place: &Place, label: &str, why: &str) {
        self.wrong = true;
        self.row(place, label, &format!("did not run: {why}"));
    }

    /// Takes in a comparison.
    pub(crate) fn compared(&mut self, place: &Place, compared: Compared) {
        self.compared = true;
        self.wrong |= !self::compared(&compared);
        let (listed, unlisted) = (compared.listed, compared.unlisted.len());
        self.used.extend(compared.used);
        let text = format!("{} cases, {unlisted} differences, {listed} listed", compared.cases);
        self.row(place, "compared", &text);
    }

    fn row(&mut self, place: &Place, what: &str, text: &str) {
        self.rows.push(format!("{:8}{:6}{what:10}{text}", place.suite, place.flavour));
    }

    /// Prints the table. Whether all is well.
    pub(crate) fn finish(self, list: &List) -> bool {
        for line in list.unused(&self.used).iter().filter(|_| self.compared) {
            println!("listed, but not seen: {line}");
        }
        for row in &self.rows {
            println!("{row}");
        }
        !self.wrong
    }
}

/// Prints the differences that nobody listed. Whether there are none.
pub(crate) fn compared(compared: &Compared) -> bool {
    let mut case = "";
    for difference in &compared.unlisted {
        if difference.case != case {
            case = &difference.case;
            println!("{case}");
        }
        println!("  {} {}", if difference.added { '+' } else { '-' }, difference.what);
    }
    compared.unlisted.is_empty()
}
