//! Files that come from and go to URLs.

use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::failure::{Disposition, Failure};
use crate::knobs::Knobs;
use crate::transfer::plugins::{Lines, Settings, Told};

/// A plugin for `t://` that moves files from and to its directory, in the shell. `t://HOST/exit/N` ends
/// with N, `t://HOST/quiet/N` too, without results.
const PLUGIN: &str = r#"#!/bin/sh
if [ "$1" = -classad ]; then
    printf 'MultipleFileSupport = true\nSupportedMethods = "t,u"\nProtocolVersion = 4\n'
    exit 0
fi
status=0
while IFS= read -r line; do
    url=$(printf '%s' "$line" | sed -n 's/.*[Uu]rl = "\([^"]*\)".*/\1/p')
    file=$(printf '%s' "$line" | sed -n 's/.*LocalFileName = "\([^"]*\)".*/\1/p')
    [ -n "$url" ] || continue
    case $url in
    */quiet/*) exit "${url##*/}" ;;
    */exit/*) status=${url##*/}
        printf '[ TransferUrl = "%s"; TransferSuccess = false; TransferError = "told to" ]' "$url" >> "$4"
        continue ;;
    esac
    store=$STORE/$(basename "$url")
    if [ "$5" = -upload ]; then cp "$file" "$store"; else cp "$store" "$file"; fi
    printf '[ TransferUrl = "%s"; TransferSuccess = true; TransferProtocol = "t"; TransferTotalBytes = 5 ]' "$url" >> "$4"
done < "$2"
exit $status
"#;

struct Place {
    sandbox: Sandbox,
    store: tempfile::TempDir,
    settings: Settings,
}

impl Place {
    fn new(plugin: &str, job: &str) -> Self {
        let store = tempfile::tempdir().unwrap();
        let path = store.path().join("t_plugin.sh");
        fs::write(&path, plugin.replace("$STORE", store.path().to_str().unwrap())).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let knobs = format!("FILETRANSFER_PLUGINS = {}\n", path.display());
        let job = format!("TransferInput = \"t://h/x\"\n{job}");
        let job = classad::ClassAd::parse_old(&job).unwrap();
        let none = classad::ClassAd::new();
        let knobs = Knobs::from_text(&knobs);
        let settings = Settings::of(&knobs, &job, &none, Vec::new, true).unwrap().unwrap();
        Self { sandbox: Sandbox::new(), store, settings }
    }

    fn fetch(&self, urls: &[(&str, &str)]) -> (Result<Fetched, Failure>, Told, Vec<String>) {
        let urls: Vec<(String, String)> =
            urls.iter().map(|(name, url)| ((*name).to_owned(), (*url).to_owned())).collect();
        let (peer, shadow) = shadow(move |shadow| {
            shadow.send_head();
            for (index, (name, url)) in urls.iter().enumerate() {
                shadow.send_item(5, name.as_bytes());
                if index == 0 {
                    shadow.ahead_with_input();
                }
                shadow.send(&text(url.as_bytes()));
            }
            shadow.end_of_input()
        });
        let lines = Lines::to_a_thread(self.sandbox.path());
        let mut caller = Caller::new(Some(&self.settings), self.sandbox.path(), Some(&lines));
        let what = Input {
            sandbox: self.sandbox.path().into(),
            has_manifest: false,
            program: None,
            plugins: Some(Box::new(self.settings.clone())),
            contents: None,
        };
        let handle = self.sandbox.open();
        let result = fetch(&peer, &what, handle.as_fd(), &mut caller, &mut |_| ());
        (result, caller.told, shadow.join().unwrap())
    }

    /// Delivers; what the shadow was told of URLs, and the ack.
    fn deliver(&self, targets: Targets, list: &[&str]) -> (Result<Delivered, Failure>, Stored) {
        self.deliver_to(targets, list, &["Result = 0"])
    }

