//! `statsd-bench compare`: runs the servers it finds side by side, alternating, and keeps what it
//! measured.
//!
//! ```text
//! profiles (TOML) ─┐
//! loads ───────────┼─▶ plan ──jobs──▶ measure ──figures──▶ record ──▶ summary
//! options ─────────┘                     │
//!                        server (a program, its /proc, a carbon)
//! ```

mod kernel;
pub(crate) mod load;
mod measure;
mod plan;
pub(crate) mod proc;
mod program;
mod profile;
mod record;
mod server;
mod summary;

use std::env;
use std::fs;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use statsd_bench::{Traffic, Workload, machine};

use self::kernel::{BUFFER, Raised};
use self::plan::{Job, chosen};
use self::profile::{Places, Profile};
use self::record::Record;
use crate::Outcome;
use crate::args::Options;

pub(crate) fn run(options: &Options) -> Outcome {
    let root = env::current_dir()?;
    let program = env::current_exe()?;
    let bin = program.parent().unwrap_or(&program);
    let here = vec![("{root}", root.display().to_string()), ("{bin}", bin.display().to_string())];
    let mut record = Record::default();
    let mut profiles = profile::load(&options.peers)?;
    profiles.retain(|profile| {
        chosen(&options.only, &profile.name) && is_installed(profile, &here, &mut record)
    });
    let jobs = plan::jobs(&profiles, options);
    if jobs.is_empty() {
        return Err("nothing to measure: no server and workload fit these flags".into());
    }
    kernel::raise_open_files();
    let raised = Raised::new()?;
    describe(&mut record, &jobs, options.interval, raised.is_equal);
    for profile in &profiles {
        record.add("server", "", &profile.name, 0, "about", &profile.about);
    }
    let usual = || Path::new("bench/runs").join(machine::folder());
    let folder = options.out.clone().or_else(|| (!options.quick).then(usual));
    measure_all(&jobs, &here, record, folder.as_deref(), &raised)
}

fn is_installed(profile: &Profile, here: &Places, record: &mut Record) -> bool {
    let Some(missing) = profile.missing(here) else { return true };
    eprintln!("skipped: {} ({missing} is not installed)", profile.name);
    record.add("skipped", "", &profile.name, 0, "missing", &missing);
    false
}

/// Adds the facts of the run to the record.
fn describe(record: &mut Record, jobs: &[Job<'_>], interval: u64, is_equal: bool) {
    // Without the folder of the program.
    let command = ["statsd-bench".to_owned()].into_iter().chain(env::args().skip(1));
    let buffers = if is_equal {
        format!("receive buffers of {} MiB", BUFFER >> 20)
    } else {
        "receive buffers as each server asks for them".to_owned()
    };
    let facts = [
        ("command", command.collect::<Vec<_>>().join(" ")),
        ("flush_interval_s", interval.to_string()),
        ("receive_buffers", buffers),
        ("planned", jobs.len().to_string()),
    ];
    for (fact, value) in machine::described().into_iter().chain(facts) {
        record.add("run", "", "", 0, fact, &value);
    }
    for load in load::LOADS {
        if jobs.iter().any(|job| job.load.name == load.name) {
            let about = format!("{} ({} k lines/s)", load.about, load.rate / 1000);
            record.add("load", load.name, "", 0, "about", &about);
        }
    }
}

/// Runs the measurements one after the other. Each result is printed and stored as soon as it is
/// there. A measurement that fails is a row of the record, too.
fn measure_all(
    jobs: &[Job<'_>],
    here: &Places,
    mut record: Record,
    folder: Option<&Path>,
    raised: &Raised,
) -> Outcome {
    let left = |jobs: &[Job<'_>]| whole_seconds(jobs.iter().map(Job::time).sum());
    let start = Instant::now();
    eprintln!("{} measurements, about {}", jobs.len(), left(jobs));
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
        let found = match measure::measure(job, here, traffic) {
            Ok(figures) => figures.into_iter().map(|(name, it)| (name, it.to_string())).collect(),
            Err(error) => vec![("failed", error.to_string())],
        };
        let (figure, value) = &found[0];
        let number = value.parse().map(|number: f64| format!("{number:.3}"));
        eprint!(" {figure}: {}", number.as_ref().unwrap_or(value));
        eprintln!(" ({} gone, {} left)", whole_seconds(start.elapsed()), left(&jobs[index + 1..]));
        for (figure, value) in found {
            let Job { what, load, profile, round, .. } = job;
            record.add(&what.name(), load.name, &profile.name, *round, figure, &value);
        }
        if let Some(folder) = folder {
            keep(&record, folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        }
    }
    println!("{}", summary::summary(&record));
    folder.into_iter().for_each(|folder| eprintln!("kept in {}", folder.display()));
    Ok(())
}

/// Writes the record and its summary. The record is renamed into its place, so that there is always
/// a whole one.
fn keep(record: &Record, folder: &Path) -> Outcome {
    fs::create_dir_all(folder)?;
    let aside = folder.join(".record.csv");
    record.write(&aside)?;
    fs::rename(aside, folder.join("record.csv"))?;
    Ok(fs::write(folder.join("summary.md"), summary::summary(record))?)
}

pub(crate) fn print_summary(file: &Path) -> Outcome {
    println!("{}", summary::summary(&Record::read(file)?));
    Ok(())
}

fn whole_seconds(time: Duration) -> humantime::FormattedDuration {
    humantime::format_duration(Duration::from_secs(time.as_secs()))
}
