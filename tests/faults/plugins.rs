//! Transfer plugins that hang, crash, flood, lie, and reach for what isn't theirs.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use cloister_tests::{Machine, NamedRoot};
use nix::sys::signal::Signal;

use crate::pool::machine;
use crate::pool::shadow::{JOB_EXIT, JOB_UPDATE, ULOG};
use crate::pool::startd::Order;
use crate::pool::{Claim, Ended, HOSTILE_VARIABLES, NEW, OLD, Setup};

/// Fetches one file, whose content is what `words` print.
fn plugin(words: &str) -> String {
    format!(
        "#!/bin/sh\nfile=$(sed -n 's/.*LocalFileName = \"\\([^\"]*\\)\".*/\\1/p' \"$2\")\n\
         {{\n{words}\n}} > \"$file\" 2>&1\n\
         echo '[ TransferSuccess = true; TransferUrl = \"t://h/x\"; TransferProtocol = \"t\" ]' > \"$4\"\n"
    )
}

/// A job that shows what its plugin has fetched.
fn setup(plugin: &str) -> Setup {
    let mut setup = Setup::new("cat fetched; echo done");
    setup.input = vec![("mine".to_owned(), plugin.as_bytes().to_vec())];
    setup.urls = vec![("fetched".to_owned(), "t://h/x".to_owned())];
    setup.job = vec![
        ("TransferPlugins", "t=/home/alice/submit/mine".into()),
        ("TransferInput", "mine,t://h/x".into()),
    ];
    setup
}

fn held(mut claim: Claim, machine: &Machine) -> (Ended, i64, i64, String) {
    claim.asked(ULOG);
    let ended = claim.end(machine).code(0);
    let (code, text) = ended.error().unwrap();
    let subcode = ended.subcode().unwrap();
    assert!(ended.exit().is_none(), "the job never ran\n{ended}");
    (ended, code, subcode, text)
}

fn fetched(plugin: &str, machine: &Machine) -> (Ended, String) {
    fetched_before(plugin, machine, || ())
}

/// The same; `end` is called when the job is over.
fn fetched_before(plugin: &str, machine: &Machine, end: impl FnOnce()) -> (Ended, String) {
    let mut claim = setup(plugin).start(machine);
    claim.asked(JOB_EXIT);
    end();
    let ended = claim.end(machine).code(0);
    assert_eq!(ended.exit(), Some((0, 100)), "{ended}");
    let output = String::from_utf8(ended.output("_condor_stdout").unwrap()).unwrap();
    assert!(output.ends_with("done\n"), "{output}\n{ended}");
    (ended, output)
}

#[test]
fn a_plugin_of_the_job_fetches_its_input() {
    let Some(machine) = machine() else { return };
    let (ended, output) = fetched(&plugin("id -u; grep NoNewPrivs /proc/self/status"), &machine);
    let lines: Vec<&str> = output.lines().collect();
    assert_ne!(lines[0], "0", "never as root");
    assert_eq!(lines[1], "NoNewPrivs:\t1");
    let told = ended.asked().any(|request| {
        request.number == JOB_UPDATE && request.ad.contains("InputPluginResultList")
    });
    assert!(told, "{ended}");
}

#[test]
fn one_that_hangs_is_killed_with_everything_it_has_started() {
    for release in [OLD, NEW] {
        let Some(machine) = machine() else { return };
        let machine = machine.knob("MAX_FILE_TRANSFER_PLUGIN_LIFETIME", "1");
        let mut setup =
            setup(&plugin("trap '' TERM HUP INT; setsid sleep 1000 & (sleep 1000 &); sleep 1000"));
        setup.release = release;
        let (_, code, subcode, text) = held(setup.start(&machine), &machine);
        assert_eq!((code, subcode), (12, i64::from(nix::libc::ETIME)), "{text}");
        assert!(text.contains("timed out after 1 seconds"), "{text}");
    }
}

/// A job's variables are its program's: what loaders, shells and languages would obey reaches no plugin, and what
/// the site has for plugins isn't changed by them.
#[test]
fn the_jobs_variables_are_not_its_own() {
    for release in [OLD, NEW] {
        let Some(machine) = machine() else { return };
        let mut setup = setup(&plugin("env; echo end"));
        setup.release = release;
        setup.job.push(("Environment", HOSTILE_VARIABLES.into()));
        setup.script = "env >of-job; cat fetched; echo done".to_owned();
        let mut claim = setup.start(&machine);
        claim.asked(JOB_EXIT);
        let ended = claim.end(&machine).code(0);
        let text = |name: &str| String::from_utf8(ended.output(name).unwrap()).unwrap();
        assert!(text("of-job").contains("BASH_ENV=/attackers"), "{ended}");
        let plugins = text("_condor_stdout");
        assert!(plugins.contains("end\n") && !plugins.contains("attackers"), "{plugins}");
    }
}

