//! What programs get from a configuration: values over ads, typed knobs, errors that help.

#![expect(clippy::unwrap_used, reason = "a test may fail by panic, in its helpers too")]

use std::fs;
use std::path::Path;

use classad::ClassAd;
use condor_config::{As, Config, ErrorKind, Knobs, Options};

fn parse(text: &str) -> Config {
    Config::parse_str("test", text, &Options::new("STARTER")).unwrap()
}

fn load(root: &Path) -> Result<Config, condor_config::Error> {
    let root_file = Some(root.to_owned());
    Config::load(&Options { root_file, ..Options::from_process("STARTER") })
}

#[test]
fn booleans_over_the_ads_of_machine_and_job() {
    let config = parse(
        "STARTER_ALLOW_RUNAS_OWNER = TARGET.Owner == \"alice\" && MY.Shared\nBROKEN = TARGET.Owner\n",
    );
    let machine = ClassAd::parse("[Shared = true]").unwrap();
    let ask = |name: &str, job: &str| {
        config.eval_bool(name, Some(&machine), Some(&ClassAd::parse(job).unwrap()))
    };
    let name = "STARTER_ALLOW_RUNAS_OWNER";
    assert_eq!(ask(name, "[Owner = \"Alice\"]"), Ok(Some(true)));
    assert_eq!(ask(name, "[Owner = \"bob\"]"), Ok(Some(false)));
    assert_eq!(ask("NOPE", "[]"), Ok(None));
    let error = ask("BROKEN", "[Owner = \"bob\"]").unwrap_err();
    assert_eq!((error.kind(), error.file(), error.line()), (ErrorKind::Value, Some("test"), 2));
}

#[test]
fn strings_over_ads_are_themselves_if_they_are_no_expressions() {
    let config = parse("A = strcat(\"/\", Dir)\nB = /tmp,/var/tmp\n");
    let job = ClassAd::parse("[Dir = \"scratch\"]").unwrap();
    let ask = |name: &str| config.eval_string(name, None, Some(&job)).unwrap();
    assert_eq!(ask("A"), Some(("/scratch".to_owned(), true)));
    assert_eq!(ask("B"), Some(("/tmp,/var/tmp".to_owned(), false)));
    // HTCondor's default is in quotes.
    assert_eq!(ask("MOUNT_UNDER_SCRATCH"), Some(("/tmp,/var/tmp".to_owned(), true)));
}

#[test]
fn only_knobs_that_are_asked_for_can_be_wrong() {
    let config = parse("A = $INT(foo)\nB = 5\nC = maybe\nSTARTER.D = 1, 2\n");
    let source = Knobs::typed(&config, [("B", As::Int), ("D", As::List), ("E", As::Real)]);
    let built = config::Config::builder().add_source(source).build().unwrap();
    assert_eq!(built.get::<u8>("b").unwrap(), 5);
    assert_eq!(built.get::<Vec<u8>>("d").unwrap(), [1, 2]);
    assert!(built.get::<f64>("e").is_err());

    for (name, told) in [("A", "test:1: $INT() macro: foo does not"), ("C", "test:3: C in the")] {
        let source = Knobs::typed(&config, [("B", As::Int), (name, As::Bool)]);
        let error = config::Config::builder().add_source(source).build().unwrap_err();
        assert!(error.to_string().starts_with(told), "{error}");
    }
}

#[test]
fn errors_tell_place_and_remedy_in_a_line() {
    let error = Config::parse_str("f", "A = 1\nA+=2\n", &Options::default()).err().unwrap();
    assert_eq!((error.kind(), error.file(), error.line()), (ErrorKind::Syntax, Some("f"), 2));
    let text = error.to_string();
    assert!(text.starts_with("f:2: \"A+\" is not a knob's name. Use letters"), "{text}");

    let error = parse("A = 7x\n").int("A").unwrap_err();
    assert!(error.what().starts_with("Invalid expression for A (7x) in condor conf"), "{error}");
    let invalid = parse("A = 70\n").int_in("A", 1, 0..=10).unwrap_err();
    assert_eq!(invalid.fallback, 10);
    assert!(invalid.error.what().contains("too high (70).  Please set it to an integer in the"));
}

