//! The plan of a run: the measurements, their order, and how long they take. Pure.

use std::time::Duration;

use super::load::Load;
use super::measure::{self, Effort, Kind};
use super::profile::{Profile, Transport};

/// One measurement. `load`, `kind` and `server` are places in lists of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Job {
    Cost { load: usize, round: u32, server: usize },
    Highest { load: usize, server: usize },
    Footprint { kind: usize, server: usize },
    Flush { server: usize },
    Quiet { server: usize },
    Connections { server: usize },
    Sweep { load: usize, server: usize },
    Turns { server: usize },
}

/// What can be measured, by its name on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    Cost,
    Highest,
    Sweep,
    Flush,
    Memory,
    Quiet,
    Connections,
    Turns,
}

impl What {
    pub(crate) const ALL: [(&str, Self); 8] = [
        ("cost", Self::Cost),
        ("highest", Self::Highest),
        ("sweep", Self::Sweep),
        ("flush", Self::Flush),
        ("memory", Self::Memory),
        ("quiet", Self::Quiet),
        ("connections", Self::Connections),
        ("turns", Self::Turns),
    ];
}

/// The requested measurements.
#[derive(Debug, Clone)]
pub(crate) struct Scope {
    pub(crate) rounds: u32,
    pub(crate) wanted: Vec<What>,
}

/// All of it, those first that the others are read beside.
pub(crate) fn jobs(profiles: &[Profile], loads: &[Load], scope: &Scope) -> Vec<Job> {
    let all = || 0..profiles.len();
    let able = |load: &Load| {
        let bears = |server: &usize| profiles[*server].bears(load.name, load.transport);
        all().filter(bears).collect::<Vec<_>>()
    };
    let mut jobs = Vec::new();
    for (load, about) in loads.iter().enumerate() {
        for round in 0..scope.rounds {
            // Each round begins with another server, so that none has the machine's better moments.
            let mut order = able(about);
            let first = round as usize % order.len().max(1);
            order.rotate_left(first);
            jobs.extend(order.into_iter().map(|server| Job::Cost { load, round, server }));
        }
    }
    for (load, about) in loads.iter().enumerate() {
        jobs.extend(able(about).into_iter().map(|server| Job::Highest { load, server }));
    }
    if let Some(load) = loads.iter().position(|load| load.name == "W1") {
        let swept = all().filter(|&server| profiles[server].sweep);
        jobs.extend(swept.map(|server| Job::Sweep { load, server }));
    }
    let flush = || all().filter(|&server| profiles[server].flushes);
    let asked = |has: fn(&Profile) -> bool| all().filter(move |&server| has(&profiles[server]));
    jobs.extend(flush().map(|server| Job::Flush { server }));
    for kind in 0..measure::KINDS.len() {
        jobs.extend(flush().map(|server| Job::Footprint { kind, server }));
    }
    jobs.extend(flush().map(|server| Job::Quiet { server }));
    let streams = flush().filter(|&server| profiles[server].takes(Transport::Tcp));
    jobs.extend(streams.map(|server| Job::Connections { server }));
    jobs.extend(asked(|profile| profile.turns.is_some()).map(|server| Job::Turns { server }));
    jobs.retain(|job| scope.wanted.contains(&job.what()));
    jobs
}

/// To start a server, and to end it.
const START: f64 = 0.7;

impl Job {
    pub(crate) fn server(self) -> usize {
        match self {
            Self::Cost { server, .. }
            | Self::Highest { server, .. }
            | Self::Footprint { server, .. }
            | Self::Flush { server }
            | Self::Quiet { server }
            | Self::Connections { server }
            | Self::Sweep { server, .. }
            | Self::Turns { server } => server,
        }
    }

    fn what(self) -> What {
        match self {
            Self::Cost { .. } => What::Cost,
            Self::Highest { .. } => What::Highest,
            Self::Footprint { .. } => What::Memory,
            Self::Flush { .. } => What::Flush,
            Self::Quiet { .. } => What::Quiet,
            Self::Connections { .. } => What::Connections,
            Self::Sweep { .. } => What::Sweep,
            Self::Turns { .. } => What::Turns,
        }
    }

    /// `cost W2 round 1 statsd`
    pub(crate) fn name(self, profiles: &[Profile], loads: &[Load]) -> String {
        let what = match self {
            Self::Cost { load, round, .. } => {
                format!("cost {} round {}", loads[load].name, round + 1)
            }
            Self::Highest { load, .. } => format!("highest rate {}", loads[load].name),
            Self::Footprint { kind, .. } => format!("memory {}", measure::KINDS[kind].name),
            Self::Flush { .. } => "flush".to_owned(),
            Self::Quiet { .. } => "quiet".to_owned(),
            Self::Connections { .. } => "idle connections".to_owned(),
            Self::Sweep { load, .. } => format!("sweep {}", loads[load].name),
            Self::Turns { .. } => "turns".to_owned(),
        };
        format!("{what} {}", profiles[self.server()].name)
    }

