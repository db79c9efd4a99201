//! Tries to bind what the server listens on. Each socket is closed at once, and none listens.

use std::fs;
use std::io::ErrorKind;
use std::os::fd::AsFd as _;
use std::path::Path;

use nix::errno::Errno;
use nix::unistd::{AccessFlags, access, geteuid};
use socket2::{Domain, Socket, Type};

use super::finding::{FindingKind, Findings};
use crate::config::{Bind, Config};
use crate::files;
use crate::ingest::bind::{BindError, Transport, bind_only};
use crate::ingest::unix::require_place;
use crate::server::reception::listeners::Endpoint;
use crate::sys;

/// Tries to bind each address that the configuration listens on, unless one of the sockets
/// `passed` in replaces it.
pub(super) fn check(config: &Config, passed: &[Endpoint], findings: &mut Findings<'_>) {
    let mut wanted = Endpoint::all(config);
    wanted.retain(|wanted| !passed.iter().any(|passed| wanted.is_replaced_by(passed)));
    for (at, endpoint) in wanted.iter().enumerate() {
        if let Some(earlier) = wanted[..at].iter().find(|earlier| overlap(earlier, endpoint)) {
            let (section, key) = key_of(endpoint);
            let (other, other_key) = key_of(earlier);
            let what = format!(
                "another address of [{other}] {other_key} has this port; remove one of them"
            );
            findings.error(section, key, what);
            continue;
        }
        match endpoint {
            Endpoint::Udp(bind) => port("udp", Transport::Udp, *bind, findings),
            Endpoint::Tcp(bind) => port("tcp", Transport::Tcp, *bind, findings),
            Endpoint::Admin(bind) => port("admin", Transport::Tcp, *bind, findings),
            Endpoint::UnixStream { path, .. } => unix("stream", path, findings),
            Endpoint::UnixDatagram { path, .. } => unix("datagram", path, findings),
            Endpoint::Passed { .. } => {}
        }
    }
    if wanted.iter().any(|endpoint| matches!(endpoint, Endpoint::Udp(_))) {
        receive_buffer(config.udp.recv_buffer, findings);
    }
}

fn key_of(endpoint: &Endpoint) -> (&'static str, &'static str) {
    match endpoint {
        Endpoint::Udp(_) => ("udp", "bind"),
        Endpoint::Tcp(_) => ("tcp", "bind"),
        Endpoint::Admin(_) => ("admin", "bind"),
        Endpoint::UnixStream { .. } => ("unix", "stream"),
        _ => ("unix", "datagram"),
    }
}

/// Whether two addresses of a configuration cannot be bound at the same time.
fn overlap(one: &Endpoint, other: &Endpoint) -> bool {
    match (one, other) {
        (Endpoint::Udp(one), Endpoint::Udp(other))
        | (
            Endpoint::Tcp(one) | Endpoint::Admin(one),
            Endpoint::Tcp(other) | Endpoint::Admin(other),
        ) => one.overlaps(*other),
        _ => false,
    }
}

fn port(section: &'static str, transport: Transport, bind: Bind, findings: &mut Findings<'_>) {
    let Err(error) = bind_only(transport, bind) else { return };
    match &error {
        BindError::Internet { address, .. } if error.is_taken() => {
            let what = format!(
                "port {} is in use, by the server that runs or by another process (ss -lpn \
                 'sport = :{0}' names it)",
                address.port()
            );
            findings.remark(section, "bind", what);
        }
        BindError::Internet { error: cause, .. } => {
            findings.add(kind_of(cause), section, "bind", &error.to_string());
        }
        BindError::Unix { .. } => {}
    }
}

/// What only root can try is a remark.
fn kind_of(error: &std::io::Error) -> FindingKind {
    if error.kind() == ErrorKind::PermissionDenied && !geteuid().is_root() {
        FindingKind::Remark
    } else {
        FindingKind::Error
    }
}

/// Checks the place of a unix socket. It is not bound, since that would make its file.
fn unix(key: &'static str, path: &Path, findings: &mut Findings<'_>) {
    if let Some(holder) = files::lock_holder(&files::lock_of(path)) {
        let what = format!("{} is in use by the server with process id {holder}", path.display());
        return findings.remark("unix", key, what);
    }
    if is_bound(path) {
        let what = format!("a process listens on {}", path.display());
        return findings.remark("unix", key, what);
    }
    if let Err(error) = place(path) {
        let kind = kind_of(&error);
        let error = BindError::Unix { path: path.to_owned(), error };
        findings.add(kind, "unix", key, &error.to_string());
    }
}

/// Whether a process has bound a unix socket to this path. /proc/net/unix shows it without a
/// connection, which that process would notice.
fn is_bound(path: &Path) -> bool {
    let Some(path) = path.to_str() else { return false };
    let sockets = fs::read_to_string("/proc/net/unix").unwrap_or_default();
    sockets.lines().skip(1).any(|line| {
        // Num RefCount Protocol Flags Type St Inode Path
        let at = line.match_indices(' ').map(|(at, _)| at + 1).find(|at| line[*at..] == *path);
        at.is_some()
    })
}

/// Fails if no socket can be made at a path.
fn place(path: &Path) -> std::io::Result<()> {
    require_place(path)?;
    let folder = files::folder_of(path);
    if !fs::metadata(folder)?.is_dir() {
        return Err(Errno::ENOTDIR.into()); // as a bind fails; `access` would fail with EACCES
    }
    Ok(access(folder, AccessFlags::W_OK | AccessFlags::X_OK)?)
}

/// Remarks that the kernel grants less than the receive buffer that is configured. It depends on
/// the user: one with CAP_NET_ADMIN gets all.
fn receive_buffer(asked: usize, findings: &mut Findings<'_>) {
    let granted = Socket::new(Domain::IPV4, Type::DGRAM, None)
        .and_then(|socket| sys::force_receive_buffer(socket.as_fd(), asked));
    if let Ok(granted) = granted
        && granted < asked
    {
        let what = format!(
            "the kernel grants this user {granted} of {asked} bytes; raise the limit (sysctl -w \
             net.core.rmem_max={asked}), or lower it"
        );
        findings.remark("udp", "recv_buffer", what);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use super::*;

    #[test]
    fn only_addresses_of_one_transport_overlap() {
        assert!(overlap(&Endpoint::Tcp(Bind::Any(1)), &Endpoint::Admin(Bind::Localhost(1))));
        assert!(!overlap(&Endpoint::Udp(Bind::Any(1)), &Endpoint::Tcp(Bind::Any(1))));
    }

    #[test]
    fn a_bound_unix_socket_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("d.sock");
        let socket = UnixDatagram::bind(&path).unwrap();
        assert!(is_bound(&path));
        drop(socket);
        assert!(!is_bound(&path));
    }
}
