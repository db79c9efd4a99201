//! The command line: one table of flags, from which the help text is made, too. Pure.

use std::fmt::Write;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::str::FromStr;
use std::time::Duration;

use crate::compare::{Floor, HELP, Options};
use lexopt::Arg;
use statsd_bench::{Packing, Plan, Stop, Workload};

#[derive(Debug)]
pub(crate) enum Command {
    Help,
    Send(Send),
    Compare(Options),
    Floor(Floor),
}

/// What `statsd-bench send` is to do.
#[derive(Debug)]
pub(crate) struct Send {
    pub(crate) to: String,
    pub(crate) transport: Transport,
    /// Where the server answers `stats`.
    pub(crate) admin: Option<SocketAddr>,
    /// The address that the server sends its flushes to. This program listens there during the run.
    pub(crate) carbon: Option<SocketAddr>,
    pub(crate) workload: Workload,
    rate: Option<NonZeroU64>,
    packing: Option<Packing>,
    stop: Option<Stop>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    Udp,
    Tcp,
    Unix,
    UnixStream,
}

impl Send {
    fn new() -> Self {
        Self {
            to: "127.0.0.1:8125".to_owned(),
            transport: Transport::Udp,
            admin: None,
            carbon: None,
            workload: Workload::default(),
            rate: None,
            packing: None,
            stop: None,
        }
    }

    pub(crate) fn plan(&self) -> Plan {
        let stop = self.stop.unwrap_or(Stop::After(Duration::from_secs(10)));
        Plan { rate: self.rate, stop }
    }
}

struct Flag {
    name: &'static str,
    /// The name of its value; empty for a switch.
    value: &'static str,
    doc: &'static str,
    set: fn(&mut Send, &str) -> Result<(), String>,
}

const FLAGS: [Flag; 16] = [
    Flag {
        name: "to",
        value: "HOST:PORT",
        doc: "where to send [127.0.0.1:8125]",
        set: |send, text| put(&mut send.to, text),
    },
    Flag {
        name: "tcp",
        value: "",
        doc: "over TCP, in writes of 64 KiB [over UDP, in batches]",
        set: |send, _| {
            send.transport = Transport::Tcp;
            Ok(())
        },
    },
    Flag {
        name: "unix",
        value: "PATH",
        doc: "or to this Unix datagram socket",
        set: |send, text| {
            send.transport = Transport::Unix;
            put(&mut send.to, text)
        },
    },
    Flag {
        name: "unix-stream",
        value: "PATH",
        doc: "or to this Unix stream socket",
        set: |send, text| {
            send.transport = Transport::UnixStream;
            put(&mut send.to, text)
        },
    },
    Flag {
        name: "admin",
        value: "ADDR:PORT",
        doc: "ask the server's admin port what it lost",
        set: |send, text| {
            send.admin = Some(address(text)?);
            Ok(())
        },
    },
    Flag {
        name: "carbon",
        value: "ADDR:PORT",
        doc: "be its carbon, and say what of it arrived",
        set: |send, text| {
            send.carbon = Some(address(text)?);
            Ok(())
        },
    },
    Flag {
        name: "names",
        value: "N",
        doc: "distinct names, all types together [1000]",
        set: |send, text| put(&mut send.workload.names, text),
    },
    Flag {
        name: "prefix",
        value: "TEXT",
        doc: "what names begin with [bench.web.api]",
        set: |send, text| put(&mut send.workload.prefix, text),
    },
    Flag {
        name: "mix",
        value: "MIX",
        doc: "percent of lines by type [c=50,ms=30,g=15,s=5]",
        set: |send, text| put(&mut send.workload.mix, text),
    },
    Flag {
        name: "tags",
        value: "",
        doc: "three DogStatsD tags on every line",
        set: |send, _| {
            send.workload.tags = true;
            Ok(())
        },
    },
    Flag {
        name: "packet",
        value: "BYTES",
        doc: "fill packets with whole lines to this size [1432]",
        set: |send, text| once(&mut send.packing, Packing::Bytes(number(text)?), "packing"),
    },
    Flag {
        name: "lines-per-packet",
        value: "N",
        doc: "or put so many lines in each packet",
        set: |send, text| once(&mut send.packing, Packing::Lines(number(text)?), "packing"),
    },
    Flag {
        name: "rate",
        value: "LINES",
        doc: "lines per second, evenly spaced [as fast as it goes]",
        set: |send, text| {
            send.rate = Some(number(text)?);
            Ok(())
        },
    },
    Flag {
        name: "count",
        value: "LINES",
        doc: "stop after exactly so many lines",
        set: |send, text| once(&mut send.stop, Stop::Lines(number(text)?), "end"),
    },
    Flag {
        name: "duration",
        value: "TIME",
        doc: "or after so long, as 500ms, 10s or 2m [10s]",
        set: |send, text| once(&mut send.stop, Stop::After(duration(text)?), "end"),
    },
    Flag {
        name: "seed",
        value: "N",
        doc: "other seeds, other values and order [1]",
        set: |send, text| put(&mut send.workload.seed, text),
    },
];

