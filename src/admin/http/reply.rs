//! [`Reply`]: an answer before it is sent, and the head that it is sent with. [`AnswerStream`]: a
//! body that is made in steps.

use std::borrow::Cow;
use std::io::Write as _;

use super::history::HistoryPage;
use super::metrics::MetricsPage;
use super::sender_list::SenderPage;
use super::series_list::SeriesList;
use super::status::HttpStatus;
use crate::admin::page::{PageFile, SECURITY_POLICY};
use crate::admin::view::View;
use crate::admin::watch::WatchJob;
use crate::time::{Tick, UnixTime};

/// An answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: HttpStatus,
    pub(super) content_type: &'static str,
    pub(super) body: ReplyBody,
    /// Whether it is a file of the page. A client may keep it, if it checks each time whether it is
    /// still valid.
    pub(super) is_file: bool,
    /// Whether the body is in the format of gzip.
    pub(super) is_gzip: bool,
}

#[derive(Debug)]
pub(super) enum ReplyBody {
    /// All of it is known.
    Whole(Cow<'static, [u8]>),
    /// It takes some turns, and its length is unknown.
    Stream(AnswerStream),
}

/// How the end of a body is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyEnd {
    /// The head has the length.
    Length(usize),
    Chunks,
    /// The end of the connection, for clients of HTTP/1.0.
    Close,
}

pub(super) const TEXT: &str = "text/plain; charset=utf-8";
pub(super) const JSON: &str = "application/json";

/// The fields that every answer has. They forbid a browser to guess the type of an answer, and
/// not to give it to foreign pages.
const FIELDS: &str = "X-Content-Type-Options: nosniff\r\n\
    Cross-Origin-Resource-Policy: same-origin\r\n\
    Referrer-Policy: no-referrer\r\n";

impl Reply {
    pub(super) fn text(status: HttpStatus, text: impl Into<Cow<'static, str>>) -> Self {
        let bytes = match text.into() {
            Cow::Borrowed(text) => text.as_bytes().into(),
            Cow::Owned(text) => text.into_bytes().into(),
        };
        let body = ReplyBody::Whole(bytes);
        Self { status, content_type: TEXT, body, is_file: false, is_gzip: false }
    }

    pub(super) fn json(status: HttpStatus, text: Vec<u8>) -> Self {
        let body = ReplyBody::Whole(text.into());
        Self { status, content_type: JSON, body, is_file: false, is_gzip: false }
    }

    pub(super) fn stream(content_type: &'static str, stream: AnswerStream) -> Self {
        let body = ReplyBody::Stream(stream);
        Self { status: HttpStatus::Ok, content_type, body, is_file: false, is_gzip: false }
    }

    /// A file of the page.
    pub(super) fn file(file: &PageFile, takes_gzip: bool) -> Self {
        let body: Cow<'static, [u8]> =
            if takes_gzip { file.gzip.into() } else { file.inflated().into() };
        Self {
            status: HttpStatus::Ok,
            content_type: file.content_type,
            body: ReplyBody::Whole(body),
            is_file: true,
            is_gzip: takes_gzip,
        }
    }

    /// Returns how the end of the body is marked for a client.
    pub(super) fn framing(&self, takes_chunks: bool) -> BodyEnd {
        match &self.body {
            ReplyBody::Whole(body) => BodyEnd::Length(body.len()),
            ReplyBody::Stream(_) if takes_chunks => BodyEnd::Chunks,
            ReplyBody::Stream(_) => BodyEnd::Close,
        }
    }

    /// Appends the head.
    pub(super) fn put_head(
        &self,
        framing: BodyEnd,
        closes: bool,
        now: UnixTime,
        out: &mut Vec<u8>,
    ) {
        let line = self.status.line();
        let cache = if self.is_file { "no-cache" } else { "no-store" };
        let date = HttpDate(now.as_full_secs());
        let connection = if closes { "close" } else { "keep-alive" };
        let mut put = |text: std::fmt::Arguments<'_>| {
            let _ = out.write_fmt(text); // a Vec takes every write
        };
        put(format_args!("HTTP/1.1 {line}\r\nDate: {date}\r\nConnection: {connection}\r\n"));
        put(format_args!("Content-Type: {}\r\nCache-Control: {cache}\r\n", self.content_type));
        match framing {
            BodyEnd::Length(length) => put(format_args!("Content-Length: {length}\r\n")),
            BodyEnd::Chunks => put(format_args!("Transfer-Encoding: chunked\r\n")),
            BodyEnd::Close => {}
        }
        if self.is_file {
            put(format_args!("Vary: Accept-Encoding\r\n"));
        }
        if self.is_gzip {
            put(format_args!("Content-Encoding: gzip\r\n"));
        }
        if self.status == HttpStatus::MethodNotAllowed {
            put(format_args!("Allow: GET, HEAD\r\n"));
        }
        put(format_args!("{FIELDS}Content-Security-Policy: {SECURITY_POLICY}\r\n\r\n"));
    }
}

