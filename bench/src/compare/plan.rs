//! The plan of a run: the measurements, their order, and how long they take. Pure.

use std::time::Duration;

use super::load::{Filling, Load};
use super::measure::{FLUSHES, RATES};
use super::profile::{Profile, Transport};
use crate::args::{Options, What};

/// One measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Job {
    pub(crate) what: What,
    /// The index of a workload, of a filling (memory) or of a rate (sweep), else 0.
    pub(crate) of: usize,
    /// Of a cost, from 1 on; else 0.
    pub(crate) round: u32,
    /// The index of a profile.
    pub(crate) server: usize,
}

/// What is measured with what.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) profiles: Vec<Profile>,
    pub(crate) loads: Vec<Load>,
    pub(crate) fillings: Vec<Filling>,
    pub(crate) options: Options,
}

/// The seconds for starting and ending a server.
const START: f64 = 0.7;

impl Plan {
    /// Returns all jobs. The costs come first, since they are compared most.
    pub(crate) fn jobs(&self) -> Vec<Job> {
        let mut jobs = Vec::new();
        let mut add = |what, of, round, servers: Vec<usize>| {
            jobs.extend(servers.into_iter().map(|server| Job { what, of, round, server }));
        };
        let able = |load: &Load| self.servers(|profile| profile.transport(load).is_some());
        for (of, load) in self.loads.iter().enumerate() {
            for round in 1..=self.options.rounds {
                // Each round begins with another server, so that no server always gets the better
                // moments of the machine.
                let mut order = able(load);
                let first = (round as usize - 1) % order.len().max(1);
                order.rotate_left(first);
                add(What::Cost, of, round, order);
            }
        }
        for (of, load) in self.loads.iter().enumerate().filter(|(_, load)| !load.is_cold) {
            add(What::Highest, of, 0, able(load));
        }
        for of in 0..if self.w1().is_some() { RATES.len() } else { 0 } {
            add(What::Sweep, of, 0, self.servers(|profile| profile.sweep));
        }
        add(What::Flush, 0, 0, self.servers(|profile| profile.flushes));
        for (of, Filling { load, .. }) in self.fillings.iter().enumerate() {
            let takes = |profile: &Profile| profile.flushes && profile.transport(load).is_some();
            add(What::Memory, of, 0, self.servers(takes));
        }
        add(What::Quiet, 0, 0, self.servers(|profile| profile.flushes));
        let streams = |profile: &Profile| profile.flushes && profile.takes(Transport::Tcp);
        add(What::Connections, 0, 0, self.servers(streams));
        add(What::Turns, 0, 0, self.servers(|profile| profile.turns.is_some()));
        jobs.retain(|job| self.options.measures(job.what));
        jobs
    }

    fn servers(&self, has: impl Fn(&Profile) -> bool) -> Vec<usize> {
        (0..self.profiles.len()).filter(|&server| has(&self.profiles[server])).collect()
    }

    /// The workload of the sweep.
    pub(crate) fn w1(&self) -> Option<&Load> {
        self.loads.iter().find(|load| load.name == "W1")
    }

    /// The name of a job's workload, filling or rate.
    pub(crate) fn of(&self, job: Job) -> String {
        match job.what {
            What::Cost | What::Highest => self.loads[job.of].name.to_owned(),
            What::Memory => self.fillings[job.of].load.name.to_owned(),
            What::Sweep => format!("{} k/s", RATES[job.of] / 1000),
            _ => String::new(),
        }
    }

    /// `cost W2 round 1 statsd`
    pub(crate) fn name(&self, job: Job) -> String {
        let what = format!("{:?}", job.what).to_lowercase();
        let round = if job.round > 0 { format!("round {}", job.round) } else { String::new() };
        let words = [&what, &self.of(job), &round, &self.profiles[job.server].name];
        words.into_iter().filter(|word| !word.is_empty()).cloned().collect::<Vec<_>>().join(" ")
    }

    /// The seconds of one try of a rate, and the halvings of the distance between a rate that
    /// holds and one that does not.
    pub(crate) fn effort(&self) -> (Duration, u32) {
        let (millis, halvings) = if self.options.quick { (500, 2) } else { (1000, 4) };
        (Duration::from_millis(millis), halvings)
    }

