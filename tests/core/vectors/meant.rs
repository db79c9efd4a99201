//! The table of differences that are meant, `tests/vectors/meant.tsv`.

use std::collections::BTreeMap;
use std::fs;

use super::source::folder;

/// The rows of the table. Each has a mark that is set once a line differs as the row describes.
pub(super) struct Meant(BTreeMap<String, bool>);

impl Meant {
    /// Reads the table. A line `# TEXT` gives the reason of the rows after it. Each reason must be
    /// a sentence of `docs/protocol.md`, where users look for it.
    pub(super) fn read() -> Self {
        let docs = folder().join("../../docs/protocol.md");
        let docs = squeezed(&fs::read_to_string(docs).unwrap());
        let table = fs::read_to_string(folder().join("meant.tsv")).unwrap();
        let mut rows = BTreeMap::new();
        let mut reason = None;
        for line in table.lines().filter(|line| !line.is_empty()) {
            if let Some(text) = line.strip_prefix("# ") {
                assert!(docs.contains(&squeezed(text)), "docs/protocol.md does not say: {text}");
                reason = Some(text);
                continue;
            }
            assert!(reason.is_some(), "a row without a reason: {line}");
            assert_eq!(rows.insert(line.to_owned(), false), None, "a row is there twice: {line}");
        }
        Self(rows)
    }

    /// Whether the table has a row. Several lines may share one, as a suite may send a line twice.
    pub(super) fn take(&mut self, row: &str) -> bool {
        self.0.get_mut(row).map(|is_used| *is_used = true).is_some()
    }

    /// The rows that no line has.
    pub(super) fn unused(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter(|(_, is_used)| !**is_used).map(|(row, _)| row.as_str())
    }
}

/// A row of the table.
pub(super) fn row(suite: &str, config: &str, line: &str, got: &str) -> String {
    format!("{suite}\t{config}\t{line}\t{got}")
}

/// The text with one blank in place of each run of white space.
fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
