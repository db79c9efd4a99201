//! The table of all figures, in the order in which `info` shows them.

use super::row::FigureKind::{Level, Total};
use super::row::FigureUnit::{
    Bytes, Clients, Connections, Figures, Files, Flushes, Lines, Milliseconds, Packets, Plain,
    Points, Samples, Seconds, Series as SeriesUnit, Values,
};
use super::row::GraphiteName::{Carbon, Figure, Gauge, NumStats, Sink};
use super::row::{
    FigureKind, FigureReader as Reader, FigureRow, FigureUnit, GraphiteName, LossCount,
};
use super::section::FigureSection;
use super::section::FigureSection::{
    Destinations, Flush, Input, Limits, Loss, Memory, Series, Server,
};
use super::server_parts::{FlushFigures, ServerParts, tenths};
use crate::ledger::OwnCounter;
use crate::sink::SinkFigures;
use crate::sys;
use crate::time::UnixTime;

type KindAndUnit = (FigureKind, FigureUnit);

const YES: KindAndUnit = (Level, Plain);
const BYTES: KindAndUnit = (Level, Bytes);
const MILLIS: KindAndUnit = (Level, Milliseconds);
const SECONDS: KindAndUnit = (Level, Seconds);
const LINES: KindAndUnit = (Total, Lines);
const LINES_NOW: KindAndUnit = (Level, Lines);

/// The rows of the table. rustfmt leaves them alone, so that a row is two or three lines.
macro_rules! rows {
    ($($row:expr;)*) => {
        &[$($row),*]
    };
}

