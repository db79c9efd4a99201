//! The plan of a run: the measurements, their order, and how long they take. Pure.

use std::time::Duration;

use clap::ValueEnum as _;

use super::load::{self, Load, Transport, What};
use super::profile::Profile;
use crate::args::Options;

/// The number of flushes, each of all names, after which the peak of memory is read.
///
/// A server keeps something of the flushes before: this one keeps the last two that were delivered.
/// It needs this in the long run, and the first flush shows none of it.
pub(crate) const FLUSHES: usize = 3;

/// The time of a try of a rate, and the halvings of the distance between a rate that holds and one
/// that does not.
pub(crate) const TRY: Duration = Duration::from_millis(400);
pub(crate) const HALVINGS: u32 = 4;

/// One measurement.
#[derive(Debug, Clone)]
pub(crate) struct Job<'a> {
    pub(crate) what: What,
    pub(crate) load: Load,
    /// From 1 on, if there are several rounds; else 0.
    pub(crate) round: u32,
    pub(crate) profile: &'a Profile,
    pub(crate) transport: Transport,
    /// Seconds between flushes.
    pub(crate) interval: u64,
}

/// Returns all measurements. The costs come first, since they are compared most.
pub(crate) fn jobs<'a>(profiles: &'a [Profile], options: &Options) -> Vec<Job<'a>> {
    let mut jobs = Vec::new();
    for &what in What::value_variants().iter().filter(|what| options.measures(**what)) {
        let needs_flush = !matches!(what, What::Cost | What::Highest);
        for load in load::of(what).into_iter().filter(|load| chosen(&options.loads, load.name)) {
            let has_rounds = what == What::Cost && load.rounds > 1 && !options.quick;
            let interval = options.interval.max(load.interval);
            for round in if has_rounds { 1..=load.rounds } else { 0..=0 } {
                let job = |profile: &'a Profile| {
                    let transport = profile.transport(&load)?;
                    let job = Job { what, load, round, profile, transport, interval };
                    (profile.flushes || !needs_flush).then_some(job)
                };
                let mut able: Vec<_> = profiles.iter().filter_map(job).collect();
                // Each round begins with another server, so that no server always gets the better
                // moments of the machine.
                let first = able.len().min(round.saturating_sub(1) as usize);
                able.rotate_left(first);
                jobs.extend(able);
            }
        }
    }
    jobs
}

pub(crate) fn chosen(names: &[String], name: &str) -> bool {
    names.is_empty() || name.is_empty() || names.iter().any(|chosen| chosen == name)
}

impl Job<'_> {
    /// `cost W2 round 1 statsd`
    pub(crate) fn name(&self) -> String {
        let round = if self.round > 0 { format!("round {}", self.round) } else { String::new() };
        let words = [&self.what.name(), self.load.name, &round, &self.profile.name];
        words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
    }

    /// Returns the longest time that it may take.
    pub(crate) fn deadline(&self) -> Duration {
        2 * self.time() + Duration::from_secs(60)
    }

    /// Returns about how long it takes.
    pub(crate) fn time(&self) -> Duration {
        /// The seconds for starting and ending a server.
        const START: f64 = 0.7;
        let span = self.interval as f64;
        let fill = self.load.lines as f64 / self.load.rate as f64;
        let to_flush = if self.profile.counts.is_some() { 0.6 * span + 0.5 } else { 0.0 };
        // Some tries are made twice, and often a rate does not hold for a whole interval.
        let tries =
            if self.transport == Transport::Udp { 7.0 + 1.5 * f64::from(HALVINGS) } else { 0.0 };
        let rest = match self.what {
            What::Cost => fill + span + to_flush,
            What::Highest => fill + 2.0 * span + tries * TRY.as_secs_f64(),
            What::Flush => 2.5 * span + 3.0 + to_flush,
            What::Memory => fill + (0.6 + FLUSHES as f64) * span,
            What::Quiet => 2.0 * START + span + 2.0,
            What::Connections => 2.0,
        };
        Duration::from_secs_f64(START + rest)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::Parser as _;

    use super::super::profile;
    use super::*;
    use crate::args::{Arguments, Command};

    fn options(flags: &str) -> Options {
        let words = ["statsd-bench", "compare"].into_iter().chain(flags.split_whitespace());
        match Arguments::parse_from(words).command {
            Command::Compare(options) => options,
            other => panic!("{other:?}"),
        }
    }

    /// The profiles of the servers of `bench/runs/0.1.0`.
    fn profiles() -> Vec<Profile> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers");
        let mut profiles = profile::load(&folder).unwrap();
        let others = ["telegraf", "gostatsd"];
        profiles.retain(|profile| !others.contains(&profile.name.as_str()));
        profiles
    }

    #[test]
    fn each_server_is_measured_once_in_each_round_and_none_is_always_first() {
        let profiles = profiles();
        let jobs = jobs(&profiles, &options("--measure cost --loads W2"));
        let names: Vec<_> = jobs.iter().map(Job::name).collect();
        let (first, second) = names.split_at(profiles.len());
        assert_eq!(first.first().unwrap(), "cost W2 round 1 statsd");
        assert_eq!(first.last().unwrap(), "cost W2 round 1 floor");
        assert_eq!(second.first().unwrap(), "cost W2 round 2 brubeck");
        assert_eq!(second.last().unwrap(), "cost W2 round 2 statsd");
    }

    #[test]
    fn a_whole_run_takes_the_time_that_the_documents_promise() {
        let profiles = profiles();
        let time: Duration = jobs(&profiles, &options("")).iter().map(Job::time).sum();
        assert!((35..55).contains(&(time.as_secs() / 60)), "{time:?}");
    }
}
