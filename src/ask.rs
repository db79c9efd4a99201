//! `statsd --ask COMMAND`: asks the running server, at the admin port that its configuration names.
//!
//! This is a process of its own, beside the server. It has one connection and nothing else to do,
//! so it may wait for the answer.
//!
//! The client closes its half of the connection after the command. The server then closes the other
//! half after the answer, so the end of any answer is known without a list of commands.

use std::fmt;
use std::io::{self, Read as _, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpStream};
use std::os::fd::AsFd as _;
use std::time::Duration;

use crate::config::{Bind, Config, Origin};
use crate::sys::terminal_size;

/// The time for a connection, and the longest pause inside an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Clears a terminal, and begins at its top.
const CLEAR: &[u8] = b"\x1b[H\x1b[2J";

/// The exit status of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerStatus {
    Good,
    /// The command `health` was answered with `down`.
    Down,
    /// The server has no such command, or refuses its arguments.
    Error,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum AskError {
    /// The configuration has no admin port.
    Off(String),
    /// Every port in `[admin] bind` is 0, so the server chose one.
    AnyPort(String),
    /// No address accepts a connection.
    Unreachable(Vec<(SocketAddr, io::Error)>, String),
    /// The server closed the connection without an answer.
    Refused(SocketAddr),
    /// The connection broke inside the answer.
    Broken(SocketAddr, io::Error),
    /// Standard output does not accept the answer.
    Output(io::Error),
}

impl fmt::Display for AskError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off(origin) => write!(
                out,
                "the admin port is off, since [admin] bind is empty in {origin}; \
                 set it to localhost:8126 and restart the server"
            ),
            Self::AnyPort(origin) => write!(
                out,
                "[admin] bind has port 0 in {origin}, so the server has chosen a port; \
                 set a fixed port, or use the one that its ready line shows: \
                 echo COMMAND | nc -N 127.0.0.1 PORT"
            ),
            Self::Unreachable(tried, origin) => {
                out.write_str("no server answers at the admin port")?;
                for (at, (address, error)) in tried.iter().enumerate() {
                    write!(out, "{} {address} ({error})", if at == 0 { "" } else { "," })?;
                }
                write!(
                    out,
                    "; start the server, or name its configuration with -c. \
                     The address is [admin] bind of {origin}. If systemd passes the socket in, \
                     set it to the ListenStream= of the socket unit"
                )
            }
            Self::Refused(address) => write!(
                out,
                "the server at {address} closed the connection without an answer; \
                 see its log: [admin] allow_from must list this machine, and max_connections \
                 must leave room"
            ),
            Self::Broken(address, error) => {
                write!(out, "the answer of {address} is not complete: {error}; ask again")
            }
            Self::Output(error) => write!(out, "cannot write to standard output: {error}"),
        }
    }
}

/// Asks once, and writes the answer to `out` without its end marker. The answer to `watch` has no
/// end: it is written as it arrives.
pub fn ask(
    config: &Config,
    origin: &Origin,
    command: &[u8],
    out: &mut impl Write,
) -> Result<AnswerStatus, AskError> {
    let mut connection = AskedServer::open(config, origin)?;
    connection.send(command)?;
    let answer = if is_stream(command) {
        connection.copy(out)?
    } else {
        let answer = connection.read_answer(command)?;
        put(out, without_end(&answer))?;
        answer
    };
    Ok(status(command, &answer))
}

/// Asks again and again, `every` after the end of each answer. `clears` is true if the output is
/// a terminal, which is cleared before each answer. An answer that it has no room for is cut.
///
/// Returns `Ok` once the reader of `out` has closed it, as `head` does. This is the normal end.
/// Returns an error if the first attempt or another write to `out` fails. Later failures to get an
/// answer are written to `out`, because the server may be restarting.
pub fn ask_every(
    config: &Config,
    origin: &Origin,
    command: &[u8],
    every: Duration,
    clears: bool,
    out: &mut impl Write,
) -> Result<(), AskError> {
    let mut is_first = true;
    loop {
        let mut text = Vec::new();
        match ask(config, origin, command, &mut text) {
            Ok(_) => {}
            Err(error) if is_first => return Err(error),
            Err(error) => text = format!("statsd: {error}\n").into_bytes(),
        }
        let before: &[u8] = match (clears, is_first) {
            (true, _) => CLEAR,
            (false, true) => b"",
            (false, false) => b"\n",
        };
        is_first = false;
        // The size may change between two answers.
        if clears && let Some(size) = terminal_size(io::stdout().as_fd()) {
            fit(&mut text, size);
        }
        match put(out, &[before, &text].concat()) {
            Err(AskError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
                return Ok(());
            }
            written => written?,
        }
        wait(every);
    }
}

