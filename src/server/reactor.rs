//! The reactor: waits until an event arrives or a timer is due, and reads the clocks.
//!
//! ```text
//!  wait ──▶ events ──▶ next_event() …  ──▶ pop_due() …  ──▶ the parts do their work ──▶ wait
//!            (poller)                      (wheel)       set(timer), turn_again()
//! ```
//! The parts of the server take it as an argument: it is their clock, their poller and their timer
//! wheel. It is generic over the clock, so that the simulation runs the whole server on a virtual
//! one.

mod gather;
mod wheel;

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use mio::{Events, Poll, Registry};

use self::gather::Gather;
use self::wheel::Wheel;
use crate::clock::{Clock, SystemClock};
use crate::time::{Now, Tick};
use crate::token::{EventSource, Slot};

/// The poller, the timers and the clock.
#[derive(Debug)]
pub(super) struct Reactor<C = SystemClock> {
    poll: Poll,
    /// Where the poller writes its events.
    polled: Events,
    /// Events that were not served yet.
    events: VecDeque<EventSource>,
    clock: C,
    /// Read after each poll.
    now: Now,
    /// When the turn began.
    began: Tick,
    wheel: Wheel<Timer>,
    gather: Gather,
    /// Some work stopped at its budget and could go on at once, so the next wait returns at once.
    has_more: bool,
}

const EVENTS_PER_POLL: usize = 256;

impl<C: Clock> Reactor<C> {
    pub(super) fn new(clock: C) -> io::Result<Self> {
        let now = clock.now();
        Ok(Self {
            poll: Poll::new()?,
            polled: Events::with_capacity(EVENTS_PER_POLL),
            events: VecDeque::new(),
            now,
            began: now.tick,
            wheel: Wheel::new(),
            gather: Gather::default(),
            has_more: false,
            clock,
        })
    }

    /// Both clocks, as of the last poll.
    pub(super) fn now(&self) -> Now {
        self.now
    }

    /// The clock, for work that is bounded in time and reads the clock while it runs.
    pub(super) fn clock(&self) -> &C {
        &self.clock
    }

    pub(super) fn registry(&self) -> &Registry {
        self.poll.registry()
    }

    /// Sets the deadline of a timer, in place of the one it had. `None` takes the timer out.
    pub(super) fn set(&mut self, timer: Timer, deadline: Option<Tick>) {
        self.wheel.set(timer, deadline);
    }

    /// Takes out the next timer that is due.
    pub(super) fn pop_due(&mut self) -> Option<Timer> {
        self.wheel.pop_due(self.now.tick)
    }

    /// Makes the next wait return at once: some work stopped at its budget, and could go on.
    pub(super) fn turn_again(&mut self) {
        self.has_more = true;
    }

    /// As [`turn_again`](Self::turn_again), if there is such work.
    pub(super) fn turn_again_if(&mut self, has_more: bool) {
        self.has_more |= has_more;
    }

    /// Begins the first turn. The time that the start took must not count as the length of a turn.
    pub(super) fn begin(&mut self) {
        self.began = self.clock.tick();
    }

    /// Ends a turn, waits until an event arrives or a timer is due, and begins the next turn.
    /// Returns the length of the turn that has ended.
    pub(super) fn wait(&mut self) -> io::Result<Duration> {
        let end = self.clock.tick();
        let took = end - self.began;
        let timeout = match self.idle_until(end) {
            Idle::No => Some(Duration::ZERO),
            Idle::Nap(span) => {
                // A poll would return at the first packet, which is what a nap avoids.
                self.clock.nap(span);
                Some(Duration::ZERO)
            }
            Idle::Until(deadline) => self.clock.poll_timeout(Some(end.until(deadline))),
            Idle::Forever => self.clock.poll_timeout(None),
        };
        self.poll(timeout)?;
        self.began = self.now.tick;
        Ok(took)
    }

    /// Returns how long the reactor may wait at `now`.
    fn idle_until(&mut self, now: Tick) -> Idle {
        if std::mem::take(&mut self.has_more) {
            return Idle::No;
        }
        let deadline = self.wheel.deadline();
        match (self.gather.nap(now, deadline), deadline) {
            (Some(span), _) => Idle::Nap(span),
            (None, Some(deadline)) => Idle::Until(deadline),
            (None, None) => Idle::Forever,
        }
    }

