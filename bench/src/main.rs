//! `statsd-bench`: sends StatsD traffic from the command line.

mod args;
mod report;

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;

use args::{Command, Send, Transport};
use statsd_bench::{Sender, Traffic};

fn main() -> ExitCode {
    match args::parse(lexopt::Parser::from_env()) {
        Ok(Command::Help) => {
            report::out(&args::help());
            ExitCode::SUCCESS
        }
        Ok(Command::Send(send)) => match run(&send) {
            Ok(()) => ExitCode::SUCCESS,
            Err(message) => fail(&message, 1),
        },
        Err(message) => fail(&format!("{message}\nTry 'statsd-bench -h'."), 2),
    }
}

fn fail(message: &str, code: u8) -> ExitCode {
    report::err(&format!("statsd-bench: {message}\n"));
    ExitCode::from(code)
}

fn run(send: &Send) -> Result<(), String> {
    let traffic = Traffic::build(&send.workload).map_err(|error| error.to_string())?;
    let to = resolve(&send.to).map_err(|error| format!("{}: {error}", send.to))?;
    let mut sender = match send.transport {
        Transport::Udp => Sender::udp(to),
        Transport::Tcp => Sender::tcp(to),
    }
    .map_err(|error| format!("{to}: {error}"))?;
    let mut before = statsd_bench::Sent::default();
    let sent = sender.send_reporting(&traffic, send.plan(), |now| {
        report::err(&report::progress(&before, now));
        before = *now;
    });
    report::out(&report::summary(&sent));
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "one look-up, before anything is sent")]
fn resolve(to: &str) -> io::Result<SocketAddr> {
    let mut addresses = std::net::ToSocketAddrs::to_socket_addrs(to)?;
    addresses.next().ok_or_else(|| io::Error::other("no address"))
}
