//! Forwards packets to other StatsD servers as they were received.
//!
//! A datagram is forwarded as one datagram. Lines from a connection are forwarded in packets of
//! whole lines. A server with a TCP connection gets everything as one stream, with a newline at the
//! end of each packet.

use std::rc::Rc;

use super::chunk::{Chunk, Chunks, HEAD_BYTES, append, newlines, whole_lines};
use crate::protocol::{MAGIC, Reach, first_piece, is_binary, reach};

/// The transport to the other server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carriage {
    Datagrams,
    Stream,
}

/// Packets until a sink takes them.
#[derive(Debug, Default)]
pub struct Repeated {
    datagrams: CarriedChunks,
    stream: CarriedChunks,
}

/// The chunks of one transport.
#[derive(Debug, Default)]
struct CarriedChunks {
    /// Whether a sink takes chunks of this transport.
    is_wanted: bool,
    chunks: Chunks,
}

impl Repeated {
    /// Sets the transports that packets are kept for.
    pub fn want(&mut self, is_wanted: impl Fn(Carriage) -> bool) {
        self.datagrams.is_wanted = is_wanted(Carriage::Datagrams);
        self.stream.is_wanted = is_wanted(Carriage::Stream);
    }

    /// Forwards a datagram.
    pub fn packet(&mut self, packet: &[u8]) {
        if self.datagrams.is_wanted && !packet.is_empty() {
            self.datagrams.packet(packet);
        }
        if self.stream.is_wanted {
            self.stream.pieces(packet);
        }
    }

    /// Forwards a binary message of a connection. A message that is cut short is dropped.
    pub fn binary(&mut self, message: &[u8]) {
        if !is_whole(message) {
            return;
        }
        if self.datagrams.is_wanted {
            self.datagrams.packet(message);
        }
        if self.stream.is_wanted {
            self.stream.chunks.frame(message, 1);
        }
    }

    /// Forwards whole lines of a connection. Each packet ends with a newline, however the lines
    /// arrived.
    pub fn lines(&mut self, lines: &[u8]) {
        if self.datagrams.is_wanted {
            let mut rest = lines;
            while !rest.is_empty() {
                let packet = whole_lines(rest);
                if packet.payload.ends_with(b"\n") {
                    self.datagrams.packet(packet.payload);
                } else {
                    self.datagrams.packet(&[packet.payload, b"\n"].concat());
                }
                rest = &rest[packet.length..];
            }
        }
        if self.stream.is_wanted {
            self.stream.text(lines);
        }
    }

    /// Takes all chunks.
    pub fn take(&mut self) -> impl Iterator<Item = (Carriage, Rc<Chunk>)> {
        let all =
            [(Carriage::Datagrams, &mut self.datagrams), (Carriage::Stream, &mut self.stream)];
        all.into_iter().flat_map(|(carriage, carried)| {
            carried.chunks.end();
            carried.chunks.take().map(move |chunk| (carriage, chunk))
        })
    }
}

impl CarriedChunks {
    /// Appends a datagram, which goes on as a datagram.
    fn packet(&mut self, payload: &[u8]) {
        let lines = lines_of(payload);
        append(payload, lines, self.chunks.room(payload.len() + HEAD_BYTES, lines));
    }

    /// Appends the lines and the binary messages of a datagram to a stream.
    ///
    /// A binary message that is cut short is left out. In a stream it would take the bytes after it
    /// for its own.
    fn pieces(&mut self, packet: &[u8]) {
        if memchr::memchr(MAGIC, packet).is_none() {
            return self.text(packet);
        }
        let mut rest = packet;
        while !rest.is_empty() {
            let (piece, after) = first_piece(rest);
            if !is_binary(piece) {
                self.text(piece);
            } else if is_whole(piece) {
                self.chunks.frame(piece, 1);
            }
            rest = after;
        }
    }

    /// Appends lines to a stream, with a newline after the last.
    fn text(&mut self, text: &[u8]) {
        if text.is_empty() {
            return;
        }
        let room = self.chunks.room(text.len() + 1, lines_of(text));
        room.extend_from_slice(text);
        if !text.ends_with(b"\n") {
            room.push(b'\n');
        }
    }
}

/// Whether a binary message has the length that its header states.
fn is_whole(message: &[u8]) -> bool {
    reach(message) == Reach::Bytes(message.len())
}

