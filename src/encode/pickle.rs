//! Graphite pickle: messages of many points. A message is its length (four bytes, big endian) and
//! `[(name, (timestamp, value)), …]` in protocol 2 of Python's pickle.
//!
//! Carbon closes the connection if a message is longer than a mebibyte. So no message is longer,
//! whatever `pickle_batch` is. A chunk holds whole messages.

use super::chunk::Chunks;
use super::encoder::{Encoder, RefusedPoints};
use super::names::Points;
use super::namespace::Namespace;
use crate::flush::Summary;
use crate::policy::FigureNames;

/// Carbon's limit for the pickle, without its length.
const MESSAGE_BYTES_MAX: usize = 1 << 20;
/// The bytes of a point besides its name, and of the end of a message. At most 29 and 2.
const POINT_BYTES: usize = 32;

/// PROTO 2, EMPTY_LIST, MARK.
const HEAD: &[u8] = b"\x80\x02](";
/// APPENDS, STOP.
const TAIL: &[u8] = b"e.";
const LENGTH_BYTES: usize = 4;

/// The encoder of Graphite's pickle.
#[derive(Debug)]
pub(super) struct Pickle {
    points: Points,
    /// The most points of a message.
    batch: u32,
    stamp: u64,
    message: PickleMessage,
    chunks: Chunks,
    refused: Vec<RefusedPoints>,
}

/// The message that is being written. It is empty between two messages.
#[derive(Debug, Default)]
struct PickleMessage {
    bytes: Vec<u8>,
    points: u32,
    /// The name of the next point. It is written here first, because its length comes before it.
    name: Vec<u8>,
}

impl Pickle {
    pub(super) fn new(namespace: &Namespace, figures: &FigureNames, batch: u32) -> Self {
        Self {
            points: Points::for_carbon(namespace, figures),
            batch,
            stamp: 0,
            message: PickleMessage::default(),
            chunks: Chunks::default(),
            refused: Vec::new(),
        }
    }
}

impl Encoder for Pickle {
    fn begin(&mut self, flush: u64, stamp: u64) {
        self.stamp = stamp;
        self.chunks.begin(flush);
    }

    fn encode(&mut self, summary: &Summary<'_>) {
        let Self { points, batch, stamp, message, chunks, refused } = self;
        points.of(summary, |point, _| {
            if point.is_doubtful
                && let Some(reason) = point.refusal()
            {
                return RefusedPoints::add(refused, reason, summary, 1);
            }
            message.name.clear();
            point.append_name(&mut message.name);
            // A name is far shorter than a message.
            let bytes = message.bytes.len() + message.name.len() + POINT_BYTES;
            if message.points == *batch || bytes > MESSAGE_BYTES_MAX {
                message.end(chunks);
            }
            message.append(point.timestamp.unwrap_or(*stamp), point.value);
        });
    }

    fn end(&mut self) {
        self.message.end(&mut self.chunks);
        self.chunks.end();
    }

    fn chunks(&mut self) -> &mut Chunks {
        &mut self.chunks
    }

    fn take_refused(&mut self) -> Vec<RefusedPoints> {
        std::mem::take(&mut self.refused)
    }
}

impl PickleMessage {
    /// Appends a point with the name in `self.name`.
    fn append(&mut self, timestamp: u64, value: f64) {
        let bytes = &mut self.bytes;
        if self.points == 0 {
            bytes.extend_from_slice(&[0; LENGTH_BYTES]); // `end` writes the length here
            bytes.extend_from_slice(HEAD);
        }
        self.points += 1;
        append_string(&self.name, bytes);
        append_time(timestamp, bytes);
        // BINFLOAT, TUPLE2 of time and value, TUPLE2 of name and that. They are appended in one
        // step, as in `append_time`, since each step checks that there is room.
        let mut end = *b"G01234567\x86\x86";
        end[1..9].copy_from_slice(&value.to_be_bytes());
        bytes.extend_from_slice(&end);
    }

    /// Ends the message, if it has points, and appends it to the chunks.
    fn end(&mut self, chunks: &mut Chunks) {
        if self.points == 0 {
            return;
        }
        self.bytes.extend_from_slice(TAIL);
        let length = u32::try_from(self.bytes.len() - LENGTH_BYTES).expect("it is far shorter");
        self.bytes[..LENGTH_BYTES].copy_from_slice(&length.to_be_bytes());
        chunks.frame(&self.bytes, std::mem::take(&mut self.points));
        self.bytes.clear();
    }
}

/// Appends a text as SHORT_BINSTRING or BINSTRING, which are `str` in any Python, since names are
/// ASCII.
fn append_string(text: &[u8], out: &mut Vec<u8>) {
    match u8::try_from(text.len()) {
        Ok(length) => out.extend_from_slice(&[b'U', length]),
        Err(_) => {
            out.push(b'T');
            let length = u32::try_from(text.len()).expect("it is far shorter");
            out.extend_from_slice(&length.to_le_bytes());
        }
    }
    out.extend_from_slice(text);
}

/// Appends a number as BININT, or as LONG1 if it does not fit.
fn append_time(value: u64, out: &mut Vec<u8>) {
    match i32::try_from(value) {
        Ok(value) => {
            let [a, b, c, d] = value.to_le_bytes();
            out.extend_from_slice(&[b'J', a, b, c, d]);
        }
        Err(_) => {
            out.extend_from_slice(b"\x8a\x09");
            out.extend_from_slice(&value.to_le_bytes());
            out.push(0); // the sign
        }
    }
}

