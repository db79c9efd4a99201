//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::RangedU64ValueParser;
use clap::{Args, Parser, Subcommand};

use crate::compare::load::What;

/// Sends StatsD traffic fast, and compares StatsD servers.
#[derive(Debug, Parser)]
#[command(name = "statsd-bench", disable_help_subcommand = true, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Send(Send),
    Compare(Options),
    /// Print the summary of a record again
    Summary {
        /// The file of the record
        record: PathBuf,
    },
    /// Receive and count newlines: the least that a server can cost
    Floor {
        #[arg(long)]
        udp: u16,
        #[arg(long)]
        tcp: u16,
        /// A Unix datagram socket
        #[arg(long, value_name = "PATH")]
        unix: Option<PathBuf>,
    },
}

/// Send traffic to one server
#[derive(Debug, Args)]
#[command(after_help = "\
The same flags give the same bytes on every machine. 'sent' counts what the
kernel accepted: over UDP the server may have lost some of it.

Half counters in full packets, 1,000 names, at a moderate rate:
  statsd-bench send --rate 200000
One counter a packet, as a simple client sends them:
  statsd-bench send --load W1 --rate 50000
10,000 contexts of Datadog's clients, as fast as the server reads them:
  statsd-bench send --load W7 --unix /run/statsd.sock
With the losses that the server itself has counted:
  statsd-bench send --admin 127.0.0.1:8126")]
pub(crate) struct Send {
    /// Where to send
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8125")]
    pub(crate) to: String,
    /// Over TCP, not over UDP
    #[arg(long)]
    pub(crate) tcp: bool,
    /// To this Unix datagram socket
    #[arg(long, value_name = "PATH", conflicts_with = "tcp")]
    pub(crate) unix: Option<PathBuf>,
    /// Ask the server's admin port what it received and lost
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) admin: Option<SocketAddr>,
    /// A workload of `compare`: W1 to W8
    #[arg(long, value_name = "NAME", default_value = "W2")]
    pub(crate) load: String,
    /// Distinct names, if not those of the workload
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(4..))]
    pub(crate) names: Option<usize>,
    /// Lines per second; 0 means no limit
    #[arg(long, value_name = "LINES", default_value_t = 0)]
    pub(crate) rate: u64,
    /// Stop after exactly this many lines
    #[arg(long, value_name = "LINES")]
    pub(crate) count: Option<u64>,
    /// Or after this time: 500ms, 10s, 2m
    #[arg(long, value_name = "TIME", conflicts_with = "count", default_value = "10s",
          value_parser = humantime::parse_duration)]
    pub(crate) duration: Duration,
}

/// Measure servers side by side (`make bench`), in the folder of the repository
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// These servers; without it, all with a profile
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    pub(crate) only: Vec<String>,
    /// These workloads; without it, all
    #[arg(long, value_name = "W1,...", value_delimiter = ',')]
    pub(crate) loads: Vec<String>,
    /// Only these measurements
    #[arg(long, value_name = "WHAT,...", value_delimiter = ',')]
    pub(crate) measure: Vec<What>,
    /// Seconds between flushes, and of a cost
    #[arg(long, value_name = "SECONDS", default_value_t = 5,
          value_parser = RangedU64ValueParser::<u64>::new().range(1..))]
    pub(crate) interval: u64,
    /// Costs and rates only, roughly; nothing is kept
    #[arg(long)]
    pub(crate) quick: bool,
    /// The folder of the profiles of servers
    #[arg(long, value_name = "FOLDER", default_value = "bench/peers")]
    pub(crate) peers: PathBuf,
    /// The folder of the record [bench/runs/DATE-MACHINE]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: Option<PathBuf>,
}

impl Options {
    pub(crate) fn measures(&self, what: What) -> bool {
        let usual = matches!(what, What::Cost | What::Highest) || !self.quick;
        if self.measure.is_empty() { usual } else { self.measure.contains(&what) }
    }
}
