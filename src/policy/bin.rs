//! A histogram's bin and its name.

/// A bin by its upper bound, which is not in it; infinity: no bound. Never NaN.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Bin(f64);

impl Bin {
    /// The bin without a bound.
    pub const INF: Self = Self(f64::INFINITY);

    /// None when it is no number. There is but one zero.
    pub fn below(bound: f64) -> Option<Self> {
        (!bound.is_nan()).then_some(Self(bound + 0.0))
    }

    pub fn bound(self) -> f64 {
        self.0
    }

    /// What its figure is called: `bin_2_21`, `bin_inf`.
    pub fn label(self) -> String {
        format!("bin_{self}").replacen('.', "_", 1)
    }
}

impl std::fmt::Display for Bin {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_finite() {
            out.write_str(ryu_js::Buffer::new().format(self.0))
        } else {
            out.write_str("inf")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_what_node_writes() {
        for (bound, label) in [
            (1.0, "bin_1"),
            (2.21, "bin_2_21"),
            (-0.5, "bin_-0_5"),
            (-0.0, "bin_0"),
            (1e21, "bin_1e+21"),
            (f64::INFINITY, "bin_inf"),
        ] {
            assert_eq!(Bin::below(bound).unwrap().label(), label);
        }
        assert_eq!(Bin::below(f64::NAN), None);
    }
}
