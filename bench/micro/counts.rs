//! Counts the instructions of the routines: `make counts`. The figures do not depend on how busy
//! the machine is.
//!
//! ```text
//!  counts ──for each row──▶ valgrind --tool=callgrind counts --one ROW ──▶ FILE.out ──▶ table, record
//! ```
//! Callgrind collects inside [`measured`] only, so nothing that a routine needs beforehand is
//! counted.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it talks to who called it")]

mod machine;
mod recipe;
mod routines;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::{env, fs};

use lexopt::{Arg, ValueExt as _};
use statsd_bench::machine::{first_line, slug};

use routines::{ALL, Routine, Row, Scale};

const HELP: &str = "
make counts ARGS=\"[WORD...] [--out FILE]\": instructions per line, series, sample and number

  WORD          only routines with it in their names; nothing is kept then without --out
  --out FILE    where the record goes [bench/runs/counts.md]
";

#[derive(Debug, Default)]
struct Options {
    help: bool,
    /// Run this one, with callgrind around.
    one: Option<String>,
    words: Vec<String>,
    out: Option<PathBuf>,
}

fn main() -> ExitCode {
    let done = options().and_then(|options| match options {
        Options { help: true, .. } => {
            println!("{}", HELP.trim());
            Ok(())
        }
        Options { one: Some(name), .. } => one(&name),
        options => all(&options),
    });
    done.map_or_else(
        |message| {
            eprintln!("counts: {message}");
            ExitCode::FAILURE
        },
        |()| ExitCode::SUCCESS,
    )
}

fn options() -> Result<Options, String> {
    let mut parser = lexopt::Parser::from_env();
    let mut options = Options::default();
    let text = |error: lexopt::Error| error.to_string();
    while let Some(arg) = parser.next().map_err(text)? {
        match arg {
            Arg::Long("bench") => {} // says cargo
            Arg::Short('h') | Arg::Long("help") => options.help = true,
            Arg::Long("one") => {
                options.one = Some(parser.value().and_then(|it| it.string()).map_err(text)?)
            }
            Arg::Long("out") => options.out = Some(parser.value().map_err(text)?.into()),
            Arg::Value(word) => options.words.push(word.string().map_err(text)?),
            arg => return Err(arg.unexpected().to_string()),
        }
    }
    Ok(options)
}

/// Every row with its group's name before its own.
fn rows() -> impl Iterator<Item = (String, &'static Row)> {
    ALL.iter().flat_map(|(group, rows)| {
        rows.iter().map(move |row| (format!("{group} {}", row.name), row))
    })
}

/// The process that callgrind watches. It prints how many units the run did.
fn one(wanted: &str) -> Result<(), String> {
    let (_, row) = rows().find(|(name, _)| name == wanted).ok_or("no such routine")?;
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

fn all(options: &Options) -> Result<(), String> {
    let valgrind = first_line("valgrind", &["--version"])
        .ok_or("valgrind is not here: apt-get install valgrind (or your system's like)")?;
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("counts");
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let has = |name: &str, word: &String| name.contains(word.as_str());
    let chosen: Vec<_> =
        rows().filter(|(name, _)| options.words.iter().all(|word| has(name, word))).collect();
    if chosen.is_empty() {
        return Err(format!("no routine has {} in its name", options.words.join(" and ")));
    }
    let mut table =
        String::from("| routine | instructions | per | in a run |\n| --- | ---: | --- | ---: |\n");
    print!("{table}");
    for (name, row) in chosen {
        let count = count(&name, &folder)?;
        let each = count.instructions as f64 / count.units as f64;
        let line = format!("| {name} | {each:.1} | {} | {} |\n", row.unit, count.units);
        print!("{line}");
        table.push_str(&line);
    }
    eprintln!("where they go: callgrind_annotate {}/ROUTINE.out", folder.display());
    let usual = || options.words.is_empty().then(|| Path::new(machine::RUNS).join("counts.md"));
    let Some(out) = options.out.clone().or_else(usual) else { return Ok(()) };
    let tool = format!("{valgrind}, `make counts`");
    machine::keep(&out, "Instruction counts", &tool, &table)
        .map_err(|error| format!("{}: {error}", out.display()))?;
    eprintln!("kept in {}", out.display());
    Ok(())
}

struct Count {
    instructions: u64,
    units: u64,
}

fn count(name: &str, folder: &Path) -> Result<Count, String> {
    let out = folder.join(slug(name)).with_extension("out");
    let program = env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--collect-atstart=no", "--toggle-collect=counts*measured*"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(program)
        .args(["--one", name])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("valgrind: {error}"))?;
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if !output.status.success() {
        return Err(format!("{name}: {}", said(&output.stderr)));
    }
    let text = fs::read_to_string(&out).map_err(|error| format!("{}: {error}", out.display()))?;
    let total = text.lines().rev().find_map(|line| line.strip_prefix("totals: "));
    let instructions = total.and_then(|it| it.trim().parse().ok()).filter(|it| *it > 0);
    Ok(Count {
        instructions: instructions.ok_or_else(|| {
            format!("{name}: nothing was counted; `make counts` builds with names")
        })?,
        units: said(&output.stdout).parse().map_err(|_| format!("{name}: no number of units"))?,
    })
}
