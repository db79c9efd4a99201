//! Numbers as ECMAScript's `Number::toString` writes them. So carbon receives them as from Node
//! StatsD.
//!
//! Most numbers are counts, or counts divided by an interval of ten seconds. For numbers with few
//! digits there is a fast path.

/// Writes numbers, and reuses the buffer that it needs for that.
#[derive(Default)]
pub struct Number(ryu_js::Buffer);

impl Number {
    pub fn new() -> Self {
        Self(ryu_js::Buffer::new())
    }

    /// Appends `value`, which is finite.
    pub fn append(&mut self, value: f64, out: &mut Vec<u8>) {
        if !append_short(value, out) {
            out.extend_from_slice(self.0.format_finite(value).as_bytes());
        }
    }
}

/// Appends a number of at most 15 digits, of which at most three are after the point. Returns
/// `false`, and appends nothing, for any other number.
///
/// Two decimals of up to 15 digits are never the same double. So one that reads back as `value` is
/// the shortest that does.
fn append_short(value: f64, out: &mut Vec<u8>) -> bool {
    const LARGEST: f64 = 1e15;
    for (places, scale) in [(0, 1.0), (1, 10.0), (2, 100.0), (3, 1000.0)] {
        let scaled = value.abs() * scale;
        if scaled >= LARGEST {
            return false;
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // it is within the range
        let whole = (scaled + 0.5) as u64;
        // A reader of the decimal computes the same quotient of two integers.
        if whole as f64 / scale == value.abs() {
            if value < 0.0 {
                out.push(b'-');
            }
            append_decimal(whole, places, out);
            return true;
        }
    }
    false
}

/// Appends a count without its fraction, which it may have if samples had rates. So statsite does,
/// too. A count is not negative, and one beyond a `u64` becomes its largest number.
pub(super) fn append_whole(count: f64, out: &mut Vec<u8>) {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    // a larger one becomes `u64::MAX`
    append_digits(count as u64, 1, out);
}

/// Appends `count` with zeros before it, so that it has at least `width` digits.
#[inline(never)]
fn append_digits(count: u64, width: usize, out: &mut Vec<u8>) {
    let mut text = [b'0'; 20];
    let mut start = text.len();
    let mut left = count;
    while left > 0 || text.len() - start < width {
        start -= 1;
        #[allow(clippy::cast_possible_truncation)] // a digit
        let digit = (left % 10) as u8;
        text[start] = b'0' + digit;
        left /= 10;
    }
    out.extend_from_slice(&text[start..]);
}

/// Appends `value`, which is finite, with six decimals, as `%f` of C's `printf` does. So a command
/// reads the same text as from statsite.
pub(super) fn append_six_decimals(value: f64, out: &mut Vec<u8>) {
    if value.is_sign_negative() {
        out.push(b'-');
    }
    match millionths(value.abs()) {
        Some(count) => {
            append_digits(count / 1_000_000, 1, out);
            out.push(b'.');
            append_digits(count % 1_000_000, 6, out);
        }
        // The standard library does the same for any number, but takes longer.
        None => out.extend_from_slice(format!("{:.6}", value.abs()).as_bytes()),
    }
}

/// Returns a number that is not negative in millionths. A half is rounded to the even one. Returns
/// `None` if they do not fit a `u64`.
fn millionths(value: f64) -> Option<u64> {
    const FRACTION_BITS: u32 = f64::MANTISSA_DIGITS - 1;
    /// The exponent of a number whose mantissa is a whole number.
    const WHOLE: i32 = 1075;
    let bits = value.to_bits();
    let fraction = bits & ((1 << FRACTION_BITS) - 1);
    let exponent = i32::try_from(bits >> FRACTION_BITS).ok()?;
    // A number is the mantissa times a power of two. The product of a mantissa of 53 bits and a
    // million is exact in 128 bits.
    let hidden = u64::from(exponent > 0) << FRACTION_BITS;
    let product = u128::from(fraction | hidden) * 1_000_000;
    let places = u32::try_from(WHOLE - exponent.max(1)).ok().filter(|places| *places > 0)?;
    if places >= 128 {
        return Some(0);
    }
    let whole = product >> places;
    let rest = product << (128 - places);
    let half = 1 << 127;
    let up = rest > half || rest == half && whole % 2 == 1;
    u64::try_from(whole + u128::from(up)).ok()
}

/// Appends `whole` with a point before its last `places` digits. At least one digit is before the
/// point. It has one caller, so that it is inlined there: most numbers are short.
fn append_decimal(whole: u64, places: usize, out: &mut Vec<u8>) {
    let mut text = [b'0'; 20];
    let mut start = 20;
    let mut left = whole;
    let mut put = |byte| {
        start -= 1;
        text[start] = byte;
    };
    for place in 0.. {
        if place == places && place > 0 {
            put(b'.');
        }
        if left == 0 && place > places {
            break;
        }
        #[allow(clippy::cast_possible_truncation)] // a digit
        put(b'0' + (left % 10) as u8);
        left /= 10;
    }
    out.extend_from_slice(&text[start..]);
}

impl std::fmt::Debug for Number {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Number")
    }
}