    /// The same, to a shadow with an ack of its own.
    fn deliver_to(
        &self,
        targets: Targets,
        list: &[&str],
        answer: &'static [&'static str],
    ) -> (Result<Delivered, Failure>, Stored) {
        let (peer, shadow) = shadow(move |shadow| {
            shadow.take();
            let mut stored = Stored::default();
            let mut first = true;
            loop {
                let command = shadow.int();
                if command == 0 {
                    break;
                }
                let name = shadow.string();
                if std::mem::take(&mut first) {
                    shadow.ahead_with_output(-1);
                }
                if command == 999 {
                    let ad = shadow.ad();
                    if ad.iter().any(|line| line == "SubCommand = 9") {
                        assert_eq!(name, "");
                        shadow.send_ad(&["SignList = { \"t://h/signed\" }"]);
                    }
                    stored.ads.push(ad);
                    continue;
                }
                stored.files.push(name);
                shadow.int();
                let head = shadow.take();
                if head[..8] == [0; 8] {
                    assert_eq!(shadow.int(), 666);
                } else {
                    shadow.take();
                }
            }
            stored.ack = shadow.ad();
            shadow.send_ad(answer);
            stored
        });
        let what = Output {
            list: Some(list.iter().map(PathBuf::from).collect()),
            urls: targets,
            plugins: Some(Box::new(self.settings.clone())),
            ..self.sandbox.output()
        };
        let lines = Lines::to_a_thread(self.sandbox.path());
        let mut caller = Caller::new(Some(&self.settings), self.sandbox.path(), Some(&lines));
        let handle = self.sandbox.open();
        let none = Catalogue::default();
        let result = deliver(&peer, &what, handle.as_fd(), &none, &mut caller, &mut |_| ());
        let mut stored = shadow.join().unwrap();
        stored.told = caller.told;
        (result, stored)
    }
}

#[derive(Debug, Default)]
struct Stored {
    ads: Vec<Vec<String>>,
    files: Vec<String>,
    ack: Vec<String>,
    told: Told,
}

impl Stored {
    fn results(&self) -> Vec<(&str, &str)> {
        let value = |ad: &'_ Vec<String>, name: &str| {
            let start = format!("{name} = ");
            ad.iter().position(|line| line.starts_with(&start))
        };
        self.ads
            .iter()
            .map(|ad| {
                let line = |name| value(ad, name).map_or("", |index| ad[index].as_str());
                (line("OutputDestination"), line("Result"))
            })
            .collect()
    }
}

fn targets(remaps: &[(&str, &str)]) -> Targets {
    Targets::new(None, remaps.iter().copied(), [None, None])
}

fn stats(ack: &[String]) -> &str {
    ack.iter().find(|line| line.starts_with("TransferStats")).unwrap()
}

#[test]
fn input_comes_from_urls() {
    let place = Place::new(PLUGIN, "");
    fs::write(place.store.path().join("x"), "from x").unwrap();
    fs::write(place.store.path().join("y"), "from y").unwrap();
    let (fetched, told, ack) = place.fetch(&[("a", "t://h/x"), ("b", "u://h/y")]);
    let fetched = fetched.unwrap();
    assert_eq!(
        (place.sandbox.read("a"), place.sandbox.read("b")),
        (b"from x".to_vec(), b"from y".to_vec())
    );
    // It belongs to the input: unchanged, it isn't output.
    assert_eq!(fetched.catalogue, place.sandbox.catalogue());
    assert!(
        stats(&ack).contains("TFilesCount = 2") && stats(&ack).contains("TSizeBytes = 10"),
        "{ack:?}"
    );
    assert!(stats(&ack).contains("Protocols = \"T\""), "{ack:?}");
    // One call for both.
    assert_eq!(
        told.results.iter().map(|result| result.is_call).collect::<Vec<_>>(),
        [true, false, false]
    );
    assert!(told.results[0].ad.contains("Schemes = \"t,u\""), "{}", told.results[0].ad);
}

#[test]
fn a_plugin_that_fails_holds_the_job() {
    for (url, subcode, words) in [
        ("t://h/exit/32", 32 << 8, "Error: told to ( URL file = t://h/exit/32 )|"),
        ("t://h/exit/0", 0, "non-zero exit (0)"),
        ("t://h/quiet/0", -1004, "no valid classads in output file"),
    ] {
        let place = Place::new(PLUGIN, "");
        let (result, told, ack) = place.fetch(&[("a", url)]);
        let failure = result.unwrap_err();
        assert_eq!(held(&failure), (12, subcode), "{failure}");
        assert!(failure.message.contains(words), "{failure}");
        assert!(ack.contains(&"Result = -1".to_owned()), "{ack:?}");
        assert!(ack.contains(&format!("HoldReasonSubCode = {subcode}")), "{ack:?}");
        assert!(told.results[0].is_call);
    }
}