/// Every figure of the server.
pub static TABLE: &[FigureRow] = rows! {
    figure(Server, "uptime_seconds", SECONDS,
        Reader::One(|from| from.flush.started.tick.until(from.now.tick).as_secs_f64().floor()),
        "time since the start");
    figure(Server, "last_input_seconds", SECONDS, Reader::One(last_input),
        "time since the last packet or line; since the start if none came");
    figure(Server, "flush_interval_seconds", SECONDS,
        Reader::One(|from| from.config.flush_interval.as_secs_f64()), "flush_interval");
    own(Input, OwnCounter::PacketsReceived, Packets, "datagrams, empty ones too");
    own(Input, OwnCounter::MetricsReceived, Lines, "lines that were not empty");
    figure(Input, "samples_received", (Total, Samples),
        Reader::One(|from| from.engine.ledger().samples() as f64),
        "values that were added to a series, or are passed through");
    figure(Input, "packets", (Total, Packets),
        Reader::Listener(|of| of.drops.map(|_| of.counts.packets as f64)),
        "datagrams of this listener, empty ones too");
    figure(Input, "connections", (Total, Connections),
        Reader::Listener(|of| of.drops.is_none().then_some(of.counts.connections as f64)),
        "connections that this listener has accepted, also those that were then refused");
    figure(Input, "lines", LINES, Reader::Listener(|of| Some(of.counts.lines as f64)),
        "lines of this listener that were not empty");
    figure(Input, "samples", (Total, Samples),
        Reader::Listener(|of| Some(of.counts.samples as f64)),
        "values of this listener that were added to a series, or are passed through");
    figure(Input, "bytes", (Total, Bytes), Reader::Listener(|of| Some(of.counts.bytes as f64)),
        "bytes that were read from this listener");
    figure(Input, "drops", (Total, Packets),
        Reader::Listener(|of| of.drops.map(|drops| drops as f64)),
        "datagrams that the kernel dropped on this socket; udp_drops is their sum");
    figure(Input, "recv_buffer_bytes", BYTES,
        Reader::Listener(|of| of.receive_buffer.map(f64::from)),
        "receive buffer that the kernel granted to this socket; recv_buffer requests it");
    figure(Input, "bad_lines", (Total, Lines), Reader::Reasons,
        "lines and values that were refused for this reason; bad_lines_seen is their sum");
    figure(Series, "series", (Level, SeriesUnit), Reader::Kinds,
        "series of this kind that clients send, idle ones too");
    figure(Series, "num_stats", (Level, SeriesUnit),
        Reader::One(|from| from.engine.num_stats() as f64),
        "series of the last flush, as Node counts them")
        .sent(&[NumStats]);
    figure(Series, "tags", (Level, Plain),
        Reader::One(|from| from.engine.table().tags().0 as f64),
        "different tags of all series, each stored once; a tag goes with its last series");
    figure(Series, "known_lines", (Level, Plain),
        Reader::One(|from| from.engine.table().aliases().0 as f64),
        "raw names and tags that lead to their series without being read");
    figure(Series, "series_created", (Total, SeriesUnit),
        Reader::One(|from| from.engine.table().counts().created as f64),
        "series that were created, also those that a start has restored");
    figure(Series, "series_evicted", (Total, SeriesUnit),
        Reader::One(|from| from.engine.table().counts().evicted as f64),
        "idle or new series that made room for others at max_series or series_memory");
    figure(Series, "series_expired", (Total, SeriesUnit),
        Reader::One(|from| from.engine.table().counts().expired as f64),
        "series that were forgotten, since they were idle for too long or a new rule drops them");
    figure(Series, "series_deleted", (Total, SeriesUnit),
        Reader::One(|from| from.engine.table().counts().deleted() as f64),
        "series that commands of the admin port have deleted");
    figure(Flush, "flushes", (Total, Flushes), Reader::Flush(|flush| flush.flushes as f64),
        "flushes that have ended");
    figure(Flush, "processing_time_ms", MILLIS, Reader::Flush(|flush| flush.took_ms),
        "time from the tick to the end of the last flush")
        .sent(&[Figure("processing_time"), Carbon("graphiteStats.calculationtime")]);
    own(Flush, OwnCounter::FlushOverruns, Flushes,
        "flushes that were due while the previous flush was still running")
        .also(Loss);
    figure(Flush, "turn_ms", MILLIS, Reader::Flush(|flush| flush.turn_ms),
        "longest turn of the loop between the last two flushes: nothing was read during it")
        .sent(&[Figure("turn_ms")]);
    figure(Flush, "longest_turn_ms", MILLIS, Reader::Flush(|flush| tenths(flush.longest_turn)),
        "longest turn of the loop since the start");
    figure(Flush, "disk_stall_ms", MILLIS, Reader::Flush(|flush| flush.disk_stall_ms),
        "longest disk call between the last two flushes")
        .sent(&[Figure("disk_stall_ms")]);
    figure(Flush, "timestamp_lag_seconds", SECONDS,
        Reader::Flush(|flush| flush.timestamp_lag.unwrap_or(0.0)),
        "time by which the last two ticks were further apart than flush_interval")
        .sent(&[Gauge("timestamp_lag")]);
    figure(Destinations, "up", YES,
        Reader::Destination(|sink, _| Some(f64::from(u8::from(sink.is_up)))),
        "1 if the destination can be written to, else 0; 0 if it is stalled, or its last command failed");
    figure(Destinations, "queue_bytes", BYTES,
        Reader::Destination(|sink, _| Some(sink.queue_bytes as f64)),
        "bytes in memory that are unsent or unacknowledged")
        .sent(&[Sink("queue_bytes")]);
    figure(Destinations, "queue_limit_bytes", BYTES,
        Reader::Destination(|sink, _| Some(sink.queue_limit as f64)),
        "most bytes that may be queued");
    figure(Destinations, "queue_lasts_seconds", SECONDS, Reader::QueueLasts,
        "free bytes of the queue, divided by the bytes queued in a second of the last minute");
    figure(Destinations, "queued_bytes", (Total, Bytes),
        Reader::Destination(|sink, _| Some(sink.pushed_bytes as f64)),
        "bytes that were put into the queue");
    figure(Destinations, "spool_bytes", BYTES,
        Reader::Destination(|sink, _| sink.spool_bytes.map(|bytes| bytes as f64)),
        "bytes that wait in the spool; only with a spool")
        .sent(&[Sink("spool_bytes")]);
    figure(Destinations, "queued_lines", LINES,
        Reader::Destination(|sink, _| Some(sink.pushed_lines as f64)),
        "lines that were put into the queue");
    figure(Destinations, "found_lines", LINES,
        Reader::Destination(|sink, _| sink.found_lines.map(|lines| lines as f64)),
        "lines of an earlier run that were read from the spool; only with a spool");
    figure(Destinations, "recounted_lines", LINES_NOW,
        Reader::Destination(|sink, _| Some(sink.twice_lines as f64)),
        "lines that two of the next five figures count");
    figure(Destinations, "delivered_lines", LINES_NOW,
        Reader::Destination(|sink, _| Some(sink.delivered_lines as f64)),
        "lines that were acknowledged; falls if an acknowledgement turns out to mean nothing");
    figure(Destinations, "queue_lines", LINES_NOW,
        Reader::Destination(|sink, _| Some(sink.queue_lines as f64)),
        "undelivered lines in memory, without those that are in the spool, too");
    figure(Destinations, "spool_lines", LINES_NOW,
        Reader::Destination(|sink, _| sink.spool_lines.map(|lines| lines as f64)),
        "undelivered lines in the spool, as far as they were read or written; only with a spool");
    figure(Destinations, "dropped_lines", LINES,
        Reader::Destination(|sink, _| Some(sink.dropped_lines as f64)), "lines given up")
        .sent(&[Sink("dropped_lines")]);
    figure(Destinations, "in_doubt", LINES,
        Reader::Destination(|sink, _| Some(sink.in_doubt as f64)),
        "lines whose delivery is unknown")
        .sent(&[Sink("in_doubt")]);
    figure(Destinations, "resent_lines", LINES,
        Reader::Destination(|sink, _| Some(sink.resent_lines as f64)),
        "lines written a second time")
        .sent(&[Sink("resent_lines")]);
    figure(Destinations, "points_refused", (Total, Points),
        Reader::Destination(|sink, _| Some(sink.points_refused as f64)),
        "points left out, since this destination cannot store them");
    figure(Destinations, "reconnects", (Total, Connections),
        Reader::Destination(|sink, _| Some(sink.reconnects as f64)),
        "connections after the first")
        .sent(&[Sink("reconnects")]);
    figure(Destinations, "sent_bytes", (Total, Bytes),
        Reader::Destination(|sink, _| Some(sink.sent_bytes as f64)), "bytes written")
        .sent(&[Sink("sent_bytes")]);
    figure(Destinations, "flush_time_ms", MILLIS,
        Reader::Destination(|sink, _| Some(sink.flush_time.as_millis() as f64)),
        "time from the tick of the last acknowledged flush to its last acknowledgement")
        .sent(&[Carbon("graphiteStats.flush_time")]);
    figure(Destinations, "flush_length_bytes", BYTES,
        Reader::Destination(|sink, _| Some(sink.flush_length as f64)),
        "bytes of that flush")
        .sent(&[Carbon("graphiteStats.flush_length")]);
    figure(Destinations, "last_flush_timestamp_seconds", SECONDS, Reader::Destination(last_flush),
        "when a flush was last acknowledged, since 1970; before the first, when the server started")
        .sent(&[Carbon("graphiteStats.last_flush")]);
    figure(Destinations, "last_failure_timestamp_seconds", SECONDS,
        Reader::Destination(|sink, _| Some(unix(sink.last_exception))),
        "when the destination last failed, since 1970; 0 if it never did")
        .sent(&[Carbon("graphiteStats.last_exception")]);
    figure(Loss, "lost_lines", LINES, Reader::Lost(&[LossCount::Lines, LossCount::Packets]),
        "sum of the lines, values and points that are lost, and of lost_packets");
    figure(Loss, "lost_packets", (Total, Packets), Reader::Lost(&[LossCount::Packets]),
        "packets that were lost unread; each counts as one line in lost_lines");
    own(Loss, OwnCounter::UdpDrops, Packets,
        "datagrams that the kernel dropped on the server's sockets")
        .also(Input).lost(LossCount::Packets);
    own(Loss, OwnCounter::PacketsTruncated, Packets,
        "datagrams and frames over 64 KiB or cut short")
        .lost(LossCount::Packets);
    own(Loss, OwnCounter::BadLinesSeen, Lines,
        "lines and values that were refused")
        .also(Input).lost(LossCount::Lines);
    own(Loss, OwnCounter::SeriesRejected, Values,
        "valid values of new series, dropped because of max_series or series_memory")
        .also(Series).lost(LossCount::Lines);
    figure(Loss, "samples_dropped_by_limit", (Total, Values), Reader::One(dropped_by_limit),
        "valid values dropped because timer_memory or passthrough_memory is used up")
        .lost(LossCount::Lines);
    figure(Loss, "events_not_restored", (Total, Values),
        Reader::One(|from| from.engine.ledger().not_restored() as f64),
        "counts, samples and set members of state_file that the limits have no room for")
        .lost(LossCount::Lines);
    own(Loss, OwnCounter::FiguresNotFinite, Figures,
        "figures left out because they overflowed")
        .lost(LossCount::Lines);
    own(Loss, OwnCounter::PointsRefused, Points,
        "points that a destination cannot store; once if several destinations share a format")
        .lost(LossCount::Lines);
    figure(Loss, "dropped_lines", LINES,
        Reader::One(|from| from.sinks.lost_lines().dropped as f64),
        "sum of dropped_lines of all destinations, also of removed ones")
        .lost(LossCount::Lines);
    figure(Loss, "in_doubt", LINES,
        Reader::One(|from| from.sinks.lost_lines().in_doubt as f64),
        "lines of unknown delivery, of all destinations, also of removed ones; not in lost_lines");
    own(Loss, OwnCounter::SamplesDropped, Values,
        "valid values dropped by a rule or for lack of memory: the sum of both");
    figure(Loss, "samples_dropped_by_rule", (Total, Values),
        Reader::One(|from| from.engine.ledger().dropped_by_rule() as f64),
        "valid values that a rule with drop = yes dropped, as configured");
    own(Loss, OwnCounter::PacketsRefused, Packets,
        "datagrams of senders that allow_from does not list");
    own(Loss, OwnCounter::ConnectionsRefused, Connections,
        "connections over max_connections, or of clients that allow_from does not list")
        .also(Input);
    own(Loss, OwnCounter::IdleConnectionsClosed, Connections,
        "clients closed for silence, for a new admin client, or because they did not read");
    own(Loss, OwnCounter::EventsIgnored, Lines, "DogStatsD events and service checks");
    own(Loss, OwnCounter::InfluxTagsSeen, Lines,
        "lines whose tags were not read, since their dialect is not in tag_formats");
    own(Loss, OwnCounter::LogLinesDropped, Lines, "log lines that standard error did not accept");
    figure(Memory, "resident_bytes", BYTES,
        Reader::One(|_| sys::resident_bytes().unwrap_or(0) as f64),
        "memory of the process that is resident");
    figure(Memory, "series_bytes", BYTES, Reader::One(|from| from.series_bytes() as f64),
        "series with their names, tags and running totals of timers, estimated");
    figure(Memory, "tag_bytes", BYTES,
        Reader::One(|from| from.engine.table().tags().1 as f64),
        "the tags of all series, as part of series_bytes");
    figure(Memory, "record_bytes", BYTES,
        Reader::One(|from| from.engine.table().record_bytes() as f64),
        "running totals of timers and last values of C counters, as part of series_bytes");
    figure(Memory, "sample_bytes", BYTES,
        Reader::One(|from| from.engine.table().sample_bytes() as f64),
        "samples of timers and members of sets");
    figure(Memory, "passthrough_bytes", BYTES,
        Reader::One(|from| from.engine.passthrough_bytes() as f64),
        "key/value lines and values with a timestamp, until the next flush has sent them");
    figure(Memory, "queues_bytes", BYTES,
        Reader::One(|from| sum(from, |sink| sink.held_bytes as u64)),
        "queued and retained bytes of all destinations");
    figure(Memory, "history_bytes", BYTES, Reader::One(|from| from.engine.history().bytes() as f64),
        "remembered history");
    figure(Memory, "admin_bytes", BYTES, Reader::One(|from| from.admin_bytes as f64),
        "clients of the admin port: unsent answers, and the places of series for dumps and scrapes");
    figure(Memory, "spools_bytes", BYTES,
        Reader::One(|from| sum(from, |sink| sink.spool_bytes.unwrap_or(0))),
        "bytes in the spools of all destinations; they are on disk, not in memory");
    figure(Limits, "max_series", (Level, SeriesUnit),
        Reader::Limit(|from| of(from.engine.table().len(), from.config.bounds.max_series)),
        "[limits] max_series");
    figure(Limits, "series_memory", BYTES,
        Reader::Limit(|from| {
            of(from.engine.table().series_bytes(), from.config.bounds.series_memory)
        }),
        "[limits] series_memory");
    figure(Limits, "timer_memory", BYTES,
        Reader::Limit(|from| {
            of(from.engine.table().sample_bytes(), from.config.bounds.sample_memory)
        }),
        "[statsd] timer_memory");
    figure(Limits, "passthrough_memory", BYTES,
        Reader::Limit(|from| {
            of(from.engine.passthrough_bytes(), from.config.bounds.passthrough_memory)
        }),
        "[statsd] passthrough_memory");
    figure(Limits, "tcp.max_connections", (Level, Connections),
        Reader::Limit(|from| of(from.connections.used, from.connections.limit)),
        "[tcp] max_connections, or fewer if the limit of open files is too low");
    figure(Limits, "admin.max_connections", (Level, Clients),
        Reader::Limit(|from| of(from.admin_clients.used, from.admin_clients.limit)),
        "[admin] max_connections, or fewer if the limit of open files is too low");
    figure(Limits, "open_files", (Level, Files), Reader::Limit(open_files),
        "open descriptors of the process, and the limit of the system (ulimit -n)");
    figure(Limits, "queue", BYTES,
        Reader::DestinationLimit(|sink| Some(of(sink.queue_bytes, sink.queue_limit))),
        "queue of the destination");
    figure(Limits, "spool", BYTES, Reader::DestinationLimit(spool),
        "share of the destination of [spool] max_size; only with a spool");
};

