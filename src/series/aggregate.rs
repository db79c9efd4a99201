//! One series: its open interval and, during a sweep, the one before it.

mod adding;
mod saved;

pub(super) use adding::Adding;
pub(super) use saved::Saved;

use super::distinct::Members;
use super::memory::Pool;
use super::sketch::Sketch;
use super::values::Samples;
use crate::policy::{Generations, Policy};
use crate::protocol::MetricKind;

/// A name of one kind and what it has gathered. A counter's or gauge's fits one cache line.
#[derive(Debug)]
pub struct Series {
    name: Box<[u8]>,
    /// Part of the name's hash, as the index keeps it.
    pub(super) hash: u32,
    /// The flush number whose interval is the current one.
    interval: u32,
    /// The flush number of the last touch.
    seen: u32,
    /// The number of its policy.
    policy: u16,
    /// The previous interval is still to be closed.
    pending: bool,
    /// Nothing came in the previous interval.
    previous_idle: bool,
    state: State,
}

#[derive(Debug)]
enum State {
    /// `last` is what a cumulative counter's client had come to, NaN before the first time; flushes leave it alone.
    Counter {
        current: f64,
        previous: f64,
        last: f64,
    },
    Gauge {
        current: f64,
        previous: f64,
    },
    Timing(Box<Two<Samples>>),
    Set(Box<Two<Members>>),
}

#[derive(Debug, Default)]
struct Two<T> {
    current: T,
    previous: T,
}

/// A series at the end of an interval.
#[derive(Debug)]
pub struct Closed<'a> {
    pub name: &'a [u8],
    pub policy: &'a Policy,
    /// Nothing came in the interval.
    pub idle: bool,
    pub values: Values<'a>,
}

/// What a series held, in a closed interval or (for a look) in the open one.
#[derive(Debug)]
pub enum Values<'a> {
    Counter(f64),
    Gauge(f64),
    /// Samples in no order, free to be sorted in place, and the number of events they stand for.
    Timing {
        samples: &'a mut [f64],
        weight: f64,
    },
    /// A timing that had too many samples to keep.
    Sketch(&'a Sketch),
    /// The number of members, an estimate if there were too many to keep.
    Set {
        members: usize,
    },
}

impl Series {
    pub(super) fn new(
        name: &[u8],
        hash: u32,
        kind: MetricKind,
        policy: u16,
        interval: u32,
    ) -> Self {
        let state = match kind {
            MetricKind::Counter => State::Counter { current: 0.0, previous: 0.0, last: f64::NAN },
            MetricKind::Gauge => State::Gauge { current: 0.0, previous: 0.0 },
            MetricKind::Timing => State::Timing(Box::default()),
            MetricKind::Set => State::Set(Box::default()),
        };
        let (pending, previous_idle) = (false, false);
        let seen = interval;
        Self { name: name.into(), hash, interval, seen, policy, pending, previous_idle, state }
    }

    pub fn name(&self) -> &[u8] {
        &self.name
    }

    pub fn kind(&self) -> MetricKind {
        match self.state {
            State::Counter { .. } => MetricKind::Counter,
            State::Gauge { .. } => MetricKind::Gauge,
            State::Timing(_) => MetricKind::Timing,
            State::Set(_) => MetricKind::Set,
        }
    }

    /// Makes the open interval the previous one: O(1), nothing is sorted or encoded here.
    fn roll(&mut self, now: u32, policies: &Generations, pool: &mut Pool) {
        debug_assert!(!self.pending, "a tick waits until every series of the one before is closed");
        if self.is_over(now, policies) {
            return self.begin_anew(now);
        }
        match &mut self.state {
            State::Counter { current, previous, .. } => *previous = std::mem::take(current),
            State::Gauge { current, previous } => *previous = *current,
            State::Timing(two) => {
                two.previous = std::mem::replace(&mut two.current, Samples::new(pool));
            }
            State::Set(two) => two.previous = std::mem::take(&mut two.current),
        }
        self.previous_idle = self.seen != self.interval;
        self.interval = now;
        self.pending = true;
    }

    /// The sweep was to forget the series when a sample came: what it is now began with that sample.
    fn begin_anew(&mut self, now: u32) {
        self.interval = now;
        // What is idle is empty already, but a gauge has its level and a cumulative counter knows its client's.
        match &mut self.state {
            State::Counter { last, .. } => *last = f64::NAN,
            State::Gauge { current, .. } => *current = 0.0,
            State::Timing(_) | State::Set(_) => {}
        }
    }

    /// How many intervals before `now` have passed without a sample.
    pub(super) fn idle(&self, now: u32) -> u32 {
        if self.seen == now { 0 } else { now.wrapping_sub(1).wrapping_sub(self.seen) }
    }

    pub(super) fn seen(&self) -> u32 {
        self.seen
    }

    /// The number of its policy.
    pub(super) fn policy(&self) -> u16 {
        self.policy
    }