/// What it leaves as a brother of its own, and not as a child, ends with it as well.
#[test]
fn one_that_makes_processes_for_its_parent() {
    let Some(machine) = machine() else { return };
    let claim = setup("#!/bin/sh\nexec /var/opt/hostile brother\n").start(&machine);
    let begun = Instant::now();
    let (ended, code, subcode, text) = held(claim, &machine);
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}\n{ended}", begun.elapsed());
    assert_eq!((code, subcode), (12, -1004), "{text}");
}

#[test]
fn an_order_to_end_ends_it_at_once() {
    let Some(machine) = machine() else { return };
    let mut claim =
        setup(&plugin("touch ./started; setsid sleep 1000 & sleep 1000")).start(&machine);
    claim.made(&machine, "started");
    let begun = Instant::now();
    claim.startd.order(Order::Signal(Signal::SIGQUIT));
    claim.asked(JOB_EXIT);
    let ended = claim.end(&machine).code(0);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}\n{ended}", begun.elapsed());
    assert_eq!(ended.exit().map(|(_, reason)| reason), Some(108), "{ended}");
}

/// Whoever dies, it dies, too.
#[test]
fn it_does_not_outlive_the_starter() {
    for distance in [0, 1] {
        let Some(machine) = machine() else { return };
        let claim =
            setup(&plugin("touch ./started; setsid sleep 1000 & sleep 1000")).start(&machine);
        claim.made(&machine, "started");
        claim.kill_descendant(&machine, distance);
        claim.end_as_a_startd(&machine);
    }
}

#[test]
fn a_crash_and_a_lie_are_failures() {
    for (release, words, expected) in [
        (NEW, "kill -SEGV $$", 11),
        (OLD, "kill -SEGV $$", 0),
        (NEW, "exit 0", -1004),
        (NEW, "echo garbage [ [ \\\" > \"$4\"; exit 3", -1004),
        (OLD, "exit 3", 3 << 8),
        (NEW, "rm \"$4\"; ln -s /etc/passwd \"$4\"; exit 0", -1004),
        (NEW, "echo '[ TransferSuccess = false ]' > \"$4\"; exit 0", 0),
    ] {
        let Some(machine) = machine() else { return };
        let mut setup = setup(&plugin(words));
        setup.release = release;
        let (ended, code, subcode, text) = held(setup.start(&machine), &machine);
        assert_eq!((code, subcode), (12, expected), "{words}: {text}\n{ended}");
    }
}

#[test]
fn a_flood_drowns_nobody() {
    let Some(machine) = machine() else { return };
    let words = "head -c 50000000 /dev/zero >&9; echo fine";
    let text = plugin(words).replacen("\nfile=", "\nexec 9>&1\nfile=", 1);
    let (ended, output) = fetched(&text, &machine);
    assert!(output.starts_with("fine\n") && ended.log.len() < 1 << 20, "{}", ended.log.len());
}

#[test]
fn it_reaches_no_further_than_the_job() {
    let Some(machine) = machine() else { return };
    let other = machine.execute().join("dir_other");
    fs::create_dir(&other).unwrap();
    fs::set_permissions(&other, fs::Permissions::from_mode(0o777)).unwrap();
    let execute = machine.execute();
    let (execute, other_dir) = (execute.display(), other.display());
    let words = format!(
        "ls {execute} | grep -c dir_other; echo x > {other_dir}/evil || echo refused\n\
         kill -9 -1; echo alive; ls -d /proc/[0-9]* | wc -l\n\
         touch /tmp/mark; env | grep -c CONDOR_INHERIT; grep -c x .job.ad >/dev/null && echo > .job.ad"
    );
    let (_, output) = fetched_before(&plugin(&words), &machine, || {
        assert!(!other.join("evil").exists());
        fs::remove_dir(&other).unwrap();
    });
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(lines[0], "0", "another sandbox is seen: {output}");
    assert!(output.contains("refused\n") && output.contains("alive\n"), "{output}");
    let processes = lines.iter().filter_map(|line| line.parse::<u32>().ok()).nth(1).unwrap();
    assert!(processes < 8, "{processes} processes are seen: {output}");
    assert!(!std::path::Path::new("/tmp/mark").exists());
}

