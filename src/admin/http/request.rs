//! [`WebRequest`]: parses the head of an HTTP request. Pure.
//!
//! A body is never read as a request or as a command. If there is one
//! ([`WebRequest::has_body`]), the session closes the connection after the answer.

use std::borrow::Cow;

use httparse::{EMPTY_HEADER, Header, Request, Status};
use percent_encoding::percent_decode;

use super::accept::takes_gzip;
use super::host::Authority;
use super::status::HttpStatus;

/// The most bytes of a head.
pub const HEAD_BYTES: usize = 16 << 10;
/// The most fields of a head.
const FIELDS: usize = 64;

/// The head of a request.
#[derive(Debug, PartialEq, Eq)]
pub struct WebRequest<'a> {
    pub method: Method,
    /// The path as it was sent, without the query. It begins with a slash.
    pub path: &'a str,
    /// The text after the question mark. Empty if there is none.
    query: &'a str,
    /// The hosts that the request is for: one in the field `Host`, and one in the target if that
    /// is a whole URL.
    pub hosts: Vec<Authority<'a>>,
    /// What is wrong with the field `Host`: it is missing, though the version of HTTP requires it,
    /// or it is no host.
    pub host_error: Option<&'static str>,
    /// The values of all fields `Accept`, joined by commas. `None` if there is no such field.
    pub accept: Option<Cow<'a, str>>,
    /// Whether the client takes answers in gzip.
    pub takes_gzip: bool,
    /// Whether the client speaks HTTP/1.1, and so understands chunks.
    pub takes_chunks: bool,
    /// Whether the connection stays open after the answer, as far as the client is concerned.
    pub keeps_alive: bool,
    /// Whether bytes follow that belong to this request.
    pub has_body: bool,
}

/// The methods that are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Get,
    Head,
    Other,
}

/// The result of [`WebRequest::read`].
#[derive(Debug, PartialEq, Eq)]
pub enum ReadHead<'a> {
    /// The head is not complete yet.
    Partial,
    /// A head, and its length in bytes.
    Whole(WebRequest<'a>, usize),
    /// No request. The connection is closed after an answer with this status.
    Bad(HttpStatus),
}

