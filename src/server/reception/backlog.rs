//! The sources that have something to read, in the order in which they are read.
//!
//! The poller reports a source once, and does not report it again if its budget was used up before
//! it was empty. So each source stays in the backlog until it is empty. The loop reads as many of
//! them as a turn has time for.
//!
//! Datagram sockets and streams have queues of their own, because datagram sockets must be read
//! more often: the kernel drops datagrams when a socket is full, but the sender of a stream waits.

use std::collections::VecDeque;

use ahash::AHashSet;

use crate::token::EventSource;

/// The sources with unread input.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    datagrams: VecDeque<EventSource>,
    streams: VecDeque<EventSource>,
    /// The sources in either queue.
    queued: AHashSet<EventSource>,
}

impl Backlog {
    pub(super) fn is_empty(&self) -> bool {
        self.queued.is_empty()
    }

    /// Whether this source is in the backlog.
    pub(super) fn has(&self, source: EventSource) -> bool {
        self.queued.contains(&source)
    }

    /// Empties the backlog. Returns the sources that were in it.
    pub(super) fn take_all(&mut self) -> Vec<EventSource> {
        let Self { datagrams, streams, .. } = std::mem::take(self);
        datagrams.into_iter().chain(streams).collect()
    }

    /// The number of datagram sockets in the backlog.
    pub(super) fn datagrams(&self) -> usize {
        self.datagrams.len()
    }

    /// Adds a source at the end, unless it is in the backlog already.
    pub(super) fn push(&mut self, source: EventSource) {
        if self.queued.insert(source) {
            match source {
                EventSource::Datagrams(_) => self.datagrams.push_back(source),
                _ => self.streams.push_back(source),
            }
        }
    }

    /// The next datagram socket.
    pub(super) fn pop_datagrams(&mut self) -> Option<EventSource> {
        let source = self.datagrams.pop_front()?;
        self.queued.remove(&source);
        Some(source)
    }

    /// The next listener or connection.
    pub(super) fn pop_stream(&mut self) -> Option<EventSource> {
        let source = self.streams.pop_front()?;
        self.queued.remove(&source);
        Some(source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_waits_once_and_in_turn() {
        let mut backlog = Backlog::default();
        for source in [
            EventSource::Listener(0),
            EventSource::Datagrams(1),
            EventSource::Listener(1),
            EventSource::Datagrams(1),
        ] {
            backlog.push(source);
        }
        assert_eq!(backlog.datagrams(), 1);
        assert_eq!(backlog.pop_datagrams(), Some(EventSource::Datagrams(1)));
        assert_eq!(backlog.pop_stream(), Some(EventSource::Listener(0)));
        backlog.push(EventSource::Listener(0));
        assert_eq!(backlog.pop_stream(), Some(EventSource::Listener(1)));
        assert_eq!(backlog.pop_stream(), Some(EventSource::Listener(0)));
        assert!(backlog.is_empty() && backlog.pop_datagrams().is_none());
    }
}
