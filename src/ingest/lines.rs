//! Cuts a byte stream into lines and binary messages. They may arrive in any number of reads. Pure.

use memchr::{memchr, memrchr};

use crate::protocol::{MAGIC, Reach, reach, trimmed};

/// Cuts the stream of one connection: lines at their newlines, and binary messages at the length
/// that they state.
///
/// It holds memory only while a line or message is incomplete, so an idle connection costs nothing.
#[derive(Debug, Default)]
pub struct StreamSplitter {
    /// The beginning of a line or message whose end has not arrived yet.
    partial: Vec<u8>,
    skipping: Skipping,
}

/// The part of the stream that is skipped, because its line or message was refused.
#[derive(Clone, Copy, Debug, Default)]
enum Skipping {
    #[default]
    Nothing,
    /// Everything up to the next newline.
    Line,
    /// This many more bytes of a binary message.
    Bytes(usize),
}

/// A part of a stream that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// One or more lines with newlines between them. The last newline may be missing. No line
    /// begins as a binary message does.
    Lines(&'a [u8]),
    /// A binary message, or the beginning of one that is not valid.
    Binary(&'a [u8]),
    /// The beginning of a line or message that is longer than `max_line`.
    Overlong(&'a [u8]),
    /// A packet of a framed stream. It is read as a datagram is.
    Packet(&'a [u8]),
    /// A packet of a framed stream that is over the limit. It is skipped.
    PacketTooLong,
    /// A packet of a framed stream that ended inside of it.
    PacketCutShort,
}

impl Piece<'_> {
    /// Returns the number of bytes that are read, with the newline of the last line. Bytes that are
    /// skipped do not count.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Lines(text) => text.len() + usize::from(!text.ends_with(b"\n")),
            Self::Binary(text) | Self::Overlong(text) | Self::Packet(text) => text.len(),
            Self::PacketTooLong | Self::PacketCutShort => 0,
        }
    }
}