#[test]
fn output_by_a_hung_plugin_holds_the_job() {
    let Some(machine) = machine() else { return };
    let machine = machine.knob("MAX_FILE_TRANSFER_PLUGIN_LIFETIME", "1");
    let mut setup = setup("#!/bin/sh\nsetsid sleep 1000 & sleep 1000\n");
    setup.urls.clear();
    setup.script = "echo x > result; echo y > other".to_owned();
    setup.job.push(("TransferOutput", "result,other".into()));
    setup.job.push(("TransferOutputRemaps", "result=t://h/r".into()));
    let mut claim = setup.start(&machine);
    claim.asked(ULOG);
    let ended = claim.end(&machine).code(0);
    let (code, text) = ended.error().unwrap();
    assert_eq!((code, ended.subcode()), (13, Some(i64::from(nix::libc::ETIME))), "{text}");
    assert!(text.contains("timed out after 1 seconds"), "{text}");
    assert_eq!(ended.output("other").as_deref(), Some(&b"y\n"[..]), "the rest is sent\n{ended}");
}

#[test]
fn an_admin_can_switch_them_off() {
    for (knob, value, words) in [
        ("ENABLE_URL_TRANSFERS", "False", "URL transfers are disabled by configuration"),
        ("STARTER_DISABLE_USER_SUPPLIED_TRANSFER_PLUGINS", "True", "not allowed"),
        ("STARTER_DISABLE_USER_SUPPLIED_TRANSFER_PLUGINS", "2", "plugin for type t not found"),
    ] {
        let Some(machine) = machine() else { return };
        let machine = machine.knob(knob, value);
        let (_, code, _, text) = held(setup(&plugin("touch /dev/null")).start(&machine), &machine);
        assert!(code == 12 && text.contains(words), "{code} {text}");
    }
}

/// What a job brings along sees no more than the job; what the site has is found where the site has it.
#[test]
fn a_job_with_a_root_and_no_network_gets_neither_by_its_plugin() {
    let Some(mut machine) = machine() else { return };
    NamedRoot::offer(&mut machine, "Tools");
    let tells = |file: &str| {
        format!(
            "{{ cat /etc/marker || echo no marker; readlink /proc/self/ns/net; }} > {file} 2>/dev/null\n\
             echo '[ TransferSuccess = true; TransferUrl = \"t://h/x\" ]' > \"$4\"\n"
        )
    };
    let site = machine.path("site_plugin");
    let classad = "[ \"$1\" = -classad ] && { echo 'SupportedMethods = \"s\"'; \
                   echo 'MultipleFileSupport = true'; exit 0; }";
    fs::write(&site, format!("#!/bin/sh\n{classad}\n{}", tells("of_site"))).unwrap();
    fs::set_permissions(&site, fs::Permissions::from_mode(0o755)).unwrap();
    let machine = machine
        .knob("NO_JOB_NETWORKING", "True")
        .knob("FILETRANSFER_PLUGINS", &site.display().to_string());
    let mut setup = setup(&format!("#!/bin/sh\n{}", tells("fetched")));
    setup.urls.push(("of_site".to_owned(), "s://h/x".to_owned()));
    setup.job.push(("RequestedChroot", "Tools".into()));
    setup.script = "cat fetched of_site; readlink /proc/self/ns/net; echo done".to_owned();
    let mut claim = setup.start(&machine);
    claim.asked(JOB_EXIT);
    let ended = claim.end(&machine).code(0);
    let output = String::from_utf8(ended.output("_condor_stdout").unwrap()).unwrap();
    let lines: Vec<&str> = output.lines().collect();
    let own = fs::read_link("/proc/self/ns/net").unwrap();
    let [root, network, no_root, machines, jobs, "done"] = lines[..] else { panic!("{ended}") };
    assert_eq!((root, no_root), ("of the named root", "no marker"), "{output}");
    assert_eq!(machines, own.to_str().unwrap(), "{output}");
    assert!(network != machines && jobs != machines, "{output}");
}

#[test]
fn plugins_have_the_jobs_tokens() {
    for release in [OLD, NEW] {
        let Some(machine) = machine() else { return };
        let mut setup = setup(&plugin("tr N n < \"$_CONDOR_CREDS/a.use\""));
        setup.release = release;
        setup.job.push(("OAuthServicesNeeded", "a".into()));
        let mut claim = setup.start(&machine);
        claim.asked(JOB_EXIT);
        let ended = claim.end(&machine).code(0);
        assert_eq!(ended.output("_condor_stdout").as_deref(), Some(&b"tokendone\n"[..]), "{ended}");
    }
}
