//! The program: reads its arguments and its configuration, then hands over to the server.

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use statsd::admin;
use statsd::args::{self, Action, ConfigSource};
use statsd::ask::{self, AnswerStatus, AskError};
use statsd::compare::{self, CompareError};
use statsd::config::{self, Config, LoadError, Overrides};
use statsd::import;
use statsd::server::{self, FindingKind, Server, ServerError, StdinOutcome};
use statsd::{logging, privileges, sink};

fn main() -> ExitCode {
    let action = match args::parse(std::env::args_os().skip(1)) {
        Ok(action) => action,
        Err(error) => return fail(2, &error),
    };
    match action {
        Action::Usage => print(args::USAGE),
        Action::Help => {
            print(&format!("{}\n\n{}\n{}", args::USAGE, args::HELP, admin::summaries().trim_end()))
        }
        Action::Version => print(args::VERSION),
        Action::Resolve { host, port } => sink::look_up::run_child(&host, port),
        Action::Check { config, strict } => {
            with_config(config, config::load, |config, origin| check(&config, &origin, strict))
        }
        Action::PrintConfig { config } => {
            with_config(config, config::load_without_secrets, |config, origin| {
                print(config::render_with_places(&config, &origin).trim_end())
            })
        }
        Action::Stdin { config } => with_config(config, config::load, flush_stdin),
        Action::DryRun { config } => with_config(config, config::load_without_secrets, dry_run),
        Action::Ask { config, command, every } => {
            with_config(config, config::load_to_ask, |config, origin| {
                for mistake in origin.mistakes() {
                    report(&format!("a start would fail: {mistake}"));
                }
                ask(&config, &origin, &command, every)
            })
        }
        Action::Import { file } => import(&file),
        Action::Compare { inputs: [old, new], interval } => compare([&old, &new], interval),
        Action::PrintExample => print(config::example().trim_end()),
        Action::Run { config } => with_config(config, config::load, run),
    }
}

/// Loads a configuration from a file, or from where it is looked for, and from overrides.
type LoadConfig = fn(Option<&Path>, Overrides) -> Result<(Config, config::Origin), LoadError>;

/// Loads the configuration by `load` and passes it to `then`. Reports its mistakes.
fn with_config(
    source: ConfigSource,
    load: LoadConfig,
    then: impl FnOnce(Config, config::Origin) -> ExitCode,
) -> ExitCode {
    let overrides = match Overrides::new(std::env::vars_os(), &source.options) {
        Ok(overrides) => overrides,
        Err(error) => return fail(2, &error),
    };
    match load(source.path.as_deref(), overrides) {
        Ok((config, origin)) => then(config, origin),
        Err(failure) => fail(failure.exit_code(), &failure),
    }
}

/// Prints a configuration made from that of another server.
fn import(file: &Path) -> ExitCode {
    match import::load(file).and_then(|text| import::import(file, &text)) {
        Ok(text) => print(text.trim_end()),
        Err(error) => fail(error.exit_code(), &error.message(file)),
    }
}

/// Compares the points of two servers.
fn compare(inputs: [&str; 2], interval: Duration) -> ExitCode {
    let mut stdout = std::io::stdout().lock();
    match compare::compare(inputs, interval, &mut stdout, &mut std::io::stderr()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        // 1 would mean that points differ.
        Err(CompareError::Output(error)) => {
            cannot_print(&error);
            ExitCode::from(2)
        }
        Err(error) => fail(2, &error),
    }
}

/// Reports the warnings about a configuration, and the problems that a start with it would have.
fn check(config: &Config, origin: &config::Origin, strict: bool) -> ExitCode {
    privileges::keep_new_files_private();
    let findings = server::check_start(config, origin);
    let lines: Vec<_> = findings.iter().map(ToString::to_string).collect();
    report(&lines.join("\n"));
    let count = |kind| findings.iter().filter(|finding| finding.kind == kind).count();
    let warnings = count(FindingKind::Warning);
    if count(FindingKind::Error) > 0 {
        return ExitCode::from(1);
    }
    match warnings {
        0 => print(&format!("{origin}: ok")),
        _ if strict => fail(2, &format!("{origin}: --strict takes a warning for a mistake")),
        1 => print(&format!("{origin}: ok, with a warning")),
        _ => print(&format!("{origin}: ok, with {warnings} warnings")),
    }
}