impl StreamSplitter {
    /// Passes every line and message that `bytes` completes to `out`.
    pub fn feed(&mut self, bytes: &[u8], max_line: usize, out: impl FnMut(Piece<'_>)) {
        self.feed_with::<Simd>(bytes, max_line, out);
    }

    /// As [`Self::feed`], with any search.
    fn feed_with<S: LineSearch>(
        &mut self,
        bytes: &[u8],
        max_line: usize,
        mut out: impl FnMut(Piece<'_>),
    ) {
        let mut rest = bytes;
        while let Some(next) = rest.first() {
            // The first byte of a line or message, which may have arrived in an earlier read,
            // decides how the rest of it is read.
            let first = *self.partial.first().unwrap_or(next);
            rest = match self.skipping {
                Skipping::Nothing if first == MAGIC => self.binary(rest, max_line, &mut out),
                Skipping::Nothing => self.line::<S>(rest, max_line, &mut out),
                Skipping::Line => self.skip_line::<S>(rest),
                Skipping::Bytes(left) => self.skip_bytes(rest, left),
            };
        }
        if self.partial.is_empty() {
            self.partial = Vec::new(); // free the memory: thousands of connections may be idle
        }
    }

    /// Handles the end of the stream. The rest is passed on as the last line, or as a message that
    /// is cut short. An empty line is not passed on, or a repeater would send it.
    pub fn end(&mut self, mut out: impl FnMut(Piece<'_>)) {
        match self.partial.first() {
            None => {}
            Some(&MAGIC) => out(Piece::Binary(&self.partial)),
            Some(_) if trimmed(&self.partial).is_empty() => {}
            Some(_) => out(Piece::Lines(&self.partial)),
        }
        *self = Self::default();
    }

    /// Continues with a line. Returns the bytes after it.
    fn line<'a, S: LineSearch>(
        &mut self,
        rest: &'a [u8],
        max_line: usize,
        out: &mut impl FnMut(Piece<'_>),
    ) -> &'a [u8] {
        // Nearly always a read begins with whole lines. They are passed on without a copy.
        if self.partial.is_empty() {
            let length = whole_lines::<S>(rest, max_line);
            if length > 0 {
                out(Piece::Lines(&rest[..length]));
                return &rest[length..];
            }
        }
        let end = S::find(b'\n', rest);
        let line = &rest[..end.unwrap_or(rest.len())];
        if self.partial.len() + line.len() > max_line {
            self.overlong(line, out);
            self.skipping = Skipping::Line;
            return &rest[line.len()..];
        }
        self.partial.extend_from_slice(line);
        if end.is_some() {
            out(Piece::Lines(&self.partial));
            self.partial.clear();
        }
        end.map_or(&[], |end| &rest[end + 1..])
    }

    /// Continues with a binary message. Returns the bytes after it.
    fn binary<'a>(
        &mut self,
        rest: &'a [u8],
        max_line: usize,
        out: &mut impl FnMut(Piece<'_>),
    ) -> &'a [u8] {
        let held = self.partial.len();
        match reach(if held == 0 { rest } else { &self.partial }) {
            Reach::Header(wanted) => self.hold(rest, wanted),
            Reach::Bytes(total) if total > max_line => {
                self.skipping = Skipping::Bytes(total - held);
                self.overlong(rest, out);
                rest
            }
            Reach::Bytes(total) if held == 0 && total <= rest.len() => {
                out(Piece::Binary(&rest[..total]));
                &rest[total..]
            }
            Reach::Bytes(total) => {
                let after = self.hold(rest, total);
                if self.partial.len() == total {
                    out(Piece::Binary(&self.partial));
                    self.partial.clear();
                }
                after
            }
            Reach::Unknown => {
                out(Piece::Binary(if held == 0 { rest } else { &self.partial }));
                // The unknown type may be the newline itself.
                let ended = std::mem::take(&mut self.partial).contains(&b'\n');
                self.skipping = if ended { Skipping::Nothing } else { Skipping::Line };
                rest
            }
        }
    }

    /// Stores the next bytes of a message, until the first `wanted` bytes of it are there. Returns
    /// the bytes after them.
    fn hold<'a>(&mut self, rest: &'a [u8], wanted: usize) -> &'a [u8] {
        let (more, after) = rest.split_at(rest.len().min(wanted - self.partial.len()));
        self.partial.extend_from_slice(more);
        after
    }

    /// Skips the rest of a refused line. Returns the bytes after it.
    fn skip_line<'a, S: LineSearch>(&mut self, rest: &'a [u8]) -> &'a [u8] {
        let Some(end) = S::find(b'\n', rest) else { return &[] };
        self.skipping = Skipping::Nothing;
        &rest[end + 1..]
    }

    /// Skips up to `left` bytes of a refused message. Returns the bytes after them.
    fn skip_bytes<'a>(&mut self, rest: &'a [u8], left: usize) -> &'a [u8] {
        let skipped = left.min(rest.len());
        self.skipping = match left - skipped {
            0 => Skipping::Nothing,
            left => Skipping::Bytes(left),
        };
        &rest[skipped..]
    }

    /// Passes on the beginning of a line or message that is too long, and forgets it.
    fn overlong(&mut self, more: &[u8], out: &mut impl FnMut(Piece<'_>)) {
        out(Piece::Overlong(if self.partial.is_empty() { more } else { &self.partial }));
        self.partial = Vec::new();
    }
}

/// Returns the length of the whole lines at the start of `bytes`. None of them is overlong, or
/// begins as a binary message does.
///
/// It reads little more than it returns. The caller calls it again after every binary message and
/// every overlong line, so scanning the whole rest each time would make the cost of one read
/// quadratic.
fn whole_lines<S: LineSearch>(bytes: &[u8], max_line: usize) -> usize {
    let mut length = 0;
    loop {
        // Up to the last newline within one line's length, no line is overlong, so the newlines
        // between need not be found.
        let reach = &bytes[length..bytes.len().min(length + max_line + 1)];
        let magic = S::find(MAGIC, reach);
        let clean = &reach[..magic.unwrap_or(reach.len())];
        let lines = S::find_last(b'\n', clean).map_or(0, |newline| newline + 1);
        length += lines;
        match magic {
            None if lines > 0 && reach.len() > max_line => {} // another line may follow
            // This byte cannot begin a line, but it may appear inside one.
            Some(magic) if magic > lines => match S::find(b'\n', &reach[magic..]) {
                Some(newline) => length += magic - lines + newline + 1,
                None if lines > 0 => {} // its end may be within a line's length of its beginning
                None => return length,
            },
            None | Some(_) => return length,
        }
    }
}

/// How a byte is found. A test counts how many bytes a search reads.
trait LineSearch {
    fn find(byte: u8, bytes: &[u8]) -> Option<usize>;
    fn find_last(byte: u8, bytes: &[u8]) -> Option<usize>;
}

/// Reads many bytes with one instruction.
struct Simd;

impl LineSearch for Simd {
    fn find(byte: u8, bytes: &[u8]) -> Option<usize> {
        memchr(byte, bytes)
    }

