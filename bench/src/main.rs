//! `statsd-bench`: sends StatsD traffic, and compares servers, from the command line.

mod account;
mod args;
mod carbon;
mod compare;
mod report;

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;

use compare::Floor;

use account::Account;
use args::{Command, Send, Transport};
use statsd_bench::{Sender, Traffic, floor};

fn main() -> ExitCode {
    match args::parse(lexopt::Parser::from_env()) {
        Ok(Command::Help) => {
            report::out(&args::help());
            ExitCode::SUCCESS
        }
        Ok(Command::Send(send)) => ended(run(&send)),
        Ok(Command::Compare(options)) => ended(compare::run(&options, command_line())),
        Ok(Command::Floor(Floor { udp, tcp, nap })) => {
            ended(floor::run(udp, tcp, nap).map_err(|error| error.to_string()))
        }
        Err(message) => fail(&format!("{message}\nTry 'statsd-bench -h'."), 2),
    }
}

fn ended(result: Result<(), String>) -> ExitCode {
    result.map_or_else(|message| fail(&message, 1), |()| ExitCode::SUCCESS)
}

/// The command as it was typed, without the folder of the program.
fn command_line() -> String {
    let words = std::env::args().skip(1);
    std::iter::once("statsd-bench".to_owned()).chain(words).collect::<Vec<_>>().join(" ")
}

fn fail(message: &str, code: u8) -> ExitCode {
    report::err(&format!("statsd-bench: {message}\n"));
    ExitCode::from(code)
}

fn run(send: &Send) -> Result<(), String> {
    let traffic = Traffic::build(&send.workload).map_err(|error| error.to_string())?;
    let mut port = None;
    let mut address = || {
        let address = resolve(&send.to)?;
        port = Some(address.port()).filter(|_| address.ip().is_loopback());
        Ok::<_, io::Error>(address)
    };
    let path = Path::new(&send.to);
    let sender = match send.transport {
        Transport::Udp => address().and_then(Sender::udp),
        Transport::Tcp => address().and_then(Sender::tcp),
        Transport::Unix => Sender::unix(path),
        Transport::UnixStream => Sender::unix_stream(path),
    };
    let mut sender = sender.map_err(|error| format!("{}: {error}", send.to))?;
    let port = port.filter(|_| send.transport == Transport::Udp);
    let account = Account::open(send, port)?;
    let mut before = statsd_bench::Sent::default();
    let sent = sender.send_reporting(&traffic, send.plan(), |now| {
        report::err(&report::progress(&before, now));
        before = *now;
    });
    report::out(&report::summary(&sent));
    report::out(&account.close(&traffic, &sent)?);
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "one look-up, before anything is sent")]
fn resolve(to: &str) -> io::Result<SocketAddr> {
    let mut addresses = std::net::ToSocketAddrs::to_socket_addrs(to)?;
    addresses.next().ok_or_else(|| io::Error::other("no address"))
}
