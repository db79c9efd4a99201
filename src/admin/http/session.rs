//! [`HttpSession`]: an admin connection that speaks HTTP.

use std::borrow::Cow;
use std::time::Duration;

use super::reply::{AnswerStream, BodyEnd, Reply, ReplyBody};
use super::request::{Method, ReadHead, WebRequest};
use super::routes;
use super::status::HttpStatus;
use crate::admin::view::View;
use crate::time::Tick;

/// The requests and answers of a connection, one after the other.
#[derive(Debug, Default)]
pub(in crate::admin) struct HttpSession {
    /// The body that is being sent.
    body: Option<SentBody>,
    /// No further request is read.
    is_closing: bool,
    /// When the request that is not complete yet began to arrive.
    began: Option<Tick>,
}

/// A body that is not sent completely yet.
#[derive(Debug)]
enum SentBody {
    Whole {
        bytes: Cow<'static, [u8]>,
        /// How many of them are sent.
        sent: usize,
    },
    Stream {
        stream: AnswerStream,
        in_chunks: bool,
    },
}

/// How an answer is sent.
#[derive(Clone, Copy, Debug)]
struct AnswerForm {
    /// The client understands chunks.
    takes_chunks: bool,
    /// The request was HEAD: the head is sent alone.
    is_only_head: bool,
}

/// What a session does after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::admin) enum HttpStep {
    /// It could go on at once.
    GoOn,
    /// It waits for another client's dump to end.
    Wait,
    /// It needs more input.
    Read,
    /// All answers are written, and no further input counts.
    End,
}

/// The most bytes of a whole body that one step writes.
const STEP_BYTES: usize = 16 * 1024;
/// A request whose head takes longer than this to arrive is not answered.
const HEAD_TIME: Duration = Duration::from_secs(30);

impl HttpSession {
    /// Returns when the connection is to be closed if the head of the next request is not complete
    /// by then. Returns `None` if no head has begun.
    pub(in crate::admin) fn deadline(&self) -> Option<Tick> {
        self.began.map(|began| began + HEAD_TIME)
    }

    /// Whether an answer is in progress.
    pub(in crate::admin) fn is_answering(&self) -> bool {
        self.body.is_some()
    }

    /// Whether no further request is read, and all answers are written.
    pub(in crate::admin) fn is_over(&self) -> bool {
        self.is_closing && self.body.is_none()
    }

    /// Whether it shows lines as they arrive, and has some to send.
    pub(in crate::admin) fn has_watched(&self, now: Tick) -> bool {
        self.watch().is_some_and(|stream| !stream.waits_for_lines(now))
    }

    /// Ends an answer that has no end by itself, because the client has closed its half of the
    /// connection.
    pub(in crate::admin) fn end_watch(&mut self) {
        if self.watch().is_some() {
            self.body = None;
            self.is_closing = true;
        }
    }

    /// Whether it shows lines as they arrive.
    pub(in crate::admin) fn is_watching(&self) -> bool {
        self.watch().is_some()
    }

    fn watch(&self) -> Option<&AnswerStream> {
        self.stream().filter(|stream| matches!(stream, AnswerStream::Watch(_)))
    }

    pub(in crate::admin) fn is_dumping(&self) -> bool {
        self.stream().is_some_and(AnswerStream::is_dumping)
    }

    /// The bytes that its answer holds.
    pub(in crate::admin) fn bytes(&self) -> usize {
        match &self.body {
            None => 0,
            Some(SentBody::Whole { bytes: Cow::Borrowed(_), .. }) => 0,
            Some(SentBody::Whole { bytes: Cow::Owned(bytes), .. }) => bytes.capacity(),
            Some(SentBody::Stream { stream, .. }) => stream.bytes(),
        }
    }

    /// Whether its answer may continue. If `may_dump` is `false`, a dump that has not begun must
    /// wait.
    pub(in crate::admin) fn may_go_on(&self, may_dump: bool) -> bool {
        self.stream().is_none_or(|stream| stream.may_go_on(may_dump))
    }

    /// Frees the memory that a dump holds. It begins again later, where it stopped.
    pub(in crate::admin) fn pause(&mut self) {
        if let Some(SentBody::Stream { stream, .. }) = &mut self.body {
            stream.pause();
        }
    }

    fn stream(&self) -> Option<&AnswerStream> {
        match &self.body {
            Some(SentBody::Stream { stream, .. }) => Some(stream),
            _ => None,
        }
    }

