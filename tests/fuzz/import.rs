//! The fuzz target of `--import`.

use std::path::Path;

use statsd::{config, import};

/// A configuration of another server: whatever it holds, what is printed of it is valid, and a
/// mistake is reported in one line.
pub(crate) fn import(data: &[u8]) {
    let file = Path::new("fuzz");
    match import::import(file, data) {
        Ok(text) => {
            let parsed = config::parse(Path::new("fuzz.conf"), text.as_bytes());
            assert!(parsed.is_ok(), "{parsed:#?}\n{text}");
        }
        Err(error) => {
            let message = error.message(file);
            assert!(!message.contains('\n') && message.len() < 1000, "{message}");
        }
    }
}
