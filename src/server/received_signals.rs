//! [`ReceivedSignals`]: which kinds of signals the server has received.

/// The kinds of signals received since the last `Signals::take`. Two signals of one kind count as
/// one.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ReceivedSignals {
    pub(super) interrupt: bool,
    pub(super) terminate: bool,
    pub(super) reload: bool,
    /// A child has ended.
    pub(super) child: bool,
}

impl ReceivedSignals {
    /// Whether a signal requests a stop.
    pub(super) fn requests_stop(self) -> bool {
        self.interrupt || self.terminate
    }
}
