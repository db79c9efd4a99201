//! Reads the command line.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;
use std::time::Duration;

use lexopt::prelude::*;

use crate::nearest::nearest;

/// The action that a command line selects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    Run {
        config: ConfigSource,
    },
    Check {
        config: ConfigSource,
        /// Whether a warning counts as a mistake.
        strict: bool,
    },
    PrintConfig {
        config: ConfigSource,
    },
    /// Prints the example configuration. Reads no file.
    PrintExample,
    /// Reads standard input, flushes once, and ends.
    Stdin {
        config: ConfigSource,
    },
    /// Reads standard input, prints what `Stdin` would send, and ends.
    DryRun {
        config: ConfigSource,
    },
    /// Asks the running server.
    Ask {
        config: ConfigSource,
        /// The command without its newline. `help` if the command line has none.
        command: Vec<u8>,
        /// The time between two answers, if it is asked again and again.
        every: Option<Duration>,
    },
    /// Compares the points of two servers.
    Compare {
        /// A file or a port of each, the old one first.
        inputs: [String; 2],
        /// The flush interval of both servers.
        interval: Duration,
    },
    /// Prints a configuration made from that of another server.
    Import {
        file: PathBuf,
    },
    Version,
    /// Prints the options.
    Usage,
    /// Prints the options, and everything else.
    Help,
    /// Looks up a name. The server starts a child for this, because the call may block.
    Resolve {
        host: String,
        port: u16,
    },
}

/// Where the configuration comes from, as far as the command line gives it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigSource {
    /// The file after `-c`. If it is `None`, the server searches the usual places for a file.
    pub path: Option<PathBuf>,
    /// The values of `-o`, in their order.
    pub options: Vec<String>,
}

pub const VERSION: &str = concat!("statsd ", env!("CARGO_PKG_VERSION"));

/// What `-h` prints, and the beginning of what `--help` prints.
pub const USAGE: &str = "\
statsd is a StatsD server. It receives metrics over UDP, TCP and unix sockets, adds them up, and
sends the results to Graphite, InfluxDB, Ganglia or a command.

Usage: statsd [-c FILE] [-o SECTION.KEY=VALUE]...
              [--check [--strict] | --print-config | --stdin | --dry-run]
       statsd [-c FILE] --ask COMMAND [--every TIME]
       statsd --import FILE | --compare OLD NEW [--every TIME]

  -c, --config FILE           read FILE; else ./statsd.conf, else /etc/statsd.conf, else take the
                              defaults
  -o SECTION.KEY=VALUE        set a key, whatever the file says: -o carbon.address=graphite:2003
      --check                 report mistakes in the configuration and problems of a start, and
                              exit; --strict: a warning is a mistake, too
      --print-config          print the configuration that would be in force and where each value
                              comes from, and exit
      --print-config=example  print a statsd.conf that explains every key, and exit
      --stdin                 read lines from standard input, flush once at its end, and exit
      --dry-run               the same, but print what each destination would get, and send nothing
      --ask COMMAND           ask the running server: a command of its admin port, such as stats;
                              --every 1s: again and again
      --import FILE           print a statsd.conf made from the configuration of another server
      --compare OLD NEW       compare the points that two servers send, each to a port or a file
  -V, --version               print the version, and exit
  -h                          print this, and exit
      --help                  also explain signals, commands, environment and files, and exit";

