//! Measures the longest turn of a server's loop, as the server itself reports it, while a million
//! counters arrive and are flushed.

use serde::Serialize;
use statsd_bench::{Mix, Plan, Traffic, Workload};

use super::super::profile::{Profile, Transport};
use super::super::server::Server;
use super::super::setting::Setting;
use super::memory::RATE;
use super::until_flushed;

#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Turns {
    pub(crate) counters: usize,
    pub(crate) longest_turn_ms: f64,
    /// It had the highest priority: what others have its core for is not its turn, and the
    /// machine's few cores carry the sender and carbon, too.
    pub(crate) favoured: bool,
    /// Flushes in which the server reported a longest turn.
    pub(crate) flushes: u64,
}

/// New names, all in five seconds.
pub(crate) const COUNTERS: usize = 1_000_000;

pub(crate) fn turns(profile: &Profile, setting: &Setting, figure: &str) -> Result<Turns, String> {
    let workload = Workload { names: COUNTERS, mix: Mix::COUNTERS, ..Workload::default() };
    let traffic = Traffic::build(&workload).map_err(|error| error.to_string())?;
    let mut server = Server::start(profile, setting)?;
    let favoured = server.favour();
    server.carbon.watch(figure);
    server.sender(Transport::Udp)?.send(&traffic, Plan::lines(COUNTERS as u64).at(RATE));
    server.until_read();
    // A flush tells the turns before it: those of the flush of all names are in the one after it.
    let flushed = server.carbon.bursts().len();
    until_flushed(&server, profile, setting, flushed + 2);
    server.is_well()?;
    let told = server.carbon.watched(figure);
    match told.lines {
        0 => Err(format!("{} tells no {figure}", profile.name)),
        flushes => {
            let longest_turn_ms = told.largest;
            Ok(Turns { counters: COUNTERS, longest_turn_ms, favoured, flushes })
        }
    }
}
