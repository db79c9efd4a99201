//! `statsd-bench compare`: runs the servers it finds side by side, alternating, and keeps what it
//! measured.
//!
//! ```text
//! profiles (TOML) ─┐
//! loads ───────────┼─▶ plan ──jobs──▶ measure ──figures──▶ record ──▶ summary
//! options ─────────┘                     │
//!                        server (a process, its /proc, a carbon)
//! ```

mod load;
mod machine;
mod measure;
mod plan;
pub(crate) mod proc;
mod profile;
mod record;
mod search;
mod server;
mod summary;
mod watch;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use statsd_bench::{Clock, Traffic};

use self::load::Load;
use self::machine::{BUFFER, Buffers};
use self::plan::{Job, Plan};
use self::record::{Figures, Record, Row};
use self::server::Setting;
use crate::args::{Options, What};
use crate::report;

pub(crate) fn run(options: &Options) -> Result<(), String> {
    let root =
        options.root.canonicalize().map_err(|error| format!("{:?}: {error}", options.root))?;
    let folder = options.peers.clone().unwrap_or_else(|| root.join("bench/peers"));
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let bin = program.parent().map(PathBuf::from).unwrap_or_default();
    let setting = Setting { root, bin, interval: options.interval, buffer: BUFFER };
    let mut record = Record::default();
    let mut profiles = profile::load(&folder)?;
    profiles.retain(|profile| chosen(&options.only, &profile.name));
    profiles.retain(|profile| match profile.missing(&setting.nowhere()) {
        None => true,
        Some(missing) => {
            report::err(&format!("skipped: {} ({missing} is not installed)\n", profile.name));
            record.note("skipped", "", &profile.name, "missing", &missing);
            false
        }
    });
    let mut loads = load::all();
    loads.retain(|load| chosen(&options.loads, load.name));
    let mut fillings = load::fillings();
    fillings.retain(|it| !it.load.workload.dogstatsd || chosen(&options.loads, it.load.name));
    let plan = Plan { profiles, loads, fillings, options: options.clone() };
    machine::raise_open_files();
    let buffers = Buffers::raise();
    describe(&mut record, &plan, &setting, buffers.are_equal());
    let usual = || options.root.join("bench/runs").join(statsd_bench::machine::folder());
    let folder = options.out.clone().or_else(|| (!options.quick).then(usual));
    Run { plan, setting, record, folder, traffic: None }.all()
}

fn chosen(names: &[String], name: &str) -> bool {
    names.is_empty() || names.iter().any(|chosen| chosen == name)
}

/// Adds the facts of the run to the record.
fn describe(record: &mut Record, plan: &Plan, setting: &Setting, are_equal: bool) {
    for (fact, value) in statsd_bench::machine::described(&setting.root) {
        record.fact(fact, &value);
    }
    // Without the folder of the program.
    let words = std::env::args().skip(1);
    let command: Vec<_> = std::iter::once("statsd-bench".to_owned()).chain(words).collect();
    record.fact("command", &command.join(" "));
    record.fact("flush_interval_s", &setting.interval.to_string());
    let buffers = if are_equal {
        format!("receive buffers of {} MiB", setting.buffer >> 20)
    } else {
        "receive buffers as each server asks for them".to_owned()
    };
    record.fact("receive_buffers", &buffers);
    for Load { name, about, rate, .. } in &plan.loads {
        record.note("load", name, "", "about", &format!("{about} ({} k lines/s)", rate / 1000));
    }
    for profile in &plan.profiles {
        record.note("server", "", &profile.name, "about", &profile.about);
        if let Some(bytes) = profile.program_bytes(&setting.nowhere()) {
            record.note("server", "", &profile.name, "binary_bytes", &bytes.to_string());
        }
    }
}