/// Cuts a text to as many lines as a terminal with these rows and columns has room for, and appends
/// the number of the others in a line. Otherwise the first lines would scroll away.
fn fit(text: &mut Vec<u8>, (rows, columns): (usize, usize)) {
    // After the last line the cursor is in a row of its own.
    let free = rows.saturating_sub(1);
    let mut used = 0;
    let mut fitting = 0;
    let mut more = 0;
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let is_character = |byte: &&u8| **byte != b'\n' && **byte & 0xc0 != 0x80;
        used += line.iter().filter(is_character).count().div_ceil(columns).max(1);
        // The line with the number needs one row, too.
        if used < free {
            fitting += line.len();
        } else {
            more += 1;
        }
    }
    if used > free {
        text.truncate(fitting);
        let _ = writeln!(text, "+{more} more lines");
    }
}

/// Returns the longest pause inside the answer to a command. `senders GLOB for 60s` takes its time.
fn patience(command: &[u8]) -> Duration {
    let waits = command.trim_ascii_start().starts_with(b"senders ");
    PATIENCE + if waits { Duration::from_secs(60) } else { Duration::ZERO }
}

/// Whether the answer to a command has no end.
pub fn is_stream(command: &[u8]) -> bool {
    command.trim_ascii_start().split(u8::is_ascii_whitespace).next() == Some(b"watch")
}

