//! A supervisor in an attacker's hands: orders that no honest one sends.

use std::fs;
use std::io::Write;
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::*;
use crate::plan::{Mount, PidOne, Stdio, What};

fn program(plan: &Plan) -> Box<Program> {
    Box::new(plan.program.clone())
}

/// Each order by itself makes nothing and starts nothing.
#[test]
fn orders_before_there_is_a_job() {
    alone("orders_before_there_is_a_job", |machine| {
        let plan = machine.plan();
        let orders = [
            Order::Place(Placed::Tokens(vec![("x".into(), Zeroizing::new(vec![1]))])),
            Order::Renew(Placed::Proxy("x".into(), Zeroizing::new(vec![1]))),
            Order::Append { path: canary(), text: "x".into() },
            Order::Revise(Box::new(plan.clone())),
            Order::Run(Errand::Diagnostic("x".into())),
            Order::Fetch(Source::Here),
            Order::Open,
            Order::Script(program(&plan)),
            Order::Ready,
            Order::Listen("0".repeat(32)),
            Order::Peek(vec![canary()]),
            Order::Launch,
            Order::Signal(9),
            Order::Suspend(true),
            Order::Measure,
            Order::Kill,
            Order::KeepLog,
            Order::Deliver(Destination::Here),
        ];
        for order in orders {
            let launcher = machine.launcher();
            launcher.order(&order);
            launcher.order(&Order::Finish);
            loop {
                match launcher.report() {
                    Some(Report::Gone(None)) => break,
                    Some(Report::Failed(_) | Report::Placed(Some(_))) => {}
                    Some(Report::Peeked(files)) => assert_eq!(files, [Err(libc::ENOENT)]),
                    other => panic!("{order:?}: {other:?}"),
                }
            }
            launcher.end();
            machine.check(&format!("{order:?}"));
        }
    });
}

/// While the job runs nothing is prepared, fetched, delivered or run in its place.
#[test]
fn orders_at_the_wrong_time() {
    alone("orders_at_the_wrong_time", |machine| {
        let plan = machine.plan();
        let orders = [
            Order::Prepare(Box::new(plan.clone())),
            Order::Revise(Box::new(plan.clone())),
            Order::Fetch(Source::Here),
            Order::Script(program(&plan)),
            Order::Ready,
            Order::Listen("0".repeat(32)),
            Order::Launch,
            Order::Deliver(Destination::Here),
            Order::Signal(i32::MIN),
            Order::Signal(65),
        ];
        for order in orders {
            let launcher = machine.prepared();
            launcher.order(&Order::Launch);
            match launcher.report() {
                Some(Report::Started { .. }) => {}
                other => panic!("{other:?}"),
            }
            launcher.order(&order);
            launcher.refused(&format!("{order:?}"));
            launcher.end();
            machine.check(&format!("{order:?}"));
        }
    });
}

/// What is opened, is opened with the job's rights and in its directory.
#[test]
fn paths_that_lead_out() {
    alone("paths_that_lead_out", |machine| {
        let launcher = machine.prepared();
        let secret = |text: &str| Zeroizing::new(text.as_bytes().to_vec());
        let into = Path::new(ROOM).join("daemons");
        for path in [canary(), into.join("new"), "canary".into(), "../canary".into(), "/".into()] {
            launcher.order(&Order::Append { path: path.clone(), text: "changed".into() });
            match launcher.report() {
                Some(Report::Appended(Some(_))) => {}
                other => panic!("{}: {other:?}", path.display()),
            }
        }
        for name in ["/var/opt/canary", "../../../canary", "..", ".", "", "a/b", "a\0b"] {
            for placed in [
                Placed::Proxy(name.into(), secret("changed")),
                Placed::Tokens(vec![(name.into(), secret("changed"))]),
                Placed::OwnTokens(vec![name.into()]),
            ] {
                launcher.order(&Order::Place(placed));
                match launcher.report() {
                    Some(Report::Placed(Some(_))) => {}
                    other => panic!("{name:?}: {other:?}"),
                }
            }
        }
        // Links as a job could have made them.
        symlink(ROOM, machine.sandbox().join("link")).unwrap();
        symlink("/proc/self/fd", machine.sandbox().join("open")).unwrap();
        let paths =
            ["link/canary", "../../../canary", "open/0", "open/3", ".", "/var/opt/canary", ""];
        let paths: Vec<PathBuf> = paths.map(PathBuf::from).into();
        launcher.order(&Order::Peek(paths.clone()));
        match launcher.report() {
            Some(Report::Peeked(files)) => {
                assert_eq!(files.len(), paths.len());
                assert!(files.iter().all(Result::is_err), "{files:?}");
            }
            other => panic!("{other:?}"),
        }
        launcher.order(&Order::Peek(vec!["x".into(); 100_000]));
        drop(launcher.report());
        launcher.end();
        machine.check("paths");
    });
}

type Lie = fn(&mut Plan);

