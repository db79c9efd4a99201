//! `dump_messages`: every line and binary message received, in the log. For a look at what clients send; a busy server is slowed by it.

use crate::ingest::lines::Piece;
use crate::protocol::{first_piece, is_binary, trimmed};

/// What is shown of a line.
const SHOWN_BYTES_MAX: usize = 200;

/// Logs a piece of a stream.
pub(super) fn log_piece(piece: Piece<'_>) {
    match piece {
        Piece::Lines(text) => log_packet(text),
        Piece::Binary(text) | Piece::Overlong(text) => log_line(text),
    }
}

/// Logs each line and binary message of a datagram.
pub(super) fn log_packet(packet: &[u8]) {
    let mut rest = packet;
    while !rest.is_empty() {
        let (piece, behind) = first_piece(rest);
        log_line(piece);
        rest = behind;
    }
}

fn log_line(line: &[u8]) {
    let line = if is_binary(line) { line } else { trimmed(line) };
    let shown = &line[..line.len().min(SHOWN_BYTES_MAX)];
    let more = if shown.len() < line.len() { "..." } else { "" };
    if !line.is_empty() {
        log::info!("line=\"{}{more}\"", shown.escape_ascii());
    }
}