#[test]
fn what_is_no_plugin_is_said() {
    let place = Place::new("#!/bin/sh\necho nonsense\n", "");
    let (result, told, _) = place.fetch(&[("a", "t://h/x?secret")]);
    let failure = result.unwrap_err();
    assert_eq!(held(&failure), (12, -1001));
    assert!(failure.message.contains("plugin for type t not found!"), "{failure}");
    assert!(told.lines.iter().any(|(_, line)| line.contains("did not produce a valid classad")));

    let place = Place::new(PLUGIN, "TransferPlugins = \"t=/x/mine\"\n");
    let failure = place.fetch(&[("a", "t://h/x")]).0.unwrap_err();
    assert_eq!(held(&failure), (12, -1003));
    assert!(
        failure.message.contains("Failed to execute") && failure.message.contains("/mine"),
        "{failure}"
    );
}

#[test]
fn a_plugin_of_the_job_comes_first() {
    let place = Place::new(PLUGIN, "TransferPlugins = \"t=/x/mine\"\n");
    let text = PLUGIN.replace("$STORE", place.store.path().to_str().unwrap());
    place.sandbox.file("mine", text.replace("told to", "mine").as_bytes());
    let mine = place.sandbox.path().join("mine");
    fs::set_permissions(&mine, fs::Permissions::from_mode(0o755)).unwrap();
    let failure = place.fetch(&[("a", "t://h/exit/1")]).0.unwrap_err();
    assert!(failure.message.contains("Error: mine"), "{failure}");
}

#[test]
fn names_of_urls_stay_in_the_sandbox() {
    let place = Place::new(PLUGIN, "");
    fs::write(place.store.path().join("x"), "x").unwrap();
    let failure = place.fetch(&[("../evil", "t://h/x")]).0.unwrap_err();
    assert_eq!(held(&failure).0, 12);
    assert!(failure.message.contains("illegal sandbox path"), "{failure}");
    assert!(!place.sandbox.path().parent().unwrap().join("evil").exists());
}

#[test]
fn output_goes_to_urls() {
    let place = Place::new(PLUGIN, "");
    for name in ["a", "b", "c"] {
        place.sandbox.file(name, name.as_bytes());
    }
    let (result, stored) =
        place.deliver(targets(&[("a", "t://h/1"), ("c", "u://h/2")]), &["a", "b", "c"]);
    let delivered = result.unwrap();
    assert_eq!(fs::read(place.store.path().join("1")).unwrap(), b"a");
    assert_eq!(fs::read(place.store.path().join("2")).unwrap(), b"c");
    assert_eq!(
        (stored.files.as_slice(), delivered.spooled.as_slice()),
        (&["b".to_owned()][..], &["b".to_owned()][..])
    );
    assert_eq!(
        stored.results(),
        [
            ("OutputDestination = \"t://h/1\"", "Result = 0"),
            ("OutputDestination = \"u://h/2\"", "Result = 0")
        ]
    );
    assert!(stats(&stored.ack).contains("Protocols = \"cedar,T\""), "{:?}", stored.ack);
}

#[test]
fn everything_goes_below_a_destination() {
    let place = Place::new(PLUGIN, "");
    place.sandbox.file("d/e", b"1");
    place.sandbox.file("_condor_stdout", b"2");
    let targets = Targets::new(Some("t://h/".into()), [], [None, None]);
    let (result, stored) = place.deliver(targets, &["d"]);
    result.unwrap();
    assert_eq!(stored.files, ["_condor_stdout"]);
    assert_eq!(stored.results(), [("OutputDestination = \"t://h/d/e\"", "Result = 0")]);
}

const LIST: &str = "_condor_checkpoint_MANIFEST.0003";

#[test]
fn a_checkpoint_goes_to_its_place_and_its_list_to_the_shadow() {
    let place = Place::new(PLUGIN, "");
    place.sandbox.file("d/e", b"1");
    place.sandbox.file("_condor_stdout", b"2");
    let targets = Targets::of_checkpoint("t://h/", "a#7.0#1", 3);
    let (result, stored) = place.deliver(targets, &["d"]);
    assert_eq!(result.unwrap().spooled, [LIST]);
    assert_eq!(stored.files, [LIST]);
    assert_eq!(fs::read(place.store.path().join("_condor_stdout")).unwrap(), b"2");
    assert_eq!(
        stored.results(),
        [
            ("OutputDestination = \"t://h/a_7.0_1/0003/_condor_stdout\"", "Result = 0"),
            ("OutputDestination = \"t://h/a_7.0_1/0003/d/e\"", "Result = 0")
        ]
    );
    assert!(stored.ads.iter().all(|ad| ad.contains(&"CheckpointURL = true".to_owned())));
    assert!(stored.told.results[0].ad.contains("TransferClass = 3"), "{:?}", stored.told);
    assert!(!place.sandbox.path().join(LIST).exists());
}

