//! Debian's carbon-c-relay, on a port of its own.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Command;

use socket2::Socket;
use tempfile::TempDir;

use super::{DEADLINE, Process, installed, peers, reserve_tcp, until};

#[derive(Debug)]
pub(crate) struct Relay {
    process: Process,
    address: SocketAddr,
    _reserved: Socket,
    _folder: TempDir,
}

impl Relay {
    /// Starts the relay and waits until it accepts lines. `conf` returns its configuration for its
    /// port. Prints a note and returns `None` if the relay is not installed.
    pub(crate) fn start(conf: impl FnOnce(u16) -> String) -> Option<Self> {
        let binary = binary()?;
        let (reserved, address) = reserve_tcp();
        let folder = tempfile::tempdir().unwrap();
        let conf_path = folder.path().join("relay.conf");
        fs::write(&conf_path, conf(address.port())).unwrap();
        let mut process = Process::start(Command::new(binary).arg("-f").arg(conf_path));
        until(DEADLINE, "the relay to accept lines", || {
            let ended = process.ended();
            assert!(ended.is_none(), "the relay ended:\n{}", log(&process).join("\n"));
            TcpStream::connect(address).ok()
        });
        Some(Self { process, address, _reserved: reserved, _folder: folder })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the output of the relay so far.
    pub(crate) fn log(&self) -> Vec<String> {
        log(&self.process)
    }
}

/// Returns the path of the program. Prints a note and returns `None` if it is not installed.
fn binary() -> Option<PathBuf> {
    installed("carbon-c-relay")?;
    Some(peers().join("relay/carbon-c-relay"))
}

fn log(process: &Process) -> Vec<String> {
    [process.stdout(), process.stderr()].concat()
}
