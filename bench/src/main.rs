//! `statsd-bench`: sends StatsD traffic, and compares servers, from the command line.

mod account;
mod args;
mod carbon;
mod compare;
mod report;

use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

use account::Account;
use args::{Command, Floor, Send};
use statsd_bench::{Sender, Sent, Traffic, floor};

fn main() -> ExitCode {
    let done = match args::Arguments::parse().command {
        None => {
            report::out(&args::Arguments::command().render_help().to_string());
            Ok(())
        }
        Some(Command::Send(send)) => run(&send),
        Some(Command::Compare(options)) => compare::run(&options),
        Some(Command::Floor(Floor { udp, tcp, unix, nap })) => {
            let nap = std::time::Duration::from_micros(nap);
            floor::run(udp, tcp, unix.as_deref(), nap).map_err(|error| error.to_string())
        }
    };
    done.map_or_else(
        |message| {
            report::err(&format!("statsd-bench: {message}\n"));
            ExitCode::FAILURE
        },
        |()| ExitCode::SUCCESS,
    )
}

fn run(send: &Send) -> Result<(), String> {
    let traffic = Traffic::build(&send.workload()).map_err(|error| error.to_string())?;
    let mut port = None;
    let sender = match (&send.unix, &send.unix_stream) {
        (Some(path), _) => Sender::unix(Path::new(path)),
        (_, Some(path)) => Sender::unix_stream(Path::new(path)),
        _ => resolve(&send.to).and_then(|address| {
            port = Some(address.port()).filter(|_| address.ip().is_loopback() && !send.tcp);
            if send.tcp { Sender::tcp(address) } else { Sender::udp(address) }
        }),
    };
    let to = send.unix.as_ref().or(send.unix_stream.as_ref()).unwrap_or(&send.to);
    let mut sender = sender.map_err(|error| format!("{to}: {error}"))?;
    let account = Account::open(send, port)?;
    let mut before = Sent::default();
    let sent = sender.send_reporting(&traffic, send.plan(), |now| {
        report::err(&report::progress(&before, now));
        before = *now;
    });
    report::out(&report::summary(&sent));
    report::out(&account.close(&traffic, &sent)?);
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "one look-up, before anything is sent")]
fn resolve(to: &str) -> std::io::Result<SocketAddr> {
    let mut addresses = std::net::ToSocketAddrs::to_socket_addrs(to)?;
    addresses.next().ok_or_else(|| std::io::Error::other("no address"))
}
