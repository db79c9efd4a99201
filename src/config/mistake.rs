//! A mistake in a configuration file. Pure.

use std::fmt;
use std::path::PathBuf;

/// What is wrong with a line of a configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    pub file: PathBuf,
    /// 1 for the first line.
    pub line: usize,
    /// What is wrong and what was expected. It names the section and the key.
    pub what: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, what } = self;
        write!(out, "{}:{line}: {what}", file.display())
    }
}
