//! The command line.

use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use statsd_bench::{Mix, Packing, Plan, Stop, Workload};

/// Sends StatsD traffic fast, and compares StatsD servers.
#[derive(Debug, Parser)]
#[command(name = "statsd-bench", disable_help_subcommand = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Send(Send),
    Compare(Options),
    Floor(Floor),
}

const EXAMPLES: &str = "\
The same flags give the same bytes on every machine. Progress goes to stderr
once a second, the summary to stdout. 'sent' counts what the kernel accepted:
over UDP the server may have lost some of it.

Half counters in full packets, 1,000 names, at a moderate rate:
  statsd-bench send --rate 200000
One counter a packet, as a simple client sends them:
  statsd-bench send --mix c=100 --lines-per-packet 1 --rate 50000
1,000 contexts of Datadog's clients, as fast as the server reads them:
  statsd-bench send --unix /run/statsd.sock --dogstatsd --packet 8192
A report of what was lost, from both ends of a server (carbon's is 2003):
  statsd-bench send --admin 127.0.0.1:8126 --carbon 127.0.0.1:2003";

/// Send traffic to one server
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Send {
    /// Where to send
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8125")]
    pub(crate) to: String,
    /// Over TCP, in writes of 64 KiB; not over UDP
    #[arg(long, group = "transport")]
    pub(crate) tcp: bool,
    /// To this Unix datagram socket
    #[arg(long, value_name = "PATH", group = "transport")]
    pub(crate) unix: Option<String>,
    /// To this Unix stream socket
    #[arg(long, value_name = "PATH", group = "transport")]
    pub(crate) unix_stream: Option<String>,
    /// Ask the server's admin port what it lost
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) admin: Option<SocketAddr>,
    /// Be the server's carbon, and report what arrives
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) carbon: Option<SocketAddr>,
    /// Distinct names, all types together
    #[arg(long, value_name = "N", default_value_t = 1000)]
    names: usize,
    /// The beginning of names
    #[arg(long, value_name = "TEXT", default_value = "bench.web.api")]
    pub(crate) prefix: String,
    /// Percent by type
    #[arg(long, default_value = "c=50,ms=30,g=15,s=5")]
    mix: Mix,
    /// Three DogStatsD tags on every line
    #[arg(long)]
    tags: bool,
    /// Lines of Datadog's clients: 2 to 50 tags
    #[arg(long)]
    dogstatsd: bool,
    /// Fill packets to this size
    #[arg(long, value_name = "BYTES", default_value_t = 1432)]
    packet: usize,
    /// Or put this many lines in a packet
    #[arg(long, value_name = "N", conflicts_with = "packet")]
    lines_per_packet: Option<usize>,
    /// Lines per second; without it, no limit
    #[arg(long, value_name = "LINES")]
    rate: Option<NonZeroU64>,
    /// Stop after exactly this many lines
    #[arg(long, value_name = "LINES")]
    count: Option<NonZeroU64>,
    /// Or after this time: 500ms, 10s, 2m
    #[arg(long, value_name = "TIME", conflicts_with = "count", default_value = "10s",
          value_parser = duration)]
    duration: Duration,
    /// Other seeds, other values and order
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

impl Send {
    pub(crate) fn workload(&self) -> Workload {
        Workload {
            names: self.names,
            prefix: self.prefix.clone(),
            mix: self.mix,
            tags: self.tags,
            dogstatsd: self.dogstatsd,
            packing: self.lines_per_packet.map_or(Packing::Bytes(self.packet), Packing::Lines),
            seed: self.seed,
        }
    }

    pub(crate) fn plan(&self) -> Plan {
        let lines = self.count.map(|count| Stop::Lines(count.get()));
        Plan { rate: self.rate, stop: lines.unwrap_or(Stop::After(self.duration)) }
    }
}

/// Measure servers side by side (`make bench`)
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "\
The measurements: cost, highest, sweep (W1 at 1 k to 200 k packets a second),
flush, memory, quiet, connections, turns")]
pub(crate) struct Options {
    /// These servers; without it, all in bench/peers
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    pub(crate) only: Vec<String>,
    /// These workloads; without it, all
    #[arg(long, value_name = "W1,...", value_delimiter = ',')]
    pub(crate) loads: Vec<String>,
    /// Rounds of each cost
    #[arg(long, value_name = "N", default_value_t = 3,
          value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: u32,
    /// Seconds between flushes, and of a cost
    #[arg(long, value_name = "SECONDS", default_value_t = 5,
          value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) interval: u64,
    /// Costs and rates only, roughly; nothing is kept
    #[arg(long)]
    pub(crate) quick: bool,
    /// Only these measurements
    #[arg(long, value_name = "WHAT,...", value_delimiter = ',', hide_possible_values = true)]
    measure: Vec<What>,
    /// Another folder of profiles of servers
    #[arg(long, value_name = "FOLDER")]
    pub(crate) peers: Option<PathBuf>,
    /// The folder of the record [bench/runs/DATE-MACHINE]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: Option<PathBuf>,
    /// The repository
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    pub(crate) root: PathBuf,
}

/// The kinds of measurements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum What {
    Cost,
    Highest,
    /// W1 at 1 k to 200 k packets a second
    Sweep,
    Flush,
    Memory,
    Quiet,
    Connections,
    Turns,
}