/// What `--help` prints between [`USAGE`] and the commands of the admin port.
pub const HELP: &str = "\
Examples:
  statsd                                      start the server
  statsd --check -c new.conf                  test a configuration, also while a server runs
  statsd --print-config=example > statsd.conf begin a configuration of your own
  echo 'foo:1|c' | nc -u -w1 127.0.0.1 8125   send a counter
  statsd --import exampleConfig.js > statsd.conf
                                              move from Node StatsD, statsite, statsdpy, brubeck,
                                              telegraf, gostatsd or statsd_exporter
  statsd --compare 2013 2023                  compare what two servers send to these ports, until
                                              Ctrl-C; docs/migrating.md has the steps
  statsd --ask counters                       show the open interval of the running server
  statsd --ask explain 'foo:1|c|@0.5'         show what a line would do
  statsd --ask watch 'foo.*' bad              show bad lines as they arrive, until Ctrl-C
  statsd --ask senders foo.bar for 10s        show who sends a name, and which sender differs
  printf 'backup.runs:1|c\\nbackup.took:5320|ms\\n' | statsd --stdin -c /etc/statsd.conf
                                              send metrics from a script, without a server
  echo 'shop.orders:1|c' | statsd --dry-run -c new.conf
                                              show the names that a line would be sent under

With --stdin the flush goes to the destinations of the configuration, or to standard output if
there is none or no configuration file. No port, state file or spool is used, so that it can run
beside a server with the same configuration. --dry-run opens no connection either, and starts no
command: it prints each destination's points below a line with its section and its address.

Signals:
  SIGTERM, SIGINT  stop: send the open interval, or save it to [statsd] state_file, wait up to
                   shutdown_timeout for the destinations, then exit. Another SIGINT, a second or
                   more after the first, ends the wait.
  SIGHUP           read the configuration again. All of it applies between two flushes, or nothing
                   changes and the log shows why.

Environment:
  STATSD_SECTION_KEY
                   sets a key, as -o does: STATSD_CARBON_ADDRESS=graphite:2003. It replaces the key
                   in the file, and -o replaces it. Variables such as STATSD_HOST are ignored.
  STATE_DIRECTORY  systemd sets this. An empty [statsd] state_file is the file state in it.
  RUST_LOG         the log level: error, warn, info, debug or trace. Overrides [statsd] log_level.
  LISTEN_FDS, LISTEN_FDNAMES, NOTIFY_SOCKET, WATCHDOG_USEC
                   systemd sets these. The server uses the sockets that are passed in, and reports
                   that it is ready. A passed stream socket named admin is the admin port.

Files:
  ./statsd.conf, /etc/statsd.conf  the configuration, unless -c names one; the first one found
  [statsd] state_file              the open interval and the gauges, over a restart. Beside it the
                                   server keeps FILE.new, FILE.old, FILE.damaged and FILE.lock.
  [spool] dir                      points that wait on disk, a folder for each destination
  [unix] datagram, stream          sockets for clients on this machine, with PATH.lock beside them
  [key_flush] log                  the most frequent names
  standard error                   the log

Exit status:
  0  the server was stopped, or what was asked for was done
  1  the system refused something, such as a port or a file. With --check: it would refuse it to a
     start. With --stdin: not all was delivered. With --stdin and --dry-run: no line was valid. If
     only some lines are bad, the status is 0, and the log shows how many.
     With --ask health: the server answers that its health is down.
     With --compare: points differ, or no flush has points of both sides, or one side has none of
     the last three flushes.
  2  the command line or the configuration has a mistake, or --import does not understand the file.
     With --check --strict: or a warning. With --compare: or the points could not be compared.
     With --ask: or the server does not know the command.
  3  with --ask: no server answers, or the answer is not complete

Admin port, 127.0.0.1:8126 by default. A line is a command; `help COMMAND` explains one in full:";

/// A command line that is wrong. The exit status is 2.
#[derive(Debug)]
pub struct ArgsError {
    error: lexopt::Error,
    /// What was probably meant. Empty if that is unknown.
    hint: String,
}

impl fmt::Display for ArgsError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { error, hint } = self;
        let hint = if hint.is_empty() { ";".into() } else { format!("; {hint}") };
        write!(out, "{}{hint} `statsd --help` lists the options", message(error))
    }
}