/// Returns the addresses at which the server of a configuration answers commands.
fn addresses(config: &Config, origin: &Origin) -> Result<Vec<SocketAddr>, AskError> {
    const LOOPBACK: [IpAddr; 2] =
        [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    let on_loopback = |port| LOOPBACK.map(|ip| SocketAddr::new(ip, port)).to_vec();
    let of = |bind: &Bind| match *bind {
        Bind::Any(port) | Bind::Localhost(port) => on_loopback(port),
        Bind::At(address) => {
            let ip = match address.ip() {
                IpAddr::V4(ip) if ip.is_unspecified() => LOOPBACK[0],
                IpAddr::V6(ip) if ip.is_unspecified() => LOOPBACK[1],
                ip => ip,
            };
            vec![SocketAddr::new(ip, address.port())]
        }
    };
    if config.admin.bind.is_empty() {
        return Err(AskError::Off(origin.to_string()));
    }
    let mut all: Vec<_> = config.admin.bind.iter().flat_map(of).collect();
    all.retain(|address| address.port() != 0);
    if all.is_empty() { Err(AskError::AnyPort(origin.to_string())) } else { Ok(all) }
}

/// A connection to the admin port.
struct AskedServer {
    stream: TcpStream,
    address: SocketAddr,
}

impl AskedServer {
    /// Connects to the first address that accepts.
    fn open(config: &Config, origin: &Origin) -> Result<Self, AskError> {
        let mut tried = Vec::new();
        for address in addresses(config, origin)? {
            match TcpStream::connect_timeout(&address, PATIENCE) {
                Ok(stream) => return Ok(Self { stream, address }),
                Err(error) => tried.push((address, error)),
            }
        }
        Err(AskError::Unreachable(tried, origin.to_string()))
    }

    /// Sends the command, and closes this half of the connection unless the answer has no end.
    fn send(&mut self, command: &[u8]) -> Result<(), AskError> {
        let line = [command, b"\n"].concat();
        let sent = self
            .stream
            .set_read_timeout(Some(patience(command)))
            .and_then(|()| self.stream.set_write_timeout(Some(PATIENCE)))
            .and_then(|()| self.stream.write_all(&line))
            // A watch ends when this half is closed.
            .and_then(|()| {
                if is_stream(command) { Ok(()) } else { self.stream.shutdown(Shutdown::Write) }
            });
        sent.map_err(|error| match error.kind() {
            // The server refuses a client by closing the connection at once.
            io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::NotConnected => AskError::Refused(self.address),
            _ => AskError::Broken(self.address, error),
        })
    }

    /// Reads the answer to its end.
    fn read_answer(&mut self, command: &[u8]) -> Result<Vec<u8>, AskError> {
        let mut answer = Vec::new();
        let read = self.stream.read_to_end(&mut answer);
        let was_reset = |error: &io::Error| error.kind() == io::ErrorKind::ConnectionReset;
        match read {
            Err(error) if answer.is_empty() && was_reset(&error) => {
                Err(AskError::Refused(self.address))
            }
            Err(error) => Err(self.broken(error)),
            Ok(_) if answer.is_empty() && !is_silent(command) => {
                Err(AskError::Refused(self.address))
            }
            Ok(_) if is_complete(&answer) => Ok(answer),
            Ok(_) => Err(self.broken(io::ErrorKind::UnexpectedEof.into())),
        }
    }

    /// Writes the answer to `out` as it arrives. Returns its first line.
    fn copy(&mut self, out: &mut impl Write) -> Result<Vec<u8>, AskError> {
        self.stream.set_read_timeout(None).map_err(|error| self.broken(error))?;
        let mut first = Vec::new();
        let mut piece = [0; 16 << 10];
        loop {
            match self.stream.read(&mut piece) {
                Ok(0) if first.is_empty() => return Err(AskError::Refused(self.address)),
                Ok(0) => return Err(self.broken(io::ErrorKind::UnexpectedEof.into())),
                Ok(read) => {
                    if first.is_empty() && piece.starts_with(b"ERROR") {
                        put(out, &piece[..read])?;
                        return Ok(piece[..read].to_vec());
                    }
                    if !first.contains(&b'\n') {
                        first.extend_from_slice(&piece[..read]);
                    }
                    put(out, &piece[..read])?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.broken(error)),
            }
        }
    }

    fn broken(&self, error: io::Error) -> AskError {
        let error = match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                io::Error::new(io::ErrorKind::TimedOut, "nothing came for 10 s")
            }
            io::ErrorKind::UnexpectedEof => {
                io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection")
            }
            _ => error,
        };
        AskError::Broken(self.address, error)
    }
}

/// Whether a command has no answer.
fn is_silent(command: &[u8]) -> bool {
    matches!(command.trim_ascii(), b"" | b"quit")
}

/// Whether an answer is one whole line, or ends with an empty line.
fn is_complete(answer: &[u8]) -> bool {
    let lines = answer.iter().filter(|byte| **byte == b'\n').count();
    answer.is_empty() || answer.ends_with(b"\n\n") || (lines == 1 && answer.ends_with(b"\n"))
}

/// Returns an answer without `END` and without the empty line at its end.
fn without_end(answer: &[u8]) -> &[u8] {
    match answer.strip_suffix(b"END\n\n") {
        Some(rest) if rest.is_empty() || rest.ends_with(b"\n") => rest,
        _ => answer.strip_suffix(b"\n").filter(|rest| rest.ends_with(b"\n")).unwrap_or(answer),
    }
}

/// Returns the status of an answer.
fn status(command: &[u8], answer: &[u8]) -> AnswerStatus {
    let is_error = answer.starts_with(b"ERROR")
        && matches!(answer.get(b"ERROR".len()), None | Some(b'\n' | b' '));
    if is_error {
        AnswerStatus::Error
    } else if command.trim_ascii() == b"health" && answer.trim_ascii() == b"health: down" {
        AnswerStatus::Down
    } else {
        AnswerStatus::Good
    }
}

/// Writes a text at once, so that a reader of a stream sees it.
fn put(out: &mut impl Write, text: &[u8]) -> Result<(), AskError> {
    out.write_all(text).and_then(|()| out.flush()).map_err(AskError::Output)
}

