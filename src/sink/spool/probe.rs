//! [`probe`]: tries whether a disk that has failed works again.

use super::disk::Disk;
use super::events::SpoolEvents;
use super::record::preamble;
use super::segments::Segments;
use crate::encode::chunk::CHUNK_BYTES;

/// If chunks could not be saved, writes and removes a segment of the size of a chunk. Without this,
/// the log would show the failure until the next chunk that does not fit the queue, which may be
/// days later.
pub(super) fn probe(
    disk: &mut dyn Disk,
    segments: &mut Segments,
    format: &str,
    events: &mut SpoolEvents,
) {
    if !events.is_unwritable() {
        return;
    }
    let number = segments.take_number();
    let mut bytes = preamble(format).to_vec();
    bytes.resize(CHUNK_BYTES, 0);
    let is_written = disk.write(number, 0, &bytes).is_ok();
    if disk.remove(number).is_ok() && is_written {
        events.note_success();
    }
}
