//! Notifies the service manager, if there is one (NOTIFY_SOCKET): ready, alive, reloading,
//! stopping.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use sd_notify::NotifyState;

/// The server is ready, or has ended a reload.
pub(in crate::server) fn ready() {
    notify(&[NotifyState::Ready]);
}

/// The loop turns.
pub(in crate::server) fn alive() {
    notify(&[NotifyState::Watchdog]);
}

/// A reload has begun.
pub(in crate::server) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(error) => log_failure(&error),
    }
}

/// A stop has begun.
pub(in crate::server) fn stopping() {
    notify(&[NotifyState::Stopping]);
}

/// Sends states to the service manager, if there is one. Logs a failure and goes on: the service
/// manager notices what it did not receive.
fn notify(what: &[NotifyState<'_>]) {
    let Some(socket) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let text: String = what.iter().map(|state| format!("{state}\n")).collect();
    if let Err(error) = send(&socket, text.as_bytes()) {
        log_failure(&error);
    }
}

fn log_failure(error: &io::Error) {
    log::warn!(
        service_manager = "not_notified",
        reason:% = error,
        hint = "the server continues; check NOTIFY_SOCKET and the supervisor that sets it";
        "the service manager could not be notified"
    );
}

/// Sends to the service manager without waiting. `sd_notify::notify` waits if it does not read.
fn send(socket: &OsStr, text: &[u8]) -> io::Result<()> {
    let address = match socket.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(socket)?,
    };
    let datagram = UnixDatagram::unbound()?;
    datagram.set_nonblocking(true)?;
    datagram.send_to_addr(text, &address).map(drop)
}

/// Returns half of the time after which the service manager assumes that a silent server has
/// failed. Returns `None` if it does not watch.
pub(in crate::server) fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|span| span / 2).filter(|span| !span.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_manager_that_does_not_read_does_not_delay_the_server() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let full =
            (0..100_000).find_map(|_| send(path.as_os_str(), b"WATCHDOG=1\n").err()).unwrap();
        assert_eq!(full.kind(), io::ErrorKind::WouldBlock);
        let mut read = [0; 64];
        let bytes = manager.recv(&mut read).unwrap();
        assert_eq!(&read[..bytes], b"WATCHDOG=1\n");
        send(path.as_os_str(), b"STOPPING=1\n").unwrap();
    }
}
