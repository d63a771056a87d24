//! Knobs served as a `config::Source`, so that they deserialize into structs.

use config::{ConfigError, Map, Source, Value, ValueKind};
use serde::Deserialize;

use crate::config::Config;
use crate::defaults::{self, Kind};
use crate::error::Error;

/// Some knobs of a [`Config`], for the `config` crate.
///
/// Only the knobs that are named are expanded: HTCondor's values are lazy, and one that is broken
/// must not trouble a program that doesn't read it. A knob that is undefined or empty is left out,
/// so `Option` and `#[serde(default)]` do what they should. Keys are the names in lower case, with
/// dots as underscores; a value's origin is its file and line.
///
/// ```
/// use condor_config::{As, Config, Knobs, Options};
/// use serde::Deserialize;
///
/// #[derive(Deserialize)]
/// struct Starter {
///     execute: std::path::PathBuf,
///     use_pid_namespaces: bool,
///     starter_update_interval: Option<u32>,
///     mount_under_scratch: Vec<String>,
/// }
///
/// let text = "LOCAL_DIR = /var/lib/condor\nMOUNT_UNDER_SCRATCH = /tmp, /var/tmp\n";
/// let condor = Config::parse_str("example", text, &Options::new("STARTER"))?;
/// let starter: Starter = config::Config::builder()
///     .add_source(Knobs::new(&condor, ["EXECUTE", "USE_PID_NAMESPACES"]))
///     .add_source(Knobs::typed(
///         &condor,
///         [("STARTER_UPDATE_INTERVAL", As::Int), ("MOUNT_UNDER_SCRATCH", As::List)],
///     ))
///     .build()?
///     .try_deserialize()?;
/// assert_eq!(starter.execute.to_str(), Some("/var/lib/condor/execute"));
/// assert!(!starter.use_pid_namespaces);
/// assert_eq!(starter.starter_update_interval, None);
/// assert_eq!(starter.mount_under_scratch, ["/tmp", "/var/tmp"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Knobs(Result<Map<String, Value>, Error>);

/// What a knob is handed over as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum As {
    /// The expanded text.
    String,
    /// A boolean, or an expression that gives one.
    Bool,
    /// An integer, or an expression that gives one.
    Int,
    /// A real number, or an expression that gives one.
    Real,
    /// A list: commas and blanks separate.
    List,
}

impl From<Kind> for As {
    fn from(kind: Kind) -> As {
        match kind {
            Kind::Bool => As::Bool,
            Kind::Int | Kind::Long => As::Int,
            Kind::Double => As::Real,
            Kind::String | Kind::Path => As::String,
        }
    }
}

impl Knobs {
    /// The named knobs, each as what HTCondor's table says it is: a string, if it says nothing.
    pub fn new<'n>(config: &Config, names: impl IntoIterator<Item = &'n str>) -> Knobs {
        let kind = |name: &str| defaults::find(name).map_or(Kind::String, |(_, knob)| knob.kind);
        Knobs::typed(config, names.into_iter().map(|name| (name, As::from(kind(name)))))
    }

    /// The named knobs, each as what is given with it.
    pub fn typed<'n>(config: &Config, knobs: impl IntoIterator<Item = (&'n str, As)>) -> Knobs {
        let knobs = knobs.into_iter();
        let mut values = Map::with_capacity(knobs.size_hint().1.unwrap_or(0));
        for (name, kind) in knobs {
            match read(config, name, kind) {
                Ok(None) => {}
                Ok(Some(value)) => {
                    let origin = config.origin(name).map(|origin| origin.to_string());
                    let key = name.to_ascii_lowercase().replace('.', "_");
                    values.insert(key, Value::new(origin.as_ref(), value));
                }
                Err(error) => return Knobs(Err(error)),
            }
        }
        Knobs(Ok(values))
    }

    /// Deserializes these knobs alone. It is what a builder with no other source gives, without the
    /// work of merging sources.
    pub fn try_deserialize<'de, T: Deserialize<'de>>(self) -> Result<T, ConfigError> {
        let values = self.0.map_err(|error| ConfigError::Foreign(Box::new(error)))?;
        Value::new(None, ValueKind::Table(values)).try_deserialize()
    }

    /// With a value for a knob that has none, under the knob's key.
    #[must_use]
    pub fn or(mut self, key: &str, value: impl Into<Value>) -> Knobs {
        if let Ok(values) = &mut self.0 {
            values.entry(key.to_owned()).or_insert_with(|| value.into());
        }
        self
    }
}

fn read(config: &Config, name: &str, kind: As) -> Result<Option<ValueKind>, Error> {
    Ok(match kind {
        As::String => config.string(name)?.map(ValueKind::from),
        As::Bool => config.bool(name)?.map(ValueKind::from),
        As::Int => config.int(name)?.map(ValueKind::from),
        As::Real => config.real(name)?.map(ValueKind::from),
        As::List => {
            let items = config.list(name)?;
            (!items.is_empty()).then(|| ValueKind::from(items))
        }
    })
}

impl Source for Knobs {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        self.0.clone().map_err(|error| ConfigError::Foreign(Box::new(error)))
    }
}
