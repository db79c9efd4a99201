//! Warnings about destinations: none at all, the wrong port, two that are the same, and the server
//! itself. Pure.

use std::net::IpAddr;

use super::context::Lint;
use super::listeners::listening;
use crate::config::destination::{
    ApiVersion, Carbon, Destination, DestinationFeed, DestinationKind, FlushFeed, InfluxTransport,
    Influxdb, Protocol, Remote, Resend,
};
use crate::config::model::Bind;
use crate::config::value::{Size, ValueKind as _};
use crate::encode::encoders::Format;

/// The ports of well-known services, what they take, and the setting that sends it. `None` if no
/// destination sends it.
const SERVICES: [(u16, &str, Option<Sends>); 13] = [
    (2003, "plaintext for carbon", Some(Sends::Plaintext)),
    (2004, "pickle for carbon", Some(Sends::Pickle)),
    (2013, "plaintext for carbon-relay", Some(Sends::Plaintext)),
    (2014, "pickle for carbon-relay", Some(Sends::Pickle)),
    (2023, "plaintext for carbon-aggregator", Some(Sends::Plaintext)),
    (2024, "pickle for carbon-aggregator", Some(Sends::Pickle)),
    (7002, "queries of carbon's cache", None),
    (8086, "HTTP for InfluxDB", Some(Sends::InfluxHttp)),
    (8089, "UDP for InfluxDB", Some(Sends::InfluxUdp)),
    (8125, "StatsD lines", Some(Sends::Lines)),
    (8126, "admin commands of StatsD", None),
    (8649, "metrics for gmond", Some(Sends::Ganglia)),
    (8651, "queries of gmetad", None),
];

/// What a destination sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sends {
    Plaintext,
    Pickle,
    InfluxHttp,
    InfluxUdp,
    Ganglia,
    Lines,
}

/// A flush that even a small server has: 10,000 points of about 64 bytes.
const POINTS: usize = 10_000;
const POINT_BYTES: usize = 64;

pub(super) fn check(lint: &mut Lint<'_>) {
    let all: Vec<&Destination> = lint.config.active_destinations().collect();
    let is_scraped = lint.config.admin.shows_series() && !listening(lint, "admin").is_empty();
    if all.is_empty() && !is_scraped {
        let reason =
            "no destination is on, and /metrics shows no series, so what arrives is dropped";
        let remedy = "write address = host:2003 in [carbon], or turn on another destination";
        let section = if lint.gives("carbon", "address") { "carbon" } else { "statsd" };
        let key = if section == "carbon" { "address" } else { "" };
        lint.warn(section, key, reason, remedy);
    }
    for (at, to) in all.iter().enumerate() {
        if let Some(net) = &to.net {
            if sends_to_itself(lint, to, &net.remote) {
                let reason = format!("{} is an address of this server itself", net.remote);
                lint.warn(&to.name, "address", reason, "write the address of another server");
            } else {
                wrong_port(lint, to, net.remote.port);
            }
        }
        if let Some(first) = all[..at].iter().find(|first| is_twin(first, to)) {
            let key = if to.net.is_some() { "address" } else { "command" };
            let reason =
                format!("[{}] sends the same there, so each point comes twice", first.name);
            lint.warn(&to.name, key, reason, "remove one of the two sections");
        }
        short_queue(lint, to);
    }
}

/// Warns about the port of a service that takes something else.
fn wrong_port(lint: &mut Lint<'_>, to: &Destination, port: u16) {
    let Some(sends) = sends(to) else { return };
    let service = SERVICES.iter().find(|(known, ..)| *known == port);
    let Some((_, takes, _)) = service.filter(|(_, _, taken)| *taken != Some(sends)) else {
        return;
    };
    let usual = to.kind.port().unwrap_or_default();
    let (what, fix) = match (sends, port) {
        (Sends::Plaintext, 2004 | 2014 | 2024) => ("plaintext", "write protocol = pickle, or"),
        (Sends::Pickle, 2003 | 2013 | 2023) => ("pickle", "write protocol = plaintext, or"),
        (Sends::InfluxHttp, 8089) => ("HTTP", "write protocol = udp, or"),
        (Sends::InfluxUdp, 8086) => ("UDP", "write protocol = http, or"),
        (Sends::Plaintext, _) => ("plaintext", "use"),
        (Sends::Pickle, _) => ("pickle", "use"),
        (Sends::InfluxHttp | Sends::InfluxUdp, _) => ("lines of InfluxDB", "use"),
        (Sends::Ganglia, _) => ("metrics of Ganglia", "use"),
        (Sends::Lines, _) => ("StatsD lines", "use"),
    };
    let reason = format!("port {port} is usually for {takes}, and the server sends {what} there");
    lint.warn(&to.name, "address", reason, format!("{fix} port {usual}"));
}

