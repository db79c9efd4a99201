//! The settings of a load: names, types, tags, packet size, seed. Pure. They are checked before any
//! traffic is built.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

/// The largest payload a UDP packet carries over IPv4, in bytes.
pub const MAX_PACKET: usize = 65_507;

/// A description of traffic. The default is W2 of the bench: 1,432-byte packets, 1,000 names,
/// half counters, 30 % timings, 15 % gauges, 5 % sets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workload {
    /// Distinct names, over all types together. Each name has one type.
    pub names: usize,
    /// The prefix of names: `PREFIX.TYPE.000042`. The default makes names of usual length.
    pub prefix: String,
    pub mix: Mix,
    /// Three DogStatsD tags a line, the same ones each time for a name.
    pub tags: bool,
    /// Lines as Datadog's clients send them ([`crate::Contexts`]), `names` of them different. Then
    /// `prefix`, `mix` and `tags` have no effect.
    pub dogstatsd: bool,
    pub packing: Packing,
    pub seed: u64,
}

impl Default for Workload {
    fn default() -> Self {
        Self {
            names: 1000,
            prefix: "bench.web.api".to_owned(),
            mix: Mix { shares: [50, 30, 15, 5] },
            tags: false,
            dogstatsd: false,
            packing: Packing::Bytes(1432),
            seed: 1,
        }
    }
}

impl Workload {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        let kinds = Kind::ALL.iter().filter(|&&kind| self.mix.share(kind) > 0).count();
        let names = self.names;
        if names < if self.dogstatsd { 1 } else { kinds } {
            let reason = format!("{names} names are too few for {kinds} types: each needs one");
            return Err(Invalid(reason));
        }
        if !self.prefix.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)) {
            let prefix = &self.prefix;
            let reason = format!("{prefix:?} is no prefix: want letters, digits, and . _ - only");
            return Err(Invalid(reason));
        }
        match self.packing {
            Packing::Bytes(1..=MAX_PACKET) | Packing::Lines(1..) => Ok(()),
            Packing::Bytes(bytes) => {
                Err(Invalid(format!("packets of {bytes} bytes: want 1 to {MAX_PACKET}")))
            }
            Packing::Lines(_) => Err(Invalid("packets of 0 lines: want at least 1".to_owned())),
        }
    }

    /// How many of the names are of this type: its share, and at least one if it has a share. The
    /// rest of rounding goes to the type with the largest share.
    pub(crate) fn names_of(&self, kind: Kind) -> usize {
        let portion = |kind: Kind| match self.mix.share(kind) {
            0 => 0,
            share => (self.names * share / 100).max(1),
        };
        let largest = self.mix.largest();
        if kind != largest {
            return portion(kind);
        }
        let others = Kind::ALL.into_iter().filter(|&other| other != largest);
        self.names - others.map(portion).sum::<usize>()
    }
}

/// The metric types sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Timing,
    Gauge,
    Set,
}

impl Kind {
    pub const ALL: [Self; 4] = [Self::Counter, Self::Timing, Self::Gauge, Self::Set];

    /// The type as the protocol spells it.
    pub fn code(self) -> &'static str {
        match self {
            Self::Counter => "c",
            Self::Timing => "ms",
            Self::Gauge => "g",
            Self::Set => "s",
        }
    }

    fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }
}

/// The share of each type among the lines, in whole percent; they add up to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mix {
    shares: [usize; 4],
}

impl Mix {
    /// Only counters.
    pub const COUNTERS: Self = Self { shares: [100, 0, 0, 0] };

    pub fn share(self, kind: Kind) -> usize {
        self.shares[kind as usize]
    }

    fn largest(self) -> Kind {
        let by_share = |&kind: &Kind| (self.share(kind), std::cmp::Reverse(kind as usize));
        Kind::ALL.into_iter().max_by_key(by_share).expect("four types")
    }
}

impl FromStr for Mix {
    type Err = Invalid;

    /// Reads `c=50,ms=30,g=15,s=5`. A type left out has no share.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let invalid = || {
            let wanted = "want percentages that add up to 100, as c=60,ms=40";
            Invalid(format!("{text:?} is no mix: {wanted}"))
        };
        let mut shares = [0; 4];
        for part in text.split(',') {
            let (code, percent) = part.split_once('=').ok_or_else(invalid)?;
            let kind = Kind::from_code(code.trim()).ok_or_else(invalid)?;
            shares[kind as usize] = percent.trim().parse().map_err(|_| invalid())?;
        }
        let total = shares.iter().try_fold(0_usize, |sum, &share| sum.checked_add(share));
        if total == Some(100) { Ok(Self { shares }) } else { Err(invalid()) }
    }
}

/// When a packet is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// As many whole lines as fit this many bytes.
    Bytes(usize),
    /// This many lines; the last packet of a pass may have fewer.
    Lines(usize),
}

/// Why a workload cannot be built, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid(pub(crate) String);

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Invalid {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mix_is_read_in_any_order_and_adds_up_to_100() {
        assert_eq!("s=5, c=50,g=15,ms=30".parse(), Ok(Workload::default().mix));
        assert_eq!("c=100".parse(), Ok(Mix::COUNTERS));
        for bad in ["", "c", "c=", "c=99", "c=101", "x=100", "c=50,ms=51", "c=-1,ms=101"] {
            let refused = bad.parse::<Mix>().unwrap_err().to_string();
            assert!(refused.starts_with(&format!("{bad:?} is no mix")), "{refused}");
        }
    }

    #[test]
    fn names_are_shared_out_whole_and_no_type_goes_without() {
        let mixes = ["c=50,ms=30,g=15,s=5", "c=1,ms=1,g=49,s=49", "ms=34,g=33,s=33", "g=100"];
        for mix in mixes.map(|mix| mix.parse::<Mix>().unwrap()) {
            for names in 4..500 {
                let workload = Workload { names, mix, ..Workload::default() };
                let each = Kind::ALL.map(|kind| workload.names_of(kind));
                assert_eq!(each.iter().sum::<usize>(), names);
                for kind in Kind::ALL {
                    assert_eq!(each[kind as usize] > 0, mix.share(kind) > 0, "{names} {mix:?}");
                }
            }
        }
    }

    #[test]
    fn what_cannot_be_built_is_refused() {
        let refused = |workload: Workload| workload.check().unwrap_err().to_string();
        let base = Workload::default;
        let names = refused(Workload { names: 3, ..base() });
        assert!(names.starts_with("3 names are too few for 4 types"), "{names}");
        let contexts = |names| Workload { dogstatsd: true, names, ..base() };
        assert!(refused(contexts(0)).starts_with("0 names") && contexts(1).check().is_ok());
        for prefix in ["a b", "a:b", "a|b", "a\n"].map(str::to_owned) {
            assert!(refused(Workload { prefix, ..base() }).contains("is no prefix"));
        }
        for packing in [Packing::Bytes(0), Packing::Bytes(MAX_PACKET + 1), Packing::Lines(0)] {
            assert!(refused(Workload { packing, ..base() }).starts_with("packets of"));
        }
    }
}
