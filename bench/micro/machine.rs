//! Keeps the tables of `make counts` and `make growth`.

use std::fmt::Write as _;
use std::fs;

use statsd_bench::machine::{described, first_line};

/// Writes a table to `bench/runs`, with the machine and the tool that it is from. Each table has
/// one file, so `git diff` shows what a change gained.
pub(crate) fn keep(file: &str, title: &str, tool: &str, table: &str) -> Result<(), String> {
    let root = env!("CARGO_MANIFEST_DIR");
    let mut text = format!("# {title}\n");
    for (what, found) in described(root.as_ref()) {
        let _ = writeln!(text, "- {what}: {found}");
    }
    let compiler = first_line("rustc", &["--version"]).unwrap_or_default();
    let table = table.trim_end();
    let _ = writeln!(text, "- compiler: {compiler}\n- measured by: {tool}\n\n{table}");
    let file = format!("{root}/bench/runs/{file}");
    fs::write(&file, text).map_err(|error| format!("{file}: {error}"))?;
    eprintln!("kept in {file}");
    Ok(())
}