/// Returns the text of an error. The texts of `lexopt` are not used, because they put some
/// arguments in quotes without escaping them.
fn message(error: &lexopt::Error) -> String {
    use lexopt::Error::{
        Custom, MissingValue, NonUnicodeValue, ParsingFailed, UnexpectedArgument, UnexpectedOption,
        UnexpectedValue,
    };
    match error {
        MissingValue { option: None } => "missing argument".into(),
        MissingValue { option: Some(option) } => {
            format!("missing argument for option {}", quoted(option))
        }
        UnexpectedOption(option) => format!("invalid option {}", quoted(option)),
        UnexpectedArgument(word) => format!("unexpected argument {}", quoted(word)),
        UnexpectedValue { option, value } => {
            format!("unexpected argument for option {}: {}", quoted(option), quoted(value))
        }
        NonUnicodeValue(value) => format!("expected an argument in UTF-8, not {}", quoted(value)),
        ParsingFailed { value, error } => {
            format!("cannot parse argument {}: {error}", quoted(value))
        }
        Custom(error) => error.to_string(),
    }
}

/// Returns an argument in double quotes. Quotes, control characters and bytes that are not UTF-8
/// are escaped, so the text stays one line.
fn quoted(argument: impl AsRef<OsStr>) -> String {
    format!("{:?}", argument.as_ref())
}

/// Reads `args`, which come without the program's name.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Action, ArgsError> {
    let args: Vec<_> = args.into_iter().collect();
    if let Some(error) = args.iter().find_map(with_one_dash) {
        let hint = hint(&error);
        return Err(ArgsError { error, hint });
    }
    read(args).map_err(|error| {
        let hint = hint(&error);
        ArgsError { error, hint }
    })
}

/// Returns the error for a long option with one dash, such as `-check`. Read by the letter,
/// `-check` is `-c` with the file `heck`.
fn with_one_dash(argument: &OsString) -> Option<lexopt::Error> {
    let name = argument.to_str()?.strip_prefix('-')?;
    let is_long = long_options().any(|option| option.strip_prefix("--") == Some(name));
    is_long.then(|| lexopt::Error::UnexpectedOption(format!("-{name}")))
}

/// Returns the long options. They are read from the usage, so no second list can differ from it.
fn long_options() -> impl Iterator<Item = &'static str> {
    let is_part = |letter: char| letter == '-' || letter.is_ascii_lowercase();
    USAGE.split(move |letter| !is_part(letter)).filter(|word| word.starts_with("--"))
}

/// What other programs call an option, and what to use here.
const FOREIGN_OPTIONS: [(&[&str], &str); 8] = [
    (&["--convert", "--migrate"], "use --import FILE."),
    (&["-f", "--file", "--config-file", "--conf", "--conf-file"], "use -c FILE."),
    (&["-t", "--test", "--configtest", "--validate", "--check-config"], "use --check."),
    (&["-v"], "use -V for the version."),
    (&["--set"], "use -o SECTION.KEY=VALUE."),
    (&["-d", "--daemon", "--daemonize", "-D"], "run it under systemd, or with & in the shell."),
    (&["--example", "--print-example", "--sample-config"], "use --print-config=example."),
    (&["--debug", "--verbose", "--log-level"], "set RUST_LOG=debug, or [statsd] log_level."),
];

/// Returns what was probably meant by a command line, as sentences. Returns nothing if that is
/// unknown.
fn hint(error: &lexopt::Error) -> String {
    match error {
        lexopt::Error::UnexpectedOption(option) => {
            let known = FOREIGN_OPTIONS.iter().find(|(names, _)| names.contains(&option.as_str()));
            let near = || nearest(option, long_options());
            let near = || near().map(|near| format!("did you mean {near}?"));
            known.map(|(_, hint)| (*hint).into()).or_else(near).unwrap_or_default()
        }
        lexopt::Error::UnexpectedArgument(word) if word == "example" => {
            "did you mean --print-config=example?".into()
        }
        lexopt::Error::UnexpectedArgument(word) => match word.to_str() {
            Some("check" | "stdin" | "version" | "help") => {
                format!("did you mean --{}?", word.display())
            }
            Some("") => String::new(),
            Some("import") => "did you mean --import FILE?".into(),
            // Node StatsD is started with the name of its configuration.
            _ => format!("to read a configuration, use -c {}.", quoted(word)),
        },
        lexopt::Error::UnexpectedValue { option, value } if option == "--check" => {
            format!("use --check -c {}.", quoted(value))
        }
        _ => String::new(),
    }
}

