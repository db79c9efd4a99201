//! [`RequestHead`]: the head of the requests to InfluxDB. It is the same for each request, except
//! for the length of the lines. [`HttpAnswer`]: parses an answer that arrives in pieces. Pure.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use httparse::{EMPTY_HEADER, Response, Status};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::config::{ApiVersion, Influxdb, Remote};
use crate::sink::error::SinkError;

/// The most bytes and fields of a head. A longer one is an error, so that a server that sends
/// fields without end cannot fill the memory.
const HEAD_BYTES: usize = 16 << 10;
const FIELDS: usize = 64;
/// The most bytes of a body. The rest of a longer one is not read; the connection is closed
/// instead.
const BODY_BYTES: usize = 64 << 10;
/// The most characters of a reason that are logged.
const REASON_BYTES: usize = 256;

/// An answer that has been received wholly or in part.
#[derive(Debug, Default)]
pub(super) struct HttpAnswer {
    /// Bytes of the head until that is whole, then of the body.
    bytes: Vec<u8>,
    head: Option<AnswerHead>,
    /// Bytes were received that belong to no answer. The connection cannot be used again.
    excess: bool,
}

#[derive(Debug)]
struct AnswerHead {
    status: u16,
    /// The status and its reason phrase, such as `404 Not Found`.
    line: String,
    /// The field `X-Influxdb-Error`, in which InfluxDB gives its reason.
    error: Option<String>,
    /// The length of the body. `None` if it is unknown or too large. The answer then counts as
    /// whole without its body, and the connection is not used again.
    body_bytes: Option<usize>,
    /// The server closes the connection after this answer.
    closes: bool,
}

impl HttpAnswer {
    /// Adds received bytes. Returns an error if they are not HTTP.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<(), SinkError> {
        self.bytes.extend_from_slice(bytes);
        while self.head.is_none() {
            let Some((head, length)) = read_head(&self.bytes)? else { return Ok(()) };
            self.bytes.drain(..length);
            // After an interim answer, such as 100 Continue, the final one follows.
            let is_interim = (100..200).contains(&head.status);
            self.head = Some(head).filter(|_| !is_interim);
        }
        let wanted = self.head.as_ref().and_then(|head| head.body_bytes).unwrap_or(usize::MAX);
        self.excess |= self.bytes.len() > wanted;
        self.bytes.truncate(wanted.min(BODY_BYTES));
        Ok(())
    }

    /// Whether no byte of the answer was received.
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.head.is_none()
    }

    /// Whether the answer was received to its end, as far as that is known.
    pub(super) fn is_whole(&self) -> bool {
        let is_enough =
            |head: &AnswerHead| head.body_bytes.is_none_or(|all| self.bytes.len() >= all);
        self.head.as_ref().is_some_and(is_enough)
    }

    /// Returns the status, or 0 before the head is whole.
    pub(super) fn status(&self) -> u16 {
        self.head.as_ref().map_or(0, |head| head.status)
    }

    /// Whether the connection can carry another request.
    pub(super) fn keeps_open(&self) -> bool {
        let keeps = |head: &AnswerHead| !head.closes && head.body_bytes.is_some();
        self.head.as_ref().is_some_and(keeps) && !self.excess
    }

    /// Returns the status and the reason for the log, without control characters. An example is
    /// `404 Not Found: database not found: "statsd"`.
    pub(super) fn text(&self) -> String {
        let Some(head) = &self.head else { return String::new() };
        let body = String::from_utf8_lossy(&self.bytes);
        let reason = head.error.as_deref().unwrap_or(&body).trim();
        let reason: String =
            reason.chars().filter(|c| !c.is_control()).take(REASON_BYTES).collect();
        if reason.is_empty() { head.line.clone() } else { format!("{}: {reason}", head.line) }
    }
}

