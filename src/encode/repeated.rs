//! Forwards packets to other StatsD servers as they were received.
//!
//! A datagram is forwarded as one datagram. Lines from a connection are forwarded in packets of
//! whole lines. A server with a TCP connection gets everything as one stream, with a newline at the
//! end of each packet.
//!
//! A packet of a unix socket can be longer than a UDP datagram. It is forwarded in packets of whole
//! lines. A single line that is too long is refused, and kept as an example for the log.

use std::rc::Rc;

use super::chunk::{Chunk, Chunks, DATAGRAM_BYTES_MAX, HEAD_BYTES, append, newlines, whole_lines};
use crate::protocol::{MAGIC, Reach, first_piece, is_binary, reach};

/// The bytes of a refused line that are kept as an example.
const EXAMPLE_BYTES: usize = 200;

/// The transport of packets to another StatsD server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketTransport {
    Datagrams,
    Stream,
}

/// Packets until a sink takes them.
#[derive(Debug, Default)]
pub struct Repeated {
    datagrams: CarriedChunks,
    stream: CarriedChunks,
    refused: Option<RefusedLines>,
}

/// The lines that no datagram can hold.
#[derive(Debug, PartialEq, Eq)]
pub struct RefusedLines {
    pub lines: u64,
    /// The beginning of the first of the lines.
    pub example: Vec<u8>,
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
    pub fn want(&mut self, is_wanted: impl Fn(PacketTransport) -> bool) {
        self.datagrams.is_wanted = is_wanted(PacketTransport::Datagrams);
        self.stream.is_wanted = is_wanted(PacketTransport::Stream);
    }

    /// Forwards a datagram.
    pub fn packet(&mut self, packet: &[u8]) {
        if self.datagrams.is_wanted && !packet.is_empty() {
            if packet.len() > DATAGRAM_BYTES_MAX {
                self.split(packet);
            } else {
                self.datagrams.packet(packet);
            }
        }
        if self.stream.is_wanted {
            self.stream.pieces(packet);
        }
    }

    /// Forwards a packet that is too long for a datagram: its lines in packets of whole lines, and
    /// each binary message in a packet of its own.
    #[cold]
    fn split(&mut self, packet: &[u8]) {
        let mut rest = packet;
        while !rest.is_empty() {
            let (piece, after) = first_piece(rest);
            if is_binary(piece) {
                self.datagram(piece);
            } else {
                self.whole_lines(piece);
            }
            rest = after;
        }
    }

    /// Forwards lines as datagrams of whole lines, each with a newline at its end.
    fn whole_lines(&mut self, lines: &[u8]) {
        let mut rest = lines;
        while !rest.is_empty() {
            let packet = whole_lines(rest);
            if packet.payload.ends_with(b"\n") {
                self.datagram(packet.payload);
            } else {
                self.datagram(&[packet.payload, b"\n"].concat());
            }
            rest = &rest[packet.length..];
        }
    }

    /// Forwards a line, a binary message or short lines as a datagram. Refuses what is too long.
    fn datagram(&mut self, payload: &[u8]) {
        if payload.len() <= DATAGRAM_BYTES_MAX {
            return self.datagrams.packet(payload);
        }
        let refused = self.refused.get_or_insert_with(|| RefusedLines {
            lines: 0,
            example: payload[..EXAMPLE_BYTES].to_vec(),
        });
        refused.lines += 1;
    }

    /// Returns the lines refused since the last call. The caller must call this after each packet,
    /// because the present sender is that of the lines.
    #[inline]
    pub fn take_refused(&mut self) -> Option<RefusedLines> {
        self.refused.take()
    }

    /// Forwards a binary message of a connection. A message that is cut short is dropped.
    pub fn binary(&mut self, message: &[u8]) {
        if !is_whole(message) {
            return;
        }
        if self.datagrams.is_wanted {
            self.datagram(message);
        }
        if self.stream.is_wanted {
            self.stream.chunks.frame(message, 1);
        }
    }

    /// Forwards whole lines of a connection. Each packet ends with a newline, however the lines
    /// arrived.
    pub fn lines(&mut self, lines: &[u8]) {
        if self.datagrams.is_wanted {
            self.whole_lines(lines);
        }
        if self.stream.is_wanted {
            self.stream.text(lines);
        }
    }

