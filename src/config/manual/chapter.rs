//! [`Chapter`]: a chapter of the manual, and how it is printed in the example. Pure.

/// The part of the manual about one section.
pub(in crate::config) struct Chapter {
    pub(in crate::config) section: &'static str,
    /// What the section is for, as comment lines. They stand above its header.
    pub(super) about: &'static str,
    /// For each key an empty line, its text as comment lines, and its name. Keys that share a text
    /// follow each other. A key of a rule has a value, too, as a file gives it.
    pub(super) keys: &'static str,
    /// Settings that are commented out and end the chapter. Empty if there are none.
    pub(super) further: &'static str,
}

/// The line of a key in the example.
pub(in crate::config) struct ExampleLine {
    pub(in crate::config) text: String,
    /// Only a start applies another value of the key.
    pub(in crate::config) needs_restart: bool,
}

/// A doc comment for the section, its name, perhaps settings that are commented out, then a doc
/// comment for each key. Keys that share a text are separated by commas. A key of a rule has no
/// default, so it has a value to show.
macro_rules! chapter {
    (
        $(#[doc = $about:literal])*
        [$section:ident] $(, $further:literal)?;
        $($(#[doc = $text:literal])* $($key:ident $(= $value:literal)?),+;)*
    ) => {
        Chapter {
            section: stringify!($section),
            about: concat!($("#", $about, "\n"),*),
            keys: concat!(
                $("\n", $("#", $text, "\n",)* $(stringify!($key), $(" = ", $value,)? "\n",)+)*
            ),
            further: concat!($("\n", $further)?),
        }
    };
}
pub(super) use chapter;

impl Chapter {
    /// Returns the chapter. `line` returns the line of a key.
    pub(in crate::config) fn render(
        &self,
        header: &str,
        line: &dyn Fn(&str) -> ExampleLine,
    ) -> String {
        let Self { about, keys, further, .. } = self;
        let ruler = format!("# {}\n", "=".repeat(98));
        let mut text = format!("\n\n{ruler}{about}{ruler}{header}\n");
        for explained in keys.lines() {
            if !is_key(explained) {
                text.push_str(explained);
            } else {
                let line = line(explained);
                // If several keys share a text, the sentence is printed once, before the first of
                // them.
                if line.needs_restart && text.lines().next_back().is_some_and(|last| !is_key(last))
                {
                    text.push_str("# A change is applied at the next start.\n");
                }
                text.push_str(line.text.trim_end());
            }
            text.push('\n');
        }
        text + further
    }
}

/// Whether a line is neither empty nor a comment.
pub(super) fn is_key(line: &str) -> bool {
    !line.is_empty() && !line.starts_with('#')
}