/// A plugin that ended well and could not store some files: the list is sent nevertheless.
#[test]
fn a_part_of_a_checkpoint() {
    let refused: &[&str] = &["Result = 1", "HoldReasonCode = 12", "HoldReasonSubCode = 1"];
    // No shadow makes a whole of it.
    for answer in [refused, &["Result = 0"]] {
        let place = Place::new(PLUGIN, "");
        place.sandbox.file("0", b"1");
        let targets = Targets::of_checkpoint("t://h/exit", "a", 3);
        let (result, stored) = place.deliver_to(targets, &["0"], answer);
        let failure = result.unwrap_err();
        assert_eq!(failure.disposition, Disposition::Elsewhere, "{failure}");
        assert!(failure.message.contains("told to"), "{failure}");
        assert_eq!(stored.files, [LIST]);
        assert_eq!(stored.results()[0].1, "Result = 1");
        assert!(stored.ack.contains(&"Result = 0".to_owned()), "{:?}", stored.ack);
    }
}

#[test]
fn a_checkpoint_that_fails() {
    // By the end of its plugin: the job's fault.
    let place = Place::new(PLUGIN, "");
    place.sandbox.file("67", b"1");
    let targets = Targets::of_checkpoint("t://h/exit", "a", 3);
    let (result, stored) = place.deliver(targets, &["67"]);
    assert_eq!(held(&result.unwrap_err()), (13, 67 << 8));
    assert_eq!(stored.results()[0].1, "Result = 1");
    // What can't be listed is no checkpoint, which nobody hears of.
    let what = Output {
        list: Some(vec!["none".into()]),
        urls: Targets::of_checkpoint("t://h", "a", 3),
        plugins: Some(Box::new(place.settings.clone())),
        ..place.sandbox.output()
    };
    let (peer, _shadow) = shadow(|_| ());
    let (handle, none) = (place.sandbox.open(), Catalogue::default());
    let mut caller = Caller::new(Some(&place.settings), place.sandbox.path(), None);
    let failure = deliver(&peer, &what, handle.as_fd(), &none, &mut caller, &mut |_| ());
    let failure = failure.unwrap_err();
    assert_eq!(failure.disposition, Disposition::Elsewhere, "{failure}");
    assert!(failure.message.contains("checksum when sending checkpoint"), "{failure}");
}

#[test]
fn output_that_fails_is_told_and_the_rest_sent() {
    let place = Place::new(PLUGIN, "");
    place.sandbox.file("b", b"1");
    // A file that isn't there is the plugin's affair.
    let remaps = targets(&[("a", "t://h/exit/67"), ("n", "none://h/x")]);
    let (result, stored) = place.deliver(remaps, &["a", "b", "n"]);
    let failure = result.unwrap_err();
    assert_eq!(held(&failure), (13, -1001), "{failure}");
    assert_eq!(stored.files, ["b"]);
    let results: Vec<_> = stored.results().into_iter().map(|(_, result)| result).collect();
    assert_eq!(results, ["Result = 1", "Result = 1"]);
    let (result, _) = place.deliver(targets(&[("a", "t://h/exit/67")]), &["a"]);
    assert_eq!(held(&result.unwrap_err()), (13, 67 << 8));
}

#[test]
fn urls_of_object_stores_are_signed() {
    let place = Place::new(PLUGIN, "");
    place.sandbox.file("a", b"1");
    let (result, stored) = place.deliver(targets(&[("a", "s3://bucket/key")]), &["a"]);
    result.unwrap();
    assert!(stored.ads[0].contains(&"SignList = { \"s3://bucket/key\" }".to_owned()), "{stored:?}");
    assert_eq!(stored.results()[1], ("OutputDestination = \"t://h/signed\"", "Result = 0"));
    assert_eq!(fs::read(place.store.path().join("signed")).unwrap(), b"1");
}