/// Runs the server until a signal stops it.
fn run(config: Config, origin: config::Origin) -> ExitCode {
    logging::init(config.log_level, config.log_format);
    privileges::keep_new_files_private();
    let server = match Server::start(config, origin) {
        Ok(server) => server,
        Err(error) => return fail(1, &error),
    };
    server.log_start();
    log_ignored_variables();
    server.log_config_warnings();
    logging::write_line(&server.ready_line());
    match server.run() {
        Ok(()) => {
            logging::finish();
            ExitCode::SUCCESS
        }
        Err(error) => fail(1, &format!("the event loop failed: {error}")),
    }
}

/// Logs each variable that would be a setting if it had the name of a section. Clients have such
/// variables, too, so this is no warning.
fn log_ignored_variables() {
    for (variable, _) in std::env::vars_os() {
        let Some((name, key)) =
            variable.to_str().and_then(|name| Some((name, config::key_without_section(name)?)))
        else {
            continue;
        };
        log::info!(
            variable = name,
            hint = format!("set STATSD_STATSD_{} for [statsd] {key}", key.to_ascii_uppercase());
            "a variable without a section is ignored"
        );
    }
}

/// Runs `--stdin`. Its log shows only warnings and errors, since its output is for scripts.
fn flush_stdin(config: Config, origin: config::Origin) -> ExitCode {
    logging::init(config.log_level.min(log::LevelFilter::Warn), config.log_format);
    exit_code(server::flush_stdin(config, &origin, &mut std::io::stdin().lock()))
}

/// Runs `--dry-run`.
fn dry_run(config: Config, origin: config::Origin) -> ExitCode {
    logging::init(config.log_level.min(log::LevelFilter::Warn), config.log_format);
    let mut stdout = std::io::stdout().lock();
    exit_code(server::dry_run(config, &origin, &mut std::io::stdin().lock(), &mut stdout))
}

/// Asks the running server, once or again and again.
fn ask(
    config: &Config,
    origin: &config::Origin,
    command: &[u8],
    every: Option<Duration>,
) -> ExitCode {
    let mut stdout = std::io::stdout().lock();
    let result = match every {
        None => ask::ask(config, origin, command, &mut stdout),
        Some(every) => {
            let clears = stdout.is_terminal();
            ask::ask_every(config, origin, command, every, clears, &mut stdout)
                .map(|()| AnswerStatus::Good)
        }
    };
    match result {
        Ok(AnswerStatus::Good) => ExitCode::SUCCESS,
        Ok(AnswerStatus::Down) => ExitCode::FAILURE,
        Ok(AnswerStatus::Error) => {
            fail(2, &"the server refused the command; `statsd --ask help` lists the commands")
        }
        Err(AskError::Output(error)) => cannot_print(&error),
        Err(error) => fail(3, &error),
    }
}

/// Returns the exit code of a run over standard input.
fn exit_code(result: Result<StdinOutcome, ServerError>) -> ExitCode {
    match result {
        Ok(outcome) => {
            logging::finish();
            match outcome {
                StdinOutcome::Complete => ExitCode::SUCCESS,
                StdinOutcome::Incomplete => ExitCode::FAILURE,
            }
        }
        Err(ServerError::Print(error)) => cannot_print(&error),
        Err(error) => fail(1, &error),
    }
}

fn print(text: &str) -> ExitCode {
    match writeln!(std::io::stdout(), "{text}") {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => cannot_print(&error),
    }
}

/// Reports that standard output does not accept a text. A reader that has closed it, as `head`
/// does, needs no message.
fn cannot_print(error: &std::io::Error) -> ExitCode {
    if error.kind() == std::io::ErrorKind::BrokenPipe {
        return ExitCode::FAILURE;
    }
    fail(1, &format!("cannot write to standard output: {error}"))
}

/// Reports why the process ends with this exit code.
fn fail(code: u8, what: &dyn std::fmt::Display) -> ExitCode {
    report(&what.to_string());
    ExitCode::from(code)
}

/// Writes lines to standard error, each after the name of the program.
fn report(text: &str) {
    let lines: Vec<_> = text.lines().map(|line| format!("statsd: {line}")).collect();
    logging::write_before_exit(&lines.join("\n"));
}