/// Plans that are only one part wrong. Whatever of them is carried out, is in the job's own cell.
#[test]
fn plans_that_lead_out() {
    alone("plans_that_lead_out", |machine| {
        fn mount(plan: &mut Plan, target: &str, what: What) {
            plan.mounts.push(Mount { target: target.into(), what, why: String::new() });
        }
        let lies: [(&str, Lie); 22] = [
            ("private above", |p| mount(p, "/mnt", What::Private("../..".into()))),
            ("private elsewhere", |p| mount(p, "/mnt", What::Private("/etc".into()))),
            ("home above", |p| mount(p, "/mnt", What::Home("../../..".into()))),
            ("no target", |p| mount(p, "/", What::Memory)),
            ("a relative target", |p| mount(p, "mnt", What::Hidden)),
            ("a target above", |p| mount(p, "/mnt/../etc", What::Hidden)),
            ("a file above", |p| p.sandbox.files.push(("../../canary".into(), vec![1]))),
            ("a file elsewhere", |p| p.sandbox.files.push(("/var/opt/canary".into(), vec![1]))),
            ("a directory elsewhere", |p| p.sandbox.directories.push("/var/opt/new".into())),
            ("a directory above", |p| p.sandbox.directories.push("a/../../../new".into())),
            ("another EXECUTE", |p| p.sandbox.execute = "/var/opt/daemons".into()),
            ("another slot", |p| p.sandbox.slot = "../daemons".into()),
            ("root", |p| (p.account.ids.uid, p.account.ids.gid) = (0, 0)),
            ("root's group", |p| p.account.ids.groups.push(0)),
            ("root's name", |p| p.account.name = "root".into()),
            ("nobody knows it", |p| p.account.name = "no-such-account".into()),
            ("another's files", |p| p.files.submitter = None),
            ("no namespaces", |p| (p.namespaces.mount, p.namespaces.pid) = (false, PidOne::Shared)),
            ("a root", |p| {
                let root = crate::knobs::roots::NamedRoot::new("x", Path::new("/var/opt"));
                p.root = Root::Named(root);
            }),
            ("an output of root's", |p| p.program.stdio[1] = Stdio::File(canary())),
            ("a directory of the launcher's", |p| p.program.directory = "/proc/self/fd/3".into()),
            ("a program with a NUL", |p| p.program.path = "/bin/sh\0".into()),
        ];
        for (what, lie) in lies {
            let mut plan = machine.plan();
            lie(&mut plan);
            let launcher = machine.launcher();
            launcher.order(&Order::Prepare(Box::new(plan)));
            launcher.order(&Order::Launch);
            launcher.refused(what);
            launcher.order(&Order::Finish);
            match launcher.report() {
                Some(Report::Gone(None)) => {}
                other => panic!("{what}: {other:?}"),
            }
            launcher.end();
            machine.check(what);
        }
    });
}

/// A change of the plan can't be one of account or place.
#[test]
fn changes_that_lead_out() {
    alone("changes_that_lead_out", |machine| {
        let lies: [(&str, Lie); 4] = [
            ("another slot", |p| p.sandbox.slot = "dir_1".into()),
            ("a directory above", |p| p.sandbox.directories.push("../x".into())),
            ("root", |p| p.account.ids.uid = 0),
            ("a wider filter", |p| p.calls = crate::sys::seccomp::Profile::Keyrings),
        ];
        for (what, lie) in lies {
            let mut plan = machine.plan();
            lie(&mut plan);
            let launcher = machine.prepared();
            launcher.order(&Order::Revise(Box::new(plan)));
            launcher.refused(what);
            launcher.end();
            machine.check(what);
        }
    });
}

/// Who joins brings one descriptor of any kind; whatever it is, the job's process has it and nobody else.
#[test]
fn descriptors_of_other_kinds() {
    alone("descriptors_of_other_kinds", |machine| {
        let directory = || -> Vec<OwnedFd> { vec![fs::File::open("/").unwrap().into()] };
        let socket =
            || -> Vec<OwnedFd> { vec![std::os::unix::net::UnixStream::pair().unwrap().0.into()] };
        let several = || directory().into_iter().chain(directory()).collect::<Vec<OwnedFd>>();
        let kinds: [&dyn Fn() -> Vec<OwnedFd>; 4] = [&Vec::new, &directory, &socket, &several];
        for (number, kind) in kinds.iter().enumerate() {
            let launcher = machine.prepared();
            launcher.order(&Order::Launch);
            assert!(matches!(launcher.report(), Some(Report::Started { .. })));
            launcher.order(&Order::Join(program(&machine.plan())));
            launcher.channel.send_files(&kind()).unwrap();
            launcher.order(&Order::Measure);
            if number == 0 {
                // What follows is taken for what should have come; the launcher is at its end then.
                drop(launcher.channel.receive::<Report>());
            }
            launcher.end();
            machine.check(&format!("{number}"));
        }
    });
}

/// Bytes that are no orders, at any time.
#[test]
fn garbage() {
    alone("garbage", |machine| {
        let mut state = 88_172_645_463_325_252_u64;
        let mut random = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let honest = postcard::to_stdvec(&Order::Prepare(Box::new(machine.plan()))).unwrap();
        for round in 0..200 {
            let launcher = if round % 2 == 0 { machine.launcher() } else { machine.prepared() };
            let mut body: Vec<u8> = match round % 4 {
                0 => (0..random() % 64).map(|_| random().to_le_bytes()[0]).collect(),
                // An order's number, and what may follow one.
                1 => vec![u8::try_from(random() % 24).unwrap(), random().to_le_bytes()[0], 0, 0],
                _ => honest.clone(),
            };
            if round % 4 > 1 {
                let at = usize::try_from(random()).unwrap() % body.len();
                body[at] ^= random().to_le_bytes()[0];
            }
            let length = match round % 10 {
                9 => u32::MAX,
                8 => u32::try_from(body.len()).unwrap() + 5,
                _ => u32::try_from(body.len()).unwrap(),
            };
            let mut stream = launcher.channel.stream();
            let _ = stream.write_all(&length.to_le_bytes());
            let _ = stream.write_all(&body);
            stream.shutdown(Shutdown::Write).unwrap();
            // By chance some of it makes sense, and a job is run; the end of the stream ends it.
            while let Ok(Some(_)) = launcher.channel.receive::<Report>() {}
            launcher.end();
            machine.check(&format!("round {round}"));
        }
    });
}