/// Returns a row that flushes do not send, and that counts no loss.
const fn figure(
    section: FigureSection,
    name: &'static str,
    (kind, unit): KindAndUnit,
    reader: Reader,
    doc: &'static str,
) -> FigureRow {
    FigureRow {
        section,
        also: None,
        name,
        unit,
        kind,
        graphite: &[],
        loss: LossCount::No,
        doc,
        reader,
    }
}

/// Returns the row of an own counter, which flushes send.
const fn own(
    section: FigureSection,
    own: OwnCounter,
    unit: FigureUnit,
    doc: &'static str,
) -> FigureRow {
    let row = figure(section, own.name(), (Total, unit), Reader::Own(own), doc);
    row.sent(&[GraphiteName::Own])
}

fn dropped_by_limit(from: &ServerParts<'_>) -> f64 {
    let by_rule = from.engine.ledger().dropped_by_rule();
    from.own(OwnCounter::SamplesDropped).saturating_sub(by_rule) as f64
}

/// As in Node, this is the time of the start until the first flush has arrived.
fn last_flush(sink: &SinkFigures, flush: &FlushFigures) -> Option<f64> {
    Some(unix(sink.last_flush.or(Some(flush.started.unix))))
}

fn spool(sink: &SinkFigures) -> Option<(f64, f64)> {
    Some((sink.spool_bytes.unwrap_or(0) as f64, sink.spool_limit? as f64))
}

