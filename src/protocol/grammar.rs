//! The settings of the protocol, and the ways in which clients write tags: what begins the tags,
//! what separates them, what ends them.

/// The lines that are accepted, as the configuration sets them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grammar {
    /// Whether names, keys and values are rewritten so that every sink can store them.
    pub sanitize: bool,
    /// The ways of writing tags that are read as tags.
    pub dialects: Dialects,
    /// Whether empty elements are removed from names: `a..b.` becomes `a.b`.
    pub squeeze_dots: bool,
    /// The longest canonical name, tags included, in bytes.
    pub max_key_length: usize,
    /// The most tags of a line. A tag whose key is repeated counts each time.
    pub max_tags: usize,
    /// Which groups may have several values.
    pub packed_values: PackedValues,
}

/// The types of which a group may have several values: `name:1:2|ms`.
///
/// Where it may not, only the last value counts, as in Node. A name with a colon then has one value
/// of its own: `host:8080:1|c` counts 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PackedValues {
    /// All types except sets.
    All,
    /// `ms`, `h` and `d`.
    Timings,
    /// None.
    No,
}

impl Default for Grammar {
    fn default() -> Self {
        Self {
            sanitize: true,
            dialects: Dialects::default(),
            squeeze_dots: false,
            max_key_length: 8 << 10,
            max_tags: 100,
            packed_values: PackedValues::All,
        }
    }
}

impl Grammar {
    /// Whether the reader leaves every canonical name as it is: it cleans nothing, and finds the
    /// tags.
    pub(crate) fn is_idempotent(&self) -> bool {
        self.sanitize && self.dialects.has(Dialect::Graphite)
    }

    /// Whether the reader makes the same names with `other`.
    pub(crate) fn names_as(&self, other: &Self) -> bool {
        *self == Self { packed_values: self.packed_values, ..other.clone() }
    }
}

/// A way of writing tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// A section: `name:1|c|#k:v,k2:v2`.
    Dogstatsd,
    /// `name;k=v;k2=v2:1|c`.
    Graphite,
    /// `name,k=v,k2=v2:1|c`.
    Influx,
    /// `name#k=v,k2=v2:1|c`.
    Librato,
    /// `name[k=v,k2=v2]:1|c`. The text after the bracket belongs to the name.
    Signalfx,
}

/// The dialects that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialects(u8);

/// The form of tags that are part of the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Inline {
    pub(super) dialect: Dialect,
    opens: u8,
    pub(super) separates: u8,
    closes: Option<u8>,
}

/// All forms of tags inside a name. In all of them `=` separates keys and values.
const INLINE: [Inline; 4] = [
    Inline { dialect: Dialect::Graphite, opens: b';', separates: b';', closes: None },
    Inline { dialect: Dialect::Influx, opens: b',', separates: b',', closes: None },
    Inline { dialect: Dialect::Librato, opens: b'#', separates: b',', closes: None },
    Inline { dialect: Dialect::Signalfx, opens: b'[', separates: b',', closes: Some(b']') },
];

impl Inline {
    /// Splits the text after the opening into the tags and the rest of the name.
    pub(super) fn split(self, text: &[u8]) -> (&[u8], &[u8]) {
        let end = self.closes.and_then(|closes| memchr::memchr(closes, text));
        end.map_or((text, &[]), |end| (&text[..end], &text[end + 1..]))
    }
}

impl Dialect {
    pub const ALL: [Self; 5] =
        [Self::Dogstatsd, Self::Graphite, Self::Influx, Self::Librato, Self::Signalfx];
}

impl Dialects {
    pub const NONE: Self = Self(0);

    #[must_use]
    pub fn with(self, dialect: Dialect) -> Self {
        Self(self.0 | 1 << dialect as u8)
    }

    pub fn has(self, dialect: Dialect) -> bool {
        self.0 & (1 << dialect as u8) != 0
    }

    /// Finds the first byte that opens tags in one of these dialects. Returns its index in the
    /// name, and the form of the tags after it.
    pub(super) fn find(self, name: &[u8]) -> Option<(usize, Inline)> {
        name.iter().enumerate().find_map(|(at, byte)| {
            let opened = |inline: &&Inline| inline.opens == *byte && self.has(inline.dialect);
            INLINE.iter().find(opened).map(|inline| (at, *inline))
        })
    }
}

impl Default for Dialects {
    fn default() -> Self {
        Self::from_iter([Dialect::Dogstatsd, Dialect::Graphite])
    }
}

impl FromIterator<Dialect> for Dialects {
    fn from_iter<T: IntoIterator<Item = Dialect>>(dialects: T) -> Self {
        dialects.into_iter().fold(Self::NONE, Self::with)
    }
}