/// Returns the head at the front of these bytes, and its length. Returns `None` if it is not whole,
/// and an error if the bytes are not HTTP.
fn read_head(bytes: &[u8]) -> Result<Option<(AnswerHead, usize)>, SinkError> {
    let mut fields = [EMPTY_HEADER; FIELDS];
    let mut response = Response::new(&mut fields);
    let parsed = response.parse(bytes);
    let parsed = parsed.map_err(|error| SinkError::NotHttp(error.to_string()))?;
    let Status::Complete(length) = parsed else {
        if bytes.len() > HEAD_BYTES {
            return Err(SinkError::NotHttp("its head is too long".into()));
        }
        return Ok(None);
    };
    let status = response.code.unwrap_or_default();
    let field = |name: &str| {
        let mut fields = response.headers.iter();
        let found = fields.find(|field| field.name.eq_ignore_ascii_case(name));
        found.map(|field| String::from_utf8_lossy(field.value).into_owned())
    };
    let has_word = |name: &str, word: &str| {
        field(name).is_some_and(|text| text.to_ascii_lowercase().contains(word))
    };
    let length_given = field("content-length").and_then(|text| text.trim().parse().ok());
    let body_bytes = match status {
        100..200 | 204 | 304 => Some(0),
        _ if field("transfer-encoding").is_some() => None,
        _ => length_given.filter(|&bytes| bytes <= BODY_BYTES),
    };
    let is_old = response.version == Some(0) && !has_word("connection", "keep-alive");
    let head = AnswerHead {
        status,
        line: format!("{status} {}", response.reason.unwrap_or_default()).trim_end().into(),
        error: field("x-influxdb-error"),
        body_bytes,
        closes: is_old || has_word("connection", "close"),
    };
    Ok(Some((head, length)))
}

/// The bytes of a request up to the value of `Content-Length`.
#[derive(PartialEq, Eq)]
pub(in crate::sink) struct RequestHead(String);

impl RequestHead {
    pub(in crate::sink) fn new(remote: &Remote, to: &Influxdb) -> Self {
        let encoded = |text| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let (path, authorization) = match to.version {
            ApiVersion::V1 => {
                let account = format!("{}:{}", to.username, to.password.text());
                let basic = format!("Basic {}", BASE64_STANDARD.encode(account));
                let basic = Some(basic).filter(|_| !to.username.is_empty());
                (format!("/write?db={}", encoded(&to.database)), basic)
            }
            ApiVersion::V2 => {
                let org = encoded(&to.org);
                let bucket = encoded(&to.bucket);
                let token = Some(to.token.text()).filter(|token| !token.is_empty());
                let path = format!("/api/v2/write?org={org}&bucket={bucket}");
                (path, token.map(|token| format!("Token {token}")))
            }
        };
        let version = env!("CARGO_PKG_VERSION");
        let mut text =
            format!("POST {path} HTTP/1.1\r\nHost: {remote}\r\nUser-Agent: statsd/{version}\r\n",);
        if let Some(authorization) = authorization {
            text += &format!("Authorization: {authorization}\r\n");
        }
        Self(text + "Content-Type: text/plain; charset=utf-8\r\nContent-Length: ")
    }

    /// Appends to `out` a whole request with these lines as its body.
    pub(super) fn request(&self, lines: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(self.0.as_bytes());
        out.extend_from_slice(format!("{}\r\n\r\n", lines.len()).as_bytes());
        out.extend_from_slice(lines);
    }
}