impl Options {
    pub(crate) fn measures(&self, what: What) -> bool {
        let quick = matches!(what, What::Cost | What::Highest) || !self.quick;
        if self.measure.is_empty() { quick } else { self.measure.contains(&what) }
    }
}

/// Receive and count newlines: the least that a server can cost
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub(crate) struct Floor {
    #[arg(long, default_value_t = 8125)]
    pub(crate) udp: u16,
    #[arg(long, default_value_t = 8125)]
    pub(crate) tcp: u16,
    /// A Unix datagram socket
    #[arg(long, value_name = "PATH")]
    pub(crate) unix: Option<PathBuf>,
    /// Microseconds to sleep after a batch with room
    #[arg(long, default_value_t = 0)]
    pub(crate) nap: u64,
}

fn duration(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).ok().filter(|time| !time.is_zero());
    time.ok_or_else(|| format!("{text:?} is no time: want 500ms, 10s or 2m"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn parsed(line: &str) -> Result<Command, String> {
        let words = std::iter::once("statsd-bench").chain(line.split_whitespace());
        let arguments = Arguments::try_parse_from(words).map_err(|error| error.to_string())?;
        arguments.command.ok_or_else(|| "no command".to_owned())
    }

    fn send(line: &str) -> Send {
        match parsed(line) {
            Ok(Command::Send(send)) => send,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn without_flags_it_is_the_default_workload_for_ten_seconds() {
        let send = send("send");
        assert_eq!((send.to.as_str(), send.tcp), ("127.0.0.1:8125", false));
        assert_eq!(send.workload(), Workload::default());
        let stop = Stop::After(Duration::from_secs(10));
        assert_eq!(send.plan(), Plan { rate: None, stop });
    }

    #[test]
    fn every_flag_of_send_is_read() {
        let send = send(
            "send --to [::1]:9 --tcp --names 7 --prefix p --mix c=60,ms=40 --tags --dogstatsd \
             --lines-per-packet 3 --rate 500 --count 10 --seed 9",
        );
        let workload = Workload {
            names: 7,
            prefix: "p".to_owned(),
            mix: "c=60,ms=40".parse().unwrap(),
            tags: true,
            dogstatsd: true,
            packing: Packing::Lines(3),
            seed: 9,
        };
        assert_eq!((send.to.as_str(), send.tcp), ("[::1]:9", true));
        assert_eq!(send.workload(), workload);
        assert_eq!(send.plan(), Plan::lines(10).at(500));
    }

    #[test]
    fn there_is_one_transport() {
        assert_eq!(send("send --unix /run/s").unix.as_deref(), Some("/run/s"));
        assert_eq!(send("send --unix-stream /run/t").unix_stream.as_deref(), Some("/run/t"));
        assert!(parsed("send --unix /run/s --tcp").unwrap_err().contains("cannot be used with"));
        let ends = send("send --admin 127.0.0.1:8126 --carbon [::1]:2003");
        assert_eq!(ends.admin, "127.0.0.1:8126".parse().ok());
        assert_eq!(ends.carbon, "[::1]:2003".parse().ok());
        assert!(parsed("send --admin here").unwrap_err().contains("'here' for '--admin"));
    }

    #[test]
    fn times_have_units() {
        for (text, millis) in [("500ms", 500), ("10s", 10_000), ("2m", 120_000)] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)));
        }
        for bad in ["", "10", "s", "0s", "-1s", "18446744073709551615m"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn mistakes_name_the_flag() {
        for (line, named) in [
            ("send --nmaes 3", "--nmaes"),
            ("send --rate 0", "'0' for '--rate"),
            ("send --count 1 --duration 1s", "'--count <LINES>' cannot be used with '--duration"),
            ("send --packet 9 --lines-per-packet 1", "'--packet <BYTES>' cannot be used with"),
            ("send --mix c=1", "--mix"),
            ("--rate 3", "--rate"),
            ("recieve", "recieve"),
            ("send --tcp=yes", "--tcp"),
            ("compare --rounds 0", "'0' for '--rounds"),
            ("compare --fast", "--fast"),
            ("compare --measure speed", "speed"),
        ] {
            let error = parsed(line).unwrap_err();
            assert!(error.contains(named), "{line}: {error}");
        }
    }

    #[test]
    fn every_flag_of_compare_and_floor_is_read() {
        let line = "compare --only statsd,floor --loads W1,W2 --rounds 5 --interval 2 --quick --measure sweep,turns --peers p --out o --root r";
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
        assert!(matches!(parsed(line), Ok(Command::Compare(options)) if options == expected));
        let floor = parsed("floor --udp 1 --tcp 2 --unix s --nap 500");
        let expected = Floor { udp: 1, tcp: 2, unix: Some("s".into()), nap: 500 };
        assert!(matches!(floor, Ok(Command::Floor(floor)) if floor == expected));
    }

    #[test]
    fn help_names_every_flag_and_fits_a_terminal() {
        for line in ["-h", "send --help", "compare --help", "floor -h"] {
            let help = parsed(line).unwrap_err();
            assert!(help.contains("Usage: statsd-bench"), "{help}");
            let long = help.lines().find(|line| line.chars().count() > 80);
            assert_eq!(long, None, "{line}");
        }
        Arguments::command().debug_assert();
    }
}