    fn find_last(byte: u8, bytes: &[u8]) -> Option<usize> {
        memrchr(byte, bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use memchr::memchr_iter;
    use statsd_bench::Random;

    use super::*;

    const MAX: usize = 16;

    thread_local! {
        /// The number of bytes that searches have read.
        static LOOKED_AT: Cell<usize> = const { Cell::new(0) };
    }

    /// Counts the bytes that each search reads.
    struct Counting;

    impl LineSearch for Counting {
        fn find(byte: u8, bytes: &[u8]) -> Option<usize> {
            let found = memchr(byte, bytes);
            LOOKED_AT.set(LOOKED_AT.get() + found.map_or(bytes.len(), |at| at + 1));
            found
        }

        fn find_last(byte: u8, bytes: &[u8]) -> Option<usize> {
            let found = memrchr(byte, bytes);
            LOOKED_AT.set(LOOKED_AT.get() + bytes.len() - found.unwrap_or(0));
            found
        }
    }

    /// The slow twin of [`whole_lines`], which it is compared with.
    fn whole_lines_one_by_one(bytes: &[u8], max_line: usize) -> usize {
        let mut length = 0;
        for newline in memchr_iter(b'\n', bytes) {
            if newline - length > max_line || bytes[length] == MAGIC {
                break;
            }
            length = newline + 1;
        }
        length
    }

    /// Returns how many bytes are read for `bytes` of the stream that repeats `text`.
    fn looked_at(text: &[u8], bytes: usize, tail: u8, max_line: usize) -> usize {
        let mut stream: Vec<u8> = text.iter().copied().cycle().take(bytes / 2).collect();
        stream.resize(bytes, tail);
        LOOKED_AT.set(0);
        StreamSplitter::default().feed_with::<Counting>(&stream, max_line, |_| {});
        LOOKED_AT.get()
    }

    #[test]
    fn no_stream_makes_it_look_at_a_byte_many_times() {
        let message = message(b"k\0");
        let streams: [&[u8]; 9] = [
            b"a:1|c\n",
            b"\n",
            &[b"a\n", &message[..]].concat(),
            &[b"\n", &message[..]].concat(),
            &[&[b'x'; 70][..], b"\na:1|c\n"].concat(),
            &[b"a\n", &[b'x'; 70][..], b"\n", &message].concat(),
            b"a\xaab\n",
            b"\xaa\x09\n",
            b"a\n\xaa\x09\n",
        ];
        for stream in streams {
            for max_line in [64, 1000, 1 << 20] {
                for tail in *b"x\xaa\n" {
                    let bytes = 1 << 16;
                    let looked_at = looked_at(stream, bytes, tail, max_line);
                    assert!(
                        looked_at <= 4 * bytes,
                        "{looked_at} of {bytes}, at most {max_line} a line: {}, then {}",
                        stream.escape_ascii(),
                        tail.escape_ascii()
                    );
                }
            }
        }
    }

    /// All lines of a stream that comes in pieces of the given sizes; overlong ones as `!`.
    fn split(stream: &[u8], sizes: impl Iterator<Item = usize>) -> Vec<String> {
        let mut splitter = StreamSplitter::default();
        let mut lines = Vec::new();
        let mut rest = stream;
        let mut note = |piece: Piece<'_>| match piece {
            Piece::Lines(text) => {
                let text = text.strip_suffix(b"\n").unwrap_or(text);
                lines.extend(str::from_utf8(text).unwrap().split('\n').map(str::to_owned));
            }
            Piece::Binary(message) => lines.push(message.escape_ascii().to_string()),
            Piece::Overlong(_) => lines.push("!".to_owned()),
            _ => unreachable!("lines have no packets"),
        };
        for size in sizes {
            let (piece, after) = rest.split_at(size.min(rest.len()));
            splitter.feed(piece, MAX, &mut note);
            rest = after;
        }
        splitter.feed(rest, MAX, &mut note);
        splitter.end(&mut note);
        lines
    }

    #[test]
    fn lines_come_out_the_same_however_the_stream_is_cut() {
        let stream =
            b"a:1|c\n\nbb:22|ms\nwaymuchtoolong:1|c\n1234567890123456\n12345678901234567\nlast:1|c";
        let lines = ["a:1|c", "", "bb:22|ms", "!", "1234567890123456", "!", "last:1|c"];
        same_however_cut(stream, &lines);
    }

    /// A message of type 2 whose key has as many bytes, NUL included.
    fn message(key: &[u8]) -> Vec<u8> {
        let length = u16::try_from(key.len()).unwrap().to_le_bytes();
        [&[MAGIC, 2][..], &length, &1.0_f64.to_le_bytes(), key].concat()
    }

    #[test]
    fn messages_come_out_the_same_among_lines_however_the_stream_is_cut() {
        let short = message(b"k\0");
        let with_newline = message(b"k\n\0");
        let long = message(b"a\nb\nc\0");
        let set = b"\xaa\x04\x02\x00\x02\x00k\0m\0";
        let empty = b"\xaa\x04\0\0\0\0";
        let parts: [&[u8]; 9] =
            [&short, &with_newline, b"a:1|c\n", set, empty, &long, &short, b"\n", b"b:2|c"];
        let shown = |bytes: &[u8]| bytes.escape_ascii().to_string();
        let short = shown(&short);
        let with_newline = shown(&with_newline);
        let expected = [
            short.as_str(),
            &with_newline,
            "a:1|c",
            &shown(set),
            &shown(empty),
            "!",
            &short,
            "",
            "b:2|c",
        ];
        same_however_cut(&parts.concat(), &expected);
    }

    #[test]
    fn after_a_message_of_no_known_type_it_goes_on_at_the_next_newline() {
        for stream in [&b"\xaa\x09\xaa\x02junk\na:1|c\n"[..], b"\xaa\na:1|c\n"] {
            for at in 0..stream.len() {
                let pieces = split(stream, std::iter::once(at));
                assert_eq!(pieces.len(), 2, "cut at {at}: {pieces:?}");
                assert!(pieces[0].starts_with("\\xaa") && pieces[1] == "a:1|c", "{pieces:?}");
            }
        }
        assert_eq!(split(b"\xaa", std::iter::empty()), ["\\xaa"], "an end is no newline");
    }

    #[track_caller]
    fn same_however_cut(stream: &[u8], expected: &[&str]) {
        let whole = split(stream, std::iter::empty());
        assert_eq!(whole, expected);
        for size in 1..stream.len() {
            assert_eq!(split(stream, std::iter::repeat_n(size, stream.len())), whole, "by {size}");
        }
        for at in 0..stream.len() {
            assert_eq!(split(stream, std::iter::once(at)), whole, "cut at {at}");
        }
    }

    #[test]
    fn whole_lines_are_the_same_as_one_by_one() {
        let mut random = Random::new(7);
        for _ in 0..20_000 {
            // Only half of the texts have bytes that may begin a binary message.
            let alphabet: &[u8] = if random.one_in(2) { b"aaaaa\n\n" } else { b"aaaaa\n\n\xaa" };
            let length = random.below(64);
            let bytes: Vec<u8> = (0..length).map(|_| *random.pick(alphabet)).collect();
            let max_line = random.below(12);
            let expected = whole_lines_one_by_one(&bytes, max_line);
            assert_eq!(
                whole_lines::<Simd>(&bytes, max_line),
                expected,
                "{max_line}: {:?}",
                bytes.escape_ascii().to_string()
            );
        }
    }

    #[test]
    fn an_overlong_line_without_end_is_one_bad_line_and_no_memory() {
        let mut splitter = StreamSplitter::default();
        let mut pieces = 0;
        for _ in 0..1000 {
            splitter.feed(&[b'x'; 100], MAX, |_| pieces += 1);
        }
        assert_eq!((pieces, splitter.partial.capacity()), (1, 0));
        splitter.feed(b"x\na:1|c\n", MAX, |piece| assert_eq!(piece, Piece::Lines(b"a:1|c\n")));
    }

    #[test]
    fn the_rest_of_a_stream_is_a_line_unless_it_is_empty() {
        for (stream, expected) in [
            (&b"a:1|c\nb:2|c"[..], &[&b"a:1|c\n"[..], b"b:2|c"][..]),
            (b"a:1|c\n \r\0", &[b"a:1|c\n"]),
            (b"  ", &[]),
            (b"", &[]),
        ] {
            let mut splitter = StreamSplitter::default();
            let mut pieces = Vec::new();
            let mut note = |piece: Piece<'_>| match piece {
                Piece::Lines(lines) => pieces.push(lines.to_vec()),
                other => panic!("{other:?}"),
            };
            splitter.feed(stream, 100, &mut note);
            splitter.end(&mut note);
            assert_eq!(pieces, expected);
        }
    }

    #[test]
    fn a_connection_between_two_lines_holds_no_memory() {
        let mut splitter = StreamSplitter::default();
        splitter.feed(b"a:1", MAX, |_| {});
        splitter.feed(b"|c\n", MAX, |_| {});
        assert_eq!(splitter.partial.capacity(), 0);
    }
}
