//! `/api/senders`: what each sender has sent, as JSON. Some of them are written in each turn, since
//! the rule that drops a value is searched among all rules.

use super::request::WebRequest;
use crate::admin::json::JsonWriter;
use crate::admin::senders::{SenderFigure, refusal_of};
use crate::admin::text::process_name;
use crate::admin::view::View;
use crate::ledger::{OtherSenders, SenderRecord};
use crate::sender::Sender;

/// The most senders of an answer, and how many there are without `n`.
const MOST: usize = 1000;
const USUAL: usize = 20;

const ORDERS: [(&str, SenderFigure); 6] = [
    ("lines", |record| record.lines),
    ("bytes", |record| record.bytes),
    ("bad", |record| record.bad_lines),
    ("series", |record| record.series_created),
    ("refused", |record| record.values_refused),
    ("seen", |record| record.last_seen.as_millis()),
];

/// The answer to one request, in progress.
#[derive(Debug)]
pub(super) struct SenderPage {
    /// The numbers of the senders that are still to be written, the last one first.
    left: Vec<u16>,
    others: OtherSenders,
    phase: PagePhase,
}

/// What is written already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PagePhase {
    Nothing,
    Head,
    Entries,
}

/// The senders that one step writes. The name of a process takes two system calls.
const STEP_SENDERS: usize = 16;

impl SenderPage {
    /// The senders with the largest figure, usually their lines, and the sum of all others. Returns
    /// the reason if the request has a parameter that means nothing.
    pub(super) fn new(request: &WebRequest<'_>, view: &mut View<'_>) -> Result<Self, &'static str> {
        let most = request.most()?.unwrap_or(USUAL).clamp(1, MOST);
        let sort = request.parameter("sort").unwrap_or_default();
        let known = ORDERS.iter().find(|(name, _)| sort.is_empty() || name.as_bytes() == sort);
        let (_, order) = known.ok_or("sort is lines, bytes, bad, series, refused or seen")?;
        let senders = view.server.engine.ledger_mut().count_senders();
        let mut all = senders.largest(usize::MAX, *order);
        if request.parameter("desc").is_some_and(|text| text == b"0") {
            all.reverse();
        }
        let (shown, rest) = all.split_at(most.min(all.len()));
        let mut others = senders.others();
        rest.iter().for_each(|record| others.add_sender(record));
        let left = shown.iter().rev().map(|record| record.id).collect();
        Ok(Self { left, others, phase: PagePhase::Nothing })
    }

    /// Writes some senders. Returns `true` once the answer is complete.
    pub(super) fn step(&mut self, view: &View<'_>, out: &mut Vec<u8>) -> bool {
        let mut json = JsonWriter::resume(out, self.phase == PagePhase::Entries);
        if self.phase == PagePhase::Nothing {
            json.open(b'{').key("senders").open(b'[');
            self.phase = PagePhase::Head;
        }
        let senders = view.server.engine.ledger().senders();
        for _ in 0..STEP_SENDERS {
            let Some(id) = self.left.pop() else {
                self.put_others(&mut json);
                return true;
            };
            // Another sender may have got its record meanwhile.
            if let Some(record) = senders.by_id(id) {
                put_sender(record, view, &mut json);
                self.phase = PagePhase::Entries;
            }
        }
        false
    }

    fn put_others(&self, json: &mut JsonWriter<'_>) {
        json.close(b']').key("others").open(b'{');
        for (name, count) in [
            ("count", self.others.senders),
            ("packets", self.others.packets),
            ("lines", self.others.lines),
            ("bytes", self.others.bytes),
            ("bad_lines", self.others.bad_lines),
            ("series", self.others.series_created),
            ("refused", self.others.values_refused),
        ] {
            json.key(name).number(count as f64);
        }
        json.close(b'}').close(b'}');
    }
}

fn put_sender(record: &SenderRecord, view: &View<'_>, json: &mut JsonWriter<'_>) {
    json.open(b'{').key("sender").string(name(record.sender).as_bytes());
    if let Sender::UnixProcess { process, user } = record.sender {
        json.key("user").number(f64::from(user));
        let name = process_name(process, user);
        json.key("process").maybe_string(name.as_deref().map(<[u8]>::trim_ascii_end));
    }
    for (name, count) in [
        ("packets", record.packets),
        ("lines", record.lines),
        ("bytes", record.bytes),
        ("bad_lines", record.bad_lines),
        ("series", record.series_created),
        ("refused", record.values_refused),
    ] {
        json.key(name).number(count as f64);
    }
    let reason = record.commonest_reason.map(|reason| reason.to_string());
    json.key("bad_reason").maybe_string(reason.as_deref().map(str::as_bytes));
    let reason = refusal_of(record, view.server.engine);
    json.key("refused_reason").maybe_string(reason.as_deref().map(str::as_bytes));
    json.key("last_seen").number(record.last_seen.as_millis() as f64 / 1000.0);
    json.key("first_seen").number(record.first_seen.as_millis() as f64 / 1000.0);
    json.key("reported");
    match record.reported {
        None => json.null(),
        Some(reported) => {
            json.open(b'{').key("sent").number(reported.sent as f64);
            json.key("received").number(reported.received as f64);
            json.key("lost").number(reported.lost() as f64);
            json.key("dropped").number(reported.dropped as f64).close(b'}')
        }
    };
    json.close(b'}');
}

/// Writes the sender with this number, or `null` if it is unknown.
pub(super) fn put_name(id: u16, view: &mut View<'_>, json: &mut JsonWriter<'_>) {
    let record = view.server.engine.ledger_mut().count_senders().by_id(id);
    let name = record.map(|record| name(record.sender));
    json.maybe_string(name.as_deref().map(str::as_bytes));
}

/// Returns the address of a sender without its port, or its process.
fn name(sender: Sender) -> String {
    match sender {
        Sender::Internet(address) => address.ip().to_string(),
        _ => sender.to_string(),
    }
}
