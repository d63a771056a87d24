//! What a startd, a schedd or a person wants of a starter, from the stock command line.
//!
//! HTCondor reads this line in two passes (DaemonCore's options first, then the starter's); here one
//! pass takes them in any order. Options may be shortened; of several the last counts.

use std::ffi::OsString;

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Invocation {
    /// `-classad`: say what this starter can do.
    Probe,
    /// A job of a claim: everything else is asked of the shadow.
    Claim {
        /// The host of the shadow as the startd saw it: for messages, no address.
        shadow_host: String,
        /// What all starters are told.
        common: Common,
    },
    /// A job of the local universe, for a schedd.
    Local {
        /// The schedd's address.
        schedd: String,
        /// The file of the job ad, or `-`.
        input: String,
        /// The job's number.
        ids: Ids,
        /// What all starters are told.
        common: Common,
    },
    /// A job whose ad is a file: by hand, or for a startd (COD, fetched work).
    Standalone {
        /// The job.
        files: Files,
        /// The job's number.
        ids: Ids,
        /// What all starters are told.
        common: Common,
    },
    /// A job that is described by knobs with this prefix (COD, BOINC).
    Keyword {
        /// The prefix.
        keyword: String,
        /// Where its result and its output go.
        files: Files,
        /// The job's number.
        ids: Ids,
        /// What all starters are told.
        common: Common,
    },
}

/// What does not depend on the kind of job.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Common {
    /// `-local-name`: knobs with this prefix go before others (`slot_type_N`).
    pub(super) local_name: Option<String>,
    /// `-slot-name`: the knob STARTER_SLOT_NAME.
    pub(super) slot_name: Option<String>,
    /// `-a`: the end of the log's name.
    pub(super) log_suffix: Option<String>,
    /// `-a2`: levels and file of a second log, for the submitter.
    pub(super) second_log: Option<String>,
    /// `-header`: in front of each line of the log.
    pub(super) header: Option<String>,
    /// `-t`: the log goes to standard error.
    pub(super) log_to_terminal: bool,
}

/// Names of files, each of which can be `-`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Files {
    /// The job ad.
    pub(super) input: String,
    /// The result ad.
    pub(super) output: Option<String>,
    /// Standard input, output and error of the job.
    pub(super) stdio: [Option<String>; 3],
}

/// `-job-cluster` and `-job-proc`, which go before the job ad's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ids {
    /// Cluster.
    pub(super) cluster: Option<i64>,
    /// Process.
    pub(super) proc: Option<i64>,
}

impl Invocation {
    /// Reads the words after the program's name. The error is a sentence for the caller.
    pub(super) fn read(arguments: &[OsString]) -> Result<Self, String> {
        let words = arguments
            .iter()
            .map(|word| word.to_str().ok_or("an option is not UTF-8"))
            .collect::<Result<Vec<_>, _>>()?;
        // As in stock: only alone, whatever follows these letters, in capitals or not.
        if let [word] = words.as_slice()
            && word.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("-cla"))
        {
            return Ok(Self::Probe);
        }
        Said::read(&words)?.decide()
    }
}

/// The line, word by word.
#[derive(Debug, Default)]
struct Said {
    common: Common,
    files: Files,
    input: Option<String>,
    ids: Ids,
    keyword: Option<String>,
    schedd: Option<String>,
    shadow_host: Option<String>,
}

impl Said {
    fn read(words: &[&str]) -> Result<Self, String> {
        let mut said = Self::default();
        let mut rest = words.iter();
        while let Some(word) = rest.next() {
            if !word.starts_with('-') {
                said.shadow_host = Some((*word).to_owned());
                continue;
            }
            let option = known(word)?;
            if matches!(option, "-f" | "-t" | "-b") {
                said.common.log_to_terminal |= option == "-t";
                continue;
            }
            let value = rest.next().ok_or_else(|| format!("{option} needs a value"))?;
            said.take(option, value)?;
        }
        Ok(said)
    }