/// Waits. A signal may end the wait early.
fn wait(time: Duration) {
    let millis = i32::try_from(time.as_millis()).unwrap_or(i32::MAX);
    let timeout = nix::poll::PollTimeout::try_from(millis).unwrap_or(nix::poll::PollTimeout::MAX);
    let _ = nix::poll::poll(&mut [], timeout);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses_of(binds: &[Bind]) -> Result<Vec<String>, String> {
        let mut config = Config::default();
        config.admin.bind = binds.to_vec();
        let found = addresses(&config, &Origin::default()).map_err(|error| error.to_string())?;
        Ok(found.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn the_server_is_asked_where_its_configuration_says() {
        let at = |text: &str| Bind::At(text.parse().unwrap());
        let both = ["127.0.0.1:8126".to_owned(), "[::1]:8126".to_owned()].to_vec();
        assert_eq!(addresses_of(&[Bind::Localhost(8126)]), Ok(both.clone()));
        assert_eq!(addresses_of(&[Bind::Any(8126)]), Ok(both.clone()));
        assert_eq!(addresses_of(&[at("0.0.0.0:8126"), at("[::]:8126")]), Ok(both));
        assert_eq!(addresses_of(&[at("10.0.0.1:0"), at("10.0.0.1:9")]).unwrap(), ["10.0.0.1:9"]);
        assert!(addresses_of(&[]).unwrap_err().contains("[admin] bind is empty"));
        assert!(addresses_of(&[Bind::Any(0)]).unwrap_err().contains("set a fixed port"));
    }

    #[test]
    fn an_answer_is_cut_to_the_height_of_a_terminal() {
        for (text, size, shown) in [
            ("a\nb\nc\n", (4, 80), "a\nb\nc\n"),
            ("a\nb\nc\nd\n", (4, 80), "a\nb\n+2 more lines\n"),
            ("a\n12345678901\nc\n", (5, 10), "a\n12345678901\nc\n"),
            ("a\n12345678901\nc\n", (4, 10), "a\n+2 more lines\n"),
            ("\u{e9}\u{e9}\n\nc\n", (4, 2), "\u{e9}\u{e9}\n\nc\n"),
            ("a\nb\n", (1, 1), "+2 more lines\n"),
        ] {
            let mut fitted = text.as_bytes().to_vec();
            fit(&mut fitted, size);
            assert_eq!(String::from_utf8(fitted).unwrap(), shown, "{text:?} {size:?}");
        }
    }

    #[test]
    fn answers_are_shown_without_their_ends() {
        for (answer, shown) in [
            ("a: 1\nEND\n\n", "a: 1\n"),
            ("END\n\n", ""),
            ("health: up\n", "health: up\n"),
            ("Commands: a\n  b\n\n", "Commands: a\n  b\n"),
            ("{\n\"aEND\": 1\n}\nEND\n\n", "{\n\"aEND\": 1\n}\n"),
        ] {
            assert!(is_complete(answer.as_bytes()), "{answer}");
            assert_eq!(without_end(answer.as_bytes()), shown.as_bytes());
        }
        for cut in ["a: 1\nb: 2\n", "a: 1\nEND\n", "health: u", "{\n"] {
            let is_one_line = cut == "{\n";
            assert_eq!(is_complete(cut.as_bytes()), is_one_line, "{cut}");
        }
    }

    #[test]
    fn the_status_follows_the_answer() {
        for (command, answer, expected) in [
            ("health", "health: up\n", AnswerStatus::Good),
            ("health", "health: down\n", AnswerStatus::Down),
            ("health down", "health: down\n", AnswerStatus::Good),
            ("nonsense", "ERROR\n", AnswerStatus::Error),
            ("watch a b", "ERROR expected a pattern\n", AnswerStatus::Error),
            ("counters", "{\n}\nEND\n\n", AnswerStatus::Good),
        ] {
            assert_eq!(status(command.as_bytes(), answer.as_bytes()), expected, "{command}");
        }
        assert!(is_stream(b" watch bad") && !is_stream(b"help watch") && !is_stream(b"watcher"));
    }
}