    /// Polls without waiting. A tick does so first, so that what has just arrived can be read
    /// before the interval ends.
    pub(super) fn poll_now(&mut self) -> io::Result<()> {
        self.poll(Some(Duration::ZERO))
    }

    /// Polls for at most `timeout`, and reads the clocks. An interrupted poll is one without
    /// events.
    fn poll(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        match self.poll.poll(&mut self.polled, timeout) {
            // mio does not promise that the buffer is empty after a failed poll.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => self.polled.clear(),
            other => other?,
        }
        let events =
            self.polled.iter().filter_map(|event| EventSource::try_from(event.token()).ok());
        self.events.extend(events);
        self.now = self.clock.now();
        Ok(())
    }

    /// Takes the next event of the last poll.
    pub(super) fn next_event(&mut self) -> Option<EventSource> {
        self.events.pop_front()
    }

    /// Decides when the loop naps rather than being woken for each packet.
    pub(super) fn gather(&mut self) -> &mut Gather {
        &mut self.gather
    }
}

/// How long a wait may be.
enum Idle {
    /// There is work to do at once.
    No,
    /// The process sleeps that long without polling: see [`Gather`].
    Nap(Duration),
    Until(Tick),
    Forever,
}

/// The timers of the server: the keys of the timer wheel. A timer that fires late, or for a client
/// that is already closed, has no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Timer {
    /// The end of the open interval.
    Flush,
    /// The sinks may hold the sweep no longer.
    Sweep,
    /// Listeners that a reload has removed must be closed now.
    Retired,
    /// A stop waits no longer for the sinks.
    Stop,
    /// The next log of the most frequent names.
    KeyFlush,
    /// The next save of the gauges.
    Save,
    /// A sink has something to do. Holds the index of the sink.
    Sink(u16),
    /// A connection for lines is closed if nothing moved on it.
    IdleConnection(Slot),
    /// A client of the admin port is closed if nothing moved on it.
    IdleAdminClient(Slot),
    /// A listener for lines that could not accept tries again.
    Listener(u16),
    /// A listener of the admin port that has more clients, or that could not accept, tries again.
    AdminListener(u16),
    /// A datagram socket that could not be read is read again. Holds the index of the socket.
    Datagrams(u16),
    /// The log shows the address of the page, below the warnings that a start may cause.
    ShowPage,
    /// The service manager must be notified that the server is alive.
    Watchdog,
}

impl Timer {
    /// Whether a stop needs what this timer does. Once a stop has begun, nothing else may act. For
    /// example, a save of the gauges would replace the interval that the stop has just saved.
    pub(super) fn serves_stop(self) -> bool {
        match self {
            Self::Stop | Self::Sink(_) | Self::IdleAdminClient(_) | Self::Watchdog => true,
            Self::Flush
            | Self::Sweep
            | Self::Retired
            | Self::KeyFlush
            | Self::Save
            | Self::ShowPage
            | Self::IdleConnection(_)
            | Self::Listener(_)
            | Self::AdminListener(_)
            | Self::Datagrams(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_are_due_in_order_and_a_replaced_one_only_once() {
        let mut reactor = Reactor::new(SystemClock::start()).unwrap();
        let now = reactor.now().tick;
        reactor.set(Timer::Flush, Some(now + Duration::from_millis(2)));
        reactor.set(Timer::Save, Some(now + Duration::from_millis(1)));
        reactor.set(Timer::Stop, Some(now + Duration::from_secs(3600)));
        reactor.set(Timer::Stop, None);
        assert_eq!(reactor.pop_due(), None, "no time has passed");
        let mut due = Vec::new();
        while due.len() < 2 {
            reactor.wait().unwrap();
            due.extend(std::iter::from_fn(|| reactor.pop_due()));
        }
        assert_eq!(due, [Timer::Save, Timer::Flush]);
    }

    /// Shows that the reactor does not sleep until the deadline, which would hang the test.
    #[test]
    fn work_that_can_go_on_makes_the_next_wait_short() {
        let mut reactor = Reactor::new(SystemClock::start()).unwrap();
        let hour = reactor.now().tick + Duration::from_secs(3600);
        reactor.set(Timer::Flush, Some(hour));
        reactor.turn_again();
        reactor.wait().unwrap();
        reactor.turn_again_if(true);
        reactor.wait().unwrap();
        assert_eq!((reactor.pop_due(), reactor.next_event()), (None, None));
    }
}
