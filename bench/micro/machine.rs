//! Where the tables of `make counts` and `make growth` are kept, and what is written above them.

use std::fmt::Write as _;
use std::path::Path;
use std::{fs, io};

use statsd_bench::machine::{described, first_line};

/// The folder of the records. Each table has one file, so `git diff` shows what a change gained.
pub(crate) const RUNS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/bench/runs");

/// Writes a table, with the machine and the tool that it is from.
pub(crate) fn keep(out: &Path, title: &str, tool: &str, table: &str) -> io::Result<()> {
    if let Some(folder) = out.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut text = format!("# {title}\n");
    for (what, found) in described(env!("CARGO_MANIFEST_DIR").as_ref()) {
        let _ = writeln!(text, "- {what}: {found}");
    }
    let compiler = first_line("rustc", &["--version"]).unwrap_or_default();
    let table = table.trim_end();
    let _ = writeln!(text, "- compiler: {compiler}\n- measured by: {tool}\n\n{table}");
    fs::write(out, text)
}
