//! `statsd-bench compare`: runs the servers it finds side by side, alternating, and keeps what it measured.
//!
//! ```text
//! profile (TOML) ──▶ server ──▶ measure ──▶ record ──▶ table, chart
//!                      │            │
//!                 carbon, proc    load
//! ```

mod carbon;
mod chart;
mod load;
mod measure;
mod options;
mod proc;
mod profile;
mod record;
mod server;
mod table;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use statsd_bench::{Mix, Traffic, Workload};

use self::load::Load;
use self::measure::Effort;
pub(crate) use self::options::{Floor, HELP, Options};
use self::profile::{Places, Profile};
use self::record::{LoadNote, Record, Results};
use self::server::Setting;
use crate::report;

/// What every server finds as its receive buffer if it asks for none.
const BUFFER: usize = 8 << 20;

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
    let _buffers = Buffers::raise();
    let mut run = Run {
        record: record(&setting, &loads, &profiles, skipped, command),
        profiles,
        loads,
        setting,
        effort: match options.quick {
            true => Effort { seconds: 4, probe: Duration::from_millis(700), halvings: 2 },
            false => Effort {
                seconds: options.interval,
                probe: Duration::from_millis(1500),
                halvings: 4,
            },
        },
        rounds: options.rounds,
        said: 0,
    };
    run.costs();
    run.highest();
    if !options.quick {
        run.footprints();
        run.flushes();
    }
    run.keep(options)
}

struct Run {
    profiles: Vec<Profile>,
    loads: Vec<Load>,
    setting: Setting,
    effort: Effort,
    rounds: u32,
    record: Record,
    said: usize,
}

impl Run {
    /// Round after round, each beginning with another server, so that no server has the machine's better moments.
    fn costs(&mut self) {
        for load in self.loads.clone() {
            let Some(traffic) = self.traffic(&load.workload) else { continue };
            for round in 0..self.rounds {
                for at in self.order(round) {
                    let profile = self.profiles[at].clone();
                    if !profile.takes(load.transport) {
                        continue;
                    }
                    self.say(&format!("cost {} round {} {}", load.name, round + 1, profile.name));
                    let cost = measure::cost(&profile, &self.setting, &load, &traffic, self.effort);
                    let found = self.note(cost, &profile, load.name);
                    let Some(cost) = found else { continue };
                    self.found(&format!("{:.3} s per M lines", cost.cpu_seconds_per_million_lines));
                    self.record.servers[at].costs.entry(load.name).or_default().push(cost);
                }
            }
        }
    }

    fn highest(&mut self) {
        for load in self.loads.clone() {
            let Some(traffic) = self.traffic(&load.workload) else { continue };
            for at in 0..self.profiles.len() {
                let profile = self.profiles[at].clone();
                if !profile.takes(load.transport) {
                    continue;
                }
                self.say(&format!("highest rate {} {}", load.name, profile.name));
                let highest =
                    measure::highest(&profile, &self.setting, &load, &traffic, self.effort);
                let Some(highest) = self.note(highest, &profile, load.name) else { continue };
                self.found(&format!("{:.2} M lines a second", highest.lines_per_second / 1e6));
                self.record.servers[at].highest.insert(load.name, highest);
            }
        }
    }

    fn footprints(&mut self) {
        let counters = |names| Workload { names, mix: Mix::COUNTERS, ..Workload::default() };
        let timings = Workload {
            names: 10_000,
            mix: "ms=100".parse().expect("a mix"),
            ..Workload::default()
        };
        let kinds = [
            ("100 k counters", counters(100_000), 100_000),
            ("1 M counters", counters(1_000_000), 1_000_000),
            ("10 k timings × 100", timings, 1_000_000),
        ];
        for (kind, workload, lines) in kinds {
            for at in 0..self.profiles.len() {
                let profile = self.profiles[at].clone();
                if !profile.flushes {
                    continue;
                }
                self.say(&format!("memory {kind} {}", profile.name));
                let footprint = measure::footprint(&profile, &self.setting, &workload, lines);
                let Some(footprint) = self.note(footprint, &profile, kind) else { continue };
                self.found(&format!("{:.1} MiB", footprint.before_flush_mib));
                self.record.servers[at].footprints.insert(kind, footprint);
            }
        }
    }

    fn flushes(&mut self) {
        for at in 0..self.profiles.len() {
            let profile = self.profiles[at].clone();
            if profile.flushes {
                self.say(&format!("flush {}", profile.name));
                let flush = measure::flush(&profile, &self.setting);
                let flush = self.note(flush, &profile, "flush");
                self.found(
                    &flush
                        .map_or_else(String::new, |flush| format!("{:.0} ms of CPU", flush.cpu_ms)),
                );
                self.record.servers[at].flush = flush;
            }
            self.say(&format!("quiet {}", profile.name));
            let quiet = measure::quiet(&profile, &self.setting);
            let quiet = self.note(quiet, &profile, "quiet");
            self.found(
                &quiet.map_or_else(String::new, |quiet| format!("{} wake-ups", quiet.wake_ups)),
            );
            self.record.servers[at].quiet = quiet;
        }
    }

