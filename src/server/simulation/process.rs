//! The process of a simulated peer: what it makes of the bytes that it reads. It reads lines, as
//! carbon does, or requests of HTTP with lines, as InfluxDB does.

use ahash::HashMap;
use memchr::{memmem, memrchr};

/// What the process does with each line that it reads, in order.
pub(super) type OnLine = fn(&[u8], &mut Seen);

/// Lines, and how often each was read.
pub(super) type Lines = HashMap<Vec<u8>, u64>;

/// What the process has found out from its lines.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// The sum of the samples that the trial has sent, as far as they have arrived.
    pub(super) sum: u64,
    /// The stamp of the last line.
    pub(super) stamp: Option<u64>,
    /// A part of a flush has arrived.
    pub(super) is_in_flush: bool,
    /// The stamps of whole flushes, in the order of arrival.
    pub(super) stamps: Vec<u64>,
    /// The last value of each gauge of the trial.
    pub(super) gauges: HashMap<Vec<u8>, u64>,
    /// A gauge that went back, and its values.
    pub(super) went_back: Option<(Vec<u8>, u64, u64)>,
}

/// What the process speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speech {
    /// Lines. The peer's TCP acknowledges them.
    Lines,
    /// Requests of HTTP. Each answer acknowledges one.
    Http,
}

/// The process, and what it has read.
#[derive(Debug)]
pub(super) struct PeerProcess {
    pub(super) speech: Speech,
    on_line: OnLine,
    /// How often it has read each line.
    pub(super) read: Lines,
    pub(super) seen: Seen,
}

impl PeerProcess {
    pub(super) fn new(speech: Speech, on_line: OnLine) -> Self {
        Self { speech, on_line, read: Lines::default(), seen: Seen::default() }
    }

    /// Reads what is whole at the front of `bytes`, and removes it. Returns the answers. `status`
    /// is that of the answers of HTTP. With 0 there is none.
    pub(super) fn take(&mut self, bytes: &mut Vec<u8>, status: u16) -> Vec<u8> {
        match self.speech {
            Speech::Lines => {
                if let Some(end) = memrchr(b'\n', bytes) {
                    let rest = bytes.split_off(end + 1);
                    self.take_lines(bytes);
                    *bytes = rest;
                }
                Vec::new()
            }
            Speech::Http => self.take_requests(bytes, status),
        }
    }

    fn take_lines(&mut self, text: &[u8]) {
        for line in text.split_inclusive(|&byte| byte == b'\n') {
            (self.on_line)(line, &mut self.seen);
            match self.read.get_mut(line) {
                Some(times) => *times += 1,
                None => _ = self.read.insert(line.to_vec(), 1),
            }
        }
    }

    fn take_requests(&mut self, bytes: &mut Vec<u8>, status: u16) -> Vec<u8> {
        let mut answers = Vec::new();
        while let Some((head, end)) = request(bytes) {
            if status == 204 {
                self.take_lines(&bytes[head..end]);
            }
            bytes.drain(..end);
            answers.extend_from_slice(answer(status));
        }
        answers
    }
}

/// Returns where the body of the first request begins and ends. Returns `None` if the request is
/// not whole.
fn request(bytes: &[u8]) -> Option<(usize, usize)> {
    let head = memmem::find(bytes, b"\r\n\r\n")? + 4;
    let text = str::from_utf8(&bytes[..head]).expect("the head of a request is text");
    let length = text
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .expect("a request announces its length");
    let end = head + length.1.trim().parse::<usize>().unwrap();
    (end <= bytes.len()).then_some((head, end))
}

fn answer(status: u16) -> &'static [u8] {
    match status {
        0 => b"",
        204 => b"HTTP/1.1 204 No Content\r\n\r\n",
        400 => b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
        503 => b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
        _ => panic!("no answer with status {status}"),
    }
}
