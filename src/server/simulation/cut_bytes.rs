//! The logger of the trials. It adds up what the log reports as cut off from spools: there, only
//! the number of bytes is known, not that of lines.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};

use log::{Level, LevelFilter, Log, Metadata, Record};

struct Logger;

/// Whether each line is printed, too.
static PRINTS: AtomicBool = AtomicBool::new(false);

thread_local! {
    static CUT: Cell<u64> = const { Cell::new(0) };
}

impl Log for Logger {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        if record.level() == Level::Warn
            && let Some(bytes) = record.key_values().get("cut_bytes".into())
        {
            CUT.set(CUT.get() + bytes.to_u64().expect("a number of bytes"));
        }
        if PRINTS.load(Ordering::Relaxed) {
            eprint!("{}", crate::logging::formatted(record));
        }
    }

    fn flush(&self) {}
}

/// Begins to read the log, and prints it if `prints`.
pub(super) fn install(prints: bool) {
    PRINTS.store(prints, Ordering::Relaxed);
    log::set_logger(&Logger).expect("no logger is set in this process");
    log::set_max_level(if prints { LevelFilter::Debug } else { LevelFilter::Warn });
}

/// Returns the bytes that were cut off on this thread since the last call.
pub(super) fn take() -> u64 {
    CUT.take()
}
