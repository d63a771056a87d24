//! Plugins as programs that do what they must not.
