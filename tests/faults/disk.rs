//! A file system for sandboxes that is full, or becomes so.

use std::fs;

use cloister_tests::Machine;
use nix::mount::{MsFlags, mount};

use crate::pool::machine;
use crate::pool::shadow::ULOG;
use crate::pool::{Claim, Setup};

/// A machine whose EXECUTE holds half a megabyte and so many files.
fn small(files: u32) -> Option<Machine> {
    let machine = machine()?;
    let execute = machine.execute();
    let (user, options) = (machine.daemon(), format!("size=512k,nr_inodes={files},mode=0755"));
    let options = format!("{options},uid={user},gid={user}");
    mount(Some("small"), &execute, Some("tmpfs"), MsFlags::empty(), Some(options.as_str()))
        .unwrap();
    Some(machine)
}

fn told(mut claim: Claim, machine: &Machine, words: &str) -> i64 {
    claim.asked(ULOG);
    let ended = claim.end(machine).code(0).says(&["ERROR", words]);
    let (code, text) = ended.error().unwrap();
    assert!(text.contains(words), "{text}");
    assert!(ended.exit().is_none() && ended.startd_knows(), "{ended}");
    code
}

#[test]
fn no_room_for_the_sandbox() {
    let Some(machine) = small(64) else { return };
    let filler = machine.execute().join("filler");
    let _ = fs::write(&filler, vec![1; 1 << 20]);
    let code = told_with_filler(Setup::new("echo done").start(&machine), &machine, &filler);
    assert_eq!(code, 1007, "the machine's fault");
}

fn told_with_filler(claim: Claim, machine: &Machine, filler: &std::path::Path) -> i64 {
    let mut claim = claim;
    claim.asked(ULOG);
    fs::remove_file(filler).unwrap();
    told(claim, machine, "No space left on device")
}

#[test]
fn no_room_for_the_input() {
    let Some(machine) = small(64) else { return };
    let mut setup = Setup::new("echo done");
    setup.input = vec![("large".to_owned(), vec![1; 800_000]), ("more".to_owned(), vec![2; 9])];
    let code = told(setup.start(&machine), &machine, "No space left on device");
    assert_eq!(code, 1007, "the machine's fault: there may be room elsewhere");
}

#[test]
fn a_job_that_fills_it_ends_by_itself_and_its_output_is_delivered() {
    let Some(machine) = small(64) else { return };
    let script = "echo started; head -c 4000000 /dev/zero > large || exit 9";
    let ended = Setup::new(script).start(&machine).end(&machine).code(0);
    assert_eq!(ended.exit(), Some((9 << 8, 100)), "{ended}");
    assert_eq!(ended.output("_condor_stdout").as_deref(), Some(&b"started\n"[..]), "{ended}");
    assert!(ended.output("large").is_some_and(|bytes| bytes.len() > 200_000), "{ended}");
}

#[test]
fn a_job_that_takes_all_its_files() {
    let Some(machine) = small(40) else { return };
    let script = "n=0; while : > file$n; do n=$((n+1)); done; exit 9";
    let ended = Setup::new(script).start(&machine).end(&machine).code(0);
    assert!(ended.exit().is_some_and(|(status, reason)| status != 0 && reason == 100), "{ended}");
    assert!(ended.output("file0").is_some(), "{ended}");
}
