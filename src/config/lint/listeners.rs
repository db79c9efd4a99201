//! Warnings about the addresses that the server listens on, and about the networks that may send.
//! Pure.

use std::net::IpAddr;

use ipnet::IpNet;

use super::context::{Lint, PassedAddress};
use crate::config::address::ListenAddress;
use crate::config::model::Bind;
use crate::config::value::ValueKind as _;
use crate::protocol::Grammar;

/// The bits of a file's mode that let a user write.
const WRITES: u32 = 0o222;

pub(super) fn check(lint: &mut Lint<'_>) {
    no_listener(lint);
    names_over_lines(lint);
    for section in ["udp", "tcp", "admin"] {
        let is_wider = wider_than_bind(lint, section);
        other_port_than_bind(lint, section);
        unreachable_networks(lint, section);
        if section == "admin" && !is_wider {
            open_admin_port(lint);
        }
    }
    let unix = &lint.config.unix;
    let has_socket = unix.stream.is_some() || unix.datagram.is_some();
    if has_socket && unix.mode & WRITES == 0 {
        let reason = "no user may write to the sockets, so only root can send";
        lint.warn("unix", "mode", reason, "write mode = 0660, or 0666 for all users");
    }
}

fn no_listener(lint: &mut Lint<'_>) {
    let unix = &lint.config.unix;
    let has_unix = unix.stream.is_some() || unix.datagram.is_some();
    let listens = ["udp", "tcp"].iter().any(|section| !listening(lint, section).is_empty());
    if !listens && !has_unix && !lint.surroundings.has_passed_unix {
        lint.warn(
            "udp",
            "bind",
            "no listener is on, so nothing can arrive unless a service manager passes sockets in",
            "write bind = *:8125 in [udp], or remove the key",
        );
    }
}

/// Warns if names may be longer than the lines of a stream, so that only datagrams can bring them.
fn names_over_lines(lint: &mut Lint<'_>) {
    let has_streams = !listening(lint, "tcp").is_empty()
        || lint.config.unix.stream.is_some()
        || lint.surroundings.has_passed_unix_stream;
    let [name, line] = [lint.config.grammar.max_key_length, lint.config.tcp.max_line];
    // Who lowers `max_line` alone wants short lines.
    if has_streams && name > line.max(Grammar::default().max_key_length) {
        let reason = "on a stream a longer line than [tcp] max_line is a bad line";
        lint.warn("limits", "max_key_length", reason, "raise max_line, too, or lower this");
    }
}

/// Warns about a socket that was passed in and takes clients that neither `bind` nor `allow_from`
/// would. Returns whether there is one.
fn wider_than_bind(lint: &mut Lint<'_>, section: &'static str) -> bool {
    if !networks(lint, section).is_empty() {
        return false;
    }
    let binds = binds(lint, section);
    let is_wider = |socket: &&PassedAddress| {
        let ip = socket.address.ip();
        socket.section == section && !binds.iter().any(|bind| has(*bind, ip))
    };
    let wider = lint.surroundings.passed.iter().filter(is_wider).find(|socket| {
        // A socket at a loopback address is reachable from this host only.
        !socket.address.ip().is_loopback()
    });
    let Some(PassedAddress { address, .. }) = wider else { return false };
    let shown: String =
        binds.iter().map(|bind| format!(" {},", ListenAddress.show(bind))).collect();
    let shown = if shown.is_empty() { " (empty)," } else { &shown };
    let reason = format!(
        "the socket {address} that was passed in replaces bind ={shown} and is open to more"
    );
    let remedy = "set the address in the socket unit (ListenDatagram=, ListenStream=), remove the \
                  key bind, or set allow_from";
    lint.warn(section, "bind", reason, remedy);
    true
}

