//! Measures ten thousand connections on which no data arrives.

use std::net::TcpStream;
use std::time::Duration;

use serde::Serialize;
use statsd_bench::Clock;

use super::super::profile::Profile;
use super::super::server::Server;
use super::super::setting::Setting;
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

/// Half of the shortest queue of connections to accept that a server asks for.
const BACKLOG: usize = 16;

/// How long a server may take to accept a few.
const ACCEPTS: Duration = Duration::from_secs(5);

pub(crate) fn connections(profile: &Profile, setting: &Setting) -> Result<Connections, String> {
    let mut server = Server::start(profile, setting)?;
    Clock::sleep(Duration::from_millis(500));
    let before = server.usage().resident_kib;
    let files = server.open_files();
    let mut held: Vec<TcpStream> = Vec::with_capacity(CONNECTIONS);
    while held.len() < CONNECTIONS {
        // A full backlog would cost a second: no more are on their way than any server has room
        // for.
        if held.len().is_multiple_of(BACKLOG) {
            until_accepted(&server, files + held.len(), &profile.name)?;
        }
        held.push(server.connect().map_err(|error| {
            format!("{} takes {} connections: {error}", profile.name, held.len())
        })?);
    }
    until_accepted(&server, files + CONNECTIONS, &profile.name)?;
    Clock::sleep(Duration::from_millis(200));
    let after = server.usage().resident_kib;
    server.is_well()?;
    Ok(Connections { connections: held.len(), resident_mib: mib(after), before_mib: mib(before) })
}

/// Files that a server had open for its start, and has closed since.
const CLOSED: usize = 48;

/// Waits until the server has accepted `files` connections, by the number of its open files.
fn until_accepted(server: &Server, files: usize, name: &str) -> Result<(), String> {
    let start = Clock::start();
    while server.open_files() + CLOSED < files {
        if start.elapsed() > ACCEPTS {
            return Err(format!("{name} has {} files open, not {files}", server.open_files()));
        }
        Clock::sleep(Duration::from_micros(200));
    }
    Ok(())
}
