//! `statsd-bench`: sends StatsD traffic, and compares servers, from the command line.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it talks to the user")]
#![allow(clippy::disallowed_methods, reason = "the bench may block; the server may not")]

mod args;
mod carbon;
mod compare;
mod send;

use std::error::Error;
use std::process::ExitCode;

use clap::Parser as _;
use statsd_bench::floor;

use args::{Arguments, Command};

/// An error is a message for the user.
pub(crate) type Outcome<T = ()> = Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Send(options) => send::run(&options),
        Command::Compare(options) => compare::run(&options),
        Command::Summary { record } => compare::print_summary(&record),
        Command::Floor { udp, tcp, unix } => {
            floor::run(udp, tcp, unix.as_deref()).map_err(Into::into)
        }
    };
    if let Err(error) = done {
        eprintln!("statsd-bench: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
