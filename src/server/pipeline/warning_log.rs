//! Writes the collected warnings to the log.

use crate::engine::{Engine, NamedGroup};
use crate::logging::Bytes;
use crate::sender::Sender;
use crate::warnings::{Warning, WarningKind};

/// Logs warnings, one line each. Those about too many series also name the prefix with the most new
/// series, and the sender or prefix that fills the table.
pub(super) fn write(engine: &mut Engine, warnings: &[Warning]) {
    // Taking the busiest prefix halves its count, so it is taken once for all these lines.
    let mut busiest = None;
    for warning in warnings {
        let is_full = warning.what == WarningKind::TooManySeries;
        let largest = is_full.then(|| engine.largest_group()).flatten();
        let new_prefixes = engine.table_mut().new_prefixes();
        let take = || new_prefixes.take_busiest().unwrap_or_default();
        let most_new = is_full.then(|| &**busiest.get_or_insert_with(take));
        log_warning(warning, most_new, largest.as_ref());
    }
}

/// Logs a warning. `most_new` is the prefix of names with the most new series, and `largest` the
/// sender or prefix that fills the table. The warning itself is then about a name that was refused
/// because of that, so it is no example of what must be fixed.
fn log_warning(warning: &Warning, most_new: Option<&[u8]>, largest: Option<&NamedGroup>) {
    let Warning { what, count, example, sender, other_senders } = warning;
    let text = what.text();
    let most_new = most_new.map(|prefix| Bytes(prefix).to_string());
    let other_senders = (*other_senders > 0).then_some(*other_senders);
    let sender = (*sender != Sender::Unknown).then(|| sender.to_string());
    let (sender, refused_sender) = if largest.is_some() { (None, sender) } else { (sender, None) };
    let has_example = !example.is_empty() && largest.is_none();
    let example = has_example.then(|| Bytes(example).to_string());
    let prefix = largest.and_then(|named| named.group.prefix.as_deref());
    let crowd_prefix = prefix.map(|prefix| Bytes(prefix).to_string());
    let crowd_share = largest.map(|named| format!("{} % of new series", named.group.percent));
    let crowd_example = largest.map(|named| Bytes(&named.group.example).to_string());
    log::warn!(
        (text.count_of) = count,
        reason = what.reason(),
        hint = text.hint,
        crowd_sender = largest.map(|named| named.sender.to_string()),
        most_new, crowd_share, crowd_prefix, crowd_example,
        other_senders, refused_sender, sender, example;
        "{}", text.sentence
    );
}
