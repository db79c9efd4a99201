//! Cuts a unix stream whose client sends the length of each packet before it, as Datadog's clients
//! do (`unixstream://`), and finds out which clients those are. Pure.
//!
//! ```text
//!  length: u32, little-endian   packet      length   packet …
//!  12 00 00 00                  a:1|c\nb:2|ms\n…
//! ```
//! A packet is read as a datagram is: it holds lines and binary messages, its last newline may be
//! missing, and it is read whole or not at all. A client that resends a packet after a broken
//! connection is therefore not counted twice.

use arrayvec::ArrayVec;

use super::lines::{Piece, StreamSplitter};
use crate::protocol::{MAGIC, PACKET_BYTES_MAX, first_piece};

/// Cuts the stream of one connection, in the form that its first bytes show.
#[derive(Debug)]
pub enum ConnectionSplitter {
    /// A unix stream that has sent less than the length of a frame, or nothing.
    Undecided(ArrayVec<u8, LENGTH_BYTES>),
    Text(StreamSplitter),
    Framed(FrameSplitter),
}

/// Cuts a stream into packets at the length before each.
///
/// It holds memory only while a packet is incomplete or passed on in parts, and then exactly the
/// packet's length. So a connection holds at most [`PACKET_BYTES_MAX`].
#[derive(Debug, Default)]
pub struct FrameSplitter {
    /// The beginning of a length.
    head: ArrayVec<u8, LENGTH_BYTES>,
    /// The length of the packet that follows, once it has arrived.
    length: Option<usize>,
    /// The beginning of that packet.
    partial: Vec<u8>,
    /// How many bytes of `partial` were passed on. Set only for a packet that is complete and
    /// longer than the share of a turn.
    passed_on: Option<usize>,
    /// The bytes still to be skipped of a packet that is too long.
    skipping: usize,
}

/// The limits of what is read.
#[derive(Clone, Copy, Debug)]
pub struct StreamLimits {
    /// The longest line or message of a stream that is not framed.
    pub max_line: usize,
    /// About the most bytes that are passed on in one turn of the loop. A read must not have more.
    pub share: usize,
}

/// The bytes of a length.
const LENGTH_BYTES: usize = 4;

impl ConnectionSplitter {
    /// For a stream that may be framed. Its first four bytes decide.
    pub fn undecided() -> Self {
        Self::Undecided(ArrayVec::new())
    }

    /// For a stream that is never framed.
    pub fn text() -> Self {
        Self::Text(StreamSplitter::default())
    }

    /// Returns the most bytes to read next. It is less than `share` if a long packet ends before:
    /// that packet takes a turn of its own, and what follows it would have to be kept meanwhile.
    pub fn room(&self, share: usize) -> usize {
        match self {
            Self::Framed(splitter) => splitter.room(share),
            _ => share,
        }
    }

