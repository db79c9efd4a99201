//! Standard output of a simulated server: a real pipe, and its reader.

use std::cell::RefCell;
use std::io::{self, PipeReader, PipeWriter, Read as _};
use std::os::fd::AsFd as _;
use std::rc::Rc;

use nix::fcntl::{FcntlArg, OFlag, fcntl};

use super::process::{Lines, PeerProcess, Speech};
use crate::stdio::StandardStream;

/// The pipe. Servers get its end for writing, one after the other.
#[derive(Clone, Debug)]
pub(super) struct ConsolePipe(Rc<RefCell<PipeState>>);

#[derive(Debug)]
struct PipeState {
    writer: PipeWriter,
    /// `None` once the reader has closed the pipe. A restarted server gets a new pipe.
    reader: Option<PipeReader>,
    /// The most bytes that the reader takes in one turn.
    rate: usize,
    /// The beginning of a line.
    unfinished: Vec<u8>,
    process: PeerProcess,
}

impl ConsolePipe {
    pub(super) fn new() -> Self {
        let (reader, writer) = pipe();
        Self(Rc::new(RefCell::new(PipeState {
            writer,
            reader: Some(reader),
            rate: usize::MAX,
            unfinished: Vec::new(),
            process: PeerProcess::new(Speech::Lines, |_, _| {}),
        })))
    }

    /// Returns standard output, as a server opens it.
    pub(super) fn open(&self) -> io::Result<StandardStream> {
        StandardStream::of(self.0.borrow().writer.as_fd().try_clone_to_owned()?)
    }

    /// A server starts. Its standard output has a reader.
    pub(super) fn begin_run(&self) {
        let state = &mut *self.0.borrow_mut();
        if state.reader.is_none() {
            let (reader, writer) = pipe();
            state.writer = writer;
            state.reader = Some(reader);
        }
    }

    /// Sets the most bytes that the reader takes in one turn.
    pub(super) fn set_rate(&self, rate: usize) {
        self.0.borrow_mut().rate = rate;
    }

    /// The reader takes its share of a turn.
    pub(super) fn read(&self) {
        let rate = self.0.borrow().rate;
        self.0.borrow_mut().read(rate);
    }

    /// Reads everything. What comes next is from another sink, so that it does not finish the line
    /// that the last one has begun.
    pub(super) fn end_writer(&self) {
        let state = &mut *self.0.borrow_mut();
        state.read(usize::MAX);
        state.unfinished.clear();
    }

    /// Reads everything, and closes the pipe.
    pub(super) fn close(&self) {
        self.end_writer();
        self.0.borrow_mut().reader = None;
    }

    /// Passes on the whole lines that were read.
    pub(super) fn with_read<T>(&self, act: impl FnOnce(&Lines) -> T) -> T {
        act(&self.0.borrow().process.read)
    }
}

impl PipeState {
    fn read(&mut self, most: usize) {
        let Some(reader) = &mut self.reader else { return };
        let most = u64::try_from(most).unwrap();
        match reader.take(most).read_to_end(&mut self.unfinished) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => panic!("a pipe: {error}"),
            _ => _ = self.process.take(&mut self.unfinished, 0),
        }
    }
}

/// Returns a pipe whose reader does not block.
fn pipe() -> (PipeReader, PipeWriter) {
    let (reader, writer) = io::pipe().unwrap();
    fcntl(&reader, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
    (reader, writer)
}
