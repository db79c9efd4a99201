//! A byte stream to lines, which may come in any number of pieces. Pure.

use memchr::memchr;

/// Cuts one connection's stream at its newlines.
///
/// It holds memory only while a line is incomplete, so an idle connection costs nothing.
#[derive(Debug, Default)]
pub struct LineSplitter {
    /// The beginning of a line whose newline has not come.
    partial: Vec<u8>,
    /// The line under way was too long: all up to its newline is passed over.
    skipping: bool,
}

/// A line without its newline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    Line(&'a [u8]),
    /// A line of more than `max_line` bytes, of which this is the beginning.
    Overlong(&'a [u8]),
}

impl LineSplitter {
    /// Hands on every line that `bytes` completes.
    pub fn feed(&mut self, bytes: &[u8], max_line: usize, mut out: impl FnMut(Piece<'_>)) {
        let mut rest = bytes;
        while let Some(end) = memchr(b'\n', rest) {
            let (line, behind) = (&rest[..end], &rest[end + 1..]);
            rest = behind;
            if std::mem::take(&mut self.skipping) {
                continue;
            }
            if self.partial.len() + line.len() > max_line {
                self.overlong(line, &mut out);
            } else if self.partial.is_empty() {
                out(Piece::Line(line));
            } else {
                self.partial.extend_from_slice(line);
                out(Piece::Line(&self.partial));
                self.partial.clear();
            }
        }
        self.keep(rest, max_line, &mut out);
    }

    /// The peer closed in order: what is left is a last line.
    pub fn end(&mut self, mut out: impl FnMut(Piece<'_>)) {
        if !self.partial.is_empty() {
            out(Piece::Line(&self.partial));
        }
        *self = Self::default();
    }

    fn keep(&mut self, rest: &[u8], max_line: usize, out: &mut impl FnMut(Piece<'_>)) {
        if self.skipping {
            return;
        }
        if self.partial.len() + rest.len() > max_line {
            self.overlong(rest, out);
            self.skipping = true;
        } else if rest.is_empty() && self.partial.is_empty() {
            self.partial = Vec::new();
        } else {
            self.partial.extend_from_slice(rest);
        }
    }

    fn overlong(&mut self, more: &[u8], out: &mut impl FnMut(Piece<'_>)) {
        out(Piece::Overlong(if self.partial.is_empty() { more } else { &self.partial }));
        self.partial = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 8;

    /// All lines of a stream that comes in pieces of the given sizes; overlong ones as `!`.
    fn split(stream: &[u8], sizes: impl Iterator<Item = usize>) -> Vec<String> {
        let (mut splitter, mut lines, mut rest) = (LineSplitter::default(), Vec::new(), stream);
        let mut note = |piece: Piece<'_>| {
            lines.push(match piece {
                Piece::Line(line) => String::from_utf8(line.to_vec()).unwrap(),
                Piece::Overlong(_) => "!".to_owned(),
            });
        };
        for size in sizes {
            let (piece, behind) = rest.split_at(size.min(rest.len()));
            splitter.feed(piece, MAX, &mut note);
            rest = behind;
        }
        splitter.feed(rest, MAX, &mut note);
        splitter.end(&mut note);
        lines
    }

    #[test]
    fn lines_come_out_the_same_however_the_stream_is_cut() {
        let stream = b"a:1|c\n\nbb:22|ms\nwaytoolong:1|c\n12345678\n123456789\nlast:1|c";
        let whole = split(stream, std::iter::empty());
        assert_eq!(whole, ["a:1|c", "", "bb:22|ms", "!", "12345678", "!", "last:1|c"]);
        for size in 1..stream.len() {
            assert_eq!(split(stream, std::iter::repeat_n(size, stream.len())), whole, "by {size}");
        }
        for at in 0..stream.len() {
            assert_eq!(split(stream, std::iter::once(at)), whole, "cut at {at}");
        }
    }

    #[test]
    fn an_overlong_line_without_end_is_one_bad_line_and_no_memory() {
        let mut splitter = LineSplitter::default();
        let mut pieces = 0;
        for _ in 0..1000 {
            splitter.feed(&[b'x'; 100], MAX, |_| pieces += 1);
        }
        assert_eq!((pieces, splitter.partial.capacity()), (1, 0));
        splitter.feed(b"x\na:1|c\n", MAX, |piece| assert_eq!(piece, Piece::Line(b"a:1|c")));
    }

    #[test]
    fn a_connection_between_two_lines_holds_no_memory() {
        let mut splitter = LineSplitter::default();
        splitter.feed(b"a:1", MAX, |_| {});
        splitter.feed(b"|c\n", MAX, |_| {});
        assert_eq!(splitter.partial.capacity(), 0);
    }
}
