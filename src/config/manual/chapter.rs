//! A chapter of the manual, and how it looks in the example. Pure.

use std::fmt::Write as _;

/// The part of the manual about one section.
pub(in crate::config) struct Chapter {
    pub(in crate::config) section: &'static str,
    /// What the section is for, as comment lines. They stand above its header.
    pub(super) about: &'static str,
    pub(super) entries: &'static [Explanation],
    /// Settings that are commented out and end the chapter. Empty if there are none.
    pub(super) further: &'static str,
}

/// A text and the keys that it explains.
pub(in crate::config) struct Explanation {
    pub(super) keys: &'static [&'static str],
    /// The text as comment lines.
    pub(super) text: &'static str,
}

/// A doc comment for the section, its name, perhaps settings that are commented out, then a doc
/// comment for each key. Keys that share a text are separated by commas.
macro_rules! chapter {
    (
        $(#[doc = $about:literal])*
        [$section:ident] $(, $further:literal)?;
        $($(#[doc = $text:literal])* $($key:ident),+;)*
    ) => {
        Chapter {
            section: stringify!($section),
            about: concat!($("#", $about, "\n"),*),
            entries: &[$(Explanation {
                keys: &[$(stringify!($key)),+],
                text: concat!($("#", $text, "\n"),*),
            }),*],
            further: concat!($($further)?),
        }
    };
}
pub(super) use chapter;

impl Chapter {
    /// Returns the chapter. `line` returns the line of a key, and whether only a start applies
    /// another value.
    pub(in crate::config) fn render(
        &self,
        header: &str,
        line: impl Fn(&str) -> (String, bool),
    ) -> String {
        let Self { about, entries, further, .. } = self;
        let ruler = format!("# {}\n", "=".repeat(98));
        let mut text = format!("\n\n{ruler}{about}{ruler}{header}\n");
        for Explanation { keys, text: explained } in *entries {
            let lines: Vec<_> = keys.iter().map(|key| line(key)).collect();
            let _ = write!(text, "\n{explained}"); // a String takes every write
            if lines.iter().any(|(_, needs_restart)| *needs_restart) {
                text.push_str("# A change is applied at the next start.\n");
            }
            text.extend(lines.iter().map(|(line, _)| format!("{}\n", line.trim_end())));
        }
        if !further.is_empty() {
            let _ = write!(text, "\n{further}");
        }
        text
    }
}
