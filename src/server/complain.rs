//! What the engine complains of goes to the log, at most once a minute a kind.

use super::Server;
use crate::complaints::{Complaint, Grievance};
use crate::flush::Own;
use crate::logging;
use crate::sender::Sender;

impl Server {
    pub(super) fn complain(&mut self) {
        self.input.messages.end_turn();
        self.engine.count(Own::LogLinesDropped, logging::take_dropped());
        while let Some(complaint) = self.engine.complaints().due(self.now.tick) {
            let newcomers = self.engine.table_mut().newcomers();
            log_complaint(&complaint, || newcomers.take_busiest().unwrap_or_default());
        }
    }
}

fn log_complaint(complaint: &Complaint, busiest: impl FnOnce() -> String) {
    let Complaint { what, count, example, sender } = complaint;
    let (kind, mut words) = what.words();
    if *what == Grievance::TooManySeries {
        words += &format!(" most_new=\"{}\"", busiest());
    }
    if *sender != Sender::Unknown {
        words += &format!(" sender={sender}");
    }
    if !example.is_empty() {
        words += &format!(" example=\"{example}\"");
    }
    log::warn!("{kind}={count} {words}");
}
