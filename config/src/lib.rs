//! The HTCondor configuration language, served as a config::Source.
