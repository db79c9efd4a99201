//! The table of figures for people: `help info`, and docs/figures.md, which a test writes.

use std::fmt::Write as _;

use super::section::FigureSection;
use super::table::TABLE;

/// Returns a line or two about each figure, for `help info`. Each line begins with two spaces.
pub fn help() -> String {
    const NAME: usize = 31;
    const COLUMNS: usize = 99;
    let mut out = String::new();
    for section in FigureSection::ALL {
        let _ = writeln!(out, "  # {}", section.title());
        for row in TABLE.iter().filter(|row| row.section == section) {
            let mut line = format!("  {:<NAME$}", row.name);
            for word in row.doc.split(' ') {
                if line.len() + 1 + word.len() > COLUMNS {
                    let _ = writeln!(out, "{line}");
                    line = " ".repeat(2 + NAME);
                }
                line.push(' ');
                line.push_str(word);
            }
            let _ = writeln!(out, "{line}");
        }
    }
    out
}

#[cfg(test)]
mod tests;
