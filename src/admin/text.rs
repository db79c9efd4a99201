//! Writes text, numbers and times into answers. Text from clients is made safe for the terminal of
//! an operator.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use humantime::Rfc3339Timestamp;

use crate::encode::number::Number;
use crate::encode::sent_names::SentNames;
use crate::sender::Sender;
use crate::sink::{Feed, Sink};
use crate::time::UnixTime;

/// The bytes of a list after which its further entries are only counted. It is written in one turn,
/// and a client that does not read holds it.
pub(super) const LIST_BYTES: usize = 64 * 1024;

pub(super) fn write(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(text); // a Vec takes every write
}

/// Appends a name, with `\x1b` for a control character and for a byte that is not UTF-8. With
/// `sanitize_keys = no` a client could otherwise send commands to the operator's terminal.
pub(super) fn put_escaped(name: &[u8], out: &mut Vec<u8>) {
    for chunk in name.utf8_chunks() {
        for character in chunk.valid().chars() {
            let mut room = [0; 4];
            let bytes = character.encode_utf8(&mut room).as_bytes();
            if character.is_control() {
                put_hex(bytes, out);
            } else {
                out.extend_from_slice(bytes);
            }
        }
        put_hex(chunk.invalid(), out);
    }
}

fn put_hex(bytes: &[u8], out: &mut Vec<u8>) {
    for byte in bytes {
        out.extend_from_slice(format!("\\x{byte:02x}").as_bytes());
    }
}

/// Returns a number as destinations get it.
pub(super) fn number(value: f64) -> String {
    let mut text = Vec::new();
    Number::new().append(value, &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

/// Returns a time as it is shown, with milliseconds: `2026-11-28T16:16:16.123Z`.
pub(super) fn shown_millis(time: UnixTime) -> Rfc3339Timestamp {
    humantime::format_rfc3339_millis(system_time(time))
}

/// Returns a time as it is shown, in whole seconds: `2026-11-28T16:16:16Z`.
pub(super) fn shown_seconds(time: UnixTime) -> Rfc3339Timestamp {
    humantime::format_rfc3339_seconds(system_time(time))
}

fn system_time(time: UnixTime) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(time.as_millis())
}

/// Appends a text in quotes, escaped as [`put_escaped`] does. `"` and `\\` get a backslash.
pub(super) fn put_quoted(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for part in text.split_inclusive(|byte| matches!(byte, b'"' | b'\\')) {
        match part.split_last() {
            Some((special @ (b'"' | b'\\'), before)) => {
                put_escaped(before, out);
                out.extend_from_slice(&[b'\\', *special]);
            }
            _ => put_escaped(part, out),
        }
    }
    out.push(b'"');
}

/// Appends entries, and how many further ones there are. `more` is the number of those that are not
/// in `entries`.
pub(super) fn put_list<T>(
    entries: impl ExactSizeIterator<Item = T>,
    more: usize,
    out: &mut Vec<u8>,
    mut put: impl FnMut(T, &mut Vec<u8>),
) {
    let full = out.len() + LIST_BYTES;
    let mut left = entries.len();
    for entry in entries {
        if out.len() >= full {
            break;
        }
        put(entry, out);
        left -= 1;
    }
    put_more(left + more, out);
}

/// Appends how many further entries there are.
pub(super) fn put_more(more: usize, out: &mut Vec<u8>) {
    if more > 0 {
        write(out, format_args!("+{more} more\n"));
    }
}

/// Appends the address of a sender, or a process with its user and its name.
pub(super) fn put_address(sender: Sender, out: &mut Vec<u8>) {
    match sender {
        Sender::Internet(address) => write(out, format_args!("{}", address.ip())),
        Sender::UnixProcess { process, user } => {
            write(out, format_args!("{sender} user={user}"));
            if let Some(name) = process_name(process, user) {
                out.extend_from_slice(b" process=");
                put_quoted(name.trim_ascii_end(), out);
            }
        }
        _ => write(out, format_args!("{sender}")),
    }
}

/// Returns the name of a process, or `None` if it has ended. Another process may have its number by
/// then; one of another user is recognized by that.
///
/// The kernel has the name in memory, so this reads no disk.
pub(super) fn process_name(process: i32, user: u32) -> Option<Vec<u8>> {
    let folder = format!("/proc/{process}");
    let owner = fs::metadata(&folder).ok()?.uid();
    // The files of a process that must not be inspected, as one with other rights, belong to root.
    (owner == user || owner == 0).then(|| fs::read(format!("{folder}/comm")).ok())?
}

/// Returns why a destination does not get some of the points, each reason once.
pub(super) fn refusals<'a>(
    points: impl Iterator<Item = &'a SentNames>,
    sink: &Sink,
) -> Vec<&'static str> {
    let mut reasons = Vec::new();
    for points in points.filter(|points| sink.takes(Feed::Flushes(points.encoder))) {
        for reason in points.refused.iter().map(|reason| reason.text()) {
            if !reasons.contains(&reason) {
                reasons.push(reason);
            }
        }
    }
    reasons
}

/// Returns the name of a destination, and whether it is down, so that points wait in its queue.
pub(super) fn name_and_state(sink: &Sink) -> String {
    format!("{}{}", sink.name(), if sink.state().is_down() { " (down, queued)" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_ends_when_it_is_long_and_counts_the_rest() {
        for (entries, shown, end) in [(3, 3, ""), (3, 3, "+7 more\n"), (100, 64, "+43 more\n")] {
            let more = if end.is_empty() { 0 } else { 7 };
            let mut out = b"before\n".to_vec();
            put_list(0..entries, more, &mut out, |_, out| out.extend_from_slice(&[b'x'; 1024]));
            let text = String::from_utf8(out).unwrap();
            assert_eq!(text, format!("before\n{}{end}", "x".repeat(shown * 1024)));
        }
    }
}