/// Reads the arguments. `--resolve HOST PORT` is not for users: the server starts itself with it to
/// look a name up in a child process.
fn read(args: Vec<OsString>) -> Result<Action, lexopt::Error> {
    if let [first, host, port] = &args[..]
        && first == "--resolve"
    {
        return Ok(Action::Resolve { host: host.clone().string()?, port: port.parse()? });
    }
    let mut parser = lexopt::Parser::from_args(args);
    let mut config = ConfigSource::default();
    let mut strict = false;
    let mut mode = Mode::Run;
    let mut every = None;
    let mut import: Option<PathBuf> = None;
    let mut words: Vec<OsString> = Vec::new();
    while let Some(argument) = parser.next()? {
        match argument {
            Short('c') | Long("config") if config.path.is_none() => {
                config.path = Some(parser.value()?.into())
            }
            Short('o') => config.options.push(parser.value()?.string()?),
            Short('c') | Long("config") => return Err("expected only one --config".into()),
            Long("check") => mode = mode.only(Mode::Check)?,
            Long("strict") => strict = true,
            // `--dry-run` implies `--stdin`. Both together, in any order, are a dry run.
            Long("stdin") if mode == Mode::DryRun => {}
            Long("dry-run") if mode == Mode::Stdin => mode = Mode::DryRun,
            Long("stdin") => mode = mode.only(Mode::Stdin)?,
            Long("dry-run") => mode = mode.only(Mode::DryRun)?,
            Long("print-config") => mode = mode.only(printed(parser.optional_value())?)?,
            Long("ask") => {
                mode = mode.only(Mode::Ask)?;
                words.extend(parser.optional_value());
            }
            Long("import") => {
                mode = mode.only(Mode::Import)?;
                import = Some(parser.value()?.into());
            }
            Long("compare") => {
                mode = mode.only(Mode::Compare)?;
                words.extend(parser.optional_value());
            }
            Long("every") => every = Some(span(&parser.value()?.string()?)?),
            // The words of a command. Those before --ask are refused below.
            Value(word) if matches!(mode, Mode::Ask | Mode::Compare) => words.push(word),
            Short('V') | Long("version") => return Ok(Action::Version),
            Short('h') => return Ok(Action::Usage),
            Long("help") => return Ok(Action::Help),
            other => return Err(other.unexpected()),
        }
    }
    let chosen = Chosen { mode, config, strict, every, import, words };
    chosen.action()
}

/// The options of a command line.
struct Chosen {
    mode: Mode,
    config: ConfigSource,
    strict: bool,
    every: Option<Duration>,
    /// The file of `--import`.
    import: Option<PathBuf>,
    /// The words of `--ask` or `--compare`.
    words: Vec<OsString>,
}

impl Chosen {
    /// Returns the action of these options. Fails if they do not belong together.
    fn action(self) -> Result<Action, lexopt::Error> {
        let Self { mode, config, strict, every, import, words } = self;
        if strict && mode != Mode::Check {
            return Err("expected --strict only with --check".into());
        }
        if let Some(file) = import {
            if config != ConfigSource::default() {
                return Err("expected neither -c nor -o with --import".into());
            }
            return Ok(Action::Import { file });
        }
        if mode == Mode::Compare {
            return compared(words, every, &config);
        }
        if every.is_some() && mode != Mode::Ask {
            return Err("expected --every only with --ask and --compare".into());
        }
        Ok(match mode {
            Mode::Ask => {
                let command = command(words)?;
                if every.is_some() && command.split(|byte| *byte == b' ').next() == Some(b"watch") {
                    return Err("expected no --every with watch, which goes on by itself".into());
                }
                Action::Ask { config, command, every }
            }
            Mode::Run => Action::Run { config },
            Mode::Check => Action::Check { config, strict },
            Mode::PrintConfig => Action::PrintConfig { config },
            Mode::PrintExample => Action::PrintExample,
            Mode::Import | Mode::Compare => return Err("expected a file".into()), // handled above
            Mode::Stdin => Action::Stdin { config },
            Mode::DryRun => Action::DryRun { config },
        })
    }
}