/// Returns the names in the messages of a chunk.
pub(super) fn names(chunk: &[u8]) -> Vec<Vec<u8>> {
    let mut names = Vec::new();
    let mut rest = chunk;
    while let Some(points) = rest.get(LENGTH_BYTES + HEAD.len()..) {
        rest = points;
        while let Some((name, after)) = take_point(rest) {
            names.push(name.into());
            rest = after;
        }
        rest = rest.get(TAIL.len()..).unwrap_or_default();
    }
    names
}

/// Returns the name of the point at the start of `text`, and the bytes after the point.
fn take_point(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, text) = match text.split_first()? {
        (b'U', rest) => rest.split_first().map(|(length, rest)| (usize::from(*length), rest))?,
        (b'T', rest) => {
            let (length, rest) = rest.split_first_chunk()?;
            (usize::try_from(u32::from_le_bytes(*length)).ok()?, rest)
        }
        _ => return None,
    };
    let (name, after) = text.split_at_checked(length)?;
    let time = if after.first() == Some(&b'J') { 5 } else { 11 };
    const VALUE_AND_TUPLES: usize = 9 + 2;
    Some((name, after.get(time + VALUE_AND_TUPLES..)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::chunk::CHUNK_BYTES;
    use crate::flush::Subject;
    use crate::policy::{Figure, FigureId};

    fn gauge(pickle: &mut Pickle, name: &str, value: f64, timestamp: Option<u64>) {
        let figures = [Figure { id: FigureId::VALUE, value }];
        let summary = Summary::new(Subject::Gauge, name.as_bytes(), &figures);
        pickle.encode(&Summary { timestamp, ..summary });
    }

    fn pickle(batch: u32) -> Pickle {
        let mut pickle = Pickle::new(&Namespace::default(), &FigureNames::new(&[], &[]), batch);
        pickle.begin(1, 10);
        pickle
    }

    /// The length and the number of points of each message, and those of each chunk.
    fn messages(pickle: &mut Pickle) -> (Vec<usize>, Vec<(usize, u32)>) {
        pickle.end();
        let chunks: Vec<_> = pickle.chunks().take().collect();
        let mut lengths = Vec::new();
        for chunk in &chunks {
            assert_eq!(names(chunk.bytes()).len(), chunk.lines() as usize);
            let mut rest = chunk.bytes();
            while let Some((length, after)) = rest.split_first_chunk() {
                let length = u32::from_be_bytes(*length) as usize;
                assert!(after[..length].starts_with(HEAD) && after[..length].ends_with(TAIL));
                lengths.push(length);
                rest = &after[length..];
            }
        }
        (lengths, chunks.iter().map(|chunk| (chunk.len(), chunk.lines())).collect())
    }

    #[test]
    fn a_message_is_what_python_would_make() {
        let mut pickle = pickle(9);
        gauge(&mut pickle, "a;k=v", 1.5, None);
        gauge(&mut pickle, "b", -2.0, Some(1 << 40));
        pickle.end();
        let chunk = pickle.chunks().take().next().unwrap();
        let expected = b"\0\0\0\x50\x80\x02](\
            U\x12stats.gauges.a;k=vJ\x0a\0\0\0G\x3f\xf8\0\0\0\0\0\0\x86\x86\
            U\x0estats.gauges.b\x8a\x09\0\0\0\0\0\x01\0\0\0G\xc0\0\0\0\0\0\0\0\x86\x86e.";
        assert_eq!(chunk.bytes().escape_ascii().to_string(), expected.escape_ascii().to_string());
        assert_eq!(chunk.lines(), 2);
        assert_eq!(names(chunk.bytes()), [&b"stats.gauges.a;k=v"[..], b"stats.gauges.b"]);
    }

    #[test]
    fn a_batch_is_as_long_as_it_may_be() {
        let mut pickle = pickle(500);
        (0..1201).for_each(|nth| gauge(&mut pickle, &format!("name.{nth}"), 1.0, None));
        let (lengths, chunks) = messages(&mut pickle);
        assert_eq!(lengths.len(), 3);
        assert_eq!(chunks.iter().map(|(_, lines)| lines).sum::<u32>(), 1201);
        assert!(chunks.iter().all(|(bytes, _)| *bytes <= CHUNK_BYTES), "{chunks:?}");
        assert_eq!(messages(&mut self::pickle(500)), (vec![], vec![]), "no points, no message");
    }

    #[test]
    fn no_message_is_too_long_for_carbon() {
        let mut pickle = pickle(10_000);
        let long =
            "n".repeat(204).repeat(10).replace(&"n".repeat(204), &("n".repeat(203) + ".")) + "n";
        (0..2000).for_each(|_| gauge(&mut pickle, &long, 1.0, None));
        let (lengths, chunks) = messages(&mut pickle);
        assert!(lengths.iter().all(|length| *length <= MESSAGE_BYTES_MAX), "{lengths:?}");
        assert!(lengths[0] > MESSAGE_BYTES_MAX - 2 * 2200, "{lengths:?}");
        assert_eq!((lengths.len(), chunks.len()), (4, 4));
        let mut pickle = self::pickle(10_000);
        let long = format!("n;k={}", "v".repeat(65_531));
        (0..100).for_each(|_| gauge(&mut pickle, &long, 1.0, None));
        let (lengths, chunks) = messages(&mut pickle);
        assert!(lengths.iter().all(|length| *length <= MESSAGE_BYTES_MAX), "{lengths:?}");
        assert_eq!((lengths.len(), chunks.len()), (7, 7), "15 in each");
        assert_eq!(pickle.take_refused(), [], "a series with tags has any length");
    }
}