    /// Returns about how many seconds the job takes.
    pub(crate) fn seconds(&self, job: Job) -> f64 {
        let span = self.options.interval as f64;
        let profile = &self.profiles[job.server];
        let warm = |load: &Load| load.warm_lines() as f64 / load.rate as f64;
        let rest = match job.what {
            What::Cost => {
                let waits = profile.counts.is_some() && profile.flushes;
                warm(&self.loads[job.of]) + span + if waits { span * 0.6 + 0.5 } else { 0.0 }
            }
            What::Highest => {
                let load = &self.loads[job.of];
                let (probe, halvings) = self.effort();
                // Some tries are made twice.
                let tries = (5.0 + 1.5 * f64::from(halvings)) * probe.as_secs_f64() + 0.5 * span;
                let is_udp = profile.transport(load) == Some(Transport::Udp);
                warm(load) + span + if is_udp { tries } else { 0.0 }
            }
            What::Memory => {
                let Filling { load, lines, interval } = &self.fillings[job.of];
                let filling = *lines as f64 / load.rate as f64;
                filling + (0.6 + FLUSHES as f64) * span.max(*interval as f64) + 2.0
            }
            What::Flush => 4.0 * span + 6.0,
            What::Quiet => 5.0 * START + span + 2.0,
            What::Connections => 2.0,
            What::Sweep => 4.5,
            What::Turns => 5.0 + 2.0 * span + 2.0,
        };
        START + rest
    }
}

/// Returns the estimated time of the remaining jobs, corrected by the ratio of real to estimated
/// time so far.
pub(crate) fn left(estimated: &[f64], done: usize, took: Duration) -> Duration {
    let (before, after) = estimated.split_at(done.min(estimated.len()));
    let before: f64 = before.iter().sum();
    let after: f64 = after.iter().sum();
    // The first jobs are a poor sample.
    let known = (before / (before + 60.0)).clamp(0.0, 1.0);
    let ratio = if before > 0.0 { took.as_secs_f64() / before } else { 1.0 };
    Duration::from_secs_f64(after * (known * ratio + (1.0 - known)))
}

/// `41 min`, `50 s`.
pub(crate) fn minutes(time: Duration) -> String {
    match time.as_secs() {
        seconds @ ..100 => format!("{seconds} s"),
        seconds => format!("{} min", (seconds + 30) / 60),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::Parser as _;

    use super::super::{load, profile};
    use super::*;
    use crate::args::{Arguments, Command};

    fn plan(flags: &str) -> Plan {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers");
        let words = ["statsd-bench", "compare"].into_iter().chain(flags.split_whitespace());
        let Some(Command::Compare(options)) = Arguments::parse_from(words).command else {
            panic!("{flags}")
        };
        let profiles = profile::load(&folder).unwrap();
        Plan { profiles, loads: load::all(), fillings: load::fillings(), options }
    }

    #[test]
    fn each_server_is_measured_once_in_each_round_and_none_is_always_first() {
        let plan = plan("--rounds 2");
        let jobs = plan.jobs();
        let order = |round: u32| -> Vec<usize> {
            let is_it = |job: &&Job| job.what == What::Cost && job.of == 1 && job.round == round;
            jobs.iter().filter(is_it).map(|job| job.server).collect()
        };
        let first = order(1);
        let mut second = order(2);
        let w2 = |server: &usize| plan.profiles[*server].transport(&plan.loads[1]).is_some();
        assert_eq!(first, (0..plan.profiles.len()).filter(w2).collect::<Vec<_>>());
        assert_eq!(second[0], 1);
        second.rotate_right(1);
        assert_eq!(first, second);
    }

    #[test]
    fn who_cannot_is_not_asked() {
        let plan = plan("");
        for job in plan.jobs() {
            let profile = &plan.profiles[job.server];
            let name = plan.name(job);
            match job.what {
                What::Cost | What::Highest => {
                    assert!(profile.transport(&plan.loads[job.of]).is_some(), "{name}");
                    assert!(job.what == What::Cost || !plan.loads[job.of].is_cold, "{name}");
                }
                What::Quiet | What::Flush | What::Memory => assert!(profile.flushes, "{name}"),
                What::Connections => assert!(profile.takes(Transport::Tcp), "{name}"),
                What::Sweep => assert!(profile.sweep, "{name}"),
                What::Turns => assert_eq!(profile.name, "statsd"),
            }
        }
    }

    /// The servers that `make bench` installs, and the two that a user is most likely to add.
    #[test]
    fn a_whole_run_takes_about_an_hour_and_a_quarter() {
        let mut plan = plan("");
        let others = ["telegraf", "gostatsd", "statsd_exporter"];
        plan.profiles.retain(|profile| !others.contains(&profile.name.as_str()));
        let jobs = plan.jobs();
        let seconds: f64 = jobs.iter().map(|job| plan.seconds(*job)).sum();
        assert!(seconds < 78.0 * 60.0, "{} jobs, {seconds} s", jobs.len());
    }

    #[test]
    fn what_is_left_follows_what_it_took_so_far() {
        let estimated = [100.0; 10];
        let seconds = |done, took| left(&estimated, done, Duration::from_secs(took)).as_secs();
        assert_eq!(seconds(0, 0), 1000);
        assert_eq!(seconds(5, 500), 500);
        assert!((900..1000).contains(&seconds(5, 1000)));
        assert_eq!(seconds(10, 1000), 0);
        assert_eq!(minutes(Duration::from_secs(59)), "59 s");
        assert_eq!(minutes(Duration::from_secs(41 * 60 + 20)), "41 min");
    }
}