/// Returns the action of `--compare`.
fn compared(
    words: Vec<OsString>,
    every: Option<Duration>,
    config: &ConfigSource,
) -> Result<Action, lexopt::Error> {
    if *config != ConfigSource::default() {
        return Err("expected neither -c nor -o with --compare".into());
    }
    let interval = every.unwrap_or(Duration::from_secs(10));
    if interval.as_secs() == 0 || interval.subsec_nanos() != 0 {
        return Err("expected a flush interval of whole seconds after --every".into());
    }
    let words: Result<Vec<String>, _> = words.into_iter().map(|word| word.string()).collect();
    let inputs = words?.try_into();
    let inputs = inputs.map_err(|_| "expected --compare OLD NEW: two files or two ports")?;
    Ok(Action::Compare { inputs, interval })
}

/// Returns the command of `--ask`. Its words may be one argument or several.
fn command(words: Vec<OsString>) -> Result<Vec<u8>, &'static str> {
    let words: Vec<Vec<u8>> = words.into_iter().map(OsString::into_vec).collect();
    let command = words.join(&b' ');
    if command.contains(&b'\n') {
        return Err("expected one command, without a newline");
    }
    Ok(if command.trim_ascii().is_empty() { b"help".into() } else { command })
}

/// Reads the time of `--every`.
fn span(text: &str) -> Result<Duration, &'static str> {
    let span = humantime::parse_duration(text).ok();
    let is_allowed = |span: &Duration| (100..=86_400_000).contains(&span.as_millis());
    span.filter(is_allowed).ok_or("expected a time such as 1s after --every, from 100ms to 1d")
}

/// The actions that exclude each other. A command line may select one of them.
#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Run,
    Check,
    PrintConfig,
    PrintExample,
    Stdin,
    DryRun,
    Ask,
    Import,
    Compare,
}

/// Returns what `--print-config` with this value prints.
fn printed(value: Option<OsString>) -> Result<Mode, &'static str> {
    match value {
        None => Ok(Mode::PrintConfig),
        Some(word) if word == "example" => Ok(Mode::PrintExample),
        Some(_) => Err("expected --print-config or --print-config=example"),
    }
}

