//! Counts the instructions of the routines: `make counts`. The figures do not depend on how busy
//! the machine is.
//!
//! ```text
//!  counts ──for each row──▶ valgrind --tool=callgrind counts --one ROW ──▶ FILE.out ──▶ table, record
//! ```
//! Callgrind collects inside [`measured`] only, so nothing that a routine needs beforehand is
//! counted.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it talks to who called it")]

mod routines;

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::{env, fs};

use statsd_bench::machine::{described, first_line, slug};

use routines::{Routine, Row, Scale};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// Without arguments: all routines, and the table is kept. With words: only routines with all of
/// these words in their names. With `--one NAME`: runs this one, with callgrind around.
fn main() -> Outcome {
    // Cargo adds `--bench`.
    let words: Vec<String> = env::args().skip(1).filter(|word| word != "--bench").collect();
    let rows = routines::all();
    match words.as_slice() {
        [one, name] if one == "--one" => one_run(&rows, name),
        words => all_runs(&rows, words),
    }
}

/// The process that callgrind watches. It prints how many units the run did.
fn one_run(rows: &[Row], wanted: &str) -> Outcome {
    let row = rows.iter().find(|row| row.to_string() == wanted).ok_or("no such routine")?;
    let mut routine = (row.make)(Scale::FULL);
    // The second run finds what every later one does.
    routine.prepare();
    routine.run();
    routine.prepare();
    measured(&mut *routine);
    println!("{}", routine.units());
    Ok(())
}

#[inline(never)]
fn measured(routine: &mut dyn Routine) {
    routine.run();
}

fn all_runs(rows: &[Row], words: &[String]) -> Outcome {
    let valgrind = first_line("valgrind", &["--version"])
        .ok_or("valgrind is not here: apt-get install valgrind (or your system's like)")?;
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("counts");
    fs::create_dir_all(&folder)?;
    let mut table =
        String::from("| routine | instructions | per | in a run |\n| --- | ---: | --- | ---: |\n");
    print!("{table}");
    for row in rows.iter().filter(|row| words.iter().all(|word| row.to_string().contains(word))) {
        let (instructions, units) = count(&row.to_string(), &folder)?;
        let each = instructions as f64 / units as f64;
        let line = format!("| {row} | {each:.1} | {} | {units} |\n", row.unit);
        print!("{line}");
        table.push_str(&line);
    }
    eprintln!("where they go: callgrind_annotate {}/ROUTINE.out", folder.display());
    if words.is_empty() {
        keep(&valgrind, &table)?;
    }
    Ok(())
}

/// Returns the instructions and the units of a run.
fn count(name: &str, folder: &Path) -> Outcome<(u64, u64)> {
    let out = folder.join(slug(name)).with_extension("out");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--collect-atstart=no", "--toggle-collect=counts*measured*"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(env::current_exe()?)
        .args(["--one", name])
        .stdin(Stdio::null())
        .output()?;
    if !output.status.success() {
        return Err(format!("{name}: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    let text = fs::read_to_string(&out)?;
    let total = text.lines().rev().find_map(|line| line.strip_prefix("totals: "));
    let instructions = total.and_then(|it| it.trim().parse().ok()).filter(|it| *it > 0);
    let instructions = instructions
        .ok_or_else(|| format!("{name}: nothing was counted; `make counts` builds with names"))?;
    let units = String::from_utf8_lossy(&output.stdout).trim().parse()?;
    Ok((instructions, units))
}

/// Writes the table to `bench/runs`, with the machine and the tool that it is from. `git diff`
/// shows what a change gained.
fn keep(valgrind: &str, table: &str) -> Outcome {
    let mut text = String::from("# Instruction counts\n");
    for (what, found) in described() {
        let _ = writeln!(text, "- {what}: {found}");
    }
    let compiler = first_line("rustc", &["--version"]).unwrap_or_default();
    let _ =
        write!(text, "- compiler: {compiler}\n- measured by: {valgrind}, `make counts`\n\n{table}");
    // Cargo runs a bench in the root of its package.
    let file = "bench/runs/counts.md";
    fs::write(file, text)?;
    eprintln!("kept in {file}");
    Ok(())
}
