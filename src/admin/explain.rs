//! `explain LINE`: what a line would do.

use super::rules::patterns;
use super::text::{LIST_BYTES, name_and_state, put_escaped, refusals, write};
use super::view::View;
use crate::config::render_masked;
use crate::encode::repeated::PacketTransport;
use crate::encode::sent_names::{NameEncoders, SentNames};
use crate::engine::explain::{ExplainedLine, ExplainedSample, Explanation, PreviewDepth, explain};
use crate::sink::Feed;

/// The bytes of a value that are shown. The member of a set may be as long as the line.
const SHOWN_BYTES: usize = 200;

/// Appends what a line would do.
pub(super) fn put_explanation(view: &View<'_>, line: &[u8], out: &mut Vec<u8>) {
    let mut encoders = NameEncoders::of(view.encoders);
    let explanation = explain(view.server.engine, &mut encoders, line, PreviewDepth::AllSamples);
    put(out, "line", line);
    match &explanation {
        Explanation::Empty => write(out, format_args!("verdict: ignored: the line is empty\n")),
        Explanation::Event => {
            let why = "an event or a service check; it is counted in events_ignored";
            write(out, format_args!("verdict: ignored: {why}\n"));
        }
        Explanation::Binary => {
            let why = "it begins as a binary message, which is no line";
            write(out, format_args!("verdict: not explained: {why}\n"));
        }
        Explanation::Bad(reject) => write(out, format_args!("verdict: refused: {reject}\n")),
        Explanation::Metrics(line) => metrics(view, line, out),
    }
    let gets_lines = [PacketTransport::Datagrams, PacketTransport::Stream].map(Feed::Packets);
    for sink in view.server.sinks.iter() {
        if gets_lines.iter().any(|feed| sink.takes(*feed)) && explanation != Explanation::Empty {
            put_text(out, &format!("repeated: {}", name_and_state(sink)), line);
            out.push(b'\n');
        }
    }
    write(out, format_args!("END\n\n"));
}

fn metrics(view: &View<'_>, line: &ExplainedLine, out: &mut Vec<u8>) {
    let ExplainedLine { name, original, timestamp, samples, rules, sent, .. } = line;
    if let Some(original) = original {
        put(out, "name", original);
    }
    put(out, "series", name);
    for tag in name.split(|byte| *byte == b';').skip(1) {
        put(out, "tag", tag);
    }
    if let Some(timestamp) = timestamp {
        write(out, format_args!("timestamp: {timestamp}\n"));
    }
    let full = out.len() + LIST_BYTES;
    let mut rest = samples.iter();
    while out.len() < full
        && let Some(ExplainedSample { text, rate, effect, verdict }) = rest.next()
    {
        let rate = rate.filter(|rate| *rate != 1.0);
        let rate = rate.map_or_else(String::new, |rate| format!(", rate {rate}"));
        let effect = effect.map_or_else(String::new, |effect| format!(" ({effect}{rate})"));
        put_text(out, "value", text);
        write(out, format_args!("{effect}: {verdict}\n"));
    }
    if rest.len() > 0 || line.has_more_samples {
        write(out, format_args!("note: the line has more values, which are not shown\n"));
    }
    let config = if rules.is_empty() { String::new() } else { render_masked(view.server.config) };
    for (rule, gives) in rules {
        let patterns = patterns(&config, rule);
        let gives = if gives.is_empty() { "nothing".into() } else { gives.join(", ") };
        write(out, format_args!("rule: [rule.{rule}] gives {gives} ({patterns})\n"));
    }
    if line.has_unread_tags {
        let what = "the name looks as if it had tags of a dialect that tag_formats does not list";
        write(out, format_args!("note: {what}\n"));
    }
    if line.has_packed {
        let what = "each of the values was read as a sample; a name must not have a colon";
        write(out, format_args!("note: {what}\n"));
    }
    let points = || sent.iter().flat_map(|series| &series.points);
    // A timer with many percentiles has hundreds of names, each as long as the client chooses.
    let full = out.len() + LIST_BYTES;
    for sink in view.server.sinks.iter() {
        for SentNames { encoder, names, .. } in points() {
            if !sink.takes(Feed::Flushes(*encoder)) {
                continue;
            }
            let key = format!("sent: {}", name_and_state(sink));
            let mut rest = names.iter();
            while out.len() < full
                && let Some(name) = rest.next()
            {
                put(out, &key, name);
            }
            if rest.len() > 0 {
                write(out, format_args!("{key}: {} more names\n", rest.len()));
            }
        }
        for reason in refusals(points(), sink) {
            write(out, format_args!("not_sent: {}: {reason}\n", sink.name()));
        }
    }
}

/// Appends `key: text` as a line.
fn put(out: &mut Vec<u8>, key: &str, text: &[u8]) {
    write(out, format_args!("{key}: "));
    put_escaped(text, out);
    out.push(b'\n');
}

/// Appends `key: text` without an end, and at most [`SHOWN_BYTES`] of the text.
fn put_text(out: &mut Vec<u8>, key: &str, text: &[u8]) {
    write(out, format_args!("{key}: "));
    put_escaped(&text[..text.len().min(SHOWN_BYTES)], out);
    if text.len() > SHOWN_BYTES {
        out.extend_from_slice(b"...");
    }
}
