//! The switches of the language.

use crate::time::Zone;

/// How strings, keywords and numbers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Syntax {
    /// Inside `[...]`, in `eval()`, and in what `classad_eval` reads: strings have C-like escapes.
    #[default]
    New,
    /// Values of long-form ads, constraints, configuration: a backslash in a string is itself.
    Old,
    /// Inside JSON.
    Json,
}

/// What HTCondor's knob `STRICT_CLASSAD_EVALUATION` chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Semantics {
    /// The default of daemons and tools: `MY` and `CurrentTime` are known everywhere, and during a
    /// match a name that one ad lacks is looked up in the other.
    #[default]
    Old,
    /// None of that.
    Strict,
}

/// How a text is to be read.
#[derive(Debug, Clone, Default)]
pub struct ParseOptions {
    /// Strings and keywords.
    pub syntax: Syntax,
    /// Strict semantics accept integers with leading zeros, and no `;` between arguments.
    pub semantics: Semantics,
    /// The zone of time literals that name none.
    pub zone: Zone,
}

impl ParseOptions {
    /// The given syntax, old semantics, and the zone of the process.
    pub const fn new(syntax: Syntax) -> ParseOptions {
        ParseOptions { syntax, semantics: Semantics::Old, zone: Zone::SYSTEM }
    }
}
