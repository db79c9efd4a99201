//! The command line of `compare` and `floor`. Pure.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use lexopt::{Arg, ValueExt as _};

use super::measure::Effort;
use super::plan::{Scope, What};

/// The options of `compare`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Options {
    /// The repository: `bench/peers` has profiles, `bench/runs` is for records.
    pub(crate) root: PathBuf,
    /// Other profiles than those of the repository.
    pub(crate) peers: Option<PathBuf>,
    pub(crate) out: Option<PathBuf>,
    /// Names of servers and of workloads; none is all of them.
    pub(crate) only: Vec<String>,
    pub(crate) loads: Vec<String>,
    pub(crate) rounds: u32,
    /// Seconds between flushes; a cost is measured over as long.
    pub(crate) interval: u64,
    /// Costs and highest rates only, with little effort: for a look, not for a record.
    pub(crate) quick: bool,
    /// Some measurements only.
    pub(crate) measure: Vec<What>,
}

/// The options of `floor`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Floor {
    pub(crate) udp: u16,
    pub(crate) tcp: u16,
    pub(crate) nap: Duration,
}

pub(crate) const HELP: &str = "
statsd-bench compare [FLAG...]: servers side by side; `make bench`

  --only NAME,...       these servers [all that bench/peers names]
  --loads W1,...        these workloads [W1 to W6]
  --rounds N            of each cost [3]
  --interval SECONDS    between flushes, and of each cost [5]
  --quick               costs and rates only, roughly; nothing is kept
  --measure WHAT,...    only these: cost, highest, sweep (W1 at 1 k to 200 k
                        packets/s), flush, memory, quiet, connections, turns
  --peers FOLDER        profiles of servers [bench/peers]
  --out FOLDER          where the record goes [bench/runs/DATE-MACHINE]
  --root FOLDER         the repository [.]

statsd-bench floor --udp PORT --tcp PORT [--nap MICROSECONDS]: receives, and
counts newlines, as the least that a server can cost
";

impl Options {
    pub(crate) fn parse(parser: &mut lexopt::Parser) -> Result<Self, String> {
        let mut options = Self {
            root: ".".into(),
            peers: None,
            out: None,
            only: Vec::new(),
            loads: Vec::new(),
            rounds: 3,
            interval: 5,
            quick: false,
            measure: What::ALL.map(|(_, what)| what).into(),
        };
        while let Some(arg) = parser.next().map_err(text)? {
            match arg {
                Arg::Long("only") => options.only = names(parser)?,
                Arg::Long("loads") => options.loads = names(parser)?,
                Arg::Long("rounds") => options.rounds = positive(parser, "rounds")?,
                Arg::Long("interval") => options.interval = positive(parser, "interval")?,
                Arg::Long("quick") => {
                    (options.quick, options.measure) = (true, vec![What::Cost, What::Highest]);
                }
                Arg::Long("measure") => options.measure = measurements(parser)?,
                Arg::Long("peers") => options.peers = Some(parser.value().map_err(text)?.into()),
                Arg::Long("out") => options.out = Some(parser.value().map_err(text)?.into()),
                Arg::Long("root") => options.root = parser.value().map_err(text)?.into(),
                arg => return Err(arg.unexpected().to_string()),
            }
        }
        Ok(options)
    }

    pub(crate) fn scope(&self) -> Scope {
        Scope { rounds: self.rounds, wanted: self.measure.clone() }
    }

    pub(crate) fn effort(&self) -> Effort {
        let span = Duration::from_secs(self.interval);
        if self.quick {
            Effort { span, probe: Duration::from_millis(500), halvings: 2 }
        } else {
            Effort { span, probe: Duration::from_secs(1), halvings: 4 }
        }
    }
}

impl Floor {
    pub(crate) fn parse(parser: &mut lexopt::Parser) -> Result<Self, String> {
        let mut floor = Self { udp: 8125, tcp: 8125, nap: Duration::ZERO };
        while let Some(arg) = parser.next().map_err(text)? {
            match arg {
                Arg::Long("udp") => floor.udp = positive(parser, "udp")?,
                Arg::Long("tcp") => floor.tcp = positive(parser, "tcp")?,
                Arg::Long("nap") => floor.nap = Duration::from_micros(positive(parser, "nap")?),
                arg => return Err(arg.unexpected().to_string()),
            }
        }
        Ok(floor)
    }
}

fn names(parser: &mut lexopt::Parser) -> Result<Vec<String>, String> {
    let value = parser.value().and_then(|value| value.string()).map_err(text)?;
    Ok(value.split(',').map(|name| name.trim().to_owned()).collect())
}

fn measurements(parser: &mut lexopt::Parser) -> Result<Vec<What>, String> {
    let known = |name: &String| {
        let what = What::ALL.iter().find(|(known, _)| known == name).map(|(_, what)| *what);
        what.ok_or_else(|| format!("--measure: {name:?} is nothing that can be measured"))
    };
    names(parser)?.iter().map(known).collect()
}

fn positive<T: FromStr + PartialEq + Default>(
    parser: &mut lexopt::Parser,
    flag: &str,
) -> Result<T, String> {
    let value = parser.value().and_then(|value| value.string()).map_err(text)?;
    let number = value.parse().ok().filter(|number| *number != T::default());
    number.ok_or_else(|| format!("--{flag}: {value:?} is no number above 0"))
}

fn text(error: lexopt::Error) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(line: &str) -> Result<Options, String> {
        Options::parse(&mut lexopt::Parser::from_args(line.split_whitespace()))
    }

    #[test]
    fn every_flag_is_read() {
        let line = "--only statsd,floor --loads W1,W2 --rounds 5 --interval 2 --quick --measure sweep,turns --peers p --out o --root r";
        let names = |text: &str| text.split(',').map(str::to_owned).collect();
        let expected = Options {
            root: "r".into(),
            peers: Some("p".into()),
            out: Some("o".into()),
            only: names("statsd,floor"),
            loads: names("W1,W2"),
            rounds: 5,
            interval: 2,
            quick: true,
            measure: vec![What::Sweep, What::Turns],
        };
        assert_eq!(options(line), Ok(expected));
        assert_eq!(options("--rounds 0").unwrap_err(), "--rounds: \"0\" is no number above 0");
        assert!(options("--fast").unwrap_err().contains("--fast"));
        assert!(HELP.lines().all(|line| line.len() <= 80));
    }

    #[test]
    fn the_floor_has_its_ports() {
        let mut parser = lexopt::Parser::from_args(["--udp", "1", "--tcp", "2", "--nap", "500"]);
        let nap = Duration::from_micros(500);
        assert_eq!(Floor::parse(&mut parser), Ok(Floor { udp: 1, tcp: 2, nap }));
    }
}
