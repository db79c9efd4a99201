//! Graphite plaintext: `name value timestamp\n`.
//!
//! Carbon closes the connection at a line of over 16,384 bytes without its newline, and the lines
//! after it are lost. So the encoder leaves out a point with such a line, and a point that no file
//! can store.
//!
//! The parts of a name that do not depend on the series are composed once: the text before its
//! name, and the text between its bare name and its tags (`names.rs`).

use super::chunk::Chunks;
use super::encoder::{Encoder, RefusalReason, RefusedPoints};
use super::names::{Point, Points};
use super::namespace::Namespace;
use super::number::Number;
use crate::flush::Summary;
use crate::policy::FigureNames;

/// The longest line that carbon reads, without its newline.
const LINE_BYTES_MAX: usize = 16 << 10;

/// The encoder of lines for Graphite and of lines as statsite writes them.
#[derive(Debug)]
pub(super) struct Graphite {
    points: Points,
    /// The byte between name, value and timestamp.
    separator: u8,
    /// The end of every line of the flush: separator, timestamp in seconds, newline.
    stamp: Vec<u8>,
    number: Number,
    chunks: Chunks,
    refused: Vec<RefusedPoints>,
}

impl Graphite {
    /// Lines for carbon.
    pub(super) fn new(namespace: &Namespace, figures: &FigureNames) -> Self {
        Self { points: Points::for_carbon(namespace, figures), ..Self::text(namespace, figures) }
    }

    /// Lines for a reader that accepts any length and any name.
    pub(super) fn text(namespace: &Namespace, figures: &FigureNames) -> Self {
        Self {
            points: Points::new(namespace, figures),
            separator: b' ',
            stamp: Vec::new(),
            number: Number::new(),
            chunks: Chunks::default(),
            refused: Vec::new(),
        }
    }

    /// Lines as statsite writes them to its sinks: `name|value|timestamp\n`.
    pub(super) fn piped(namespace: &Namespace, figures: &FigureNames) -> Self {
        Self { separator: b'|', ..Self::text(namespace, figures) }
    }
}

impl Encoder for Graphite {
    fn begin(&mut self, flush: u64, stamp: u64) {
        self.stamp = line_end(self.separator, stamp);
        self.chunks.begin(flush);
    }

    fn encode(&mut self, summary: &Summary<'_>) {
        let Self { points, separator, stamp, number, chunks, refused } = self;
        points.of(summary, |point, _| {
            let line = chunks.line();
            let start = line.len();
            point.append_name(line);
            line.push(*separator);
            number.append(point.value, line);
            match point.timestamp {
                None => line.extend_from_slice(stamp),
                Some(own_time) => line.extend_from_slice(&line_end(*separator, own_time)),
            }
            if point.is_doubtful
                && let Some(reason) = refusal(&point, line.len() - start)
            {
                chunks.remove_line(start);
                RefusedPoints::add(refused, reason, summary, 1);
            }
        });
    }

    fn end(&mut self) {
        self.chunks.end();
    }

    fn chunks(&mut self) -> &mut Chunks {
        &mut self.chunks
    }

    fn take_refused(&mut self) -> Vec<RefusedPoints> {
        std::mem::take(&mut self.refused)
    }
}

/// Returns why carbon cannot store a point with a line of this length, if that is so.
#[cold]
fn refusal(point: &Point<'_>, bytes: usize) -> Option<RefusalReason> {
    let is_too_long = bytes > LINE_BYTES_MAX + "\n".len();
    point.refusal().or_else(|| is_too_long.then_some(RefusalReason::LineTooLong))
}