/// Seconds since 1970, in the form of HTTP: `Sun, 06 Nov 1994 08:49:37 GMT`.
struct HttpDate(u64);

impl std::fmt::Display for HttpDate {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
        const MONTHS: [&str; 12] =
            ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let days = self.0 / 86_400;
        let second = self.0 % 86_400;
        // Counted from 1 March of the year 0, so that a leap day is the last day of its year.
        let days_of_era = (days + 719_468) % 146_097;
        let era = (days + 719_468) / 146_097;
        let year_of_era =
            (days_of_era - days_of_era / 1460 + days_of_era / 36_524 - days_of_era / 146_096) / 365;
        let day_of_year = days_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = (month_from_march + 2) % 12;
        let year = era * 400 + year_of_era + u64::from(month < 2);
        let name = MONTHS[usize::try_from(month).unwrap_or_default()];
        let weekday = DAYS[usize::try_from(days % 7).unwrap_or_default()];
        let hour = second / 3600;
        let minute = second / 60 % 60;
        let second = second % 60;
        write!(out, "{weekday}, {day:02} {name} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
    }
}

/// A body that is made in steps, because making it takes long, or because it shows lines as they
/// arrive.
#[derive(Debug)]
pub(super) enum AnswerStream {
    Series(Box<SeriesList>),
    Metrics(Box<MetricsPage>),
    History(Box<HistoryPage>),
    Senders(Box<SenderPage>),
    /// It has no end: it is sent until the client leaves.
    Watch(Box<WatchJob>),
}

impl AnswerStream {
    /// Whether the answer holds memory for many series.
    pub(super) fn is_dumping(&self) -> bool {
        match self {
            Self::Series(list) => list.is_begun(),
            Self::Metrics(page) => page.is_begun(),
            Self::History(_) | Self::Senders(_) | Self::Watch(_) => false,
        }
    }

    /// The bytes that the answer holds.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Metrics(page) => page.bytes(),
            Self::Series(list) => list.bytes(),
            Self::History(_) | Self::Senders(_) | Self::Watch(_) => 0,
        }
    }

    /// Frees the memory that the answer holds. It begins again later, where it stopped.
    pub(super) fn pause(&mut self) {
        match self {
            Self::Series(list) => list.pause(),
            Self::Metrics(page) => page.pause(),
            Self::History(_) | Self::Senders(_) | Self::Watch(_) => {}
        }
    }

    /// Whether the answer may continue. If `may_dump` is `false`, one that has not begun must wait.
    pub(super) fn may_go_on(&self, may_dump: bool) -> bool {
        may_dump
            || match self {
                Self::Series(list) => !list.is_about_to_begin(),
                Self::Metrics(page) => !page.is_about_to_begin(),
                Self::History(_) | Self::Senders(_) | Self::Watch(_) => true,
            }
    }

    /// Whether the answer goes on only once there is something to show.
    pub(super) fn waits_for_lines(&self, now: Tick) -> bool {
        matches!(self, Self::Watch(watching) if !watching.has_news(now))
    }

    /// Does a part of the work, and appends to `out`. Returns `true` once the answer is complete.
    pub(super) fn step(&mut self, view: &mut View<'_>, out: &mut Vec<u8>) -> bool {
        match self {
            Self::Series(list) => list.step(view, out),
            Self::Metrics(page) => page.step(view, out),
            Self::History(page) => page.step(view, out),
            Self::Senders(page) => page.step(view, out),
            Self::Watch(watching) => {
                watching.step(view.server.now.tick, out);
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_http() {
        for (seconds, text) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_399, "Mon, 28 Feb 2000 23:59:59 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (951_868_800, "Wed, 01 Mar 2000 00:00:00 GMT"),
            (4_102_444_800, "Fri, 01 Jan 2100 00:00:00 GMT"),
            (1_795_882_576, "Sat, 28 Nov 2026 16:16:16 GMT"),
        ] {
            assert_eq!(HttpDate(seconds).to_string(), text);
        }
    }

    #[test]
    fn a_head_marks_the_end_of_its_body() {
        let head = |status, body, takes_chunks, closes| {
            let reply = Reply { body, ..Reply::text(status, "") };
            let mut out = Vec::new();
            let framing = reply.framing(takes_chunks);
            reply.put_head(framing, closes, UnixTime::from_secs(0), &mut out);
            String::from_utf8(out).unwrap()
        };
        let whole = || ReplyBody::Whole(Cow::Borrowed(b"abc"));
        let text = head(HttpStatus::MethodNotAllowed, whole(), true, true);
        assert!(text.starts_with("HTTP/1.1 405 Method Not Allowed\r\nDate: Thu, 01 Jan 1970"));
        assert!(text.ends_with("\r\n\r\n") && text.contains("\r\nAllow: GET, HEAD\r\n"), "{text}");
        assert!(text.contains("\r\nContent-Length: 3\r\n") && text.contains("Connection: close"));
        assert!(!head(HttpStatus::Ok, whole(), true, false).contains("Allow"));
    }
}
