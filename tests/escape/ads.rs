//! Job ads that name what isn't the job's: whatever becomes of the job, nothing of root's is read or changed.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use cloister_tests::{Job, Machine};

/// A machine with a file that everybody may see and one that nobody may, both root's.
fn machine() -> Option<Machine> {
    let machine = Machine::new()?;
    for (name, mode) in [("kept", 0o644), ("secret", 0o600)] {
        fs::write(machine.path(name), "SECRET-of-root").unwrap();
        fs::set_permissions(machine.path(name), Permissions::from_mode(mode)).unwrap();
    }
    Some(machine)
}

/// A job whose files are moved, which tries to use what it was given.
fn job(machine: &Machine) -> Job {
    let script = "ls -A; cat secret _condor_stdin < /dev/null; cat; echo changed > result; mkdir d; \
                  echo changed > d/result; ln -s /etc/shadow shadow; true";
    Job::sh(script)
        .set("ShouldTransferFiles", "YES")
        .set("TransferExecutable", false)
        .set("Iwd", machine.path("out").to_str().unwrap())
}

#[test]
fn names_of_what_is_not_the_jobs() {
    let Some(machine) = machine() else { return };
    let path = |name: &str| machine.path(name).display().to_string();
    let (kept, secret) = (path("kept"), path("secret"));
    let lies: [(&str, String); 16] = [
        ("TransferInput", secret.clone()),
        ("TransferInput", "../secret".into()),
        ("TransferInput", format!("{}/", path(""))),
        ("TransferInput", "/proc/self/fd/3,/proc/1/environ,/dev/mem".into()),
        ("In", secret.clone()),
        ("In", "../secret".into()),
        ("Out", kept.clone()),
        ("Err", "../kept".into()),
        ("TransferOutput", "../../../kept".into()),
        ("TransferOutput", format!("{secret},/etc/shadow,shadow,/proc/1/environ")),
        ("TransferOutput", "d/../../../../secret".into()),
        ("TransferOutputRemaps", format!("result={kept}")),
        ("TransferOutputRemaps", "result=../kept;_condor_stdout=../kept".into()),
        ("Iwd", "../../../etc".into()),
        ("UserLog", kept.clone()),
        ("StarterUserLog", kept.clone()),
    ];
    for (attribute, value) in lies {
        let ran = machine.run(&job(&machine).set(attribute, value.as_str()));
        let text = ran.to_string();
        assert!(!text.contains("SECRET-of-root"), "{attribute} = {value}\n{text}");
        for name in ["kept", "secret"] {
            let now = fs::read_to_string(machine.path(name)).unwrap();
            assert_eq!(now, "SECRET-of-root", "{attribute} = {value}\n{text}");
        }
        for entry in fs::read_dir(machine.path("out")).unwrap() {
            let path = entry.unwrap().path();
            let content = fs::read(&path).unwrap_or_default();
            assert!(!content.starts_with(b"SECRET-"), "{}: {attribute} = {value}", path.display());
        }
    }
}

/// Lists that are longer than anybody's end in a job that runs, or in words.
#[test]
fn lists_without_end() {
    let Some(machine) = machine() else { return };
    let many = |item: &str, count: usize| vec![item; count].join(",");
    for (attribute, value) in [
        ("TransferInput", many("nosuch", 100_000)),
        ("TransferOutput", many("nosuch", 100_000)),
        ("TransferOutputRemaps", many("a=b", 100_000).replace(',', ";")),
        ("Environment", "A=B ".repeat(200_000)),
        ("Arguments", "x ".repeat(500_000)),
        ("RequestedChroot", "x".repeat(1_000_000)),
        ("MinIsolation", "pid ".repeat(200_000)),
    ] {
        let ran = machine.run(&job(&machine).set(attribute, value.as_str()));
        assert!(matches!(ran.code, Some(0 | 1)), "{attribute}\n{:.2000}", ran.said);
        assert!(ran.said.len() < 64 << 10, "{attribute}: {} bytes are said", ran.said.len());
    }
}
