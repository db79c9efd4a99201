//! Reads the command line.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use lexopt::prelude::*;

/// What an invocation asks for. `config` is the file named with `-c`. Without it the server looks
/// for a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    Run {
        config: Option<PathBuf>,
    },
    Check {
        config: Option<PathBuf>,
    },
    PrintConfig {
        config: Option<PathBuf>,
    },
    /// Reads standard input, flushes once, and ends.
    Stdin {
        config: Option<PathBuf>,
    },
    Version,
    Help,
    /// Looks up a name. The server starts a child for this, because the call may block.
    Resolve {
        host: String,
        port: u16,
    },
}

pub const VERSION: &str = concat!("statsd ", env!("CARGO_PKG_VERSION"));

pub const USAGE: &str = "\
statsd: receives StatsD metrics over UDP and TCP, and sends what they add up to on to Graphite.

Usage: statsd [-c FILE] [--check | --print-config | --stdin]

  -c, --config FILE  read FILE; else ./statsd.conf, else /etc/statsd.conf, else take the defaults
      --check        report every mistake in the configuration, and exit
      --print-config print the configuration, defaults included, as a statsd.conf, and exit
      --stdin        read lines from standard input, flush once at its end, and exit; without a
                     configuration file, or a destination in it, to standard output
  -V, --version      print the version, and exit
  -h, --help         print this, and exit

Exit status: 0 done, 1 the system refused (a file, a port) or, with --stdin, not all was delivered, 2 the command line or the configuration is wrong.
Every setting is explained in statsd.conf.example.";

/// A command line that is wrong. The exit status is 2.
#[derive(Debug)]
pub struct Mistaken(lexopt::Error);

impl fmt::Display for Mistaken {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}; `statsd --help` lists the options", self.0)
    }
}

/// Reads `args`, which come without the program's name.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Action, Mistaken> {
    read(args.into_iter().collect()).map_err(Mistaken)
}

fn read(args: Vec<OsString>) -> Result<Action, lexopt::Error> {
    if let [first, host, port] = &args[..]
        && first == "--resolve"
    {
        return Ok(Action::Resolve { host: host.clone().string()?, port: port.parse()? });
    }
    let mut parser = lexopt::Parser::from_args(args);
    let mut config = None;
    let mut mode = Mode::Run;
    while let Some(argument) = parser.next()? {
        match argument {
            Short('c') | Long("config") if config.is_none() => {
                config = Some(parser.value()?.into())
            }
            Short('c') | Long("config") => return Err("expected only one --config".into()),
            Long("check") => mode = mode.only(Mode::Check)?,
            Long("stdin") => mode = mode.only(Mode::Stdin)?,
            Long("print-config") => mode = mode.only(Mode::PrintConfig)?,
            Short('V') | Long("version") => return Ok(Action::Version),
            Short('h') | Long("help") => return Ok(Action::Help),
            other => return Err(other.unexpected()),
        }
    }
    Ok(match mode {
        Mode::Run => Action::Run { config },
        Mode::Check => Action::Check { config },
        Mode::PrintConfig => Action::PrintConfig { config },
        Mode::Stdin => Action::Stdin { config },
    })
}

/// The actions of which a command line may ask for one.
#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Run,
    Check,
    PrintConfig,
    Stdin,
}

impl Mode {
    /// Returns the wanted mode. Fails if another one was chosen before.
    fn only(self, wanted: Self) -> Result<Self, &'static str> {
        if self != Self::Run && self != wanted {
            return Err("expected only one of --check, --print-config and --stdin");
        }
        Ok(wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Action, String> {
        parse(line.split_whitespace().map(OsString::from)).map_err(|mistaken| mistaken.to_string())
    }

    #[test]
    fn each_line_asks_for_one_action() {
        let named = || Some(PathBuf::from("a.conf"));
        for (line, action) in [
            ("", Action::Run { config: None }),
            ("-c a.conf", Action::Run { config: named() }),
            ("--config=a.conf", Action::Run { config: named() }),
            ("--check -ca.conf", Action::Check { config: named() }),
            ("--print-config", Action::PrintConfig { config: None }),
            ("--stdin -c a.conf", Action::Stdin { config: named() }),
            ("-V", Action::Version),
            ("--check --help", Action::Help),
            ("--resolve ::1 2003", Action::Resolve { host: "::1".into(), port: 2003 }),
        ] {
            assert_eq!(parsed(line), Ok(action), "{line}");
        }
    }

    #[test]
    fn other_lines_say_why_and_where_help_is() {
        for (line, why) in [
            ("--frobnicate", "invalid option '--frobnicate'"),
            ("-x", "invalid option '-x'"),
            ("a.conf", "unexpected argument \"a.conf\""),
            ("-c", "missing argument"),
            ("-c a -c b", "only one --config"),
            ("--check --print-config", "only one of --check, --print-config and --stdin"),
            ("--check=yes", "unexpected argument"),
            ("--resolve host", "invalid option '--resolve'"),
            ("--check --resolve host 1", "invalid option '--resolve'"),
            ("--resolve host 65536", "65536"),
        ] {
            let message = parsed(line).expect_err(line);
            assert!(message.contains(why), "{line}: {message}");
            assert!(message.ends_with("; `statsd --help` lists the options"), "{message}");
        }
    }

    #[test]
    fn the_usage_names_every_option_but_ours() {
        for option in
            ["-c", "--config", "--check", "--print-config", "--stdin", "-V", "--version", "-h"]
        {
            assert!(USAGE.contains(option), "{option}");
        }
        assert!(!USAGE.contains("resolve"));
    }
}
