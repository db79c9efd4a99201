//! Ten thousand connections on which nothing comes.

use std::net::TcpStream;
use std::time::Duration;

use serde::Serialize;
use statsd_bench::Clock;

use super::super::profile::Profile;
use super::super::server::{Server, Setting};
use super::mib;

#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Connections {
    pub(crate) connections: usize,
    /// Resident memory with them.
    pub(crate) resident_mib: f64,
    /// Without them.
    pub(crate) before_mib: f64,
}

pub(crate) const CONNECTIONS: usize = 10_000;

/// How long a server may take to accept them all.
pub(crate) const ACCEPTS: Duration = Duration::from_secs(10);

pub(crate) fn connections(profile: &Profile, setting: &Setting) -> Result<Connections, String> {
    let mut server = Server::start(profile, setting)?;
    Clock::sleep(Duration::from_millis(500));
    let (before, files) = (server.usage().resident_kib, server.open_files());
    let start = Clock::start();
    let mut held: Vec<TcpStream> = Vec::with_capacity(CONNECTIONS);
    while held.len() < CONNECTIONS {
        held.push(server.connect().map_err(|error| {
            format!("{} takes {} connections: {error}", profile.name, held.len())
        })?);
        if start.elapsed() > 2 * ACCEPTS {
            return Err(format!("{} took {} connections in time", profile.name, held.len()));
        }
    }
    let start = Clock::start();
    while server.open_files() < files + CONNECTIONS {
        if start.elapsed() > ACCEPTS {
            let open = server.open_files().saturating_sub(files);
            return Err(format!("{} accepted {open} of {CONNECTIONS} connections", profile.name));
        }
        Clock::sleep(Duration::from_millis(20));
    }
    Clock::sleep(Duration::from_millis(200));
    let after = server.usage().resident_kib;
    server.is_well()?;
    Ok(Connections { connections: held.len(), resident_mib: mib(after), before_mib: mib(before) })
}
