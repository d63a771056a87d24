//! What is shown of jobs while they run: `who` and `explain`.

use std::process::Command;

use cloister_tests::{ALICE, BOB, Job, Machine, NamedRoot};
use serde_json::Value;

fn shown(mut command: Command, words: &[&str]) -> String {
    let output = command.args(words).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        (output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()),
        (Some(0), ""),
        "{text}"
    );
    let bad = text.chars().find(|c| c.is_control() && *c != '\n');
    assert_eq!(bad, None, "{text:?}");
    text
}

fn refused(mut command: Command, words: &[&str]) -> String {
    let output = command.args(words).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// Its program's name is made to be dangerous.
fn hostile_name() -> Job {
    let name = "$(printf 'a\\033[2J<b>&')";
    Job::waiting(&format!("cd \"$_CONDOR_SCRATCH_DIR\"; cp /bin/sleep {name}; PATH=.:$PATH {name} 300 & while [ \"$(cat /proc/$!/comm)\" = sh ]; do :; done"))
        .set("Owner", "alice")
        .set("ClusterId", 12_i64)
        .set("ProcId", 3_i64)
}

#[test]
fn jobs_that_run_are_listed_and_explained() {
    let Some(machine) = Machine::new() else { return };
    assert_eq!(shown(machine.starter(), &["who", "--json"]), "[]\n");
    let mut running = machine.start(&hostile_name());
    running.line("ready");
    let list: Value = serde_json::from_str(&shown(machine.starter(), &["who", "--json"])).unwrap();
    let job = &list[0];
    assert_eq!(list.as_array().unwrap().len(), 1, "{list}");
    for (name, value) in
        [("job", "12.3"), ("owner", "alice"), ("account", "alice"), ("root", "machine")]
    {
        assert_eq!(job[name], value, "{list}");
    }
    assert_eq!(
        (job["processes"].as_i64(), job["starter"].as_i64()),
        (Some(2), Some(running.pid().into())),
        "{list}"
    );
    assert!(job["memory"].as_i64() > Some(0) && job["age"].as_i64() < Some(60), "{list}");
    let table = shown(machine.starter(), &["who"]);
    assert!(table.lines().nth(1).unwrap().contains("12.3  alice  alice    machine"), "{table}");

    let pid = job["pid"].to_string();
    for wanted in ["12.3", pid.as_str(), &running.pid().to_string()] {
        let tree = shown(machine.starter(), &["explain", wanted]);
        for part in [
            "job 12.3 of alice in slot1, root machine",
            "capabilities: none, in any set",
            "own: mnt pid ipc uts cgroup",
            "/tmp <- ",
            "[MOUNT_UNDER_SCRATCH]",
            "[USE_PID_NAMESPACES]",
            "[MOUNT_PRIVATE_DEV_SHM]",
            "a?[2J<b>&",
        ] {
            assert!(tree.contains(part), "no {part}: {tree}");
        }
    }
    let file = machine.path("out/cell.svg");
    let words = ["explain", "--svg", file.to_str().unwrap(), "12.3"];
    shown(machine.starter(), &words);
    let svg = std::fs::read_to_string(&file).unwrap();
    assert!(svg.contains("a?[2J&lt;b&gt;&amp;") && !svg.contains("<b>"), "{svg}");
    assert!(refused(machine.starter(), &words).contains("exists"), "a file is written over");
    let nobody = refused(machine.starter(), &["explain", "99.0\u{1b}"]);
    assert!(nobody.contains("99.0?: no such job"), "{nobody}");
    running.wait().ok();
}

#[test]
fn users_see_their_own_jobs_whole_and_of_others_what_everybody_sees() {
    let Some(mut machine) = Machine::new() else { return };
    let root = NamedRoot::offer(&mut machine, "small");
    let mut running = machine.start(&Job::waiting("").set("RequestedChroot", "small"));
    running.line("ready");
    let row = |account| -> Value {
        let list: Value =
            serde_json::from_str(&shown(machine.starter_as(account), &["who", "--json"])).unwrap();
        list[0].clone()
    };
    let (own, other) = (row(ALICE), row(BOB));
    assert_eq!(
        (&own["job"], &own["root"], &own["account"]),
        (&"7.0".into(), &"small".into(), &"alice".into()),
        "{own}"
    );
    assert_eq!(
        (&other["job"], &other["root"], &other["account"]),
        (&Value::Null, &Value::Null, &"alice".into()),
        "{other}"
    );
    let pid = own["pid"].to_string();
    assert!(shown(machine.starter_as(ALICE), &["explain", &pid]).contains("[NAMED_CHROOT]"));
    let of_other = shown(machine.starter_as(BOB), &["explain", &pid]);
    assert!(
        of_other.contains("can't be told without root") && !of_other.contains("[NAMED_CHROOT]"),
        "{of_other}"
    );
    drop(root);
    running.wait().ok();
}

/// In a pool of stock's view the job can do with the files in its sandbox as it likes.
#[test]
fn what_a_job_puts_in_place_of_its_ads_is_not_read() {
    let Some(machine) = Machine::new() else { return };
    let machine = machine
        .knob("PER_JOB_NAMESPACES", "False")
        .knob("MOUNT_UNDER_SCRATCH", "")
        .knob("MOUNT_PRIVATE_DEV_SHM", "False")
        .knob("USE_PID_NAMESPACES", "False")
        .knob("JOB_STOCK_VIEW", "True");
    for trick in [
        "mkfifo .job.ad",
        "ln -s /etc/passwd .job.ad",
        "mkdir .job.ad",
        "printf 'ClusterId = 1\\nProcId = 1\\n' > x; ln x .job.ad",
        "ln -s /dev/zero .job.ad",
    ] {
        let mut running = machine
            .start(&Job::waiting(&format!("cd \"$_CONDOR_SCRATCH_DIR\"; rm -f .job.ad; {trick}")));
        running.line("ready");
        let list: Value =
            serde_json::from_str(&shown(machine.starter(), &["who", "--json"])).unwrap();
        assert_eq!(
            (&list[0]["job"], &list[0]["account"]),
            (&Value::Null, &"alice".into()),
            "{trick}: {list}"
        );
        running.wait().ok();
    }
}
