//! `/api/senders`: what each sender has sent, as the command `senders` shows it.

use super::request::WebRequest;
use crate::admin::json::JsonWriter;
use crate::admin::senders::put_name;
use crate::admin::view::View;
use crate::ledger::{OtherSenders, SENDERS_MAX, SenderRecord};

/// How many senders have an entry without `n`.
const USUAL: usize = 20;

/// Returns the answer. Fails if `n` is not a number.
pub(super) fn senders(
    request: &WebRequest<'_>,
    view: &mut View<'_>,
) -> Result<Vec<u8>, &'static str> {
    let most = match request.parameter("n").filter(|text| !text.is_empty()) {
        None => USUAL,
        Some(_) => request.number("n").ok_or("n is not a whole number")?,
    };
    let senders = view.engine.ledger().senders();
    let all = senders.largest(SENDERS_MAX, |record| record.lines);
    let (shown, rest) = all.split_at(most.min(all.len()));
    let mut out = Vec::new();
    let json = &mut JsonWriter::new(&mut out);
    json.open(b'{').key("senders").open(b'[');
    shown.iter().for_each(|record| put_sender(record, json));
    let mut others = senders.others();
    rest.iter().for_each(|record| others.add_sender(record));
    json.close(b']').key("others");
    put_others(&others, json);
    json.close(b'}');
    Ok(out)
}

fn put_sender(record: &SenderRecord, json: &mut JsonWriter<'_>) {
    let mut name = Vec::new();
    put_name(record.sender, &mut name);
    let reason = record.commonest_reason.map(|reason| reason.to_string().into_bytes());
    json.open(b'{').key("sender").string(&name);
    json.key("packets").number(record.packets as f64);
    json.key("lines").number(record.lines as f64);
    json.key("bytes").number(record.bytes as f64);
    json.key("bad_lines").number(record.bad_lines as f64);
    json.key("bad_reason").maybe_string(reason.as_deref());
    json.key("series").number(record.series_created as f64);
    json.key("refused").number(record.values_refused as f64);
    json.key("last_seen").number(record.last_seen.as_millis() as f64 / 1000.0);
    json.key("reported");
    match record.reported {
        None => json.null(),
        Some(reported) => {
            json.open(b'{').key("sent").number(reported.sent as f64);
            json.key("received").number(reported.received as f64);
            let lost = reported.sent - reported.received.min(reported.sent);
            json.key("lost").number(lost as f64).close(b'}')
        }
    };
    json.close(b'}');
}

fn put_others(others: &OtherSenders, json: &mut JsonWriter<'_>) {
    json.open(b'{').key("count").number(others.senders as f64);
    json.key("packets").number(others.packets as f64);
    json.key("lines").number(others.lines as f64);
    json.key("bytes").number(others.bytes as f64);
    json.key("bad_lines").number(others.bad_lines as f64);
    json.key("series").number(others.series_created as f64);
    json.key("refused").number(others.values_refused as f64).close(b'}');
}