/// Runs the measurements one after the other. Each result is printed and stored as soon as it is
/// there.
struct Run {
    plan: Plan,
    setting: Setting,
    record: Record,
    /// The folder of the record, if it is kept.
    folder: Option<PathBuf>,
    /// The traffic of the last load, which the next job often uses, too.
    traffic: Option<(&'static str, Traffic)>,
}

impl Run {
    fn all(&mut self) -> Result<(), String> {
        // The first interrupt ends the run after a measurement, the second one at once.
        let is_over = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            flag::register_conditional_shutdown(signal, 1, Arc::clone(&is_over))
                .and_then(|_| flag::register(signal, Arc::clone(&is_over)))
                .map_err(|error| error.to_string())?;
        }
        let jobs = self.plan.jobs();
        let estimated: Vec<f64> = jobs.iter().map(|job| self.plan.seconds(*job)).collect();
        let clock = Clock::start();
        let whole = plan::minutes(plan::left(&estimated, 0, clock.elapsed()));
        report::err(&format!("{} measurements, about {whole}\n", jobs.len()));
        self.record.fact("planned", &jobs.len().to_string());
        self.record.fact("made", "0");
        for (done, job) in jobs.iter().enumerate() {
            if is_over.load(Ordering::SeqCst) {
                report::err("interrupted: what was measured is kept\n");
                break;
            }
            let name = self.plan.name(*job);
            report::err(&format!("{:4}/{} {name} …", done + 1, jobs.len()));
            let server = self.plan.profiles[job.server].name.clone();
            let found = match self.measure(*job) {
                Ok(figures) => {
                    let what = format!("{:?}", job.what).to_lowercase();
                    let of = self.plan.of(*job);
                    let row = Row { what, of, server, round: job.round, ..Row::default() };
                    self.record.add(&row, &figures);
                    let (figure, value) = figures[0];
                    format!("{figure} {value:.3}")
                }
                Err(error) => {
                    self.record.note("failed", &name, &server, "reason", &error);
                    format!("failed: {error}")
                }
            };
            self.record.fact("made", &(done + 1).to_string());
            let left = plan::minutes(plan::left(&estimated, done + 1, clock.elapsed()));
            report::err(&format!(" {found} ({left} left)\n"));
            self.keep("record.csv", &self.record.csv())?;
        }
        let summary = summary::summary(&self.record);
        self.keep("summary.md", &summary)?;
        report::out(&summary);
        if let Some(folder) = &self.folder {
            report::err(&format!("kept in {}\n", folder.display()));
        }
        Ok(())
    }

    fn measure(&mut self, job: Job) -> Result<Figures, String> {
        let Self { plan, setting, .. } = self;
        let profile = &plan.profiles[job.server];
        let load = match job.what {
            What::Cost | What::Highest => &plan.loads[job.of],
            What::Sweep => plan.w1().ok_or("the sweep needs W1")?,
            What::Memory => return measure::memory(profile, setting, &plan.fillings[job.of]),
            What::Flush => return measure::flush(profile, setting),
            What::Quiet => return measure::quiet(profile, setting),
            What::Connections => return measure::connections(profile, setting),
            What::Turns => return measure::turns(profile, setting),
        };
        if self.traffic.as_ref().is_none_or(|(built, _)| *built != load.name) {
            self.traffic = None;
            self.traffic = Some((load.name, measure::built(&load.workload)?));
        }
        let (_, traffic) = self.traffic.as_ref().ok_or("built above")?;
        match job.what {
            What::Cost => measure::cost(profile, setting, load, traffic),
            What::Highest => measure::highest(profile, setting, load, traffic, plan),
            _ => measure::sweep(profile, setting, load, traffic, measure::RATES[job.of]),
        }
    }

    /// Writes a file of the record under another name and renames it, so that there is always a
    /// whole one.
    fn keep(&self, name: &str, text: &str) -> Result<(), String> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let aside = folder.join(format!(".{name}"));
        fs::create_dir_all(folder)
            .and_then(|()| fs::write(&aside, text))
            .and_then(|()| fs::rename(&aside, folder.join(name)))
            .map_err(|error| format!("{}: {error}", folder.display()))
    }
}
