//! Finds when a process began to work. It samples the process's CPU time and its number of time
//! slices every millisecond.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use statsd_bench::{Clock, beside};

use super::proc::{self, Ran};

/// What a process had done by then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sample {
    pub(crate) at: Duration,
    pub(crate) ran: Ran,
}

#[derive(Debug)]
pub(crate) struct Watch {
    ends: Arc<AtomicBool>,
    watching: JoinHandle<Vec<Sample>>,
}

impl Watch {
    /// Samples by this clock until it is ended.
    pub(crate) fn start(process: u32, clock: Clock) -> Self {
        let ends = Arc::new(AtomicBool::new(false));
        let end = Arc::clone(&ends);
        let watching = beside(move || {
            let mut samples = Vec::new();
            while !end.load(Ordering::SeqCst) {
                samples.push(Sample { at: clock.elapsed(), ran: proc::ran(process) });
                Clock::sleep(Duration::from_millis(1));
            }
            samples
        });
        Self { ends, watching }
    }

    pub(crate) fn end(self) -> Vec<Sample> {
        self.ends.store(true, Ordering::SeqCst);
        self.watching.join().unwrap_or_default()
    }
}

/// A shorter rest is part of the work: a thread may run for some milliseconds before its time is
/// accounted.
const REST: Duration = Duration::from_millis(10);

/// When the work began that had the first byte at carbon as its result: after the last rest before
/// it. None if there was no rest.
pub(crate) fn tick(samples: &[Sample], first_byte: Duration) -> Option<Duration> {
    let mut began = None;
    let worked = samples.windows(2).filter(|pair| pair[0].ran != pair[1].ran);
    let mut last = None;
    for pair in worked.take_while(|pair| pair[0].at <= first_byte) {
        let rested = pair[0].at.saturating_sub(last.unwrap_or(samples[0].at));
        if rested >= REST {
            began = Some(pair[0].at);
        }
        last = Some(pair[1].at);
    }
    began
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sample each millisecond of a process that works in these spans of milliseconds.
    fn samples(spans: &[(u64, u64)]) -> Vec<Sample> {
        let mut ran = Ran::default();
        let works = |at: u64| spans.iter().any(|&(from, to)| (from..to).contains(&at));
        (0..200)
            .map(|at| {
                ran.nanos += if at > 0 && works(at - 1) { 500_000 } else { 0 };
                Sample { at: Duration::from_millis(at), ran }
            })
            .collect()
    }

    fn ticked(spans: &[(u64, u64)], first_byte: u64) -> Option<u128> {
        tick(&samples(spans), Duration::from_millis(first_byte)).map(|at| at.as_millis())
    }

    #[test]
    fn it_is_the_end_of_the_last_rest_before_the_first_byte() {
        assert_eq!(ticked(&[(100, 130)], 110), Some(100));
        assert_eq!(ticked(&[(20, 21), (100, 130), (150, 160)], 110), Some(100));
        assert_eq!(ticked(&[(100, 103), (108, 130)], 125), Some(100));
    }

    #[test]
    fn who_never_rests_has_none() {
        assert_eq!(ticked(&[(0, 200)], 110), None);
        assert_eq!(ticked(&[], 110), None);
    }
}