impl<'a> WebRequest<'a> {
    /// Reads the head at the start of `input`.
    pub fn read(input: &'a [u8]) -> ReadHead<'a> {
        let mut fields = [EMPTY_HEADER; FIELDS];
        let mut head = Request::new(&mut fields);
        let length = match head.parse(input) {
            Ok(Status::Complete(length)) if length <= HEAD_BYTES => length,
            Ok(Status::Partial) if input.len() < HEAD_BYTES => return ReadHead::Partial,
            Ok(_) | Err(httparse::Error::TooManyHeaders) => {
                return ReadHead::Bad(HttpStatus::HeadTooLarge);
            }
            Err(httparse::Error::Version) => return ReadHead::Bad(HttpStatus::VersionUnknown),
            Err(_) => return ReadHead::Bad(HttpStatus::BadRequest),
        };
        match Self::of(&head) {
            Some(request) => ReadHead::Whole(request, length),
            None => ReadHead::Bad(HttpStatus::BadRequest),
        }
    }

    /// Returns `None` if the head is one that HTTP forbids.
    fn of(head: &Request<'_, 'a>) -> Option<Self> {
        let fields: &[Header<'a>] = head.headers;
        let takes_chunks = head.version == Some(1);
        let method = head.method?;
        let (path, query, target_host) = match (method, head.path?) {
            // These targets are no paths. Their methods get status 405.
            ("CONNECT", _) | (_, "*") => ("*", "", None),
            (_, target) => split_target(target)?,
        };
        let mut hosts: Vec<_> = target_host.into_iter().collect();
        let mut host_fields = values(fields, "host");
        let host_error = match (host_fields.next(), host_fields.next()) {
            (Some(host), None) => match host.and_then(Authority::read) {
                Some(host) => {
                    hosts.push(host);
                    None
                }
                None => Some("the Host field is neither a host nor host:port\n"),
            },
            // HTTP/1.1 requires the field, also beside a host in the target. A browser always sends
            // it.
            (None, _) => takes_chunks.then_some("the request has no Host field\n"),
            _ => return None,
        };
        Some(Self {
            method: match method {
                "GET" => Method::Get,
                "HEAD" => Method::Head,
                _ => Method::Other,
            },
            path,
            query,
            host_error,
            hosts,
            accept: joined(fields, "accept")?,
            takes_gzip: takes_gzip(joined(fields, "accept-encoding")?.as_deref()),
            takes_chunks,
            keeps_alive: keeps_alive(fields, takes_chunks)?,
            has_body: has_body(fields)?,
        })
    }

    /// Returns the decoded value of a parameter of the query. If it occurs several times, the first
    /// counts.
    pub fn parameter(&self, name: &str) -> Option<Vec<u8>> {
        let pairs = self.query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let mut found = pairs.filter(|(key, _)| decoded(key) == name.as_bytes());
        found.next().map(|(_, value)| decoded(value))
    }

    /// Returns how many entries the client requests. `None` if the request does not say. Fails if
    /// it is no number.
    pub fn most(&self) -> Result<Option<usize>, &'static str> {
        let Some(text) = self.parameter("n").filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        let number = str::from_utf8(&text).ok().and_then(|text| text.parse().ok());
        number.map(Some).ok_or("n is not a whole number")
    }
}

/// Decodes a part of a query: `%20`, and `+` for a blank.
fn decoded(text: &str) -> Vec<u8> {
    let text = text.replace('+', " ");
    percent_decode(text.as_bytes()).collect()
}

/// Splits a target such as `/a?b=c` or `http://host/a?b=c` into path, query and host.
fn split_target(target: &str) -> Option<(&str, &str, Option<Authority<'_>>)> {
    let (target, host) = if target.starts_with('/') {
        (target, None)
    } else {
        let (scheme, rest) = target.split_once("://")?;
        if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
            return None;
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (host, target) = rest.split_at(end);
        (target, Some(Authority::read(host)?))
    };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    Some((if path.is_empty() { "/" } else { path }, query, host))
}

/// The values of the fields of this name. A value is `None` if it is not UTF-8.
fn values<'a>(fields: &[Header<'a>], name: &'static str) -> impl Iterator<Item = Option<&'a str>> {
    let named = fields.iter().filter(move |field| field.name.eq_ignore_ascii_case(name));
    named.map(|field| str::from_utf8(field.value).ok().map(str::trim))
}

/// The values of the fields of this name, joined by commas. Returns `Some(None)` if there is none,
/// and `None` if one of them is not UTF-8.
fn joined<'a>(fields: &[Header<'a>], name: &'static str) -> Option<Option<Cow<'a, str>>> {
    let mut all: Option<Cow<'a, str>> = None;
    for value in values(fields, name) {
        let value = value?;
        all = Some(match all {
            None => value.into(),
            Some(before) => format!("{before},{value}").into(),
        });
    }
    Some(all)
}