    /// Takes all chunks.
    pub fn take(&mut self) -> impl Iterator<Item = (PacketTransport, Rc<Chunk>)> {
        let all = [
            (PacketTransport::Datagrams, &mut self.datagrams),
            (PacketTransport::Stream, &mut self.stream),
        ];
        all.into_iter().flat_map(|(transport, carried)| {
            carried.chunks.end();
            carried.chunks.take().map(move |chunk| (transport, chunk))
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

    fn repeated(wanted: &[PacketTransport]) -> Repeated {
        let mut repeated = Repeated::default();
        repeated.want(|transport| wanted.contains(&transport));
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
        let mut repeated = repeated(&[PacketTransport::Datagrams]);
        PACKETS.iter().for_each(|packet| repeated.packet(packet));
        let taken: Vec<_> = repeated.take().collect();
        let [(PacketTransport::Datagrams, chunk)] = &taken[..] else { panic!("{taken:?}") };
        assert_eq!(datagrams(chunk.bytes()), [PACKETS[0], PACKETS[1], BINARY, CUT]);
        assert_eq!(chunk.lines(), 5);
        assert_eq!(repeated.take().count(), 0, "they are taken once");
    }

    #[test]
    fn a_line_of_a_connection_ends_with_a_newline_as_a_packet() {
        let mut repeated = repeated(&[PacketTransport::Datagrams]);
        repeated.lines(b"a:1|c\nb:2|c\n");
        repeated.lines(b"c:3|c");
        let taken: Vec<_> = repeated.take().collect();
        let [(PacketTransport::Datagrams, chunk)] = &taken[..] else { panic!("{taken:?}") };
        assert_eq!(datagrams(chunk.bytes()), [&b"a:1|c\nb:2|c\n"[..], b"c:3|c\n"]);
        assert_eq!(chunk.lines(), 3);
    }

    /// Shows that a packet that no datagram can hold goes on in smaller ones, and that a line that
    /// none can hold is refused. Over a stream both go on.
    #[test]
    fn a_line_that_no_datagram_can_hold_is_refused_and_the_others_go_on() {
        let line = |bytes: usize| format!("{}:1|c", "n".repeat(bytes - 4));
        let fits = line(DATAGRAM_BYTES_MAX - 1);
        let too_long = line(DATAGRAM_BYTES_MAX);
        let binary_of = |key: usize| {
            let length = u16::try_from(key + 1).unwrap().to_le_bytes();
            [b"\xaa\x02", &length[..], &[0; 8], &vec![b'k'; key], b"\0"].concat()
        };
        let many = "a:1|c\n".repeat(10_920) + "b:2|c"; // 65,525 bytes
        let mut repeated = repeated(&[PacketTransport::Datagrams, PacketTransport::Stream]);
        let mut refused = Vec::new();
        let mut note = |repeated: &mut Repeated| refused.push(repeated.take_refused());
        repeated.packet(line(DATAGRAM_BYTES_MAX).as_bytes());
        note(&mut repeated);
        repeated.packet(many.as_bytes());
        note(&mut repeated);
        repeated.packet(format!("a:1|c\n{too_long}x\nz:1|c").as_bytes());
        note(&mut repeated);
        repeated.lines(format!("{fits}\n{too_long}\nb:1|c\n{too_long}\n").as_bytes());
        note(&mut repeated);
        repeated.packet(&[b"a:1|c\n", &binary_of(65_495)[..]].concat());
        note(&mut repeated);
        repeated.binary(&binary_of(65_000));
        repeated.binary(&binary_of(65_500));
        note(&mut repeated);
        let refused: Vec<_> = refused
            .iter()
            .map(|refused| refused.as_ref().map(|refused| (refused.lines, refused.example[0])))
            .collect();
        let expected =
            [None, None, Some((1, b'n')), Some((2, b'n')), Some((1, 0xaa)), Some((1, 0xaa))];
        assert_eq!(refused, expected);
        let taken: Vec<_> = repeated.take().collect();
        let of = |wanted| taken.iter().filter(move |(transport, _)| *transport == wanted);
        let packets: Vec<_> = of(PacketTransport::Datagrams)
            .flat_map(|(_, chunk)| datagrams(chunk.bytes()))
            .collect();
        let lines: usize = packets
            .iter()
            .map(|packet| {
                packet.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count()
            })
            .sum();
        assert!(packets.iter().all(|packet| packet.len() <= DATAGRAM_BYTES_MAX));
        assert_eq!(lines, 1 + 10_921 + 2 + 2 + 1 + 1);
        let streamed: usize = of(PacketTransport::Stream).map(|(_, chunk)| chunk.len()).sum();
        assert!(streamed > 580_000, "{streamed}");
    }

    #[test]
    fn over_a_connection_each_ends_where_it_should() {
        let mut repeated = repeated(&[PacketTransport::Stream]);
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
        let mut repeated = repeated(&[PacketTransport::Datagrams, PacketTransport::Stream]);
        let text: String = (0..20_000).map(|nth| format!("name.{nth}:1|c\n")).collect();
        repeated.lines(text.as_bytes());
        let taken: Vec<_> = repeated.take().collect();
        let of = |wanted| taken.iter().filter(move |(transport, _)| *transport == wanted);
        let mut all = Vec::new();
        for (_, chunk) in of(PacketTransport::Datagrams) {
            for packet in datagrams(chunk.bytes()) {
                assert!(packet.len() <= 1432 && packet.ends_with(b"\n"));
                all.extend_from_slice(packet);
            }
        }
        assert!(all == text.as_bytes());
        let stream: Vec<u8> =
            of(PacketTransport::Stream).flat_map(|(_, chunk)| chunk.bytes().to_vec()).collect();
        assert!(stream == text.as_bytes());
        assert_eq!(taken.iter().map(|(_, chunk)| chunk.lines()).sum::<u32>(), 40_000);
    }
}