/// Returns the sum of a figure over all destinations.
fn sum(from: &ServerParts<'_>, figure: fn(&SinkFigures) -> u64) -> f64 {
    from.sinks.iter().map(|sink| figure(&sink.figures()) as f64).sum()
}

fn last_input(from: &ServerParts<'_>) -> f64 {
    let last = from.last_input.unwrap_or(from.flush.started);
    last.tick.until(from.now.tick).as_secs_f64().floor()
}

fn of(used: usize, limit: usize) -> (f64, f64) {
    (used as f64, limit as f64)
}

fn open_files(from: &ServerParts<'_>) -> (f64, f64) {
    let clients = from.connections.used + from.admin_clients.used;
    let listeners = || from.datagrams.len() + from.streams.len() + from.admin_listeners.len();
    let others = || listeners() + from.sinks.iter().count();
    let files = match sys::known_open_files() {
        Some(files) => files,
        None if may_list(clients) => sys::open_files().unwrap_or(0),
        None => clients + others() + OTHER_FILES,
    };
    (files as f64, sys::open_files_limit().unwrap_or(0) as f64)
}

/// About the descriptors beside those of clients, listeners and destinations.
const OTHER_FILES: usize = 16;

/// Whether a server with this number of clients may list its descriptors. It does so in each flush,
/// and with 12,000 clients it would take 20 ms.
fn may_list(clients: usize) -> bool {
    clients <= 256
}