#[test]
fn names_of_the_host() {
    let names = |text: &str| {
        let options = Options { hostname: Some("node1".to_owned()), ..Options::default() };
        let config = Config::parse_str("test", text, &options).unwrap();
        ["HOSTNAME", "FULL_HOSTNAME", "UID_DOMAIN"]
            .map(|name| config.string(name).unwrap().unwrap())
    };
    assert_eq!(names(""), ["node1"; 3]);
    let full = "node1.example.org";
    assert_eq!(names("DEFAULT_DOMAIN_NAME = example.org\n"), ["node1", full, full]);
    assert_eq!(names("UID_DOMAIN =\nDEFAULT_DOMAIN_NAME = example.org\n"), ["node1", full, full]);
    assert_eq!(names("UID_DOMAIN = pool\nHOSTNAME = x\n"), ["node1", "node1", "pool"]);
}

#[test]
fn sources_in_the_order_in_which_they_were_read() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name).display().to_string();
    fs::create_dir(at("d")).unwrap();
    fs::write(at("d/20"), "A += d20\n").unwrap();
    fs::write(at("d/10"), format!("A += d10\ninclude : {}\n", at("more"))).unwrap();
    fs::write(at("d/30.rpmsave"), "A += never\n").unwrap();
    fs::write(at("more"), "A += more\nA : colon\n").unwrap();
    fs::write(at("root"), format!("A = root\nLOCAL_CONFIG_DIR = {}\n", at("d"))).unwrap();
    let config = load(Path::new(&at("root"))).unwrap();
    assert_eq!(config.files(), [at("root"), at("d/10"), at("more"), at("d/20")]);
    assert_eq!(config.string("A").unwrap().as_deref(), Some("colon d20"));
    let warning = &config.warnings()[0];
    assert_eq!((warning.file.as_str(), warning.line), (at("more").as_str(), 2));
}

#[test]
fn the_output_of_a_command_is_kept_if_that_is_wanted() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name).display().to_string();
    let include = format!("include command into {} : /bin/echo A = one\n", at("kept"));
    fs::write(at("root"), include).unwrap();
    let config = load(Path::new(&at("root"))).unwrap();
    assert_eq!(config.string("A").unwrap().as_deref(), Some("one"));
    assert_eq!(fs::read_to_string(at("kept")).unwrap(), "A = one\n");
    let origin = config.origin("A").unwrap();
    assert_eq!((origin.file.as_str(), origin.line), ("/bin/echo A = one |", 1));

    fs::write(at("kept"), "A = kept\n").unwrap();
    let config = load(Path::new(&at("root"))).unwrap();
    assert_eq!(config.string("A").unwrap().as_deref(), Some("kept"));

    fs::write(at("root"), "include command : /bin/sh -c exit\ninclude command : /nonexistent\n")
        .unwrap();
    let error = load(Path::new(&at("root"))).err().unwrap();
    assert_eq!((error.kind(), error.line()), (ErrorKind::Source, 2));
    assert!(error.to_string().contains("No such file or directory"), "{error}");
}

#[test]
fn a_daemon_needs_a_root_file() {
    let directory = tempfile::tempdir().unwrap();
    let under = Some(directory.path().to_owned());
    let tilde = under.clone();
    let options = Options { search_under: under, tilde, ..Options::default() };
    let error = Config::load(&options).err().unwrap();
    assert_eq!(error.htcondor_text(), "Condor error: can't find config source.");
    let config = Config::load(&Options { need_root: false, ..options }).unwrap();
    assert!(config.files().is_empty());
    assert_eq!(config.raw("SPOOL"), Some("$(LOCAL_DIR)/spool"));
}

#[test]
fn a_knob_is_assigned_if_somebody_has_done_it() {
    let options = Options { local_name: Some("p1".into()), ..Options::new("STARTER") };
    let text = "LOG = /l\nSTARTER.SPOOL = /s\np1.EXECUTE = /e\nSTARTD.LOCK = /k\nBIN =\n";
    let config = Config::parse_str("test", text, &options).unwrap();
    for name in ["LOG", "log", "SPOOL", "EXECUTE", "BIN"] {
        assert!(config.is_assigned(name), "{name}");
    }
    // Of another daemon, a default, a subsystem's default, detected, unknown.
    for name in ["LOCK", "SBIN", "IsStarter", "FULL_HOSTNAME", "NOPE"] {
        assert!(!config.is_assigned(name), "{name}");
    }
}