    /// Writes a part of the answer, or reads the next request.
    pub(in crate::admin) fn step(
        &mut self,
        input: &mut Vec<u8>,
        view: &mut View<'_>,
        may_dump: bool,
        out: &mut Vec<u8>,
    ) -> HttpStep {
        if let Some(body) = &mut self.body {
            let step = body.step(view, may_dump, out);
            if step == HttpStep::End {
                self.body = None;
                return HttpStep::GoOn;
            }
            return step;
        }
        if self.is_closing {
            return HttpStep::End;
        }
        match WebRequest::read(input) {
            ReadHead::Partial => {
                if !input.is_empty() {
                    self.began.get_or_insert(view.server.now.tick);
                }
                return HttpStep::Read;
            }
            ReadHead::Whole(request, length) => {
                let reply = routes::answer(&request, view);
                // The bytes of a body would be read as the next request.
                self.is_closing =
                    !request.keeps_alive || request.has_body || request.host_error.is_some();
                let form = AnswerForm {
                    takes_chunks: request.takes_chunks,
                    is_only_head: request.method == Method::Head,
                };
                self.send(reply, form, view, out);
                input.drain(..length);
            }
            ReadHead::Bad(status) => {
                self.is_closing = true;
                let reply = Reply::text(status, bad_text(status));
                let form = AnswerForm { takes_chunks: false, is_only_head: false };
                self.send(reply, form, view, out);
            }
        }
        self.began = None;
        HttpStep::GoOn
    }

    /// Writes the head of an answer, and begins its body.
    fn send(&mut self, reply: Reply, form: AnswerForm, view: &View<'_>, out: &mut Vec<u8>) {
        let framing = reply.framing(form.takes_chunks);
        self.is_closing |= framing == BodyEnd::Close;
        reply.put_head(framing, self.is_closing, view.server.now.unix, out);
        if form.is_only_head {
            return;
        }
        self.body = Some(match reply.body {
            ReplyBody::Whole(bytes) => SentBody::Whole { bytes, sent: 0 },
            ReplyBody::Stream(stream) => {
                SentBody::Stream { stream, in_chunks: framing == BodyEnd::Chunks }
            }
        });
    }
}

impl SentBody {
    /// Writes a part of the body. Returns [`HttpStep::End`] after the last one.
    fn step(&mut self, view: &mut View<'_>, may_dump: bool, out: &mut Vec<u8>) -> HttpStep {
        let is_complete = match self {
            Self::Whole { bytes, sent } => {
                let end = bytes.len().min(*sent + STEP_BYTES);
                out.extend_from_slice(&bytes[*sent..end]);
                *sent = end;
                end == bytes.len()
            }
            Self::Stream { stream, .. } if !stream.may_go_on(may_dump) => return HttpStep::Wait,
            // The end of the connection would be noticed by reading alone.
            Self::Stream { stream, .. } if stream.waits_for_lines(view.server.now.tick) => {
                return HttpStep::Read;
            }
            Self::Stream { stream, in_chunks: false } => stream.step(view, out),
            Self::Stream { stream, in_chunks: true } => in_chunk(out, |out| stream.step(view, out)),
        };
        if is_complete { HttpStep::End } else { HttpStep::GoOn }
    }
}

/// Appends what `write` writes as a chunk, and the end of the chunks if it returns `true`.
fn in_chunk(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>) -> bool) -> bool {
    const HEAD: usize = "00000000\r\n".len();
    let start = out.len();
    out.extend_from_slice(&[0; HEAD]);
    let is_complete = write(out);
    let length = out.len() - start - HEAD;
    if length == 0 {
        out.truncate(start); // an empty chunk would be the end
    } else {
        out[start..start + HEAD].copy_from_slice(format!("{length:08x}\r\n").as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    if is_complete {
        out.extend_from_slice(b"0\r\n\r\n");
    }
    is_complete
}

/// The text of an answer to bytes that are no request.
fn bad_text(status: HttpStatus) -> &'static str {
    match status {
        HttpStatus::HeadTooLarge => "the head of the request is too large\n",
        HttpStatus::VersionUnknown => "this server speaks HTTP/1.1\n",
        _ => {
            "this is no valid request of HTTP/1.1, which has one Host field and no control bytes\n"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_have_lengths_and_an_end() {
        let mut out = b"head".to_vec();
        assert!(!in_chunk(&mut out, |out| {
            out.extend_from_slice(b"0123456789abcdef");
            false
        }));
        assert!(!in_chunk(&mut out, |_| false));
        assert!(in_chunk(&mut out, |out| {
            out.push(b'x');
            true
        }));
        let text = "head00000010\r\n0123456789abcdef\r\n00000001\r\nx\r\n0\r\n\r\n";
        assert_eq!(String::from_utf8(out).unwrap(), text);
    }
}
