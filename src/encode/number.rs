//! Numbers as ECMAScript's `Number::toString` writes them, which is how Node StatsD's arrive at carbon.

/// Writes numbers, keeping the buffer it needs.
pub(crate) struct Number(ryu_js::Buffer);

impl Number {
    pub(crate) fn new() -> Self {
        Self(ryu_js::Buffer::new())
    }

    /// Appends `value`, which is finite.
    pub(crate) fn append(&mut self, value: f64, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0.format_finite(value).as_bytes());
    }
}

impl std::fmt::Debug for Number {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Number")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_node_writes_them() {
        for (value, text) in [
            (5.0, "5"),
            (-5.0, "-5"),
            (0.0, "0"),
            (-0.0, "0"),
            (0.1, "0.1"),
            (0.1 + 0.2, "0.30000000000000004"),
            (1e21, "1e+21"),
            (5e20, "500000000000000000000"),
            (1e-6, "0.000001"),
            (1e-7, "1e-7"),
            (5e-8, "5e-8"),
            (f64::MAX, "1.7976931348623157e+308"),
            (5e-324, "5e-324"),
            (42.372_399_800_444_1, "42.3723998004441"),
        ] {
            let mut out = Vec::new();
            Number::new().append(value, &mut out);
            assert_eq!(String::from_utf8_lossy(&out), text);
        }
    }
}