impl Mode {
    /// Returns the wanted mode. Fails if another one was chosen before.
    fn only(self, wanted: Self) -> Result<Self, &'static str> {
        if self != Self::Run && self != wanted {
            return Err(
                "expected only one of --check, --print-config, --stdin, --dry-run, --ask, \
                 --import and --compare",
            );
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
        let named = || ConfigSource { path: Some("a.conf".into()), options: vec![] };
        let none = ConfigSource::default;
        let set = |options: &[&str]| ConfigSource {
            path: None,
            options: options.iter().map(|&option| option.into()).collect(),
        };
        let ask = |command: &str, every: Option<u64>| Action::Ask {
            config: none(),
            command: command.into(),
            every: every.map(Duration::from_secs),
        };
        for (line, action) in [
            ("", Action::Run { config: none() }),
            ("-c a.conf", Action::Run { config: named() }),
            ("-o carbon.address=a", Action::Run { config: set(&["carbon.address=a"]) }),
            ("-oa.b=c -o d.e=f", Action::Run { config: set(&["a.b=c", "d.e=f"]) }),
            ("--config=a.conf", Action::Run { config: named() }),
            ("--check -ca.conf", Action::Check { config: named(), strict: false }),
            ("--strict --check", Action::Check { config: none(), strict: true }),
            ("--print-config", Action::PrintConfig { config: none() }),
            ("--stdin -c a.conf", Action::Stdin { config: named() }),
            ("--dry-run", Action::DryRun { config: none() }),
            ("--stdin --dry-run -c a.conf", Action::DryRun { config: named() }),
            ("-c a.conf --dry-run --stdin", Action::DryRun { config: named() }),
            ("--print-config=example", Action::PrintExample),
            ("--print-config=example -c a.conf", Action::PrintExample),
            ("--ask", ask("help", None)),
            ("--ask=stats", ask("stats", None)),
            ("--ask top senders 5", ask("top senders 5", None)),
            ("--ask top --every 1s", ask("top", Some(1))),
            ("--every 1s --ask -- -x", ask("-x", Some(1))),
            ("--import a.js", Action::Import { file: "a.js".into() }),
            ("--import=a.js", Action::Import { file: "a.js".into() }),
            (
                "--compare 2013 new.txt --every 20s",
                Action::Compare {
                    inputs: ["2013".into(), "new.txt".into()],
                    interval: Duration::from_secs(20),
                },
            ),
            ("-V", Action::Version),
            ("-h", Action::Usage),
            ("--check --help", Action::Help),
            ("--resolve ::1 2003", Action::Resolve { host: "::1".into(), port: 2003 }),
        ] {
            assert_eq!(parsed(line), Ok(action), "{line}");
        }
    }

    #[test]
    fn other_lines_say_why_and_where_help_is() {
        for (line, why) in [
            ("--frobnicate", "invalid option \"--frobnicate\""),
            ("-x", "invalid option \"-x\""),
            ("a.conf", "unexpected argument \"a.conf\""),
            ("-c", "missing argument"),
            ("-c a -c b", "only one --config"),
            (
                "--check --print-config",
                "only one of --check, --print-config, --stdin, --dry-run, --ask, --import and \
                 --compare",
            ),
            ("--check --dry-run", "only one of --check"),
            ("--dry-run --print-config", "only one of --check"),
            ("--stdin --check --dry-run", "only one of --check"),
            ("--dry-run=yes", "unexpected argument"),
            ("--print-config example", "unexpected argument \"example\""),
            ("--print-config=exmaple", "expected --print-config or --print-config=example"),
            ("--print-config --print-config=example", "only one of --check, --print-config"),
            ("--check=yes", "unexpected argument"),
            ("--strict", "--strict only with --check"),
            ("--strict --stdin", "--strict only with --check"),
            ("--import", "missing argument"),
            ("--import a -c b", "neither -c nor -o with --import"),
            ("--import a --check", "only one of --check"),
            ("--import a b", "unexpected argument \"b\""),
            ("--compare", "two files or two ports"),
            ("--compare a", "two files or two ports"),
            ("--compare a b c", "two files or two ports"),
            ("--compare a b -c d", "neither -c nor -o with --compare"),
            ("--compare a b --every 100ms", "whole seconds"),
            ("--compare a b --check", "only one of --check"),
            ("--resolve host", "invalid option \"--resolve\""),
            ("--check --resolve host 1", "invalid option \"--resolve\""),
            ("--resolve host 65536", "65536"),
        ] {
            let message = parsed(line).expect_err(line);
            assert!(message.contains(why), "{line}: {message}");
            assert!(message.ends_with(" `statsd --help` lists the options"), "{message}");
        }
    }

