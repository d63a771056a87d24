//! One call of a plugin, in either protocol.

use std::collections::BTreeSet;
use std::path::Path;

use classad::{ClassAd, Expr};

use super::capability::Protocol;
use super::run::{Call, Start};
use super::settings::Settings;
use super::table::{Plugin, variables_for};
use super::url;
use crate::transfer::fault::Direction;

/// A file and its URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    /// Its path in the sandbox, absolute.
    pub(crate) local: String,
    /// Where it comes from, or goes to.
    pub(crate) url: String,
}

/// The schemes of all URLs.
pub(super) fn schemes(pairs: &[Pair]) -> BTreeSet<String> {
    pairs.iter().filter_map(|pair| url::scheme(&pair.url)).collect()
}

/// The call that moves these files; exactly one in the protocol for single files.
pub(super) fn call(
    settings: &Settings,
    plugin: &Plugin,
    sandbox: &Path,
    direction: Direction,
    pairs: &[Pair],
) -> Call {
    let start = |arguments| Start {
        program: plugin.path.clone(),
        arguments,
        variables: variables(settings, plugin, sandbox),
        hears_errors: settings.hears_errors && plugin.protocol != Protocol::Single,
    };
    let Protocol::Multiple(version) = plugin.protocol else {
        let (local, url) = match pairs {
            [pair, ..] => (pair.local.clone(), pair.url.clone()),
            [] => Default::default(),
        };
        let arguments = match direction {
            Direction::In => vec![url, local],
            Direction::Out => vec![local, url],
        };
        return Call { start: start(arguments), input: None, output: None };
    };
    let name = plugin.base_name();
    let (input, output) = (format!(".{name}.in"), format!(".{name}.out"));
    let path = |name: &str| sandbox.join(name).to_string_lossy().into_owned();
    let mut arguments =
        vec!["-infile".to_owned(), path(&input), "-outfile".to_owned(), path(&output)];
    if direction == Direction::Out {
        arguments.push("-upload".to_owned());
    }
    let content = input_file(settings, version, pairs).into_bytes();
    Call { start: start(arguments), input: Some((input, content)), output: Some(output) }
}

fn variables(settings: &Settings, plugin: &Plugin, sandbox: &Path) -> Vec<(String, String)> {
    let path = |name: &str| sandbox.join(name).to_string_lossy().into_owned();
    let mut variables = variables_for(&plugin.prefix, &settings.environment);
    variables.push(("_CONDOR_JOB_AD".to_owned(), path(".job.ad")));
    variables.push(("_CONDOR_MACHINE_AD".to_owned(), path(".machine.ad")));
    if let Some(directory) = &settings.credentials {
        variables.push(("_CONDOR_CREDS".to_owned(), directory.clone()));
    }
    if let Some(proxy) = &settings.proxy {
        variables.push(("X509_USER_PROXY".to_owned(), path(proxy)));
    }
    variables
}