    fn take(&mut self, option: &str, value: &str) -> Result<(), String> {
        let number = || {
            let number = value.parse::<i64>().ok().filter(|number| *number >= 0);
            number.ok_or_else(|| format!("{option}: {value:?} is not a number that is 0 or more"))
        };
        let text = Some(value.to_owned());
        match option {
            "-local-name" => self.common.local_name = text,
            "-append" if value.contains('/') => {
                return Err(format!("-append: {value:?} is a path, the end of a name is needed"));
            }
            "-append" => self.common.log_suffix = text,
            "-a2" => self.common.second_log = text,
            "-header" => self.common.header = text,
            "-slot-name" => self.common.slot_name = text,
            "-schedd-addr" => self.schedd = text,
            "-job-keyword" => self.keyword = text,
            "-job-input-ad" => self.input = text,
            "-job-output-ad" => self.files.output = text,
            "-job-stdin" => self.files.stdio[0] = text,
            "-job-stdout" => self.files.stdio[1] = text,
            "-job-stderr" => self.files.stdio[2] = text,
            "-job-cluster" => self.ids.cluster = Some(number()?),
            "-job-proc" => self.ids.proc = Some(number()?),
            // Subproc and update ad: accepted, nothing depends on them here.
            _ => {}
        }
        Ok(())
    }

    /// What the words mean together.
    fn decide(self) -> Result<Invocation, String> {
        let Self { common, mut files, input, ids, keyword, schedd, shadow_host } = self;
        if let Some(shadow_host) = shadow_host {
            let other = [("-job-input-ad", input.is_some()), ("-job-keyword", keyword.is_some())];
            if let Some((option, _)) = other.iter().find(|(_, said)| *said) {
                return Err(format!("{option} and a shadow ({shadow_host}) exclude each other"));
            }
            return Ok(Invocation::Claim { shadow_host, common });
        }
        let dash = Some("-");
        if files.stdio[0].as_deref() == dash && input.as_deref() == dash {
            return Err("standard input can't be both the job ad and the job's stdin".into());
        }
        if files.stdio[1].as_deref() == dash && files.output.as_deref() == dash {
            return Err("standard output can't be both the result ad and the job's stdout".into());
        }
        match (input, schedd, keyword) {
            (Some(input), Some(schedd), _) => Ok(Invocation::Local { schedd, input, ids, common }),
            (None, Some(_), _) => Err("-schedd-addr needs -job-input-ad".into()),
            // With both, stock too takes the ad from the file.
            (Some(input), None, _) => {
                files.input = input;
                Ok(Invocation::Standalone { files, ids, common })
            }
            (None, None, Some(keyword)) => Ok(Invocation::Keyword { keyword, files, ids, common }),
            (None, None, None) => {
                Err("a job is needed: the host of a shadow, or -job-input-ad FILE".into())
            }
        }
    }
}

/// Every option with the least number of letters it is known by.
const OPTIONS: [(&str, usize); 19] = [
    ("-f", 2),
    ("-t", 2),
    ("-b", 2),
    ("-local-name", 4),
    ("-a2", 3),
    ("-append", 2),
    ("-header", 2),
    ("-slot-name", 4),
    ("-schedd-addr", 3),
    ("-job-input-ad", 6),
    ("-job-output-ad", 6),
    ("-job-update-ad", 6),
    ("-job-cluster", 6),
    ("-job-keyword", 6),
    ("-job-proc", 6),
    ("-job-subproc", 7),
    ("-job-stdin", 9),
    ("-job-stdout", 9),
    ("-job-stderr", 9),
];

