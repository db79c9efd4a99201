//! `dump_messages`: every line received, in the log. For a look at what clients send; a busy server is slowed by it.

use crate::protocol::trimmed;

/// What is shown of a line.
const SHOWN_BYTES_MAX: usize = 200;

pub(super) fn log_packet(packet: &[u8]) {
    packet.split(|&byte| byte == b'\n').for_each(log_line);
}

pub(super) fn log_line(line: &[u8]) {
    let line = trimmed(line);
    let shown = &line[..line.len().min(SHOWN_BYTES_MAX)];
    let more = if shown.len() < line.len() { "..." } else { "" };
    if !line.is_empty() {
        log::info!("line=\"{}{more}\"", shown.escape_ascii());
    }
}