/// Whether the client requests to keep the connection.
fn keeps_alive(fields: &[Header<'_>], is_default: bool) -> Option<bool> {
    let options = joined(fields, "connection")?.unwrap_or_default();
    let has =
        |wanted: &str| options.split(',').any(|option| option.trim().eq_ignore_ascii_case(wanted));
    Some(!has("close") && (is_default || has("keep-alive")))
}

/// Whether the request has a body. Returns `None` if its length is given in a way that two readers
/// could read differently.
fn has_body(fields: &[Header<'_>]) -> Option<bool> {
    let mut length = None;
    for value in values(fields, "content-length") {
        let value = value?;
        let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number || length.is_some_and(|before| before != value) {
            return None;
        }
        length = Some(value);
    }
    let is_coded = values(fields, "transfer-encoding").next().is_some();
    if is_coded && length.is_some() {
        return None;
    }
    Some(is_coded || length.is_some_and(|length| length.bytes().any(|digit| digit != b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> ReadHead<'_> {
        WebRequest::read(text.as_bytes())
    }

    #[track_caller]
    fn whole(text: &str) -> WebRequest<'_> {
        match read(text) {
            ReadHead::Whole(request, length) if length == text.len() => request,
            other => panic!("{text:?}: {other:?}"),
        }
    }

    #[test]
    fn a_head_has_a_method_a_path_and_a_query() {
        let request = whole("GET /api/series?q=a%2Eb+c&n=5&q=x&e HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!((request.method, request.path), (Method::Get, "/api/series"));
        assert_eq!(request.parameter("q").as_deref(), Some(&b"a.b c"[..]));
        assert_eq!(request.parameter("e").as_deref(), Some(&b""[..]));
        assert_eq!(request.most(), Ok(Some(5)));
        assert_eq!(request.parameter("x"), None);
        assert_eq!(whole("HEAD / HTTP/1.0\n\n").method, Method::Head);
        assert_eq!(whole("POST / HTTP/1.0\r\n\r\n").method, Method::Other);
        assert!(whole("GET / HTTP/1.1\r\n\r\n").host_error.is_some());
        assert!(whole("GET / HTTP/1.1\r\nHost: a\r\n\r\n").host_error.is_none());
        assert!(whole("GET / HTTP/1.0\r\n\r\n").host_error.is_none());
        for host in ["a b", "::1", "\u{e9}"] {
            let text = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
            assert!(whole(&text).host_error.is_some(), "{host}");
        }
        let connect = whole("CONNECT a.b:443 HTTP/1.1\r\nHost: a.b:443\r\n\r\n");
        assert_eq!(connect.method, Method::Other);
        let request = whole("GET http://b.c:80?x=1 HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!((request.path, request.hosts.len()), ("/", 2));
        assert_eq!(request.parameter("x").as_deref(), Some(&b"1"[..]));
    }

    #[test]
    fn the_version_and_the_fields_decide_what_happens_to_the_connection() {
        for (version, fields, keeps_alive) in [
            ("1.1", "", true),
            ("1.1", "Connection: close\r\n", false),
            ("1.1", "connection: Upgrade, CLOSE\r\n", false),
            ("1.1", "Connection: a\r\nConnection: close\r\n", false),
            ("1.0", "", false),
            ("1.0", "Connection: Keep-Alive\r\n", true),
            ("1.0", "Connection: keep-alive, close\r\n", false),
        ] {
            let text = format!("GET / HTTP/{version}\r\nHost: a\r\n{fields}\r\n");
            let request = whole(&text);
            assert_eq!(request.keeps_alive, keeps_alive, "{text}");
            assert_eq!(request.takes_chunks, version == "1.1");
        }
    }

    #[test]
    fn a_body_is_noticed_and_an_unclear_one_is_refused() {
        for (fields, has_body) in [
            ("", Some(false)),
            ("Content-Length: 0\r\n", Some(false)),
            ("Content-Length: 10\r\n", Some(true)),
            ("Content-Length: 10\r\nContent-Length: 10\r\n", Some(true)),
            ("Transfer-Encoding: chunked\r\n", Some(true)),
            ("Content-Length: 1\r\nContent-Length: 2\r\n", None),
            ("Content-Length: +1\r\n", None),
            ("Content-Length: 1, 1\r\n", None),
            ("Content-Length:\r\n", None),
            ("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", None),
        ] {
            let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
            match has_body {
                Some(has_body) => assert_eq!(whole(&text).has_body, has_body, "{text}"),
                None => assert_eq!(read(&text), ReadHead::Bad(HttpStatus::BadRequest), "{text}"),
            }
        }
    }

    #[test]
    fn what_is_no_request_has_a_status() {
        use HttpStatus::{BadRequest, HeadTooLarge, VersionUnknown};
        let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(HEAD_BYTES));
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(FIELDS + 1));
        for (text, status) in [
            ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", BadRequest),
            ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", BadRequest),
            ("GET a HTTP/1.1\r\nHost: a\r\n\r\n", BadRequest),
            ("GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", BadRequest),
            ("GET /\r\n\r\n", BadRequest),
            ("GET / HTTP/1.1\r\nrubbish\r\n\r\n", BadRequest),
            ("G\0T / HTTP/1.1\r\n\r\n", BadRequest),
            ("GET / HTTP/2.0\r\n\r\n", VersionUnknown),
            (&long, HeadTooLarge),
            (&long[..HEAD_BYTES], HeadTooLarge),
            (&many, HeadTooLarge),
        ] {
            assert_eq!(read(text), ReadHead::Bad(status), "{text:.60}");
        }
        for text in ["", "G", "GET / HTTP/1.1\r\nHost: a\r\n", &long[..HEAD_BYTES - 1]] {
            assert_eq!(read(text), ReadHead::Partial, "{text:.60}");
        }
    }
}