fn known(word: &str) -> Result<&'static str, String> {
    OPTIONS
        .iter()
        .find(|(full, least)| word.len() >= *least && full.starts_with(word))
        .map(|(full, _)| *full)
        .ok_or_else(|| format!("{word} is no option of the starter, or too short to tell which"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Result<Invocation, String> {
        Invocation::read(&words.iter().map(OsString::from).collect::<Vec<_>>())
    }

    fn line(line: &str) -> Result<Invocation, String> {
        read(&line.split(' ').collect::<Vec<_>>())
    }

    fn standalone(text: &str) -> (Files, Ids, Common) {
        match line(text) {
            Ok(Invocation::Standalone { files, ids, common }) => (files, ids, common),
            other => panic!("{other:?}"),
        }
    }

    /// The lines that startds and schedds of 23.9.6 and 25.14.1 write.
    #[test]
    fn every_spawn_is_known() {
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(
            read(&[
                "-f",
                "-local-name",
                "slot_type_1",
                "-a2",
                "D_FULLDEBUG,/x/dir_$(PID)/.starter.log",
                "-a",
                "7.0",
                "-slot-name",
                "slot1_1",
                "fd00::2",
            ]),
            Ok(Invocation::Claim {
                shadow_host: "fd00::2".into(),
                common: Common {
                    local_name: text("slot_type_1"),
                    slot_name: text("slot1_1"),
                    log_suffix: text("7.0"),
                    second_log: text("D_FULLDEBUG,/x/dir_$(PID)/.starter.log"),
                    ..Common::default()
                },
            })
        );
        assert!(matches!(line("-f 10.0.0.1"), Ok(Invocation::Claim { .. })));
        assert_eq!(
            read(&[
                "-f",
                "-job-cluster",
                "3",
                "-job-proc",
                "0",
                "-header",
                "(3.0) ",
                "-job-input-ad",
                "-",
                "-schedd-addr",
                "<127.0.0.1:9618?sock=schedd_1>",
            ]),
            Ok(Invocation::Local {
                schedd: "<127.0.0.1:9618?sock=schedd_1>".into(),
                input: "-".into(),
                ids: Ids { cluster: Some(3), proc: Some(0) },
                common: Common { header: text("(3.0) "), ..Common::default() },
            })
        );
        let (files, ids, common) = standalone(
            "-f -append cod -header (slot1:COD1) -job-cluster 5 -job-keyword K -job-input-ad -",
        );
        assert_eq!((files.input.as_str(), ids.cluster), ("-", Some(5)));
        assert_eq!(common.log_suffix, text("cod"));
        assert!(matches!(
            line("-f -append boinc -job-keyword boinc"),
            Ok(Invocation::Keyword { .. })
        ));
        for probe in ["-classad", "-cla", "-CLASSAD", "-clas"] {
            assert_eq!(line(probe), Ok(Invocation::Probe), "{probe}");
        }
        assert!(line("-f -classad").is_err());
    }

    #[test]
    fn options_may_be_shortened_and_stand_in_any_order() {
        let long = standalone("-f -local-name p1 -job-input-ad a -job-output-ad b -a x");
        let short = standalone("-job-i a -job-out b -append x -local p1 -f");
        assert_eq!(long, short);
        for bad in ["-job-", "-job-std x -job-i y", "-", "-x", "-sl x host", "-a a/b host", "-a"] {
            assert!(line(bad).is_err(), "{bad}");
        }
        assert_eq!(standalone("-job-stdo x -job-i y").0.stdio[1].as_deref(), Some("x"));
        assert_eq!(standalone("-job-stde x -job-i y").0.stdio[2].as_deref(), Some("x"));
        assert_eq!(standalone("-job-i x -job-i y").0.input, "y");
    }

    #[test]
    fn what_excludes_each_other_is_said() {
        assert!(line("-job-input-ad - -job-stdin -").is_err());
        assert!(line("-job-input-ad x -job-output-ad - -job-stdout -").is_err());
        assert!(line("-job-input-ad - -job-stdout -").is_ok());
        assert!(line("-job-input-ad").is_err());
        assert!(line("-job-cluster -1 -job-i x").is_err());
        assert!(line("-job-input-ad x host").unwrap_err().contains("exclude"));
        assert!(line("-schedd-addr <x>").is_err());
        assert!(line("-f").unwrap_err().contains("a job is needed"));
    }
}
