//! Takes out of a text what differs between two runs of the same job: times, addresses, process
//! numbers, sizes that were measured.

use regex_lite::Regex;

use crate::Result;

/// The rules, compiled once.
#[derive(Debug)]
pub(crate) struct Normal {
    rules: Vec<(Regex, &'static str)>,
    table_row: Regex,
}

/// What is replaced by what, in this order.
const RULES: &[(&str, &str)] = &[
    // sinful strings and bare addresses
    (r"<(127\.0\.0\.1|\[?::1\]?):\d+[^>]*>", "<ADDRESS>"),
    (r"127\.0\.0\.1:\d+", "IP:PORT"),
    // process numbers, in names and values
    (r"_CONDOR_ANCESTOR_\d+=\d+:\d+:\d+", "_CONDOR_ANCESTOR_PID=PID:EPOCH:RANDOM"),
    (r"CONDOR_STARTER_PID=\d+", "CONDOR_STARTER_PID=PID"),
    (r"/dir_\d+", "/dir_PID"),
    // points in time
    (r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?Z?", "TIME"),
    (r"\b\d\d/\d\d(/\d\d)? \d\d:\d\d:\d\d", "TIME"),
    (r"\b1[789]\d{8}\b", "EPOCH"),
    // which slot, and which job
    (r"\bslot1_\d+", "slot1_N"),
    (r"\bcore\.\d+\.\d+", "core.CLUSTER.PROC"),
    (r"([Jj]ob|[Cc]luster) \d+\.(\d+)", "$1 CLUSTER.$2"),
    (r"/\d+/(\d+)/cluster\d+\.", "/CLUSTER/$1/clusterCLUSTER."),
    // times of use in events 004 and 005, and byte counts
    (r"(Usr|Sys) \d+ \d\d:\d\d:\d\d", "$1 DURATION"),
    (r"^\t?\s*[\d.]+  -  ", "\tN  -  "),
    (r"Seconds spent in queue: \d+", "Seconds spent in queue: N"),
    (r"(CedarSizeBytes\w+) = \d+", "$1 = N"),
];

impl Normal {
    /// Compiles the rules.
    ///
    /// # Errors
    ///
    /// If one isn't a regular expression.
    pub(crate) fn new() -> Result<Self> {
        let compile = |(pattern, by): &(&str, &'static str)| Ok((Regex::new(pattern)?, *by));
        Ok(Self {
            rules: RULES.iter().map(compile).collect::<Result<_>>()?,
            table_row: Regex::new(r"^(\t   .*\S)\s+:((?:\s+\S+)*)\s*$")?,
        })
    }

    /// A line without what differs.
    pub(crate) fn line(&self, line: &str) -> String {
        let mut text = line.to_owned();
        for (pattern, by) in &self.rules {
            if pattern.is_match(&text) {
                text = pattern.replace_all(&text, *by).into_owned();
            }
        }
        text
    }

    /// A line of an event: beyond the above, the table of resources loses the column of what was measured,
    /// which is empty if the job was too short for a measurement.
    pub(crate) fn event_line(&self, line: &str) -> String {
        // As wide as the longest number.
        if line.starts_with("\tPartitionable Resources :") {
            return line.split_whitespace().collect::<Vec<_>>().join(" ");
        }
        let Some(row) = self.table_row.captures(line) else { return self.line(line) };
        let (name, values) = (&row[1], &row[2]);
        let mut values: Vec<&str> = values.split_whitespace().collect();
        let timed = name.contains("(s)");
        if (timed || values.len() >= 3) && values.first().is_some_and(|v| v.parse::<f64>().is_ok())
        {
            values.remove(0);
        }
        format!("{name} : {}", values.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_between_two_runs_goes_and_the_rest_stays() {
        let normal = Normal::new().unwrap();
        for (line, expected) in [
            (
                "Job executing on host: <127.0.0.1:9618?addrs=127.0.0.1-9618+[--1]-9618&sock=startd_28_c8bd>",
                "Job executing on host: <ADDRESS>",
            ),
            (
                "_CONDOR_ANCESTOR_95=158:1795594985:1806002181",
                "_CONDOR_ANCESTOR_PID=PID:EPOCH:RANDOM",
            ),
            (
                "/var/lib/condor/execute/dir_158/scratch/x",
                "/var/lib/condor/execute/dir_PID/scratch/x",
            ),
            ("Error from slot1_12@pool.test: (errno=2)", "Error from slot1_N@pool.test: (errno=2)"),
            ("\t1619  -  Run Bytes Sent By Job", "\tN  -  Run Bytes Sent By Job"),
            ("OMP_NUM_THREADS=3", "OMP_NUM_THREADS=3"),
        ] {
            assert_eq!(normal.line(line), expected);
        }
    }

    #[test]
    fn the_table_of_resources_keeps_what_was_asked_for_and_given() {
        let normal = Normal::new().unwrap();
        for (line, expected) in [
            ("\t   Cpus                 :     0.99        3         4 ", "\t   Cpus : 3 4"),
            ("\t   Cpus                 :                 3         4 ", "\t   Cpus : 3 4"),
            ("\t   TimeExecute (s)      :        7                    ", "\t   TimeExecute (s) : "),
            (
                "\tPartitionable Resources :         Usage  Request Allocated ",
                "Partitionable Resources : Usage Request Allocated",
            ),
            ("\t   GPUs                 :                           0 ", "\t   GPUs : 0"),
        ] {
            assert_eq!(normal.event_line(line), expected);
        }
    }
}