    /// Passes on the next part of a packet that is longer than a share. Returns `false` if there is
    /// none. Nothing may be fed before all parts are passed on.
    pub fn pass_on(&mut self, share: usize, out: impl FnMut(Piece<'_>)) -> bool {
        match self {
            Self::Framed(splitter) => splitter.pass_on(share, out),
            _ => false,
        }
    }

    /// Passes every line, message and packet that `bytes` completes to `out`, but not a packet that
    /// is longer than a share, for which [`pass_on`](Self::pass_on) must be called.
    pub fn feed(&mut self, bytes: &[u8], limits: StreamLimits, mut out: impl FnMut(Piece<'_>)) {
        match self {
            Self::Undecided(first) => {
                let (more, rest) = bytes.split_at(first.remaining_capacity().min(bytes.len()));
                first.extend(more.iter().copied());
                if let Ok(first) = first.clone().into_inner() {
                    *self = Self::beginning_with(first);
                    self.feed_decided(&first, limits, &mut out);
                    self.feed_decided(rest, limits, &mut out);
                }
            }
            _ => self.feed_decided(bytes, limits, &mut out),
        }
    }

    fn feed_decided(
        &mut self,
        bytes: &[u8],
        limits: StreamLimits,
        out: &mut impl FnMut(Piece<'_>),
    ) {
        match self {
            Self::Undecided(_) => {}
            Self::Text(splitter) => splitter.feed(bytes, limits.max_line, out),
            Self::Framed(splitter) => splitter.feed(bytes, limits.share, out),
        }
    }

    /// Returns the splitter for a stream that begins with these bytes.
    ///
    /// The highest byte of a length is NUL for all packets below 16 MiB. No valid line has a NUL in
    /// its first four bytes, since the shortest one has five. A binary message may have one there:
    /// the third and the fourth byte of a message are the length of its key, which is never 0.
    fn beginning_with(first: [u8; LENGTH_BYTES]) -> Self {
        let is_framed = match first {
            [MAGIC, _, third, fourth] => third == 0 && fourth == 0,
            [.., fourth] => fourth == 0,
        };
        if is_framed { Self::Framed(FrameSplitter::default()) } else { Self::text() }
    }

    /// Handles the end of a stream that its peer has closed in order. What is left is passed on as
    /// the last line, or as a packet that is cut short.
    pub fn end(&mut self, limits: StreamLimits, mut out: impl FnMut(Piece<'_>)) {
        if let Self::Undecided(first) = self {
            let first = std::mem::take(first);
            *self = Self::text();
            self.feed_decided(&first, limits, &mut out);
        }
        match self {
            Self::Undecided(_) => {}
            Self::Text(splitter) => splitter.end(out),
            Self::Framed(splitter) => splitter.end(out),
        }
    }

    /// Handles the end of a stream that was reset. An unfinished line is not passed on. An
    /// unfinished packet is passed on as one that is cut short, because its loss must be counted.
    pub fn end_reset(&mut self, out: impl FnMut(Piece<'_>)) {
        if let Self::Framed(splitter) = self {
            splitter.end(out);
        }
    }
}

impl FrameSplitter {
    fn room(&self, share: usize) -> usize {
        match self.length {
            Some(length) if length > share => share.min(length - self.partial.len()),
            _ => share,
        }
    }

    /// Passes every packet of up to `share` bytes that `bytes` completes to `out`.
    pub fn feed(&mut self, bytes: &[u8], share: usize, out: &mut impl FnMut(Piece<'_>)) {
        debug_assert!(self.passed_on.is_none(), "the packet before is not passed on");
        let mut rest = bytes;
        while !rest.is_empty() {
            rest = match self.length {
                _ if self.skipping > 0 => self.skip(rest),
                None => self.read_length(rest, out),
                Some(length) => self.read_packet(rest, length, share, out),
            };
        }
    }

    /// Passes on about `share` bytes of a long packet, up to the end of a line or message.
    fn pass_on(&mut self, share: usize, mut out: impl FnMut(Piece<'_>)) -> bool {
        let Some(from) = self.passed_on else { return false };
        let mut to = from;
        while to < self.partial.len() && to - from < share {
            let (_, after) = first_piece(&self.partial[to..]);
            to = self.partial.len() - after.len();
        }
        out(Piece::Packet(&self.partial[from..to]));
        self.passed_on = Some(to);
        if to == self.partial.len() {
            self.passed_on = None;
            self.partial = Vec::new();
        }
        true
    }

    /// Handles the end of the stream. A frame that has begun is passed on as one that is cut short.
    /// A frame that is being skipped was passed on before.
    pub fn end(&mut self, mut out: impl FnMut(Piece<'_>)) {
        if self.length.is_some() || !self.head.is_empty() {
            out(Piece::PacketCutShort);
        }
        *self = Self::default();
    }

    /// Continues with the length of a frame. Returns the bytes after it.
    fn read_length<'a>(&mut self, rest: &'a [u8], out: &mut impl FnMut(Piece<'_>)) -> &'a [u8] {
        let (more, after) = rest.split_at(self.head.remaining_capacity().min(rest.len()));
        self.head.extend(more.iter().copied());
        let Ok(length) = self.head.clone().into_inner() else { return after };
        self.head.clear();
        // A length that does not fit `usize` is far over the limit in any case.
        match usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX) {
            0 => {} // an empty packet is legal and holds no line
            length if length > PACKET_BYTES_MAX => {
                self.skipping = length;
                out(Piece::PacketTooLong);
            }
            length => self.length = Some(length),
        }
        after
    }

    /// Continues with a packet of `length` bytes. Returns the bytes after it.
    fn read_packet<'a>(
        &mut self,
        rest: &'a [u8],
        length: usize,
        share: usize,
        out: &mut impl FnMut(Piece<'_>),
    ) -> &'a [u8] {
        // Nearly always a packet arrives whole. It is passed on without a copy.
        if self.partial.is_empty()
            && let Some((packet, after)) = rest.split_at_checked(length)
        {
            self.length = None;
            out(Piece::Packet(packet));
            return after;
        }
        let missing = length - self.partial.len();
        let (more, after) = rest.split_at(missing.min(rest.len()));
        self.partial.reserve_exact(missing); // a vector that grows by itself takes up to twice that
        self.partial.extend_from_slice(more);
        if self.partial.len() == length {
            self.length = None;
            if length > share {
                debug_assert!(after.is_empty(), "a read has more than `room`");
                self.passed_on = Some(0);
            } else {
                out(Piece::Packet(&std::mem::take(&mut self.partial)));
            }
        }
        after
    }

    /// Skips bytes of a packet that is too long. Returns the bytes after them.
    fn skip<'a>(&mut self, rest: &'a [u8]) -> &'a [u8] {
        let skipped = self.skipping.min(rest.len());
        self.skipping -= skipped;
        &rest[skipped..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: StreamLimits = StreamLimits { max_line: 16, share: 16 << 10 };

    fn frame(packet: &[u8]) -> Vec<u8> {
        let length = u32::try_from(packet.len()).unwrap().to_le_bytes();
        [&length, packet].concat()
    }

    fn note(pieces: &mut Vec<String>, piece: Piece<'_>) {
        pieces.push(match piece {
            // The cuts of a stream decide how many lines a piece has. Only lines are compared.
            Piece::Lines(text) => {
                let text = text.strip_suffix(b"\n").unwrap_or(text);
                let lines = text.split(|byte| *byte == b'\n');
                pieces.extend(lines.map(|line| format!("line {}", line.escape_ascii())));
                return;
            }
            Piece::Binary(message) => format!("message {}", message.escape_ascii()),
            Piece::Overlong(_) => "overlong".to_owned(),
            Piece::Packet(packet) => format!("packet {}", packet.escape_ascii()),
            Piece::PacketTooLong => "too long".to_owned(),
            Piece::PacketCutShort => "cut short".to_owned(),
        });
    }

    /// Reads a unix stream in the given sizes, and then in the largest ones that are allowed.
    fn read(
        splitter: &mut ConnectionSplitter,
        stream: &[u8],
        mut sizes: impl Iterator<Item = usize>,
    ) -> Vec<String> {
        let mut pieces = Vec::new();
        let mut rest = stream;
        while !rest.is_empty() {
            let room = splitter.room(LIMITS.share);
            let size = sizes.next().map_or(room, |size| size.min(room)).min(rest.len());
            let (read, after) = rest.split_at(size);
            splitter.feed(read, LIMITS, |piece| note(&mut pieces, piece));
            let mut parts = Vec::new();
            while splitter.pass_on(LIMITS.share, |piece| {
                let Piece::Packet(part) = piece else { panic!("{piece:?}") };
                let is_a_line = !part.contains(&b'\n');
                let bytes = part.len();
                assert!(is_a_line || bytes < LIMITS.share + 100, "{bytes} bytes in a turn");
                parts.extend_from_slice(part);
            }) {}
            if !parts.is_empty() {
                note(&mut pieces, Piece::Packet(&parts));
            }
            rest = after;
        }
        pieces
    }

    fn split(stream: &[u8], sizes: impl Iterator<Item = usize>) -> Vec<String> {
        let mut splitter = ConnectionSplitter::undecided();
        let mut pieces = read(&mut splitter, stream, sizes);
        splitter.end(LIMITS, |piece| note(&mut pieces, piece));
        pieces
    }

    #[track_caller]
    fn same_however_cut(stream: &[u8], expected: &[&str]) {
        assert_eq!(split(stream, std::iter::empty()), expected);
        for size in 1..stream.len() {
            let sizes = std::iter::repeat_n(size, stream.len());
            assert_eq!(split(stream, sizes), expected, "by {size}");
        }
        for at in 0..stream.len() {
            assert_eq!(split(stream, std::iter::once(at)), expected, "cut at {at}");
        }
    }

    #[test]
    fn packets_come_out_the_same_however_the_stream_is_cut() {
        let many = b"a:1|c\nb:2|ms\n\nlast:3|g";
        let long = vec![b'x'; 300];
        let stream = [
            frame(b"a:1|c\n"),
            frame(b""),
            frame(many),
            frame(b"\xaa\x02\x02\x00\x00\x00\x00\x00\x00\x00\xf0\x3fk\x00"),
            frame(&long),
            frame(b"b:1|c"),
        ];
        same_however_cut(
            &stream.concat(),
            &[
                "packet a:1|c\\n",
                "packet a:1|c\\nb:2|ms\\n\\nlast:3|g",
                "packet \\xaa\\x02\\x02\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\xf0?k\\x00",
                &format!("packet {}", "x".repeat(300)),
                "packet b:1|c",
            ],
        );
    }

    #[test]
    fn a_packet_over_the_limit_is_skipped_and_the_next_one_is_read() {
        let longest = b"longest:1|c.123\n".repeat(PACKET_BYTES_MAX / 16);
        assert_eq!(longest.len(), PACKET_BYTES_MAX);
        let too_long = [&longest[..], b"x"].concat();
        let stream = [frame(&too_long), frame(b"a:1|c"), frame(&longest), frame(b"b:1|c")].concat();
        for size in [1, 3, 4, 1000, 16 * 1024, stream.len()] {
            let pieces = split(&stream, std::iter::repeat_n(size, stream.len() / size));
            assert_eq!(pieces.len(), 4, "by {size}");
            assert_eq!((&*pieces[0], &*pieces[1]), ("too long", "packet a:1|c"), "by {size}");
            assert_eq!(pieces[2], format!("packet {}", longest.escape_ascii()), "by {size}");
            assert_eq!(pieces[3], "packet b:1|c", "by {size}");
        }
        // Nothing is held of a packet that is skipped, whatever its length.
        let mut splitter = FrameSplitter::default();
        let share = LIMITS.share;
        splitter.feed(&u32::MAX.to_le_bytes(), share, &mut |piece| {
            assert_eq!(piece, Piece::PacketTooLong);
        });
        splitter.feed(&longest, share, &mut |piece| panic!("{piece:?}"));
        assert_eq!(splitter.partial.capacity(), 0);
        splitter.end(|piece| panic!("it was passed on before: {piece:?}"));
    }

    #[test]
    fn a_frame_that_is_not_complete_at_the_end_is_cut_short() {
        let whole = frame(b"a:1|c");
        let second = frame(b"a:1|c\nb:2|c");
        for cut in 0..second.len() {
            let stream = [&whole[..], &second[..cut]].concat();
            let expected: &[&str] =
                if cut == 0 { &["packet a:1|c"] } else { &["packet a:1|c", "cut short"] };
            same_however_cut(&stream, expected);
            let mut splitter = ConnectionSplitter::undecided();
            let mut pieces = read(&mut splitter, &stream, std::iter::empty());
            splitter.end_reset(|piece| note(&mut pieces, piece));
            assert_eq!(pieces, expected, "a reset");
        }
    }

    #[test]
    fn the_first_four_bytes_tell_frames_from_lines_and_messages() {
        let text: [(&[u8], &[&str]); 9] = [
            (b"", &[]),
            (b"a", &["line a"]),
            (b"a:1", &["line a:1"]),
            (b"\n\n\n\na:1|c", &["line ", "line ", "line ", "line ", "line a:1|c"]),
            (b"a:1|c\nb:2|c\n", &["line a:1|c", "line b:2|c"]),
            (b"a:1|c\0\nb:2|c\0", &["line a:1|c\\x00", "line b:2|c\\x00"]),
            (b"12345678901234567\na:1|c\n", &["overlong", "line a:1|c"]),
            // Binary messages whose key has one byte and its NUL: the fourth byte is a NUL.
            (
                b"\xaa\x02\x02\0\0\0\0\0\0\0\xf0\x3fk\0b:1|c",
                &[
                    "message \\xaa\\x02\\x02\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\xf0?k\\x00",
                    "line b:1|c",
                ],
            ),
            (
                b"\xaa\x04\x02\0\x02\0k\0m\0",
                &["message \\xaa\\x04\\x02\\x00\\x02\\x00k\\x00m\\x00"],
            ),
        ];
        for (stream, expected) in text {
            same_however_cut(stream, expected);
        }
        // All lengths whose lowest byte is the first one of a binary message, and their neighbours.
        for length in [1, 10, 0xa9, 0xaa, 0xab, 0x01aa, 0x02aa, 0x0aaa, 0x7caa, 0xaaaa, 0xffff] {
            let packet = vec![b'x'; length];
            let pieces = split(&frame(&packet), std::iter::empty());
            assert_eq!(pieces, [format!("packet {}", "x".repeat(length))], "{length}");
        }
    }

    #[test]
    fn a_stream_that_is_never_framed_is_read_as_text() {
        let mut splitter = ConnectionSplitter::text();
        let mut pieces = read(&mut splitter, &frame(b"a:1|c\n"), std::iter::empty());
        splitter.end(LIMITS, |piece| note(&mut pieces, piece));
        assert_eq!(pieces, ["line \\x06\\x00\\x00\\x00a:1|c"]);
    }

    #[test]
    fn a_connection_holds_no_more_than_the_packet_that_is_incomplete() {
        let mut splitter = FrameSplitter::default();
        let stream = frame(&vec![b'x'; PACKET_BYTES_MAX]);
        for read in stream[..stream.len() - 1].chunks(1000) {
            splitter.feed(read, LIMITS.share, &mut |piece| panic!("{piece:?}"));
            assert!(splitter.partial.capacity() <= PACKET_BYTES_MAX);
        }
        assert_eq!(splitter.room(LIMITS.share), 1, "what follows is not read before");
        splitter.feed(b"x", LIMITS.share, &mut |piece| panic!("{piece:?}"));
        let mut parts = 0;
        while splitter.pass_on(LIMITS.share, |_| parts += 1) {}
        assert_eq!((parts, splitter.partial.capacity()), (1, 0), "one line cannot be cut");
    }
}
