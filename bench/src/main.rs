//! `statsd-bench`: sends StatsD traffic, and compares servers, from the command line.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it talks to the user")]

mod args;
mod carbon;
mod compare;

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;
use statsd_bench::{Plan, Sender, Traffic, floor};

use args::{Arguments, Command, Send};
use compare::{load, proc};

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Send(options) => send(&options),
        Command::Compare(options) => compare::run(&options),
        Command::Summary { record } => compare::print_summary(&record),
        Command::Floor { udp, tcp, unix } => {
            floor::run(udp, tcp, unix.as_deref()).map_err(|error| error.to_string())
        }
    };
    done.map_or_else(
        |message| {
            eprintln!("statsd-bench: {message}");
            ExitCode::FAILURE
        },
        |()| ExitCode::SUCCESS,
    )
}

fn send(options: &Send) -> Result<(), String> {
    let load = load::LOADS.into_iter().find(|load| load.name == options.load);
    let mut workload = load.ok_or_else(|| format!("no workload {:?}", options.load))?.workload;
    if let Some(names) = options.names {
        workload.names = usize::try_from(names).unwrap_or(usize::MAX);
    }
    let traffic = Traffic::build(&workload);
    // The port of a server on this machine, whose socket the kernel lists.
    let mut port = None;
    let sender = match &options.unix {
        Some(path) => Sender::unix(path),
        None => resolve(&options.to).and_then(|to| {
            port = Some(to.port()).filter(|_| to.ip().is_loopback() && !options.tcp);
            if options.tcp { Sender::tcp(to) } else { Sender::udp(to) }
        }),
    };
    let mut sender = sender.map_err(|error| format!("no way to send: {error}"))?;
    let drops = || port.and_then(proc::queue).map_or(0, |queue| queue.drops);
    let figures = || options.admin.map(figures).transpose();
    let drops_before = drops();
    let figures_before = figures()?;
    let plan = options.count.map_or_else(|| Plan::lasting(options.duration), Plan::lines);
    let sent = sender.send(&traffic, plan.at(options.rate));
    println!(
        "sent {} lines in {} packets, {} bytes, {:.3} s: {:.0} lines/s; {} refused",
        sent.lines,
        sent.packets,
        sent.bytes,
        sent.seconds,
        sent.lines as f64 / sent.seconds,
        sent.errors
    );
    if port.is_some() {
        println!("dropped by the kernel at the socket: {} packets", drops() - drops_before);
    }
    if let (Some(before), Some(after)) = (figures_before, figures()?) {
        for (name, now) in after.iter().filter(|(name, now)| before.get(*name) != Some(now)) {
            let more = now.saturating_sub(*before.get(name).unwrap_or(&0));
            println!("the server: {name} +{more}");
        }
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "one look-up, before anything is sent")]
fn resolve(to: &str) -> io::Result<SocketAddr> {
    let mut addresses = std::net::ToSocketAddrs::to_socket_addrs(to)?;
    addresses.next().ok_or_else(|| io::Error::other("no address"))
}

/// Asks the admin port for the server's counts of what it received and lost, by name.
fn figures(admin: SocketAddr) -> Result<BTreeMap<String, u64>, String> {
    let ask = |section: &str| -> io::Result<Vec<String>> {
        let mut stream = TcpStream::connect_timeout(&admin, Duration::from_secs(5))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(format!("info {section}\n").as_bytes())?;
        let lines = BufReader::new(stream).lines();
        lines.take_while(|line| line.as_ref().map_or(true, |line| line != "END")).collect()
    };
    let mut figures = BTreeMap::new();
    for section in ["input", "loss"] {
        let lines = ask(section).map_err(|error| format!("admin port {admin}: {error}"))?;
        for (name, value) in lines.iter().filter_map(|line| line.split_once(':')) {
            figures.extend(value.parse().ok().map(|value| (name.to_owned(), value)));
        }
    }
    Ok(figures)
}
