//! Where one datagram ends and the next begins. Pure.

/// What is left of an Ethernet frame behind the longest headers of the ways there: no packet of whole lines is longer
/// unless a single line is.
const PACKET_BYTES: usize = 1432;
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Packet<'a> {
    pub(super) payload: &'a [u8],
    pub(super) lines: u64,
}

/// The first packet of what is left of a chunk, which is not empty: as many whole lines as fit.
pub(super) fn lines(rest: &[u8]) -> Packet<'_> {
    let most = &rest[..rest.len().min(PACKET_BYTES)];
    let end = memchr::memrchr(b'\n', most).or_else(|| memchr::memchr(b'\n', rest));
    let payload = &rest[..end.map_or(rest.len(), |at| at + 1)];
    let lines = memchr::memchr_iter(b'\n', payload).count() as u64;
    Packet { payload, lines }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packets(mut rest: &[u8]) -> Vec<(usize, u64)> {
        let mut packets = Vec::new();
        while !rest.is_empty() {
            let packet = lines(rest);
            packets.push((packet.payload.len(), packet.lines));
            rest = &rest[packet.payload.len()..];
        }
        packets
    }

    #[test]
    fn a_packet_is_as_many_whole_lines_as_fit() {
        let line = |bytes: usize| format!("{}\n", "x".repeat(bytes - 1));
        let text = line(1000) + &line(432) + &line(1432) + &line(1433) + &line(2000) + &line(5);
        let expected = [(1432, 2), (1432, 1), (1433, 1), (2000, 1), (5, 1)];
        assert_eq!(packets(text.as_bytes()), expected);
        let small = line(10).repeat(500);
        let packets = packets(small.as_bytes());
        assert_eq!((packets[0], packets.iter().map(|packet| packet.1).sum()), ((1430, 143), 500));
    }
}
