//! What the service manager is told, where there is one (NOTIFY_SOCKET): ready, alive, reloading, stopping.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use sd_notify::NotifyState;

use super::{Server, Timer};

/// A failure is no reason to stop: whoever waits for the word finds out.
pub(super) fn tell(what: &[NotifyState<'_>]) {
    let Some(socket) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let text: String = what.iter().map(|state| format!("{state}\n")).collect();
    if let Err(error) = send(&socket, text.as_bytes()) {
        log::warn!("service_manager=untold reason=\"{error}\"");
    }
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

pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => log::warn!("service_manager=untold reason=\"{error}\""),
    }
}

/// Half of the time after which a silent server is taken for dead; none if nobody watches.
pub(super) fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|span| span / 2).filter(|span| !span.is_zero())
}

impl Server {
    /// The loop turns.
    pub(super) fn feed_watchdog(&mut self) {
        if let Some(span) = self.watchdog {
            tell(&[NotifyState::Watchdog]);
            self.wheel.set(Timer::Watchdog, Some(self.now.tick + span));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_manager_that_does_not_read_keeps_nobody_waiting() {
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
