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
    /// Starts it and waits until it takes lines. `conf` makes its configuration from its port. None
    /// where it is not installed, which is said.
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

    /// What it wrote so far.
    pub(crate) fn log(&self) -> Vec<String> {
        log(&self.process)
    }
}

/// None where it is not installed, which is said.
fn binary() -> Option<PathBuf> {
    installed("carbon-c-relay")?;
    Some(peers().join("relay/carbon-c-relay"))
}

fn log(process: &Process) -> Vec<String> {
    [process.stdout(), process.stderr()].concat()
}