fn sends(to: &Destination) -> Option<Sends> {
    match &to.kind {
        DestinationKind::Carbon(Carbon { protocol: Protocol::Plaintext, .. }) => {
            Some(Sends::Plaintext)
        }
        DestinationKind::Carbon(Carbon { protocol: Protocol::Pickle, .. }) => Some(Sends::Pickle),
        DestinationKind::Influxdb(Influxdb { protocol: InfluxTransport::Http, .. }) => {
            Some(Sends::InfluxHttp)
        }
        DestinationKind::Influxdb(Influxdb { protocol: InfluxTransport::Udp, .. }) => {
            Some(Sends::InfluxUdp)
        }
        DestinationKind::Ganglia(_) => Some(Sends::Ganglia),
        DestinationKind::Repeater(_) => Some(Sends::Lines),
        DestinationKind::Console(_) | DestinationKind::Exec(_) => None,
    }
}

/// Whether the address of a destination is one that this server listens on.
fn sends_to_itself(lint: &Lint<'_>, to: &Destination, remote: &Remote) -> bool {
    let sections: &[&str] = if to.is_udp() { &["udp"] } else { &["tcp", "admin"] };
    let mut binds = sections.iter().flat_map(|section| listening(lint, section));
    binds.any(|bind| reaches(lint, remote, bind))
}

/// Whether a packet for `remote` arrives at a socket that is bound to `bind`.
fn reaches(lint: &Lint<'_>, remote: &Remote, bind: Bind) -> bool {
    let ours = &lint.surroundings.own_addresses;
    let name = remote.host.trim_end_matches('.').to_ascii_lowercase();
    let host = lint.surroundings.host_name.to_ascii_lowercase();
    let is_host = !host.is_empty() && (name == host || host.split('.').next() == Some(&*name));
    // The kernel connects to loopback if the address is unspecified.
    let address: Option<IpAddr> = remote.host.parse().ok();
    let is_loopback = name == "localhost"
        || address.is_some_and(|address| address.is_loopback() || address.is_unspecified());
    let is_ours = is_host || address.is_some_and(|address| ours.contains(&address));
    match bind {
        Bind::Any(port) => port == remote.port && (is_loopback || is_ours),
        Bind::Localhost(port) => port == remote.port && is_loopback,
        Bind::At(at) if at.port() != remote.port => false,
        Bind::At(at) if at.ip().is_unspecified() => is_loopback || is_ours,
        Bind::At(at) => {
            let is_name = is_loopback && address.is_none_or(|address| address.is_unspecified());
            let is_near = is_name && at.ip().is_loopback();
            address == Some(at.ip()) || is_near || is_host && !at.ip().is_loopback()
        }
    }
}

/// Whether two destinations get the same data at the same place.
fn is_twin(one: &Destination, other: &Destination) -> bool {
    let place = |to: &Destination| {
        to.net.as_ref().map(|net| (net.remote.host.to_ascii_lowercase(), net.remote.port))
    };
    let is_same_kind = match (&one.kind, &other.kind) {
        (DestinationKind::Influxdb(one), DestinationKind::Influxdb(other)) => {
            store(one) == store(other)
        }
        (DestinationKind::Exec(one), DestinationKind::Exec(other)) => one.command == other.command,
        _ => true,
    };
    is_same_kind && points(one) == points(other) && place(one) == place(other)
}

/// Returns what decides where an InfluxDB stores points. Keys that the protocol and the version do
/// not use are left out.
fn store(influxdb: &Influxdb) -> (InfluxTransport, &str, &str) {
    let Influxdb { protocol, database, org, bucket, .. } = influxdb;
    match (protocol, influxdb.version) {
        (InfluxTransport::Udp, _) => (*protocol, "", ""),
        (InfluxTransport::Http, ApiVersion::V1) => (*protocol, database, ""),
        (InfluxTransport::Http, ApiVersion::V2) => (*protocol, org, bucket),
    }
}

/// Returns what a destination takes, without the settings that change none of the points of
/// clients: `own_figures` and `pickle_batch`.
fn points(to: &Destination) -> DestinationFeed<'_> {
    match to.takes() {
        DestinationFeed::Flushes(FlushFeed { format, namespace, .. }) => {
            let format = match format {
                Format::Pickle { .. } => Format::Pickle { batch: 0 },
                format => format,
            };
            DestinationFeed::Flushes(FlushFeed { format, namespace, own_figures: false })
        }
        packets => packets,
    }
}

/// Warns about a queue that cannot hold the flushes that it should retain for a resend.
fn short_queue(lint: &mut Lint<'_>, to: &Destination) {
    if to.queue.resend != Resend::Flush {
        return;
    }
    let flush = POINTS.min(lint.config.bounds.max_series) * POINT_BYTES;
    let keep = to.queue.resend_keep as usize;
    let needed = flush * (keep + 1); // the open one, too
    if needed > to.queue.bytes {
        let size = |bytes: usize| Size(0..=usize::MAX).show(&bytes);
        let fits = (to.queue.bytes / flush).saturating_sub(1);
        let reason = format!(
            "{keep} flushes for a resend and a new one do not fit, if a flush has {} points",
            flush / POINT_BYTES
        );
        let larger = size(needed.next_multiple_of(1 << 20));
        let remedy = match fits {
            0 => format!("write queue = {larger}, or resend = unacked"),
            fits => format!("write queue = {larger}, or resend_keep = {fits}"),
        };
        lint.warn(&to.name, "queue", reason, remedy);
    }
}
