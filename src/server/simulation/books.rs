//! What the checks of the simulation remember.

use std::collections::HashSet;

use super::clock::VirtualClock;
use super::network::Lost;
use super::outside::CARBON;
use crate::config::{Config, Queue, Resend};
use crate::server::Server;
use crate::sink::testing::Account;

/// What the checks remember from turn to turn.
#[derive(Debug, Default)]
pub(super) struct Books {
    /// The newest flush of this run.
    pub(super) flush: u64,
    /// Lines pushed to the witness in this run.
    pub(super) witnessed: u64,
    /// Lines pushed to the present sink of `carbon`.
    pub(super) pushed: u64,
    /// The account of `carbon` after the last turn.
    pub(super) carbon: Option<Account>,
    /// What `carbon` sends again after a break, as last configured.
    pub(super) resend: Option<Resend>,
    /// The queue that `carbon` may fill.
    pub(super) queue: usize,
    /// The largest number of clients allowed in this run.
    pub(super) connections: usize,
    /// The sum of the counters sent before a flush whose sweep is under way.
    pub(super) closing: Option<u64>,
    /// The sum of the counters that are flushed for certain.
    pub(super) floor: u64,
    pub(super) stamp: u64,
    /// How often a stamp may be one that was used before: once for each step back of the wall
    /// clock, and for each interval that was closed before its end.
    pub(super) repeats: u64,
}

impl Books {
    /// The sweep of the newest flush has ended.
    pub(super) fn close_sweep(&mut self) {
        self.floor = self.floor.max(self.closing.take().unwrap_or(0));
    }
}

/// Figures of all runs.
#[derive(Debug, Default)]
pub(super) struct Totals {
    /// Lines that were given up and counted.
    pub(super) given_up: u64,
    /// Lines that died with a killed server.
    pub(super) died: u64,
    /// Lines in the spool of `carbon` when its present sink began. The sink knows only those that
    /// it has read since.
    pub(super) in_spool: u64,
    /// Lines flushed while `carbon` was no destination.
    pub(super) unsubscribed: u64,
    /// How many flushes had begun when retained lines were forgotten.
    pub(super) forgotten: Vec<u64>,
    /// The sum of the counters that were lost with a killed server.
    pub(super) lost: u64,
    pub(super) kills: u64,
    pub(super) stops: u64,
    /// Stops that saved the open interval, and those that closed it early.
    pub(super) saved: u64,
    pub(super) closed_early: u64,
    pub(super) reloads: u64,
    pub(super) removals: u64,
    pub(super) overruns: u64,
}

/// What must not change once a stop has begun.
#[derive(Debug, PartialEq)]
pub(super) struct Freeze {
    pub(super) flush: u64,
    pub(super) sent: Config,
    pub(super) state: Option<Vec<u8>>,
    pub(super) keys: u64,
}

pub(super) struct Judgement {
    pub(super) missing: HashSet<Vec<u8>>,
    pub(super) lost: Vec<Lost>,
    /// How many lines may be missing, having been counted as lost.
    pub(super) counted: u64,
}

/// The number of flushes that have begun in this run.
pub(super) fn flushes_begun(server: &mut Server<VirtualClock>) -> u64 {
    let (_, _, _, ended, _) = server.pipeline.split();
    ended.flushes + u64::from(server.pipeline.is_sweeping())
}

pub(super) fn queue_of_carbon(config: &Config) -> Option<usize> {
    settings_of_carbon(config).map(|queue| queue.bytes)
}

pub(super) fn settings_of_carbon(config: &Config) -> Option<Queue> {
    config.active_destinations().find(|to| to.name == CARBON).map(|to| to.queue)
}
