//! Runs the measurements one after the other. Each result is printed and stored as soon as it is
//! there.

use std::fs;
use std::path::{Path, PathBuf};

use statsd_bench::{Clock, Traffic, interrupted};

use super::chart;
use super::load::Load;
use super::measure::{self, Effort};
use super::plan::{self, Job};
use super::profile::Profile;
use super::record::Record;
use super::setting::Setting;
use super::table;
use crate::report;

#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) profiles: Vec<Profile>,
    pub(crate) loads: Vec<Load>,
    pub(crate) setting: Setting,
    pub(crate) effort: Effort,
    pub(crate) record: Record,
    /// Where the record is kept, if it is.
    pub(crate) folder: Option<PathBuf>,
    /// That of the last load, which is often the next one's too.
    pub(crate) traffic: Option<(usize, Traffic)>,
}

impl Run {
    pub(crate) fn all(&mut self, jobs: &[Job]) -> Result<(), String> {
        let seconds = |job: &Job| job.seconds(&self.profiles, &self.loads, self.effort);
        let estimated: Vec<f64> = jobs.iter().map(seconds).collect();
        let clock = Clock::start();
        let whole = plan::minutes(plan::left(&estimated, 0, clock.elapsed()));
        report::err(&format!("{} measurements, about {whole}\n", jobs.len()));
        self.record.measurements.planned = jobs.len();
        for (done, job) in jobs.iter().enumerate() {
            if interrupted() {
                report::err("interrupted: what was measured is kept\n");
                break;
            }
            let name = job.name(&self.profiles, &self.loads);
            report::err(&format!("{:4}/{} {name} …", done + 1, jobs.len()));
            let found = self.measure(*job).unwrap_or_else(|error| {
                self.record.failures.push(format!("{name}: {error}"));
                format!("failed: {error}")
            });
            self.record.measurements.made = done + 1;
            let left = plan::minutes(plan::left(&estimated, done + 1, clock.elapsed()));
            report::err(&format!(" {found} ({left} left)\n"));
            self.keep("record.json", |record| {
                serde_json::to_string_pretty(record).map_err(|error| error.to_string())
            })?;
        }
        self.keep("tables.md", |record| Ok(table::tables(record)))?;
        self.keep("cost.svg", |record| Ok(chart::costs(record)))?;
        self.keep("highest.svg", |record| Ok(chart::highest(record)))?;
        report::out(&table::tables(&self.record));
        if let Some(folder) = &self.folder {
            report::err(&format!("kept in {}\n", folder.display()));
        }
        Ok(())
    }

    /// Adds the result to the record, and prints it in a few words.
    fn measure(&mut self, job: Job) -> Result<String, String> {
        self.build(job)?;
        let at = job.server();
        let profile = &self.profiles[at];
        let setting = &self.setting;
        let effort = self.effort;
        let results = &mut self.record.servers[at];
        let traffic = |load: usize| match &self.traffic {
            Some((built, traffic)) if *built == load => Ok(traffic),
            _ => Err("its traffic was not built".to_owned()),
        };
        Ok(match job {
            Job::Cost { load, .. } => {
                let traffic = traffic(load)?;
                let load = &self.loads[load];
                let cost = measure::cost(profile, setting, load, traffic, effort)?;
                results.costs.entry(load.name).or_default().push(cost);
                format!("{:.3} s per M lines", cost.cpu_seconds_per_million_lines)
            }
            Job::Highest { load, .. } => {
                let traffic = traffic(load)?;
                let load = &self.loads[load];
                let highest = measure::highest(profile, setting, load, traffic, effort)?;
                results.highest.insert(load.name, highest);
                format!("{:.2} M lines a second", highest.lines_per_second / 1e6)
            }
            Job::Footprint { kind, .. } => {
                let kind = &measure::KINDS[kind];
                let footprint = measure::footprint(profile, setting, kind)?;
                results.footprints.insert(kind.name, footprint);
                format!("{:.1} MiB", footprint.before_flush_mib)
            }
            Job::Flush { .. } => {
                let flush = results.flush.insert(measure::flush(profile, setting)?);
                format!("{:.0} ms of CPU", flush.cpu_ms)
            }
            Job::Quiet { .. } => {
                let quiet = results.quiet.insert(measure::quiet(profile, setting)?);
                format!("{} wake-ups", quiet.wake_ups)
            }
            Job::Connections { .. } => {
                let held = measure::connections(profile, setting)?;
                results.connections = Some(held);
                format!("{:.1} MiB", held.resident_mib)
            }
            Job::Sweep { load, .. } => {
                let traffic = traffic(load)?;
                let load = &self.loads[load];
                results.sweep = measure::sweep(profile, setting, load, traffic)?;
                let cost =
                    |step: &measure::Step| format!("{:.2}", step.cpu_seconds_per_million_lines);
                results.sweep.iter().map(cost).collect::<Vec<_>>().join(" ")
            }
            Job::Turns { .. } => {
                let figure = profile.turns.clone().unwrap_or_default();
                let turns = results.turns.insert(measure::turns(profile, setting, &figure)?);
                format!("{:.1} ms", turns.longest_turn_ms)
            }
        })
    }

    /// The traffic of the job's load, if it has one.
    fn build(&mut self, job: Job) -> Result<(), String> {
        let (Job::Cost { load, .. } | Job::Highest { load, .. } | Job::Sweep { load, .. }) = job
        else {
            return Ok(());
        };
        if self.traffic.as_ref().is_none_or(|(built, _)| *built != load) {
            let traffic = Traffic::build(&self.loads[load].workload);
            self.traffic = Some((load, traffic.map_err(|error| error.to_string())?));
        }
        Ok(())
    }

    /// Writes a file of the record: aside first, so that there is always a whole one.
    fn keep(
        &self,
        name: &str,
        text: impl FnOnce(&Record) -> Result<String, String>,
    ) -> Result<(), String> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let write = |text: &str| {
            fs::create_dir_all(folder)?;
            let aside = folder.join(format!(".{name}"));
            fs::write(&aside, text)?;
            fs::rename(aside, folder.join(name))
        };
        write(&text(&self.record)?).map_err(|error| format!("{}: {error}", path(folder)))
    }
}

fn path(folder: &Path) -> String {
    folder.display().to_string()
}
