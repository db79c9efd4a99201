//! `statsd-bench send`: sends a workload to one server, and shows what was sent and lost.

use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use statsd_bench::{Plan, Sender, Traffic};

use crate::Outcome;
use crate::args::Send;
use crate::compare::load::LOADS;
use crate::compare::proc;

pub(crate) fn run(options: &Send) -> Outcome {
    let load = LOADS.iter().find(|load| load.name == options.load);
    let mut workload = load.ok_or_else(|| format!("no workload {:?}", options.load))?.workload;
    workload.names = options.names.unwrap_or(workload.names);
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
    let counts = || options.admin.map(counts).transpose();
    let drops_before = drops();
    let counts_before = counts()?;
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
        println!(
            "dropped by the kernel at the socket: {} packets",
            drops().saturating_sub(drops_before)
        );
    }
    if let (Some(before), Some(after)) = (counts_before, counts()?) {
        for (name, now) in after.iter().filter(|(name, now)| before.get(*name) != Some(now)) {
            let more = now.saturating_sub(*before.get(name).unwrap_or(&0));
            println!("the server: {name} +{more}");
        }
    }
    Ok(())
}

fn resolve(to: &str) -> io::Result<SocketAddr> {
    to.to_socket_addrs()?.next().ok_or_else(|| io::Error::other("no address"))
}

/// Asks the admin port for the server's counts of what it received and lost, by name.
fn counts(admin: SocketAddr) -> Outcome<BTreeMap<String, u64>> {
    let ask = || -> io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&admin, Duration::from_secs(5))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(b"info input\ninfo loss\nquit\n")?;
        let mut reply = String::new();
        stream.read_to_string(&mut reply)?;
        Ok(reply)
    };
    let reply = ask().map_err(|error| format!("admin port {admin}: {error}"))?;
    let fields = reply.lines().filter_map(|line| line.split_once(':'));
    Ok(fields.filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?))).collect())
}