#[cfg(test)]
mod tests {
    use statsd_bench::Random;

    use super::*;

    /// Compares the short way with the general routine.
    #[test]
    fn the_short_way_writes_what_the_general_routine_does() {
        let mut short = 0;
        let mut check = |value: f64| {
            let mut out = Vec::new();
            let mut buffer = ryu_js::Buffer::new();
            short += usize::from(append_short(value, &mut out));
            let expected = buffer.format_finite(value);
            if !out.is_empty() {
                assert_eq!(str::from_utf8(&out), Ok(expected), "{value:e}");
            }
        };
        let scales = [1.0, 2.0, 3.0, 7.0, 10.0, 60.0, 100.0, 1e3, 1e4, 1e6, 0.1, 0.01];
        let mut random = Random::new(20_261_123);
        for round in 0..20_000_u32 {
            let bits = random.bits();
            let whole = (bits >> (round % 64)) as f64;
            for scale in scales {
                check(whole / scale);
                check(-whole / scale);
            }
            let any = f64::from_bits(bits);
            check(if any.is_finite() { any } else { 0.0 });
        }
        for edge in [1e15_f64, 1e14, 1e12, 0.1, 0.001, 1.0, 0.0] {
            let near = [edge, f64::from_bits(edge.to_bits() + 1), edge - 0.1, edge - 1.0, -edge];
            near.into_iter().for_each(&mut check);
        }
        assert!(short > 100_000, "{short} went the short way");
    }

    /// Compares with the standard library, which rounds as C's `printf` does.
    #[test]
    fn six_decimals_are_those_of_printf() {
        let check = |value: f64| {
            let mut out = Vec::new();
            append_six_decimals(value, &mut out);
            assert_eq!(str::from_utf8(&out).unwrap(), format!("{value:.6}"), "{value:e}");
        };
        let mut random = Random::new(20_261_128);
        for round in 0..50_000_u32 {
            let bits = random.bits();
            let any = f64::from_bits(bits);
            check(if any.is_finite() { any } else { 0.0 });
            let whole = (bits >> (round % 64)) as f64;
            // Sevenths of a binary place end in a half of the sixth decimal, or near it.
            for scale in [1.0, 3.0, 10.0, 128.0, 1e6, 2e6, 1e12, 1e-3] {
                check(whole / scale);
                check(-whole / scale);
            }
        }
        for edge in [0.0, -0.0, 5e-324, 1e-7, 5e-7, 0.0078125, 0.0234375, 0.9999995, 1e13, 1.9e13] {
            check(edge);
        }
        for edge in [9_007_199_254_740_992.0, 18_446_744_073_709.55, 1e300, f64::MAX, -f64::MAX] {
            check(edge);
            check(f64::from_bits(edge.to_bits() - 1));
        }
    }

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
