//! A client of the admin port that speaks HTTP, and that reads exactly what HTTP promises.

use std::net::{Shutdown, SocketAddr, TcpStream};

use serde_json::Value;

use super::{connect, json, read};
use std::io::Write as _;

/// A connection, on which requests follow each other.
#[derive(Debug)]
pub(crate) struct Web {
    stream: TcpStream,
    address: SocketAddr,
    /// Bytes that were received and not yet returned.
    unread: Vec<u8>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Page {
    /// Returns the value of a field of the head.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        fields.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Returns the body, which must be JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.field("Content-Type"), Some("application/json"), "{self:?}");
        json::parse(&self.body).unwrap_or_else(|error| panic!("{error:?} in {}", self.body))
    }
}

impl Web {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        Self { stream: connect(address), address, unread: Vec::new() }
    }

    /// The address of the server.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    /// Closes the client's half of the connection.
    pub(crate) fn shut_down(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// Asks for a path, with further fields such as `Accept: a\r\n`, and returns the answer.
    pub(crate) fn get_with(&mut self, path: &str, fields: &str) -> Page {
        let host = self.address;
        self.send(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n"));
        self.answer()
    }

    pub(crate) fn get(&mut self, path: &str) -> Page {
        self.get_with(path, "")
    }

    /// Reads the next answer to a GET, whose body is text.
    pub(crate) fn answer(&mut self) -> Page {
        let (mut page, body) = self.answer_with_bytes();
        page.body = String::from_utf8(body).unwrap();
        page
    }

    /// Reads the next answer to a GET. Returns its body beside it.
    pub(crate) fn answer_with_bytes(&mut self) -> (Page, Vec<u8>) {
        let page = self.answer_without_body();
        let body = if page.field("Transfer-Encoding") == Some("chunked") {
            self.chunks()
        } else if let Some(length) = page.field("Content-Length") {
            self.take(length.parse().unwrap())
        } else {
            assert_eq!(page.field("Connection"), Some("close"), "a body without an end: {page:?}");
            self.rest()
        };
        (page, body)
    }

    /// Reads the next chunk of an answer that has no end.
    pub(crate) fn chunk(&mut self) -> String {
        let line = String::from_utf8(self.through(b"\r\n")).unwrap();
        let length = usize::from_str_radix(line.trim_end(), 16).unwrap();
        let chunk = String::from_utf8(self.take(length)).unwrap();
        assert_eq!(self.take(2), b"\r\n");
        chunk
    }

    /// Reads the next answer to a HEAD, which has no body.
    pub(crate) fn answer_without_body(&mut self) -> Page {
        let (status, head) = self.head();
        Page { status, head, body: String::new() }
    }

    fn head(&mut self) -> (u16, String) {
        let head = String::from_utf8(self.through(b"\r\n\r\n")).unwrap();
        let status = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3));
        (status.and_then(|status| status.parse().ok()).expect(&head), head)
    }

    fn chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let line = String::from_utf8(self.through(b"\r\n")).unwrap();
            let length = usize::from_str_radix(line.trim_end(), 16).unwrap();
            body.extend(self.take(length));
            assert_eq!(self.take(2), b"\r\n");
            if length == 0 {
                return body;
            }
        }
    }

    /// Reads up to the end of the connection.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        while self.read_some() > 0 {}
        std::mem::take(&mut self.unread)
    }

    fn through(&mut self, end: &[u8]) -> Vec<u8> {
        loop {
            if let Some(at) = self.unread.windows(end.len()).position(|window| window == end) {
                return self.take(at + end.len());
            }
            assert!(self.read_some() > 0, "closed after {}", String::from_utf8_lossy(&self.unread));
        }
    }

    fn take(&mut self, length: usize) -> Vec<u8> {
        while self.unread.len() < length {
            assert!(self.read_some() > 0, "closed {length} bytes before the end of a body");
        }
        let rest = self.unread.split_off(length);
        std::mem::replace(&mut self.unread, rest)
    }

    fn read_some(&mut self) -> usize {
        let mut buffer = [0; 65536];
        let count = read(&mut self.stream, &mut buffer).unwrap();
        self.unread.extend_from_slice(&buffer[..count]);
        count
    }
}
