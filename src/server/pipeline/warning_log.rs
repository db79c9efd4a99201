//! Writes the collected warnings to the log.

use crate::engine::{Engine, NamedGroup};
use crate::logging::Bytes;
use crate::sender::Sender;
use crate::warnings::{Warning, WarningKind};

/// Logs warnings, one line each. Those about too many series also name the sender or prefix that
/// fills the table.
pub(super) fn write(engine: &mut Engine, warnings: &[Warning]) {
    // To find it may take as long as to read some hundred lines, so it is found once.
    let mut largest = None;
    for warning in warnings {
        let largest = (warning.what == WarningKind::TooManySeries)
            .then(|| largest.get_or_insert_with(|| engine.largest_group()).as_ref());
        log_warning(warning, largest.flatten());
    }
}

/// Logs a warning. `largest` is the sender or prefix that fills the table. The warning itself is
/// then about a name that was refused because of that, so it is no example of what must be fixed.
fn log_warning(warning: &Warning, largest: Option<&NamedGroup>) {
    let Warning { what, count, example, sender, other_senders } = warning;
    let text = what.text();
    let other_senders = (*other_senders > 0).then_some(*other_senders);
    let sender = (*sender != Sender::Unknown).then(|| sender.to_string());
    let (sender, refused_sender) = if largest.is_some() { (None, sender) } else { (sender, None) };
    let has_example = !example.is_empty() && largest.is_none();
    let example = has_example.then(|| Bytes(example).to_string());
    let prefix = largest.and_then(|named| named.group.prefix.as_deref());
    let crowd_prefix = prefix.map(|prefix| Bytes(prefix).to_string());
    let crowd_share =
        largest.map(|named| format!("{} % of {}", named.group.percent, named.group.of));
    let crowd_example = largest.map(|named| Bytes(&named.group.example).to_string());
    log::warn!(
        (text.count_of) = count,
        reason = what.reason(),
        hint = text.hint,
        crowd_sender = largest.map(|named| named.sender.to_string()),
        crowd_share, crowd_prefix, crowd_example,
        other_senders, refused_sender, sender, example;
        "{}", text.sentence
    );
}