/// An ad for each file, and what the job says to the plugin: in each of them, or before them.
fn input_file(settings: &Settings, version: i64, pairs: &[Pair]) -> String {
    let data = |name: &str| {
        let (name, text) = settings.data.iter().find(|(own, _)| own.eq_ignore_ascii_case(name))?;
        Some((name.clone(), Expr::parse(text).ok()?))
    };
    let schemes = schemes(pairs);
    let for_schemes = || {
        schemes.iter().filter_map(|scheme| {
            data(&format!("{scheme}_PluginData")).map(|found| (scheme.clone(), found))
        })
    };
    let mut common = ClassAd::new();
    let mut text = String::new();
    if version == 4 {
        if let Some((name, expr)) = data("PluginData") {
            let mut ad = ClassAd::new();
            ad.insert(name, expr);
            text.push_str(&ad.to_new_string());
            text.push('\n');
        }
        for (scheme, (name, expr)) in for_schemes() {
            let mut ad = ClassAd::new();
            ad.insert_value("Protocol", scheme);
            ad.insert(name, expr);
            text.push_str(&ad.to_new_string());
            text.push('\n');
        }
    } else if version == 2 {
        for (name, expr) in
            data("PluginData").into_iter().chain(for_schemes().map(|(_, found)| found))
        {
            common.insert(name, expr);
        }
    }
    for pair in pairs {
        let mut ad = common.clone();
        ad.insert_value("LocalFileName", pair.local.clone());
        ad.insert_value("Url", pair.url.clone());
        text.push_str(&ad.to_new_string());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::ads;
    use super::*;

    fn plugin(protocol: Protocol) -> Plugin {
        Plugin {
            path: "/x/a_plugin".into(),
            protocol,
            own: false,
            refused: false,
            prefix: "A".into(),
        }
    }

    fn settings() -> Settings {
        Settings {
            hears_errors: true,
            environment: vec![("A_B".into(), "1".into()), ("C".into(), "2".into())],
            data: vec![
                ("plugindata".into(), "[ a = 1 ]".into()),
                ("X_PluginData".into(), "\"b\"".into()),
                ("y_PluginData".into(), "3".into()),
            ],
            proxy: Some("proxy".into()),
            ..Settings::default()
        }
    }

    fn pair(local: &str, url: &str) -> Pair {
        Pair { local: local.into(), url: url.into() }
    }

    #[test]
    fn many_files_are_ads_in_a_file() {
        let pairs = [pair("/s/a\"b", "x://h/a"), pair("/s/c", "X://h/c")];
        let sandbox = Path::new("/s");
        let multiple = plugin(Protocol::Multiple(4));
        let made = call(&settings(), &multiple, sandbox, Direction::Out, &pairs);
        assert_eq!(
            made.start.arguments,
            ["-infile", "/s/.a_plugin.in", "-outfile", "/s/.a_plugin.out", "-upload"]
        );
        let names: Vec<_> = made.start.variables.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["A_B", "_CONDOR_JOB_AD", "_CONDOR_MACHINE_AD", "X509_USER_PROXY"]);
        let (name, content) = made.input.unwrap();
        assert_eq!(
            (name.as_str(), made.output.as_deref()),
            (".a_plugin.in", Some(".a_plugin.out"))
        );
        let found = ads::sequence(&content);
        assert_eq!(found.len(), 4);
        assert!(found[0].contains("PluginData") && found[0].len() == 1);
        assert_eq!(found[1].eval_string("Protocol").as_deref(), Some("x"));
        assert_eq!(found[1].eval_string("x_PluginData").as_deref(), Some("b"));
        assert_eq!(found[2].eval_string("LocalFileName").as_deref(), Some("/s/a\"b"));
        assert_eq!(found[3].eval_string("Url").as_deref(), Some("X://h/c"));

        let older = plugin(Protocol::Multiple(2));
        let made = call(&settings(), &older, sandbox, Direction::In, &pairs);
        assert_eq!(made.start.arguments.len(), 4);
        let found = ads::sequence(&made.input.unwrap().1);
        assert_eq!(found.len(), 2);
        assert!(found.iter().all(|ad| ad.contains("PluginData") && ad.contains("x_PluginData")));
        assert!(!found[0].contains("y_PluginData"));
    }

    #[test]
    fn a_single_file_is_two_arguments() {
        let single = plugin(Protocol::Single);
        let pairs = [pair("/s/a", "x://h/a")];
        let arguments = |direction| {
            let made = call(&settings(), &single, Path::new("/s"), direction, &pairs);
            assert!(made.input.is_none() && made.output.is_none() && !made.start.hears_errors);
            made.start.arguments
        };
        assert_eq!(arguments(Direction::In), ["x://h/a", "/s/a"]);
        assert_eq!(arguments(Direction::Out), ["/s/a", "x://h/a"]);
    }
}
