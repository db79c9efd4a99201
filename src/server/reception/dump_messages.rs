//! `[statsd] dump_messages`: logs each line that is received.

use crate::ingest::lines::Piece;
use crate::logging::Bytes;
use crate::protocol::{first_piece, is_binary, trimmed};

/// The most bytes of a line that `dump_messages` logs.
const SHOWN_BYTES_MAX: usize = 200;

/// Logs each line or message in a piece of a stream.
pub(in crate::server) fn log_piece(piece: Piece<'_>) {
    match piece {
        Piece::Lines(text) | Piece::Packet(text) => log_packet(text),
        Piece::Binary(text) | Piece::Overlong(text) => log_line(text),
        Piece::PacketTooLong | Piece::PacketCutShort => {}
    }
}

/// Logs each line and binary message of a datagram.
pub(in crate::server) fn log_packet(packet: &[u8]) {
    let mut rest = packet;
    while !rest.is_empty() {
        let (piece, after) = first_piece(rest);
        log_line(piece);
        rest = after;
    }
}

fn log_line(line: &[u8]) {
    let line = if is_binary(line) { line } else { trimmed(line) };
    let shown = &line[..line.len().min(SHOWN_BYTES_MAX)];
    let more = if shown.len() < line.len() { "..." } else { "" };
    if !line.is_empty() {
        log::info!(line:% = format_args!("{}{more}", Bytes(shown)); "a line was received");
    }
}
