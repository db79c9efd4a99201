//! The plan of a run: the measurements, their order, and how long they take. Pure.

use std::time::Duration;

use clap::ValueEnum as _;

use super::load::{self, Load, Transport};
use super::profile::Profile;
use crate::args::{Options, What};

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
}

/// Returns all measurements. The costs come first, since they are compared most.
pub(crate) fn jobs<'a>(profiles: &'a [Profile], options: &Options) -> Vec<Job<'a>> {
    let mut jobs = Vec::new();
    for &what in What::value_variants().iter().filter(|what| options.measures(**what)) {
        let loads = load::of(what).into_iter().filter(|load| chosen(&options.loads, load.name));
        for load in loads {
            let rounds = if options.quick { 1 } else { load.rounds };
            for round in 1..=rounds {
                let needs_flush = !matches!(what, What::Cost | What::Highest);
                let is_able = |profile: &&Profile| {
                    profile.transport(&load).is_some() && (profile.flushes || !needs_flush)
                };
                let mut able: Vec<_> = profiles.iter().filter(is_able).collect();
                // Each round begins with another server, so that no server always gets the better
                // moments of the machine.
                let first = able.len().min(round as usize - 1);
                able.rotate_left(first);
                let round = if rounds == 1 { 0 } else { round };
                jobs.extend(able.into_iter().map(|profile| Job { what, load, round, profile }));
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

    /// The least seconds between flushes that the measurement needs.
    pub(crate) fn interval(&self, usual: u64) -> u64 {
        usual.max(self.load.interval)
    }

    /// Returns about how many seconds the job takes with this interval.
    pub(crate) fn seconds(&self, interval: u64) -> f64 {
        /// The seconds for starting and ending a server.
        const START: f64 = 0.7;
        let span = self.interval(interval) as f64;
        let fill = self.load.lines as f64 / self.load.rate as f64;
        let to_flush = if self.profile.flushes { 0.6 * span + 0.5 } else { 0.0 };
        let rest = match self.what {
            What::Cost if self.round <= 1 && self.profile.counts.is_some() => {
                fill + span + to_flush
            }
            What::Cost => fill + span,
            // Some tries are made twice.
            What::Highest if self.profile.transport(&self.load) == Some(Transport::Udp) => {
                let tries = 7.0 + 1.5 * f64::from(HALVINGS);
                fill + 1.2 * span + tries * TRY.as_secs_f64()
            }
            What::Highest => fill + span,
            What::Flush => 2.5 * span + 3.0 + to_flush,
            What::Memory => fill + (0.6 + FLUSHES as f64) * span,
            What::Quiet => 2.0 * START + span + 2.0,
            What::Connections => 2.0,
        };
        START + rest
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

    /// The profiles of the servers that `make bench` installs, and of the two that a user is most
    /// likely to add.
    fn profiles() -> Vec<Profile> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers");
        let mut profiles = profile::load(&folder).unwrap();
        let others = ["telegraf", "gostatsd", "statsd_exporter"];
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
    fn a_whole_run_takes_about_half_an_hour() {
        let profiles = profiles();
        let jobs = jobs(&profiles, &options(""));
        let mut parts = vec![];
        for &what in What::value_variants() {
            let jobs = jobs.iter().filter(|job| job.what == what);
            parts.push((what, jobs.clone().count(), jobs.map(|job| job.seconds(5)).sum::<f64>()));
        }
        let seconds: f64 = parts.iter().map(|(.., seconds)| seconds).sum();
        assert!(seconds < 35.0 * 60.0, "{} min: {parts:?}", seconds / 60.0);
    }
}
