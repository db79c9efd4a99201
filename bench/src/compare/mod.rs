//! `statsd-bench compare`: runs the servers it finds side by side, alternating, and keeps what it
//! measured.
//!
//! ```text
//! profiles (TOML) ─┐
//! loads ───────────┼─▶ plan ──jobs──▶ run ──▶ measure ──▶ record ──▶ table, chart
//! options ─────────┘                             │
//!                               server (a process, its /proc, a carbon)
//! ```

mod chart;
mod load;
mod machine;
mod measure;
mod options;
mod plan;
pub(crate) mod proc;
mod profile;
mod record;
mod run;
mod search;
mod server;
mod setting;
mod table;
mod watch;

use std::collections::BTreeMap;
use std::path::PathBuf;

use self::load::Load;
use self::machine::{BUFFER, Buffers};
pub(crate) use self::options::{Floor, HELP, Options};
use self::profile::{Places, Profile};
use self::record::{LoadNote, Measurements, Record, Results};
use self::run::Run;
use self::setting::Setting;
use crate::report;

pub(crate) fn run(options: &Options, command: String) -> Result<(), String> {
    let root =
        options.root.canonicalize().map_err(|error| format!("{:?}: {error}", options.root))?;
    let folder = options.peers.clone().unwrap_or_else(|| root.join("bench/peers"));
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let bin = program.parent().map(PathBuf::from).unwrap_or_default();
    let setting = Setting { root, bin, interval: options.interval, buffer: BUFFER };
    let (profiles, skipped) = found(profile::load(&folder)?, &setting, options);
    let loads: Vec<Load> =
        load::all().into_iter().filter(|load| chosen(&options.loads, load.name)).collect();
    statsd_bench::note_interrupts();
    machine::raise_open_files();
    let buffers = Buffers::raise();
    let jobs = plan::jobs(&profiles, &loads, &options.scope());
    let mut record = record(&setting, &loads, &profiles, skipped, command);
    record.receive_buffers_equal = buffers.are_equal();
    let folder = kept_in(options, &record);
    let effort = options.effort();
    Run { profiles, loads, setting, effort, record, folder, traffic: None }.all(&jobs)
}

fn kept_in(options: &Options, record: &Record) -> Option<PathBuf> {
    let name = format!("{}-{}", record.date, machine::slug(&record.processor));
    let usual = || (!options.quick).then(|| options.root.join("bench/runs").join(name));
    options.out.clone().or_else(usual)
}

/// The profiles that are chosen and installed, and what the others miss.
fn found(
    profiles: Vec<Profile>,
    setting: &Setting,
    options: &Options,
) -> (Vec<Profile>, BTreeMap<String, String>) {
    let places = Places::nowhere(setting);
    let mut here = Vec::new();
    let mut skipped = BTreeMap::new();
    for profile in profiles.into_iter().filter(|profile| chosen(&options.only, &profile.name)) {
        match profile.missing(&places) {
            None => here.push(profile),
            Some(missing) => {
                report::err(&format!("skipped: {} ({missing} is not installed)\n", profile.name));
                skipped.insert(profile.name, missing);
            }
        }
    }
    (here, skipped)
}

fn chosen(names: &[String], name: &str) -> bool {
    names.is_empty() || names.iter().any(|chosen| chosen == name)
}

fn record(
    setting: &Setting,
    loads: &[Load],
    profiles: &[Profile],
    skipped: BTreeMap<String, String>,
    command: String,
) -> Record {
    let places = Places::nowhere(setting);
    let results = |profile: &Profile| Results {
        name: profile.name.clone(),
        about: profile.about.clone(),
        binary_bytes: profile.program_bytes(&places),
        ..Results::default()
    };
    let note =
        |load: &Load| LoadNote { name: load.name, about: load.about, lines_per_second: load.rate };
    Record {
        date: machine::date(),
        processor: proc::processor(),
        kernel: proc::kernel(),
        commit: machine::commit(&setting.root),
        command,
        measurements: Measurements::default(),
        flush_interval_seconds: setting.interval,
        receive_buffer_bytes: setting.buffer,
        receive_buffers_equal: false,
        loads: loads.iter().map(note).collect(),
        servers: profiles.iter().map(results).collect(),
        skipped,
        failures: Vec::new(),
    }
}
