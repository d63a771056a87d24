//! The starter.
fn main() {}
