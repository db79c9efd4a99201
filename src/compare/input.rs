//! [`CompareInput`]: a side of a comparison, which is a file or a port, and [`GraphiteLine`].

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::os::fd::BorrowedFd;

/// Bytes that are read at once.
const PIECE: usize = 64 << 10;
/// The longest line. The bytes of a longer one are dropped.
const LINE_MAX: usize = 128 << 10;
/// Connections of one port.
const CONNECTIONS_MAX: usize = 64;

/// A side of a comparison.
#[derive(Debug)]
pub(super) enum CompareInput {
    File(LineFeed<File>),
    Port {
        listener: TcpListener,
        /// The open connections. A server may close one and open another.
        connections: Vec<LineFeed<TcpStream>>,
    },
}

/// A stream of bytes that is cut into lines.
#[derive(Debug)]
pub(super) struct LineFeed<R> {
    from: R,
    /// The beginning of a line whose end was not read yet.
    begun: Vec<u8>,
    /// The beginning of the line was dropped, because the line is too long. The rest of it must not
    /// be taken for a line.
    is_overlong: bool,
    has_ended: bool,
}

impl CompareInput {
    /// Opens a file, or a port if `name` is a number or an address. A number is a port of loopback.
    pub(super) fn open(name: &str) -> io::Result<Self> {
        let port = name.parse().map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        if let Some(address) = port.ok().or_else(|| name.parse().ok()) {
            let listener = TcpListener::bind(address)?;
            listener.set_nonblocking(true)?;
            return Ok(Self::Port { listener, connections: Vec::new() });
        }
        Ok(Self::File(LineFeed::new(File::open(name)?)))
    }

    pub(super) fn is_file(&self) -> bool {
        matches!(self, Self::File(_))
    }

    /// Whether the input has no more lines. A port never ends.
    pub(super) fn has_ended(&self) -> bool {
        matches!(self, Self::File(feed) if feed.has_ended)
    }

    /// Returns the address of a port.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::File(_) => None,
            Self::Port { listener, .. } => listener.local_addr().ok(),
        }
    }

    /// Returns the sockets of a port.
    pub(super) fn sockets(&self) -> Vec<BorrowedFd<'_>> {
        match self {
            Self::File(_) => Vec::new(),
            Self::Port { listener, connections } => {
                let open = connections.iter().map(|feed| feed.from.as_fd());
                std::iter::once(listener.as_fd()).chain(open).collect()
            }
        }
    }

    /// Passes the lines that are there to `take`. Returns whether there was something to read.
    pub(super) fn read(&mut self, take: &mut dyn FnMut(&[u8])) -> io::Result<bool> {
        match self {
            Self::File(feed) if feed.has_ended => Ok(false),
            Self::File(feed) => feed.read(take),
            Self::Port { listener, connections } => {
                let mut has_lines = false;
                match listener.accept() {
                    Ok((stream, _)) if connections.len() < CONNECTIONS_MAX => {
                        stream.set_nonblocking(true)?;
                        connections.push(LineFeed::new(stream));
                        has_lines = true;
                    }
                    Ok(_) => {} // the connection is closed
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
                for feed in connections.iter_mut() {
                    // A connection that breaks ends. The server opens another one.
                    has_lines |= feed.read(take).unwrap_or_else(|_| {
                        feed.has_ended = true;
                        true
                    });
                }
                connections.retain(|feed| !feed.has_ended);
                Ok(has_lines)
            }
        }
    }
}

impl<R: Read> LineFeed<R> {
    fn new(from: R) -> Self {
        Self { from, begun: Vec::new(), is_overlong: false, has_ended: false }
    }

    /// Reads a piece, and passes the whole lines to `take`. Returns whether there was something to
    /// read.
    fn read(&mut self, take: &mut dyn FnMut(&[u8])) -> io::Result<bool> {
        let before = self.begun.len();
        self.begun.resize(before + PIECE, 0);
        let read = self.from.read(&mut self.begun[before..]);
        self.begun.truncate(before + *read.as_ref().unwrap_or(&0));
        match read {
            Ok(0) => {
                self.has_ended = true;
                if !self.begun.is_empty() && !self.is_overlong {
                    take(&std::mem::take(&mut self.begun));
                }
                return Ok(true);
            }
            Ok(_) => {}
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::Interrupted => return Ok(false),
                _ => return Err(error),
            },
        }
        let Some(end) = memchr::memrchr(b'\n', &self.begun) else {
            if self.begun.len() > LINE_MAX {
                self.begun.clear();
                self.is_overlong = true;
            }
            return Ok(true);
        };
        let overlong = usize::from(std::mem::take(&mut self.is_overlong));
        self.begun[..end].split(|byte| *byte == b'\n').skip(overlong).for_each(take);
        self.begun.drain(..=end);
        Ok(true)
    }
}

/// A line of Graphite's plaintext protocol.
#[derive(Debug, PartialEq)]
pub(super) struct GraphiteLine<'a> {
    pub(super) name: &'a [u8],
    pub(super) value: f64,
    pub(super) stamp: i64,
}

impl<'a> GraphiteLine<'a> {
    /// Returns `None` if the line is no point.
    pub(super) fn read(line: &'a [u8]) -> Option<Self> {
        let mut parts = line.trim_ascii().split(|byte| *byte == b' ');
        let name = parts.next().filter(|name| !name.is_empty())?;
        let value: f64 = str::from_utf8(parts.next()?).ok()?.parse().ok()?;
        let stamp: f64 = str::from_utf8(parts.next()?).ok()?.parse().ok()?;
        let is_stamp = (0.0..1e12).contains(&stamp) && value.is_finite();
        if parts.next().is_some() || !is_stamp {
            return None;
        }
        #[allow(clippy::cast_possible_truncation)] // it is below 1e12
        Some(Self { name, value, stamp: stamp as i64 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_graphite_are_read() {
        let line = GraphiteLine::read(b"a.b;c=d 1.5 10\r").unwrap();
        assert_eq!(line, GraphiteLine { name: b"a.b;c=d", value: 1.5, stamp: 10 });
        for line in ["", "a", "a 1", "a x 1", "a 1 x", "a 1 2 3", "a nan 1", "a 1 -5", "a 1 1e13"] {
            assert_eq!(GraphiteLine::read(line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn a_feed_passes_whole_lines_and_the_last_one() {
        let text = "a\nbb\n".repeat(50_000) + "end";
        let mut feed = LineFeed::new(text.as_bytes());
        let mut lines = 0;
        let mut last = Vec::new();
        while !feed.has_ended {
            feed.read(&mut |line| {
                lines += 1;
                last = line.to_vec();
            })
            .unwrap();
        }
        assert_eq!((lines, &last[..]), (100_001, &b"end"[..]));
    }

    #[test]
    fn the_end_of_a_line_that_is_too_long_is_no_line() {
        let long = "x".repeat(LINE_MAX + 2 * PIECE);
        for (text, expected) in [
            (format!("{long} a 1 10\nb 1 10\n"), &["b 1 10"][..]),
            (format!("b 1 10\n{long} a 1 10"), &["b 1 10"]),
        ] {
            let mut feed = LineFeed::new(text.as_bytes());
            let mut lines = Vec::new();
            while !feed.has_ended {
                feed.read(&mut |line| lines.push(String::from_utf8_lossy(line).into_owned()))
                    .unwrap();
            }
            assert_eq!(lines, expected);
        }
    }
}