pub(crate) fn parse(mut parser: lexopt::Parser) -> Result<Command, String> {
    let mut send = None;
    while let Some(arg) = parser.next().map_err(|error| error.to_string())? {
        match (arg, &mut send) {
            (Arg::Short('h') | Arg::Long("help"), _) => return Ok(Command::Help),
            (Arg::Value(word), None) if word == "send" => send = Some(Send::new()),
            (Arg::Value(word), None) if word == "compare" => {
                return Options::parse(&mut parser).map(Command::Compare);
            }
            (Arg::Value(word), None) if word == "floor" => {
                return Floor::parse(&mut parser).map(Command::Floor);
            }
            (Arg::Long(name), Some(send)) => {
                let name = name.to_owned();
                set(send, &name, &mut parser)?;
            }
            (arg, _) => return Err(arg.unexpected().to_string()),
        }
    }
    let Some(mut send) = send else { return Ok(Command::Help) };
    send.workload.packing = send.packing.unwrap_or(send.workload.packing);
    Ok(Command::Send(send))
}

fn set(send: &mut Send, name: &str, parser: &mut lexopt::Parser) -> Result<(), String> {
    let flag = FLAGS.iter().find(|flag| flag.name == name);
    let flag = flag.ok_or_else(|| format!("unknown flag --{name}"))?;
    let value = match flag.value {
        "" => String::new(),
        _ => parser.value().map_err(|error| error.to_string())?.to_string_lossy().into_owned(),
    };
    (flag.set)(send, &value).map_err(|reason| format!("--{name}: {reason}"))
}

pub(crate) fn help() -> String {
    let mut help = String::from(
        "statsd-bench sends StatsD traffic fast, and compares StatsD servers.\n\n\
         Usage: statsd-bench send [FLAG...]\n\n\
         What holds without a flag is in brackets.\n\n",
    );
    for Flag { name, value, doc, .. } in &FLAGS {
        let usage = format!("--{name} {value}");
        writeln!(help, "  {usage:<21} {doc}").expect("writing to a String");
    }
    help.push_str(EXAMPLES);
    help.push_str(HELP);
    help
}

const EXAMPLES: &str = "
The same flags give the same bytes on every machine. Progress goes to stderr
once a second, the summary to stdout. 'sent' is what the kernel took: over UDP
the server may still have lost some of it.

Examples:
  Half counters in full packets, 1,000 names, at a moderate rate:
    statsd-bench send --rate 200000
  One counter a packet, as a simple client sends them:
    statsd-bench send --mix c=100 --lines-per-packet 1 --rate 50000
  100,000 tagged names, two million lines over TCP as fast as they go:
    statsd-bench send --tcp --names 100000 --tags --count 2000000
  And what became of it, asked at both ends of a server (carbon's is 2003):
    statsd-bench send --admin 127.0.0.1:8126 --carbon 127.0.0.1:2003
";

fn put<T: FromStr<Err: ToString>>(field: &mut T, text: &str) -> Result<(), String> {
    *field = text.parse().map_err(|error: T::Err| format!("{text:?}: {}", error.to_string()))?;
    Ok(())
}

/// For the two flags that say one thing in two ways.
fn once<T>(field: &mut Option<T>, value: T, what: &str) -> Result<(), String> {
    match field.replace(value) {
        None => Ok(()),
        Some(_) => Err(format!("the {what} is already given")),
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| format!("{text:?} is no numeric address and port"))
}

fn number<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{text:?} is no number above 0"))
}

fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let millis = match unit {
        "ms" => Some(1),
        "s" => Some(1000),
        "m" => Some(60_000),
        _ => None,
    };
    let total =
        millis.zip(number.parse::<u64>().ok()).and_then(|(a, b): (u64, u64)| a.checked_mul(b));
    match total {
        Some(millis @ 1..) => Ok(Duration::from_millis(millis)),
        _ => Err(format!("{text:?} is no time: want 500ms, 10s or 2m")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command, String> {
        parse(lexopt::Parser::from_args(line.split_whitespace()))
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
        assert_eq!((send.to.as_str(), send.transport), ("127.0.0.1:8125", Transport::Udp));
        assert_eq!(send.workload, Workload::default());
        let stop = Stop::After(Duration::from_secs(10));
        assert_eq!(send.plan(), Plan { rate: None, stop });
    }

    #[test]
    fn every_flag_is_read() {
        let send = send(
            "send --to [::1]:9 --tcp --names 7 --prefix p --mix c=60,ms=40 --tags \
             --lines-per-packet 3 --rate 500 --count 10 --seed 9",
        );
        let workload = Workload {
            names: 7,
            prefix: "p".to_owned(),
            mix: "c=60,ms=40".parse().unwrap(),
            tags: true,
            packing: Packing::Lines(3),
            seed: 9,
        };
        assert_eq!((send.to.as_str(), send.transport), ("[::1]:9", Transport::Tcp));
        assert_eq!(send.workload, workload);
        assert_eq!(send.plan(), Plan::lines(10).at(500));
    }

    #[test]
    fn the_last_transport_holds() {
        for (line, to, transport) in [
            ("send --unix /run/s", "/run/s", Transport::Unix),
            ("send --unix-stream /run/t", "/run/t", Transport::UnixStream),
        ] {
            let send = send(line);
            assert_eq!((send.to.as_str(), send.transport), (to, transport));
        }
        let ends = send("send --admin 127.0.0.1:8126 --carbon [::1]:2003");
        assert_eq!(ends.admin, "127.0.0.1:8126".parse().ok());
        assert_eq!(ends.carbon, "[::1]:2003".parse().ok());
        assert!(parsed("send --admin here").unwrap_err().starts_with("--admin: \"here\""));
    }

    #[test]
    fn times_have_units() {
        for (text, millis) in [("500ms", 500), ("10s", 10_000), ("2m", 120_000)] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)));
        }
        for bad in ["", "10", "s", "0s", "-1s", "1h", "18446744073709551615m"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn mistakes_name_the_flag() {
        let error = |line| parsed(line).unwrap_err();
        assert_eq!(error("send --nmaes 3"), "unknown flag --nmaes");
        assert_eq!(error("send --rate 0"), "--rate: \"0\" is no number above 0");
        assert_eq!(error("send --count 1 --duration 1s"), "--duration: the end is already given");
        assert_eq!(
            error("send --packet 9 --lines-per-packet 1"),
            "--lines-per-packet: the packing is already given"
        );
        assert!(error("send --mix c=1").starts_with("--mix: \"c=1\""));
        assert!(error("--rate 3").contains("--rate"));
        assert!(error("recieve").contains("recieve"));
        assert!(error("send --tcp=yes").contains("tcp"));
    }

    #[test]
    fn help_names_every_flag_and_fits_a_terminal() {
        for line in ["", "-h", "send --help"] {
            assert!(matches!(parsed(line), Ok(Command::Help)), "{line}");
        }
        let help = help();
        assert!(FLAGS.iter().all(|flag| help.contains(&format!("--{} ", flag.name))));
        assert!(help.lines().all(|line| line.len() <= 80));
    }
}
