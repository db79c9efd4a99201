//! `statsd-bench compare`: runs the servers it finds side by side, alternating, and keeps what it
//! measured.
//!
//! ```text
//! profiles (TOML) ─┐
//! loads ───────────┼─▶ plan ──jobs──▶ measure ──figures──▶ record ──▶ summary
//! options ─────────┘                     │
//!                        server (a process, its /proc, a carbon)
//! ```

mod kernel;
pub(crate) mod load;
mod measure;
mod plan;
pub(crate) mod proc;
mod profile;
mod record;
mod server;
mod summary;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

use statsd_bench::{Clock, Traffic, Workload, machine};

use self::kernel::{BUFFER, Raised};
use self::plan::{Job, chosen};
use self::record::{Figures, Record, Row};
use self::server::Setting;
use crate::args::Options;

pub(crate) fn run(options: &Options) -> Result<(), String> {
    let root = options.root.canonicalize().map_err(|error| format!("--root: {error}"))?;
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let bin = program.parent().map(PathBuf::from).unwrap_or_default();
    let folder = options.peers.clone().unwrap_or_else(|| root.join("bench/peers"));
    let setting = Setting { root, bin, interval: options.interval, deadline: Duration::ZERO };
    let mut record = Record::default();
    let mut profiles = profile::load(&folder)?;
    profiles.retain(|profile| chosen(&options.only, &profile.name));
    profiles.retain(|profile| {
        let missing = profile.missing(&setting.places("/nowhere".as_ref(), [0; 4]));
        if let Some(missing) = &missing {
            eprintln!("skipped: {} ({missing} is not installed)", profile.name);
            record.note("skipped", "", &profile.name, "missing", missing);
        }
        missing.is_none()
    });
    let jobs = plan::jobs(&profiles, options);
    kernel::raise_open_files();
    let raised = Raised::new()?;
    describe(&mut record, &jobs, &setting, raised.is_equal);
    for profile in &profiles {
        record.note("server", "", &profile.name, "about", &profile.about);
    }
    let usual = || setting.root.join("bench/runs").join(machine::folder());
    let folder = options.out.clone().or_else(|| (!options.quick).then(usual));
    measure_all(&jobs, &setting, record, folder.as_deref(), &raised)
}

/// Adds the facts of the run to the record.
fn describe(record: &mut Record, jobs: &[Job<'_>], setting: &Setting, is_equal: bool) {
    for (fact, value) in machine::described(&setting.root) {
        record.note("run", "", "", fact, &value);
    }
    // Without the folder of the program.
    let words = std::env::args().skip(1);
    let command: Vec<_> = std::iter::once("statsd-bench".to_owned()).chain(words).collect();
    let buffers = if is_equal {
        format!("receive buffers of {} MiB", BUFFER >> 20)
    } else {
        "receive buffers as each server asks for them".to_owned()
    };
    record.note("run", "", "", "command", &command.join(" "));
    record.note("run", "", "", "flush_interval_s", &setting.interval.to_string());
    record.note("run", "", "", "receive_buffers", &buffers);
    record.note("run", "", "", "planned", &jobs.len().to_string());
    for load in load::LOADS {
        if jobs.iter().any(|job| job.load.name == load.name) {
            let about = format!("{} ({} k lines/s)", load.about, load.rate / 1000);
            record.note("load", load.name, "", "about", &about);
        }
    }
}

/// Runs the measurements one after the other. Each result is printed and stored as soon as it is
/// there. A measurement that fails is a row of the record, too.
fn measure_all(
    jobs: &[Job<'_>],
    setting: &Setting,
    mut record: Record,
    folder: Option<&Path>,
    raised: &Raised,
) -> Result<(), String> {
    let seconds: Vec<f64> = jobs.iter().map(|job| job.seconds(setting.interval)).collect();
    let clock = Clock::start();
    eprintln!("{} measurements, about {}", jobs.len(), minutes(seconds.iter().sum()));
    // The traffic of the last job, which the next one often uses, too.
    let mut traffic: Option<(Workload, Traffic)> = None;
    for (index, job) in jobs.iter().enumerate() {
        if raised.is_over.load(Ordering::SeqCst) {
            eprintln!("interrupted: what was measured is kept");
            break;
        }
        eprint!("{:4}/{} {} …", index + 1, jobs.len(), job.name());
        let wanted = job.load.workload;
        let (_, traffic) = match traffic.take().filter(|(built, _)| *built == wanted) {
            Some(known) => traffic.insert(known),
            None => traffic.insert((wanted, Traffic::build(&wanted))),
        };
        let deadline = Duration::from_secs_f64(2.0 * seconds[index] + 60.0);
        let interval = job.interval(setting.interval);
        let setting = Setting { interval, deadline, ..setting.clone() };
        let found = measure::measure(job, &setting, traffic);
        let left = minutes(seconds[index + 1..].iter().sum());
        let minutes = minutes(clock.elapsed().as_secs_f64());
        match &found {
            Ok(figures) => {
                eprintln!(" {} {:.3} ({minutes} gone, {left} left)", figures[0].0, figures[0].1);
            }
            Err(error) => eprintln!(" failed: {error} ({minutes} gone, {left} left)"),
        }
        add(&mut record, job, found);
        if let Some(folder) = folder {
            keep(&record, folder)?;
        }
    }
    println!("{}", summary::summary(&record));
    folder.into_iter().for_each(|folder| eprintln!("kept in {}", folder.display()));
    Ok(())
}

fn add(record: &mut Record, job: &Job<'_>, found: Result<Figures, String>) {
    let values: Vec<_> = match found {
        Ok(figures) => figures.into_iter().map(|(name, value)| (name, value.to_string())).collect(),
        Err(error) => vec![("failed", error)],
    };
    record.0.extend(values.into_iter().map(|(figure, value)| Row {
        what: job.what.name(),
        of: job.load.name.to_owned(),
        server: job.profile.name.clone(),
        round: job.round,
        figure: figure.to_owned(),
        value,
    }));
}

/// Writes the record and its summary. The record is renamed into its place, so that there is always
/// a whole one.
fn keep(record: &Record, folder: &Path) -> Result<(), String> {
    let failed = |error: &dyn std::error::Error| format!("{}: {error}", folder.display());
    fs::create_dir_all(folder).map_err(|error| failed(&error))?;
    let aside = folder.join(".record.csv");
    record.write(&aside).map_err(|error| failed(&error))?;
    fs::rename(aside, folder.join("record.csv"))
        .and_then(|()| fs::write(folder.join("summary.md"), summary::summary(record)))
        .map_err(|error| failed(&error))
}

pub(crate) fn print_summary(file: &Path) -> Result<(), String> {
    println!("{}", summary::summary(&Record::read(file)?));
    Ok(())
}

fn minutes(seconds: f64) -> String {
    // An empty sum is -0.
    let seconds = seconds.abs();
    if seconds < 90.0 { format!("{seconds:.0} s") } else { format!("{:.0} min", seconds / 60.0) }
}
