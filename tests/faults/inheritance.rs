//! What the startd hands down, wrong in every way.

use crate::pool::machine;

use crate::pool::{Ended, Setup};

type Spoil = fn(&mut [(&'static str, String)]);

fn spoiled(spoil: Spoil) -> Option<Ended> {
    let machine = machine()?;
    let mut setup = Setup::new("echo done");
    setup.spoil = spoil;
    Some(setup.start(&machine).end(&machine))
}

/// The `n`th of the words that are divided by a mark.
fn nth(text: &mut String, mark: char, n: usize, new: &str) {
    let mut words: Vec<&str> = text.split(mark).collect();
    words[n] = new;
    *text = words.join(&mark.to_string());
}

const INHERIT: &str = "CONDOR_INHERIT";
const PRIVATE: &str = "CONDOR_PRIVATE_INHERIT";

#[test]
fn what_can_not_be_read_is_named() {
    let cases: [(Spoil, &[&str]); 14] = [
        (|handed| handed[0].0 = "NOT_INHERIT", &[INHERIT]),
        (|handed| handed[0].1.clear(), &[INHERIT]),
        (|handed| handed[0].1 = "x".repeat(100_000), &[INHERIT]),
        (|handed| handed[0].1.truncate(20), &[INHERIT]),
        (|handed| handed[0].1 = handed[0].1.replace(" 0 SharedPort", " SharedPort"), &[INHERIT]),
        (|handed| nth(&mut handed[0].1, ' ', 3, "nonsense"), &[INHERIT]),
        // A descriptor that isn't open, one that is no socket, and one that is used twice.
        (
            |handed| {
                nth(&mut handed[0].1, ' ', 3, "900*3*0*0*0*0***0*<127.0.0.1:1>*0*0*0*0*0*0*0*")
            },
            &[INHERIT, "900"],
        ),
        (
            |handed| nth(&mut handed[0].1, ' ', 3, "0*3*0*0*0*0***0*<127.0.0.1:1>*0*0*0*0*0*0*0*"),
            &[INHERIT, "descriptor 0"],
        ),
        (
            |handed| {
                let socket = handed[0].1.split(' ').nth(3).unwrap().to_owned();
                nth(&mut handed[0].1, ' ', 5, &socket);
            },
            &[INHERIT, "twice"],
        ),
        // A key that is cut.
        (|handed| handed[0].1 = handed[0].1.replace("64*3*1*", "64*3*1*00"), &[INHERIT]),
        (|handed| handed[0].1 = handed[0].1.replace("64*3*1*", "32*1*1*"), &[INHERIT]),
        (|handed| handed[1].0 = "NOT_PRIVATE", &[PRIVATE, "SessionKey"]),
        (|handed| handed[1].1.truncate(30), &[PRIVATE]),
        (|handed| handed[1].1 = handed[1].1.replace("AES.", ""), &[PRIVATE, "AES"]),
    ];
    for (number, (spoil, words)) in cases.into_iter().enumerate() {
        let Some(ended) = spoiled(spoil) else { return };
        println!("case {number}");
        let ended = ended.code(1);
        let line = ended.log.lines().find(|line| line.contains("ERROR"));
        let line = line.unwrap_or_else(|| panic!("case {number}: no error\n{ended}"));
        assert!(words.iter().all(|word| line.contains(word)), "case {number}: {line}");
        // Keys aren't for the log.
        assert!(!ended.log.contains("c05ff7054f8e"), "case {number}\n{ended}");
        assert!(ended.requests().is_empty(), "case {number}\n{ended}");
    }
}

/// The key reads well, but it is another: what the shadow hears makes no sense to it.
#[test]
fn a_key_that_the_shadow_has_not() {
    let spoil: Spoil = |handed| {
        let at = handed[0].1.find("64*3*1*").unwrap() + 7 + 80 + 1;
        handed[0].1.replace_range(at..at + 4, "0000");
    };
    let Some(ended) = spoiled(spoil) else { return };
    ended.code(2).says(&["lost the connection with the shadow"]);
}

/// Only the name of the last socket is missing: there is no shadow then.
#[test]
fn no_shadow() {
    let spoil: Spoil = |handed| {
        let all: Vec<&str> = handed[0].1.split(' ').collect();
        handed[0].1 = [&all[..4], &all[6..]].concat().join(" ");
    };
    let Some(ended) = spoiled(spoil) else { return };
    ended.code(1).says(&["no connection with a shadow"]);
}

/// The startd's address is that of nobody: signs of life don't arrive, and the job runs.
#[test]
fn no_network_to_the_startd() {
    let Some(machine) = machine() else { return };
    let mut setup = Setup::new("sleep 1; echo done");
    setup.release = crate::pool::OLD;
    setup.spoil = |handed| nth(&mut handed[0].1, ' ', 1, "<127.0.0.1:1?noUDP&sock=startd_1_2>");
    let ended = setup.start(&machine).end(&machine).code(0);
    assert_eq!(ended.exit(), Some((0, 100)), "{ended}");
    ended.says(&["WARN", "127.0.0.1:1"]);
}
