//! Numbers and names as bytes, and back: little endian, lengths first. Pure.
//!
//! A reader never trusts a length that is longer than the rest of the bytes. So damaged input
//! causes neither a panic nor a large allocation.

/// Appends values to a buffer.
pub trait Put {
    fn put_u8(&mut self, value: u8);
    fn put_u16(&mut self, value: u16);
    fn put_u32(&mut self, value: u32);
    fn put_u64(&mut self, value: u64);
    fn put_f64(&mut self, value: f64);
    /// Appends the length of a name and the name. If the length does not fit in 16 bits, the
    /// highest value and the length in 32 bits stand in its place.
    fn put_name(&mut self, name: &[u8]);
    /// Appends the bytes that `write` appends, with their length before them.
    fn put_record(&mut self, write: impl FnOnce(&mut Self));
}

/// The kinds of records in the state file: the first byte of each. A reader skips other kinds.
#[derive(Debug)]
pub enum RecordKind {}

impl RecordKind {
    /// An own counter.
    pub const OWN: u8 = 1;
    /// A value that is passed through.
    pub const PASSING: u8 = 2;
    pub const SERIES: u8 = 3;
    /// The drop counter of a socket. The shell writes and reads these records, which come before
    /// those of the engine.
    pub const DROPS: u8 = 4;
}

/// The length of a name whose length follows in 32 bits.
const LONG_NAME: u16 = u16::MAX;

impl Put for Vec<u8> {
    fn put_u8(&mut self, value: u8) {
        self.push(value);
    }

    fn put_u16(&mut self, value: u16) {
        self.extend_from_slice(&value.to_le_bytes());
    }

    fn put_u32(&mut self, value: u32) {
        self.extend_from_slice(&value.to_le_bytes());
    }

    fn put_u64(&mut self, value: u64) {
        self.extend_from_slice(&value.to_le_bytes());
    }

    fn put_f64(&mut self, value: f64) {
        self.put_u64(value.to_bits());
    }

    fn put_name(&mut self, name: &[u8]) {
        let length = u16::try_from(name.len()).unwrap_or(LONG_NAME);
        self.put_u16(length);
        if length == LONG_NAME {
            self.put_u32(u32::try_from(name.len()).expect("a line has at most a mebibyte"));
        }
        self.extend_from_slice(name);
    }

    fn put_record(&mut self, write: impl FnOnce(&mut Self)) {
        let at = self.len();
        self.put_u32(0);
        write(self);
        let length = u32::try_from(self.len() - at - 4).expect("the largest is a timing's samples");
        self[at..at + 4].copy_from_slice(&length.to_le_bytes());
    }
}

/// Bytes that are read from the front. Each function returns `None` if there are not enough.
#[derive(Clone, Debug)]
pub struct In<'a>(&'a [u8]);

impl<'a> In<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    pub fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    pub fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub fn f64(&mut self) -> Option<f64> {
        self.u64().map(f64::from_bits)
    }

    /// Returns `None` also for an infinity and for NaN.
    pub fn finite(&mut self) -> Option<f64> {
        self.f64().filter(|value| value.is_finite())
    }

    pub fn name(&mut self) -> Option<&'a [u8]> {
        let length = match self.u16()? {
            LONG_NAME => usize::try_from(self.u32()?).ok()?,
            length => usize::from(length),
        };
        self.take(length)
    }

    pub fn record(&mut self) -> Option<Self> {
        let length = self.u32()?;
        self.take(usize::try_from(length).ok()?).map(Self)
    }

    /// Returns `count` numbers of eight bytes each. Returns `None`, and takes nothing, if there are
    /// fewer.
    pub fn u64s(&mut self, count: usize) -> Option<impl Iterator<Item = u64> + 'a> {
        let bytes = self.take(count.checked_mul(8)?)?;
        let number = |eight: &[u8]| u64::from_le_bytes(eight.try_into().expect("eight bytes"));
        Some(bytes.chunks_exact(8).map(number))
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N).map(|bytes| bytes.try_into().expect("`take` returned N bytes"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_any_length_is_read_back() {
        for length in [0, 1, 65_534, 65_535, 65_536, 70_000] {
            let mut bytes = Vec::new();
            bytes.put_name(&vec![b'n'; length]);
            bytes.put_u8(7);
            let mut input = In::new(&bytes);
            assert_eq!(input.name().map(<[u8]>::len), Some(length));
            assert_eq!((input.u8(), input.is_empty()), (Some(7), true));
        }
        assert!(In::new(b"\xff\xff\x05\0\0\0abc").name().is_none(), "it is cut short");
    }
}
