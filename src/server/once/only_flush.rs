//! [`OnlyFlush`]: the flush of a process that flushes once, and sends it.

use std::time::Duration;

use crate::clock::Clock;
use crate::server::drain_limit::DrainLimit;
use crate::server::pipeline::Pipeline;
use crate::server::pipeline::flushing::Flushing;
use crate::server::reactor::{Reactor, Timer};
use crate::sink::Sink;
use crate::time::Now;

/// The only flush of a process. It has no own figures of the server, and there is no spool.
#[derive(Debug)]
pub(super) struct OnlyFlush(Flushing);

/// The time after which a flush that waits for the sinks checks them again.
const CHECK_SINKS_AFTER: Duration = Duration::from_millis(50);

impl OnlyFlush {
    /// Begins the flush. Its timestamp is `now`.
    pub(super) fn begin(interval: Duration, now: Now, pipeline: &mut Pipeline) -> Self {
        let mut flushing = Flushing::once(now, interval);
        let stages = pipeline.stages();
        stages.sinks.iter_mut().for_each(Sink::exclude_spool);
        flushing.tick(now, stages);
        Self(flushing)
    }

    /// Does one slice of the sweep. Input does not wait for its end. So it can wait for the sinks,
    /// as long as `limit` lets them hold it, and a flush that is larger than their queues loses
    /// nothing.
    pub(super) fn sweep<C: Clock>(
        &mut self,
        limit: &DrainLimit,
        pipeline: &mut Pipeline,
        reactor: &mut Reactor<C>,
    ) {
        let stages = pipeline.stages();
        if !stages.engine.is_sweeping() {
            return;
        }
        let now = reactor.now().tick;
        let is_held = stages.sinks.iter().any(|sink| limit.lets_hold_sweep(sink, now));
        reactor.set(Timer::Sweep, is_held.then(|| now + CHECK_SINKS_AFTER));
        reactor.turn_again_if(!is_held);
        if !is_held {
            self.0.sweep_slice(reactor.clock(), stages);
        }
    }
}
