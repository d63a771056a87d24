//! How long reading a configuration takes: `cargo run --release -p condor-config --example load_time
//! [ROOT_FILE]`.
//!
//! Without a file, one like a real execute node's is made up: a root file and nine in `config.d`,
//! with 300 knobs, references among them, templates, conditions and lists.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use condor_config::{Config, Options};

const ROUNDS: usize = 2_000;

/// What a starter might read of it, with references and an expression or two.
const READ: &[&str] = &[
    "EXECUTE",
    "LOG",
    "STARTER_LOG",
    "STARTER_DEBUG",
    "SPOOL",
    "LIBEXEC",
    "MOUNT_UNDER_SCRATCH",
    "FILETRANSFER_PLUGINS",
    "USE_PID_NAMESPACES",
    "UID_DOMAIN",
    "SITE_KNOB_7_3",
    "STARTD_ATTRS",
];

fn main() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let root = match std::env::args_os().nth(1) {
        Some(root) => PathBuf::from(root),
        None => make_up(directory.path())?,
    };
    let options = Options { root_file: Some(root), ..Options::from_process("STARTER") };
    let config = Config::load(&options)?;
    println!("{} files, {} knobs set", config.files().len(), config.iter().count());

    let mut loads = Vec::with_capacity(ROUNDS);
    let mut reads = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let config = Config::load(&options)?;
        loads.push(start.elapsed());
        let start = Instant::now();
        for name in READ {
            black_box(config.string(name)?);
        }
        reads.push(start.elapsed());
    }
    tell("load", &mut loads);
    tell(&format!("read {} knobs", READ.len()), &mut reads);
    Ok(())
}

fn tell(what: &str, times: &mut [Duration]) {
    times.sort_unstable();
    let at = |part: usize| times.get(times.len() * part / 100).copied().unwrap_or_default();
    println!("{what}: median {:?}, 90% {:?}, 99% {:?}", at(50), at(90), at(99));
}

fn make_up(directory: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let files = directory.join("config.d");
    fs::create_dir(&files)?;
    let root = directory.join("condor_config");
    fs::write(
        &root,
        format!(
            "## The root file\nRELEASE_DIR = /usr\nLOCAL_DIR = /var\n\
             LOCAL_CONFIG_DIR = {}\nREQUIRE_LOCAL_CONFIG_FILE = false\n\
             RUN = $(LOCAL_DIR)/run/condor\nLOG = $(LOCAL_DIR)/log/condor\n\
             SPOOL = $(LOCAL_DIR)/spool/condor\nEXECUTE = $(LOCAL_DIR)/lib/condor/execute\n\
             LIBEXEC = $(RELEASE_DIR)/libexec/condor\nUID_DOMAIN = example.org\n",
            files.display()
        ),
    )?;
    for file in 0..9 {
        let mut text = format!(
            "# Settings of one kind\nuse ROLE : Execute\nif version >= 24.0\n  \
             USE_PID_NAMESPACES = true\nendif\nSTARTD_ATTRS = $(STARTD_ATTRS) Has{file}\n"
        );
        for knob in 0..32 {
            writeln!(text, "# What knob {knob} of file {file} is good for\n")?;
            let before = knob.max(1) - 1;
            writeln!(
                text,
                "SITE_KNOB_{file}_{knob} = $(LOCAL_DIR)/some/path/{knob}:$(SITE_KNOB_{file}_{before}X:no) \\\n   and more"
            )?;
        }
        fs::write(files.join(format!("{file}0-site.conf")), text)?;
    }
    Ok(root)
}