    /// From now on it is treated by another policy.
    pub(super) fn adopt(&mut self, policy: u16) {
        self.policy = policy;
    }

    /// Whether it has been idle for so long that it is to be forgotten, unsent.
    pub(super) fn is_over(&self, now: u32, policies: &Generations) -> bool {
        policies.at(self.policy).is_over(self.kind(), self.idle(now))
    }

    /// Whether the interval before `now` is closed.
    pub(super) fn is_closed(&self, now: u32) -> bool {
        !self.pending && self.interval == now
    }

    /// Closes the interval before `now` if that is still to be done, handing its values to `close`; a series that is over
    /// has none.
    pub(super) fn close(
        &mut self,
        now: u32,
        policies: &Generations,
        pool: &mut Pool,
        close: &mut impl FnMut(Closed<'_>),
    ) {
        let policy = policies.at(self.policy);
        if std::mem::take(&mut self.pending) {
            self.close_previous(policy, pool, close);
        } else if self.interval != now && !self.is_over(now, policies) {
            let idle = self.seen != self.interval;
            self.interval = now;
            self.close_current(idle, policy, pool, close);
        }
    }

    /// Nobody touched the series since the tick: its open interval is closed where it lies.
    fn close_current(
        &mut self,
        idle: bool,
        policy: &Policy,
        pool: &mut Pool,
        close: &mut impl FnMut(Closed<'_>),
    ) {
        close(Closed { name: &self.name, policy, idle, values: self.state.current() });
        match &mut self.state {
            State::Counter { current, .. } => *current = 0.0,
            State::Gauge { .. } => {}
            State::Timing(two) => two.current.empty(pool),
            State::Set(two) => two.current.empty(pool),
        }
    }

    fn close_previous(
        &mut self,
        policy: &Policy,
        pool: &mut Pool,
        close: &mut impl FnMut(Closed<'_>),
    ) {
        let idle = self.previous_idle;
        close(Closed { name: &self.name, policy, idle, values: self.state.previous() });
        match &mut self.state {
            State::Counter { .. } | State::Gauge { .. } => {}
            State::Timing(two) => std::mem::take(&mut two.previous).release(pool),
            State::Set(two) => std::mem::take(&mut two.previous).release(pool),
        }
    }

    /// The open interval; of a series that the sweep has not reached, nothing yet. A gauge always has its level.
    pub fn open(&mut self, now: u32) -> Values<'_> {
        if self.interval == now {
            return self.state.current();
        }
        match &self.state {
            State::Counter { .. } => Values::Counter(0.0),
            State::Gauge { current, .. } => Values::Gauge(*current),
            State::Timing(_) => Values::Timing { samples: &mut [], weight: 0.0 },
            State::Set(_) => Values::Set { members: 0 },
        }
    }

    /// Holds its open interval in less memory, if it can; what a sweep has yet to close is left to the sweep.
    pub(super) fn condense(&mut self, now: u32, pool: &mut Pool) {
        match &mut self.state {
            _ if self.interval != now => {}
            State::Counter { .. } | State::Gauge { .. } => {}
            State::Timing(two) => two.current.condense(pool),
            State::Set(two) => two.current.condense(pool),
        }
    }

    /// What closing it costs, in counters.
    pub(super) fn work(&self) -> usize {
        match &self.state {
            State::Counter { .. } | State::Gauge { .. } | State::Set(_) => 1,
            State::Timing(two) => 4 + (two.current.len() + two.previous.len()) / 8,
        }
    }

    /// Gives back what it holds of the pool.
    pub(super) fn release(self, pool: &mut Pool) {
        match self.state {
            State::Counter { .. } | State::Gauge { .. } => {}
            State::Timing(two) => {
                two.current.release(pool);
                two.previous.release(pool);
            }
            State::Set(two) => {
                two.current.release(pool);
                two.previous.release(pool);
            }
        }
    }
}

impl State {
    fn current(&mut self) -> Values<'_> {
        match self {
            Self::Counter { current, .. } => Values::Counter(*current),
            Self::Gauge { current, .. } => Values::Gauge(*current),
            Self::Timing(two) => Values::of(&mut two.current),
            Self::Set(two) => Values::Set { members: two.current.len() },
        }
    }

    fn previous(&mut self) -> Values<'_> {
        match self {
            Self::Counter { previous, .. } => Values::Counter(*previous),
            Self::Gauge { previous, .. } => Values::Gauge(*previous),
            Self::Timing(two) => Values::of(&mut two.previous),
            Self::Set(two) => Values::Set { members: two.previous.len() },
        }
    }
}

impl<'a> Values<'a> {
    fn of(samples: &'a mut Samples) -> Self {
        match samples {
            Samples::Exact { values, weight } => Self::Timing { samples: values, weight: *weight },
            Samples::Sketch(sketch) => Self::Sketch(sketch),
        }
    }
}

// A counter touches its index entry, this line and its name.
const _: () = assert!(size_of::<Series>() <= 64);