/// Returns a time in seconds since 1970, or 0 if there is none.
fn unix(when: Option<UnixTime>) -> f64 {
    when.map_or(0.0, |when| when.as_secs() as f64)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn descriptors_are_listed_only_while_they_are_few() {
        assert!(may_list(100) && !may_list(12_000));
    }

    #[test]
    fn every_own_counter_has_one_row() {
        for (own, name) in OwnCounter::ALL {
            let is_it = |row: &&FigureRow| matches!(row.reader, Reader::Own(its) if its == own);
            let rows: Vec<_> = TABLE.iter().filter(is_it).collect();
            assert!(rows.len() == 1 && rows[0].name == name, "{name}");
        }
    }

    #[test]
    fn names_are_different_and_end_with_their_units() {
        let names: BTreeSet<_> = TABLE.iter().map(|row| (row.section, row.name)).collect();
        assert_eq!(names.len(), TABLE.len());
        let is_own_family = |row: &&FigureRow| !row.is_limit();
        let metrics: BTreeSet<_> =
            TABLE.iter().filter(is_own_family).map(FigureRow::metric).collect();
        assert_eq!(metrics.len(), TABLE.iter().filter(is_own_family).count());
        for row in TABLE.iter().filter(|row| !row.is_limit()) {
            let ends = |end: &str| row.name.ends_with(end);
            assert_eq!(ends("_ms"), row.unit == Milliseconds, "{}", row.name);
            assert_eq!(ends("_seconds"), row.unit == Seconds, "{}", row.name);
            assert_eq!(ends("bytes"), row.unit == Bytes, "{}", row.name);
        }
    }

    #[test]
    fn docs_are_phrases() {
        for row in TABLE {
            assert!(!row.doc.is_empty() && !row.doc.ends_with('.'), "{}", row.name);
            assert!(!row.doc.contains('|') && row.doc.len() <= 100, "{}", row.name);
        }
    }
}