    #[test]
    fn a_wrong_option_is_answered_with_the_right_one() {
        for (line, hint) in [
            ("--chek", "; did you mean --check?"),
            ("--Check", "; did you mean --check?"),
            ("-check", "; did you mean --check?"),
            ("-config a.conf", "; did you mean --config?"),
            ("-version", "; did you mean --version?"),
            ("--print_config", "; did you mean --print-config?"),
            ("--print-conifg=example", "; did you mean --print-config?"),
            ("--print-config=exmaple", "expected --print-config or --print-config=example;"),
            ("--print-config example", "; did you mean --print-config=example?"),
            ("--sdtin", "; did you mean --stdin?"),
            ("--versoin", "; did you mean --version?"),
            ("--hlep", "; did you mean --help?"),
            ("--conf a.conf", "; use -c FILE."),
            ("-f a.conf", "; use -c FILE."),
            ("-t", "; use --check."),
            ("-v", "; use -V for the version."),
            ("exampleConfig.js", "; to read a configuration, use -c \"exampleConfig.js\"."),
            ("--check new.conf", "; to read a configuration, use -c \"new.conf\"."),
            ("--check=new.conf", "; use --check -c \"new.conf\"."),
            ("check", "; did you mean --check?"),
            ("--frobnicate", "invalid option \"--frobnicate\";"),
        ] {
            let message = parsed(line).expect_err(line);
            let expected = format!("{hint} `statsd --help` lists the options");
            assert!(message.ends_with(&expected), "{line}: {message}");
        }
    }

    #[test]
    fn odd_arguments_are_quoted_and_escaped() {
        use std::os::unix::ffi::OsStrExt as _;
        let cases: [(&[u8], &str); 10] = [
            (b"--a'b", r#"invalid option "--a'b";"#),
            (b"--a\"b", r#"invalid option "--a\"b";"#),
            (b"--a\nb=1", r#"invalid option "--a\nb";"#),
            (b"-'", r#"invalid option "-'";"#),
            (b"a b'c", r#"unexpected argument "a b'c"; to read a configuration, use -c "a b'c"."#),
            (
                b"a\x1b[m",
                r#"unexpected argument "a\u{1b}[m"; to read a configuration, use -c "a\u{1b}[m"."#,
            ),
            (b"a\xff", r#"unexpected argument "a\xFF"; to read a configuration, use -c "a\xFF"."#),
            (b"", r#"unexpected argument ""; `statsd"#),
            (b"--check=a\nb", r#"for option "--check": "a\nb"; use --check -c "a\nb"."#),
            (b"-c", r#"missing argument for option "-c";"#),
        ];
        for (argument, expected) in cases {
            let argument = OsStr::from_bytes(argument).to_owned();
            let message = parse([argument]).expect_err(expected).to_string();
            assert!(message.contains(expected), "{expected}: {message}");
        }
        let host = ["--resolve".into(), OsStr::from_bytes(b"\xff").to_owned(), "1".into()];
        let message = parse(host).unwrap_err().to_string();
        assert!(message.starts_with(r#"expected an argument in UTF-8, not "\xFF";"#), "{message}");
    }

    #[test]
    fn the_long_options_are_those_of_the_usage() {
        let options: Vec<_> = long_options().collect();
        for option in ["--config", "--check", "--print-config", "--stdin", "--version", "--help"] {
            assert!(options.contains(&option), "{options:?}");
        }
    }

    #[test]
    fn the_usage_is_short_and_names_every_option_but_ours() {
        for option in [
            "-c",
            "--config",
            "-o",
            "--check",
            "--strict",
            "--print-config",
            "=example",
            "--stdin",
            "--dry-run",
            "-V",
            "-h",
        ] {
            assert!(USAGE.contains(option), "{option}");
        }
        assert!(USAGE.contains("--version") && USAGE.contains("--help"));
        assert!(USAGE.lines().count() <= 25);
        assert!(![USAGE, HELP].iter().any(|text| text.contains("resolve")));
    }

    #[test]
    fn the_help_explains_the_rest_and_fits_a_terminal() {
        for heading in ["Examples:", "Signals:", "Environment:", "Files:", "Exit status:", "Admin"]
        {
            assert!(HELP.lines().any(|line| line.starts_with(heading)), "{heading}");
        }
        for line in USAGE.lines().chain(HELP.lines()) {
            assert!(line.len() <= 100 && line.trim_end() == line, "{line}");
        }
    }
}