    fn order(&self, round: u32) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.profiles.len()).collect();
        order.rotate_left(round as usize % self.profiles.len().max(1));
        order
    }

    fn traffic(&mut self, workload: &Workload) -> Option<Traffic> {
        Traffic::build(workload).map_err(|error| self.record.failures.push(error.to_string())).ok()
    }

    fn note<T>(&mut self, result: Result<T, String>, profile: &Profile, what: &str) -> Option<T> {
        result
            .map_err(|error| {
                report::err(&format!(" failed: {error}\n"));
                self.record.failures.push(format!("{} {what}: {error}", profile.name));
            })
            .ok()
    }

    fn say(&mut self, what: &str) {
        self.said += 1;
        report::err(&format!("{:4} {what} …", self.said));
    }

    fn found(&self, what: &str) {
        report::err(&format!(" {what}\n"));
    }

    /// Prints the tables, and writes the record where it is to be.
    fn keep(&self, options: &Options) -> Result<(), String> {
        let tables = table::tables(&self.record);
        report::out(&tables);
        let name = format!("{}-{}", self.record.date, slug(&self.record.processor));
        let folder = match (&options.out, options.quick) {
            (Some(out), _) => out.clone(),
            (None, true) => return Ok(()),
            (None, false) => options.root.join("bench/runs").join(name),
        };
        let json = serde_json::to_string_pretty(&self.record).map_err(|error| error.to_string())?;
        let write = |file: &str, text: &str| {
            fs::write(folder.join(file), text).map_err(|error| format!("{folder:?}: {error}"))
        };
        fs::create_dir_all(&folder).map_err(|error| format!("{folder:?}: {error}"))?;
        write("record.json", &json)?;
        write("tables.md", &tables)?;
        write("cost.svg", &chart::chart(&self.record))?;
        report::err(&format!("kept in {}\n", folder.display()));
        Ok(())
    }
}

fn found(
    profiles: Vec<Profile>,
    setting: &Setting,
    options: &Options,
) -> (Vec<Profile>, BTreeMap<String, String>) {
    let places = Places {
        dir: "/nowhere".into(),
        root: setting.root.clone(),
        bin: setting.bin.clone(),
        udp: 0,
        tcp: 0,
        admin: 0,
        carbon: 0,
        interval: setting.interval,
        buffer: setting.buffer,
    };
    let (mut here, mut skipped) = (Vec::new(), BTreeMap::new());
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
    let binary = fs::metadata(setting.bin.join("statsd"));
    let results = |profile: &Profile| Results {
        name: profile.name.clone(),
        about: profile.about.clone(),
        ..Results::default()
    };
    let note =
        |load: &Load| LoadNote { name: load.name, about: load.about, lines_per_second: load.rate };
    Record {
        date: said_by("date", &["-u", "+%F"]),
        processor: proc::processor(),
        kernel: proc::kernel(),
        commit: said_by(
            "git",
            &["-C", &setting.root.display().to_string(), "describe", "--always", "--dirty"],
        ),
        command,
        flush_interval_seconds: setting.interval,
        receive_buffer_bytes: Buffers::granted(),
        binary_bytes: binary.map_or(0, |binary| binary.len()),
        loads: loads.iter().map(note).collect(),
        servers: profiles.iter().map(results).collect(),
        skipped,
        failures: Vec::new(),
    }
}

/// The first line that a command prints.
fn said_by(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    text.unwrap_or_default().lines().next().unwrap_or("unknown").to_owned()
}

/// `AMD EPYC 7763, 2 cores` as `amd-epyc-7763-2-cores`.
fn slug(text: &str) -> String {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-")
}

/// The system's default receive buffer, raised for the run, so that all servers have the same.
#[derive(Debug)]
struct Buffers {
    before: Option<String>,
}

const RMEM_DEFAULT: &str = "/proc/sys/net/core/rmem_default";

impl Buffers {
    fn raise() -> Self {
        let before = fs::read_to_string(RMEM_DEFAULT).ok();
        if fs::write(RMEM_DEFAULT, BUFFER.to_string()).is_err() {
            report::err(
                "receive buffers are what each server asks for: only root may make them equal\n",
            );
            return Self { before: None };
        }
        Self { before }
    }

    fn granted() -> usize {
        let text = fs::read_to_string(RMEM_DEFAULT).unwrap_or_default();
        text.trim().parse().unwrap_or(0)
    }
}

impl Drop for Buffers {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            let _ = fs::write(RMEM_DEFAULT, before);
        }
    }
}
