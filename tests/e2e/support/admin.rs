//! A client of the admin port: sends commands, reads each answer up to its end.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::{Map, Value};

use super::{connect, json, read};

#[derive(Debug)]
pub(crate) struct Admin {
    stream: TcpStream,
    /// Bytes that were received and not yet returned.
    unread: Vec<u8>,
}

impl Admin {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        Self::over(connect(address))
    }

    pub(crate) fn over(stream: TcpStream) -> Self {
        Self { stream, unread: Vec::new() }
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    /// Sends `text`. Ignores an error, because the server may have closed the connection.
    pub(crate) fn send_unless_closed(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Sends one command and returns its answer, including the end marker.
    pub(crate) fn ask(&mut self, command: &str) -> String {
        self.send(format!("{command}\n"));
        self.read_answer(command)
    }

    /// Returns the answer to a command that was already sent.
    pub(crate) fn read_answer(&mut self, command: &str) -> String {
        self.read_through(match command.split(' ').next().unwrap() {
            "help" | "config" => "\n\n",
            "health" | "version" => "\n",
            "stats" | "info" | "sinks" | "explain" | "counters" | "gauges" | "timers" | "sets" => {
                "END\n\n"
            }
            "senders" | "bad" | "top" | "rules" => "END\n\n",
            "delcounters" | "deltimers" | "delgauges" | "delsets" => "END\n\n",
            _ => "\n",
        })
    }

    /// Reads until `end`, and returns the text including `end`.
    pub(crate) fn read_through(&mut self, end: &str) -> String {
        let mut searched = 0;
        loop {
            if let Some(at) = find(&self.unread[searched..], end.as_bytes()) {
                let rest = self.unread.split_off(searched + at + end.len());
                let answer = std::mem::replace(&mut self.unread, rest);
                return String::from_utf8(answer).unwrap();
            }
            let before = self.unread.len();
            searched = (before + 1).saturating_sub(end.len());
            self.read_some().unwrap_or_else(|error| panic!("{error} before {end:?}"));
            let got = || String::from_utf8_lossy(&self.unread);
            assert!(self.unread.len() > before, "closed before {end:?}, after {:.999?}", got());
        }
    }

    /// Reads until the server closes the connection. Returns the received text.
    pub(crate) fn read_to_close(&mut self) -> String {
        loop {
            match self.read_some() {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
                Err(error) => panic!("{error} before the server closed"),
            }
        }
        String::from_utf8(std::mem::take(&mut self.unread)).unwrap()
    }

    /// Returns the JSON object that the server answers to a command such as `counters`.
    pub(crate) fn dump(&mut self, command: &str) -> Map<String, Value> {
        let answer = self.ask(command);
        let text = answer.strip_suffix("END\n\n").unwrap();
        match json::parse(text) {
            Ok(Value::Object(object)) => object,
            other => panic!("{command} gave no JSON object but {text:?}: {other:?}"),
        }
    }

    /// Returns the dump of a command whose values are numbers.
    pub(crate) fn numbers(&mut self, command: &str) -> BTreeMap<String, f64> {
        let number = |value: Value| {
            value.as_f64().unwrap_or_else(|| panic!("{command} shows {value}, which is no number"))
        };
        self.dump(command).into_iter().map(|(name, value)| (name, number(value))).collect()
    }

    /// Returns the `name: value` lines of `stats`.
    pub(crate) fn stats(&mut self) -> BTreeMap<String, String> {
        let answer = self.ask("stats");
        let lines = answer.strip_suffix("END\n\n").unwrap().lines();
        let pair = |line: &str| {
            let (name, value) = line.split_once(": ").expect("stats lines are `name: value`");
            (name.to_owned(), value.to_owned())
        };
        lines.map(pair).collect()
    }

    fn read_some(&mut self) -> std::io::Result<usize> {
        let mut buffer = [0; 65536];
        let count = read(&mut self.stream, &mut buffer)?;
        self.unread.extend_from_slice(&buffer[..count]);
        Ok(count)
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