/// Counts the lines. The last line may lack its newline.
fn lines_of(text: &[u8]) -> u32 {
    let all = newlines(text) + u64::from(!text.ends_with(b"\n"));
    u32::try_from(all).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::chunk::framed;
    use super::*;

    fn repeated(wanted: &[Carriage]) -> Repeated {
        let mut repeated = Repeated::default();
        repeated.want(|carriage| wanted.contains(&carriage));
        repeated
    }

    fn datagrams(mut rest: &[u8]) -> Vec<&[u8]> {
        let mut all = Vec::new();
        while !rest.is_empty() {
            let packet = framed(rest);
            all.push(packet.payload);
            rest = &rest[packet.length..];
        }
        all
    }

    /// A count of 1 for `k`, whole and cut short.
    const BINARY: &[u8] = b"\xaa\x02\x02\0\0\0\0\0\0\0\xf0\x3fk\0";
    const CUT: &[u8] = b"\xaa\x02\x02\0\0";
    const PACKETS: [&[u8]; 5] = [b"a:1|c", b"b:2|c\nb:3|c\n", b"", BINARY, CUT];

    #[test]
    fn what_came_in_a_datagram_goes_on_as_it_was() {
        let mut repeated = repeated(&[Carriage::Datagrams]);
        PACKETS.iter().for_each(|packet| repeated.packet(packet));
        let taken: Vec<_> = repeated.take().collect();
        let [(Carriage::Datagrams, chunk)] = &taken[..] else { panic!("{taken:?}") };
        assert_eq!(datagrams(chunk.bytes()), [PACKETS[0], PACKETS[1], BINARY, CUT]);
        assert_eq!(chunk.lines(), 5);
        assert_eq!(repeated.take().count(), 0, "they are taken once");
    }

    #[test]
    fn a_line_of_a_connection_ends_with_a_newline_as_a_packet() {
        let mut repeated = repeated(&[Carriage::Datagrams]);
        repeated.lines(b"a:1|c\nb:2|c\n");
        repeated.lines(b"c:3|c");
        let taken: Vec<_> = repeated.take().collect();
        let [(Carriage::Datagrams, chunk)] = &taken[..] else { panic!("{taken:?}") };
        assert_eq!(datagrams(chunk.bytes()), [&b"a:1|c\nb:2|c\n"[..], b"c:3|c\n"]);
        assert_eq!(chunk.lines(), 3);
    }

    #[test]
    fn over_a_connection_each_ends_where_it_should() {
        let mut repeated = repeated(&[Carriage::Stream]);
        PACKETS.iter().for_each(|packet| repeated.packet(packet));
        repeated.packet(&[b"x:1|c\n", BINARY, b"y:1|c\n", CUT, b"\nz:1|c"].concat());
        repeated.lines(b"c:4|c\nd:5|c");
        repeated.binary(BINARY);
        repeated.binary(CUT);
        let text: Vec<u8> = repeated.take().flat_map(|(_, chunk)| chunk.bytes().to_vec()).collect();
        let lines: [&[u8]; 7] = [
            b"a:1|c\nb:2|c\nb:3|c\n",
            BINARY,
            b"x:1|c\n",
            BINARY,
            b"y:1|c\nz:1|c\n",
            b"c:4|c\nd:5|c\n",
            BINARY,
        ];
        assert_eq!(text, lines.concat());
    }

    #[test]
    fn lines_of_a_connection_become_packets_of_whole_lines() {
        let mut repeated = repeated(&[Carriage::Datagrams, Carriage::Stream]);
        let text: String = (0..20_000).map(|nth| format!("name.{nth}:1|c\n")).collect();
        repeated.lines(text.as_bytes());
        let taken: Vec<_> = repeated.take().collect();
        let of = |wanted| taken.iter().filter(move |(carriage, _)| *carriage == wanted);
        let mut all = Vec::new();
        for (_, chunk) in of(Carriage::Datagrams) {
            for packet in datagrams(chunk.bytes()) {
                assert!(packet.len() <= 1432 && packet.ends_with(b"\n"));
                all.extend_from_slice(packet);
            }
        }
        assert!(all == text.as_bytes());
        let stream: Vec<u8> =
            of(Carriage::Stream).flat_map(|(_, chunk)| chunk.bytes().to_vec()).collect();
        assert!(stream == text.as_bytes());
        assert_eq!(taken.iter().map(|(_, chunk)| chunk.lines()).sum::<u32>(), 40_000);
    }
}