/// Hides the head, because it contains the password.
impl std::fmt::Debug for RequestHead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RequestHead").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Destination, DestinationKind};
    use crate::sink::testing::influxdb_with;

    fn answer(text: &str) -> HttpAnswer {
        let mut answer = HttpAnswer::default();
        answer.feed(text.as_bytes()).unwrap();
        answer
    }

    /// Status, reason, and whether the connection stays.
    fn parsed(text: &str) -> (u16, String, bool) {
        let answer = answer(text);
        assert!(answer.is_whole(), "{text}");
        (answer.status(), answer.text(), answer.keeps_open())
    }

    const REAL: &str = "HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\n\
        X-Influxdb-Error: database not found: \"statsd\"\r\nContent-Length: 4\r\n\r\n{-}\n";

    #[test]
    fn answers_are_read() {
        for (text, status, reason, keeps) in [
            ("HTTP/1.1 204 No Content\r\nX: y\r\n\r\n", 204, "204 No Content", true),
            (REAL, 404, "404 Not Found: database not found: \"statsd\"", true),
            ("HTTP/1.1 503 Busy\r\nContent-Length: 5\r\n\r\na\x1bb\r\n", 503, "503 Busy: ab", true),
            ("HTTP/1.1 400 \r\nConnection: Close\r\nContent-Length: 0\r\n\r\n", 400, "400", false),
            ("HTTP/1.1 401 No\r\n\r\nlog in", 401, "401 No: log in", false),
            (
                "HTTP/1.1 502 Bad\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na",
                502,
                "502 Bad: 1a",
                false,
            ),
            ("HTTP/1.0 204 No Content\r\n\r\n", 204, "204 No Content", false),
            ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 N\r\n\r\n", 204, "204 N", true),
            ("HTTP/1.1 204 N\r\n\r\nHTTP/1.1 204", 204, "204 N", false),
            ("HTTP/1.1 500 X\r\nContent-Length: 99999999\r\n\r\nabc", 500, "500 X: abc", false),
        ] {
            assert_eq!(parsed(text), (status, reason.into(), keeps), "{text}");
        }
    }

    #[test]
    fn it_may_come_in_any_pieces() {
        for cut in 1..REAL.len() {
            let mut answer = answer(&REAL[..cut]);
            assert!(!answer.is_whole() && !answer.is_empty());
            answer.feed(&REAL.as_bytes()[cut..]).unwrap();
            assert!(answer.is_whole() && answer.keeps_open());
            assert_eq!(answer.text(), "404 Not Found: database not found: \"statsd\"");
        }
    }

    #[test]
    fn bytes_that_are_not_http_are_an_error_and_memory_is_bounded() {
        let mut answer = HttpAnswer::default();
        assert!(answer.feed(b"220 mail.example.org ESMTP\r\n").is_err());
        let mut answer = HttpAnswer::default();
        answer.feed(b"HTTP/1.1 204 N\r\n").unwrap();
        let endless = (0..2000).find_map(|_| answer.feed(b"a: 0123456789\r\n").err());
        assert!(
            endless.is_some_and(|error| error.to_string().starts_with("the answer is no HTTP"))
        );
        let mut answer = HttpAnswer::default();
        answer.feed(b"HTTP/1.1 500 E\r\n\r\n").unwrap();
        (0..100).for_each(|_| answer.feed(&[b'x'; 4096]).unwrap());
        assert!(answer.bytes.len() <= BODY_BYTES && answer.text().len() < 300);
    }

    fn head(to: &Destination) -> RequestHead {
        let DestinationKind::Influxdb(influxdb) = &to.kind else { panic!("{to:?}") };
        RequestHead::new(&to.net.as_ref().unwrap().remote, influxdb)
    }

    fn request(to: &Destination) -> String {
        let mut text = Vec::new();
        head(to).request(b"a value=1 1\n", &mut text);
        String::from_utf8(text).unwrap().replace(env!("CARGO_PKG_VERSION"), "VERSION")
    }

    #[test]
    fn a_request_is_what_influxdb_reads() {
        let address = "[::1]:8086".parse().unwrap();
        let to = influxdb_with(address, |influxdb| influxdb.database = "a b/c".into());
        let expected = "POST /write?db=a%20b%2Fc HTTP/1.1\r\nHost: [::1]:8086\r\n\
            User-Agent: statsd/VERSION\r\nContent-Type: text/plain; charset=utf-8\r\n\
            Content-Length: 12\r\n\r\na value=1 1\n";
        assert_eq!(request(&to), expected);
    }

    #[test]
    fn a_request_has_the_account_and_the_password_is_not_printed() {
        let to = influxdb_with("127.0.0.1:1".parse().unwrap(), |influxdb| {
            influxdb.username = "Aladdin".into();
            influxdb.password.given = "open sesame".into();
        });
        // RFC 7617's example.
        assert!(request(&to).contains("\r\nAuthorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n"));
        assert!(!format!("{:?}", head(&to)).contains("QWxh"));
        let to = influxdb_with("127.0.0.1:1".parse().unwrap(), |influxdb| {
            influxdb.version = ApiVersion::V2;
            influxdb.org = "my org".into();
            influxdb.bucket = "b/1".into();
            influxdb.token.given = "key".into();
            influxdb.token.file = Some("/a/token".into());
            influxdb.token.read = "t0ken==".into();
        });
        let text = request(&to);
        assert!(text.starts_with("POST /api/v2/write?org=my%20org&bucket=b%2F1 HTTP/1.1\r\n"));
        assert!(text.contains("\r\nAuthorization: Token t0ken==\r\n"), "{text}");
    }
}