    /// About how many seconds it takes.
    pub(crate) fn seconds(self, profiles: &[Profile], loads: &[Load], effort: Effort) -> f64 {
        let span = effort.span.as_secs_f64();
        let probe = effort.probe.as_secs_f64();
        let warm = |load: usize| loads[load].warm_lines() as f64 / loads[load].rate as f64;
        let flush = if profiles[self.server()].flushes { span } else { 0.0 };
        START
            + match self {
                Self::Cost { load, .. } => {
                    let counts = profiles[self.server()].counts.is_some();
                    warm(load) + span + if counts { flush * 0.6 + 0.5 } else { 0.0 }
                }
                Self::Highest { load, .. } if loads[load].transport == Transport::Tcp => {
                    warm(load) + span
                }
                // Some tries are made twice.
                Self::Highest { load, .. } => {
                    warm(load) + (5.0 + 1.5 * f64::from(effort.halvings)) * probe + 1.5 * span
                }
                Self::Footprint { kind, .. } => {
                    let Kind { lines, interval, .. } = measure::KINDS[kind];
                    let span = span.max(interval as f64);
                    let filling = lines as f64 / measure::FILL_RATE as f64;
                    filling + (0.6 + measure::FLUSHES as f64) * span + 2.0
                }
                Self::Flush { .. } => 4.0 * span + 6.0,
                Self::Quiet { .. } => 5.0 * START + span + 2.0,
                Self::Connections { .. } => 2.0,
                Self::Sweep { .. } => measure::RATES.len() as f64 * (2.0 + 1.5) + 1.0,
                Self::Turns { .. } => 5.0 + 2.0 * span + 2.0,
            }
    }
}

/// Returns the estimated time of the remaining jobs, corrected by the ratio of real to estimated
/// time so far.
pub(crate) fn left(estimated: &[f64], done: usize, took: Duration) -> Duration {
    let (before, after) = estimated.split_at(done.min(estimated.len()));
    let before: f64 = before.iter().sum();
    let after: f64 = after.iter().sum();
    // The first few say little.
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

    use super::super::{load, options, profile};
    use super::*;

    fn scope() -> Scope {
        Scope { rounds: 2, wanted: What::ALL.map(|(_, what)| what).into() }
    }

    fn world() -> (Vec<Profile>, Vec<Load>) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers");
        (profile::load(&folder).unwrap(), load::all())
    }

    #[test]
    fn each_server_is_measured_once_in_each_round_and_none_is_always_first() {
        let (profiles, loads) = world();
        let jobs = jobs(&profiles, &loads, &scope());
        let order = |wanted: u32| -> Vec<usize> {
            let of = |job: &Job| match *job {
                Job::Cost { load: 1, round, server } if round == wanted => Some(server),
                _ => None,
            };
            jobs.iter().filter_map(of).collect()
        };
        let first = order(0);
        let mut second = order(1);
        assert_eq!(first, (0..profiles.len()).collect::<Vec<_>>());
        assert_eq!(second[0], 1);
        second.rotate_right(1);
        assert_eq!(first, second);
    }

    #[test]
    fn who_cannot_is_not_asked() {
        let (profiles, loads) = world();
        for job in jobs(&profiles, &loads, &scope()) {
            let profile = &profiles[job.server()];
            match job {
                Job::Cost { load, .. } | Job::Highest { load, .. } => {
                    assert!(profile.takes(loads[load].transport), "{job:?}");
                }
                Job::Quiet { .. } | Job::Flush { .. } | Job::Footprint { .. } => {
                    assert!(profile.flushes, "{job:?}");
                }
                Job::Connections { .. } => assert!(profile.takes(Transport::Tcp), "{job:?}"),
                Job::Sweep { load, .. } => {
                    assert!(profile.sweep && loads[load].name == "W1", "{job:?}");
                }
                Job::Turns { .. } => assert_eq!(profile.name, "statsd"),
            }
        }
    }

    /// Of the servers that `make bench` installs, and the two that a user is most likely to add.
    #[test]
    fn a_whole_run_takes_about_an_hour() {
        let (mut profiles, loads) = world();
        profiles.retain(|profile| !["telegraf", "gostatsd"].contains(&profile.name.as_str()));
        let options =
            options::Options::parse(&mut lexopt::Parser::from_args([""; 0])).expect("no flags");
        let jobs = jobs(&profiles, &loads, &Scope { rounds: options.rounds, ..scope() });
        let seconds: f64 =
            jobs.iter().map(|job| job.seconds(&profiles, &loads, options.effort())).sum();
        assert!(seconds < 62.0 * 60.0, "{} jobs, {seconds} s", jobs.len());
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