/// Warns about a socket that was passed in with another port than `bind` has. Clients may still
/// send to the port of `bind`, where nothing listens.
fn other_port_than_bind(lint: &mut Lint<'_>, section: &'static str) {
    if !lint.given.has_value(section, "bind") {
        return; // the socket replaces the default
    }
    let binds = binds(lint, section);
    let mut passed = lint.surroundings.passed.iter().filter(|socket| socket.section == section);
    let Some(PassedAddress { address, .. }) = passed.clone().next() else { return };
    let missing = binds
        .iter()
        .find(|bind| bind.port() != 0 && passed.all(|socket| socket.address.port() != bind.port()));
    if let Some(bind) = missing {
        let reason = format!(
            "the socket {address} that was passed in replaces bind = {}; nothing is on port {}",
            ListenAddress.show(bind),
            bind.port()
        );
        let remedy = "set that port in the socket unit (ListenDatagram=, ListenStream=), or remove \
                      the key bind";
        lint.warn(section, "bind", reason, remedy);
    }
}

/// Warns if `allow_from` refuses everything that can arrive at loopback addresses.
fn unreachable_networks(lint: &mut Lint<'_>, section: &'static str) {
    let allowed = networks(lint, section);
    let binds = listening(lint, section);
    let is_loopback = |bind: &Bind| match bind {
        Bind::Localhost(_) => true,
        Bind::At(address) => address.ip().is_loopback(),
        Bind::Any(_) => false,
    };
    let has_loopback = |network: &IpNet| {
        let near: [IpAddr; 2] = [[127, 0, 0, 1].into(), std::net::Ipv6Addr::LOCALHOST.into()];
        near.iter().any(|address| network.contains(address)) || network.addr().is_loopback()
    };
    let is_local = !binds.is_empty() && binds.iter().all(is_loopback);
    if is_local && !allowed.is_empty() && !allowed.iter().any(has_loopback) {
        lint.warn(
            section,
            "allow_from",
            "bind has only loopback addresses, and allow_from refuses all senders there",
            "add 127.0.0.1 and ::1 to allow_from, or change bind",
        );
    }
}

/// Warns about an admin port that other machines can use. It has no password.
fn open_admin_port(lint: &mut Lint<'_>) {
    let is_open = |bind: &Bind| match bind {
        Bind::Any(_) => true,
        Bind::Localhost(_) => false,
        Bind::At(address) => !address.ip().is_loopback(),
    };
    let binds = listening(lint, "admin");
    if binds.iter().any(is_open) && lint.config.admin.allow_from.is_empty() {
        lint.warn(
            "admin",
            "bind",
            "other machines can use the admin port, which has no password and deletes series",
            "write bind = localhost:8126, or set allow_from",
        );
    }
}

/// Returns the addresses that a section listens on. Sockets that were passed in replace `bind`.
pub(super) fn listening(lint: &Lint<'_>, section: &str) -> Vec<Bind> {
    let passed = lint.surroundings.passed.iter().filter(|socket| socket.section == section);
    let passed: Vec<_> = passed.map(|socket| Bind::At(socket.address)).collect();
    if passed.is_empty() { binds(lint, section).to_vec() } else { passed }
}

fn binds<'a>(lint: &Lint<'a>, section: &str) -> &'a [Bind] {
    match section {
        "udp" => &lint.config.udp.bind,
        "tcp" => &lint.config.tcp.bind,
        _ => &lint.config.admin.bind,
    }
}

fn networks<'a>(lint: &Lint<'a>, section: &str) -> &'a [IpNet] {
    match section {
        "udp" => &lint.config.udp.allow_from,
        "tcp" => &lint.config.tcp.allow_from,
        _ => &lint.config.admin.allow_from,
    }
}

/// Whether a socket at this address takes no more clients than one at `bind` does.
fn has(bind: Bind, address: IpAddr) -> bool {
    match bind {
        Bind::Any(_) => true,
        Bind::Localhost(_) => address.is_loopback(),
        Bind::At(at) if at.ip().is_unspecified() => {
            at.is_ipv6() == address.is_ipv6() || address.is_ipv4()
        }
        Bind::At(at) => at.ip() == address,
    }
}
