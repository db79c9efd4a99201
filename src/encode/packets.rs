//! Cuts a chunk into the packets that it is sent in.

/// The room in an Ethernet frame after the longest headers that may occur. A packet of whole lines
/// is longer only if a single line is.
const PACKET_BYTES: usize = 1432;

/// The head of a packet that must stay whole: the number of its bytes and of its lines, with four
/// bytes each, the highest first.
pub(super) const HEAD_BYTES: usize = 8;

/// The first packet of the rest of a chunk.
#[derive(Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    pub payload: &'a [u8],
    pub lines: u64,
    /// The bytes of the chunk that it takes, including its head.
    pub length: usize,
}

/// Returns a packet of as many whole lines as fit. `rest` must not be empty.
pub fn whole_lines(rest: &[u8]) -> Packet<'_> {
    let most = &rest[..rest.len().min(PACKET_BYTES)];
    let end = memchr::memrchr(b'\n', most).or_else(|| memchr::memchr(b'\n', rest));
    let payload = &rest[..end.map_or(rest.len(), |at| at + 1)];
    Packet { payload, lines: newlines(payload), length: payload.len() }
}

/// Returns a packet that has a head. `rest` must hold at least one whole packet.
pub fn framed(rest: &[u8]) -> Packet<'_> {
    let (head, after) = rest.split_at(HEAD_BYTES);
    let number = |bytes: &[u8]| bytes.iter().fold(0, |all, &byte| all << 8 | u64::from(byte));
    #[allow(clippy::cast_possible_truncation)] // it was a length before
    let bytes = number(&head[..4]) as usize;
    Packet { payload: &after[..bytes], lines: number(&head[4..]), length: HEAD_BYTES + bytes }
}

/// Appends a packet and its head.
pub(super) fn append(payload: &[u8], lines: u32, out: &mut Vec<u8>) {
    let bytes = u32::try_from(payload.len()).expect("no packet has 4 GiB");
    out.extend_from_slice(&bytes.to_be_bytes());
    out.extend_from_slice(&lines.to_be_bytes());
    out.extend_from_slice(payload);
}

pub(super) fn newlines(text: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', text).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packets<'a>(mut rest: &'a [u8], cut: fn(&'a [u8]) -> Packet<'a>) -> Vec<(&'a [u8], u64)> {
        let mut packets = Vec::new();
        while !rest.is_empty() {
            let packet = cut(rest);
            packets.push((packet.payload, packet.lines));
            rest = &rest[packet.length..];
        }
        packets
    }

    #[test]
    fn a_packet_is_as_many_whole_lines_as_fit() {
        let line = |bytes: usize| format!("{}\n", "x".repeat(bytes - 1));
        let text = line(1000) + &line(432) + &line(1432) + &line(1433) + &line(2000) + &line(5);
        let found = packets(text.as_bytes(), whole_lines);
        let found: Vec<_> = found.iter().map(|(payload, lines)| (payload.len(), *lines)).collect();
        assert_eq!(found, [(1432, 2), (1432, 1), (1433, 1), (2000, 1), (5, 1)]);
        let small = line(10).repeat(500);
        let packets = packets(small.as_bytes(), whole_lines);
        assert_eq!(packets[0].0.len(), 1430);
        assert_eq!(packets.iter().map(|packet| packet.1).sum::<u64>(), 500);
    }

    #[test]
    fn a_packet_with_a_head_is_as_it_was() {
        let mut chunk = Vec::new();
        let long = vec![b'x'; 70_000];
        for (payload, lines) in [(&b"a\nb"[..], 2), (&[], 0), (&long, 70)] {
            append(payload, lines, &mut chunk);
        }
        assert_eq!(packets(&chunk, framed), [(&b"a\nb"[..], 2), (&[], 0), (&long, 70)]);
    }
}