/// Returns the end of a line: separator, timestamp, newline.
pub(super) fn line_end(separator: u8, stamp: u64) -> Vec<u8> {
    format!("{}{stamp}\n", char::from(separator)).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::super::namespace::ConstantTag;
    use super::*;
    use crate::flush::Subject;
    use crate::policy::{Figure, FigureId};

    /// Returns the reason why a gauge of this name is left out, if it is, and the bytes of its line
    /// otherwise.
    fn encoded(mut graphite: Graphite, name: &str) -> Result<usize, RefusalReason> {
        graphite.begin(1, 1_700_000_000);
        let figures = [Figure { id: FigureId::VALUE, value: -1.5 }];
        graphite.encode(&Summary::new(Subject::Gauge, name.as_bytes(), &figures));
        graphite.chunks.end();
        let lines: Vec<_> = graphite.chunks.take().collect();
        match &graphite.take_refused()[..] {
            [] => Ok(lines[0].len()),
            [refused] => {
                assert!(lines.is_empty());
                assert_eq!(refused.points, 1);
                assert_eq!(refused.example, name.as_bytes());
                Err(refused.reason)
            }
            more => panic!("{more:?}"),
        }
    }

    fn carbon(global_suffix: &str) -> Graphite {
        let space = Namespace { global_suffix: global_suffix.into(), ..Namespace::default() };
        Graphite::new(&space, &FigureNames::new(&[], &[]))
    }

    /// What carbon 1.1.10 was seen to store. Of `a..b` and `a.b` there is one file, and `a.` is a
    /// file called `.wsp`. Of series with tags the name of the file is a hash.
    #[test]
    fn what_carbon_cannot_store_is_left_out() {
        use RefusalReason::*;
        let x = |bytes| "x".repeat(bytes);
        let path = |bytes: usize| format!("{}x", "x.".repeat(bytes)).split_off(bytes + 1);
        let tagged = |line: usize| {
            let rest = "stats.gauges.a;k= -1.5 1700000000".len();
            format!("a;k={}", "v".repeat(line - rest))
        };
        for (name, expected) in [
            ("a.b".to_owned(), Ok(())),
            ("a..b".into(), Err(EmptyElement)),
            (".a".into(), Err(EmptyElement)),
            ("a.".into(), Err(EmptyElement)),
            (".".into(), Err(EmptyElement)),
            ("...".into(), Err(EmptyElement)),
            ("a.very.long.name.of.many..elements".into(), Err(EmptyElement)),
            ("a..b;k=v".into(), Ok(())),
            ("a;k=v..w".into(), Ok(())),
            (x(251), Ok(())),
            (x(252), Err(ElementTooLong)),
            (x(255) + ".a", Ok(())),
            (x(256) + ".a", Err(ElementTooLong)),
            (format!("a.{}.b", x(256)), Err(ElementTooLong)),
            (x(252) + ";k=v", Ok(())),
            (path(4000 - "stats.gauges.".len()), Ok(())),
            (path(4002 - "stats.gauges.".len()), Err(PathTooLong)),
            (tagged(16_384), Ok(())),
            (tagged(16_385), Err(LineTooLong)),
            (tagged(65_536), Err(LineTooLong)),
        ] {
            let found = encoded(carbon(""), &name);
            let bytes = found.unwrap_or_default();
            assert!(bytes <= LINE_BYTES_MAX + 1);
            assert_eq!(found.map(|_| ()), expected, "{} bytes: {:.40}", name.len(), name);
            assert!(
                encoded(Graphite::text(&Namespace::default(), &FigureNames::new(&[], &[])), &name)
                    .is_ok()
            );
        }
        assert_eq!(encoded(carbon(""), &tagged(16_384)), Ok(16_385), "with its newline");
    }

    /// Carbon 1.1.10 stores the name of a series as its tag `name`, so a tag with that key is lost.
    #[test]
    fn a_tag_called_name_gets_another_key_for_carbon() {
        let sent = |mut graphite: Graphite, name: &str| {
            graphite.begin(1, 10);
            let figures = [Figure { id: FigureId::VALUE, value: 2.0 }];
            let summary = Summary::new(Subject::Gauge, name.as_bytes(), &figures);
            let has_plain_name = crate::protocol::is_plain_path(name.as_bytes());
            graphite.encode(&Summary { has_plain_name, ..summary });
            graphite.chunks.end();
            let text = graphite.chunks.take().flat_map(|chunk| chunk.bytes().to_vec()).collect();
            String::from_utf8(text).unwrap()
        };
        let text = || Graphite::text(&Namespace::default(), &FigureNames::new(&[], &[]));
        for (name, expected) in [
            ("a;name=x", "a;@name=x"),
            ("a;b=1;name=;z=name=1", "a;b=1;@name=;z=name=1"),
            ("a;name2=x;the_name=y;z=;", "a;name2=x;the_name=y;z=;"),
            ("a;na/m\u{e9}e=x", "a;na-me=x"),
            ("a;na\u{e9}me=x", "a;@name=x"),
            ("name=x", "name=x"),
        ] {
            assert_eq!(sent(carbon(""), name), format!("stats.gauges.{expected} 2 10\n"));
            let in_text = expected.replace('@', "");
            assert_eq!(sent(text(), name), format!("stats.gauges.{in_text} 2 10\n"));
        }
    }

    /// The tags of a name space make the line of any name too long.
    #[test]
    fn constant_tags_count_for_the_longest_line() {
        let figures = [Figure { id: FigureId::VALUE, value: 2.0 }];
        let summary = Summary::new(Subject::Gauge, b"a", &figures);
        let summary = Summary { has_plain_name: true, ..summary };
        let rest = "stats.gauges.a;big= 2 10".len();
        for (bytes, lines) in [(LINE_BYTES_MAX - rest, 1), (LINE_BYTES_MAX - rest + 1, 0)] {
            let tags = vec![ConstantTag { key: "big".into(), value: "v".repeat(bytes) }];
            let space = Namespace { tags, ..Namespace::default() };
            let mut graphite = Graphite::new(&space, &FigureNames::new(&[], &[]));
            graphite.begin(1, 10);
            graphite.encode(&summary);
            graphite.chunks.end();
            assert_eq!(graphite.chunks.take().count(), lines, "{bytes}");
            assert_eq!(graphite.take_refused().len(), 1 - lines);
        }
    }

    /// Whisper adds its suffix to the last element, which may be that of the name space.
    #[test]
    fn the_last_element_is_the_one_that_is_sent() {
        let name = "x".repeat(252);
        assert_eq!(encoded(carbon(""), &name), Err(RefusalReason::ElementTooLong));
        assert!(encoded(carbon("web1"), &name).is_ok());
    }
}
