//! Writes the warnings that are due to the log: at most one line a minute for each kind.

use super::Server;
use crate::flush::Own;
use crate::logging;
use crate::sender::Sender;
use crate::warnings::{Warning, WarningKind};

impl Server {
    pub(super) fn log_warnings(&mut self) {
        self.engine.count(Own::LogLinesDropped, logging::take_dropped());
        while let Some(warning) = self.engine.warnings().due(self.now.tick) {
            let newcomers = self.engine.table_mut().newcomers();
            log_warning(&warning, || newcomers.take_busiest().unwrap_or_default());
        }
    }
}

fn log_warning(warning: &Warning, busiest: impl FnOnce() -> String) {
    let Warning { what, count, example, sender } = warning;
    let (kind, mut words) = what.words();
    if *what == WarningKind::TooManySeries {
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
