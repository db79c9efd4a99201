//! [`SettingPlace`]: where a setting was given. Pure.

/// Where a section, a key or a flaw is. Places sort in the order in which they take effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SettingPlace {
    /// A line of the file. The first line is 1.
    Line(usize),
    /// The index of an entry of [`Overrides`](super::Overrides).
    Override(usize),
}

impl SettingPlace {
    /// The place of what the file does not set, for mistakes of the file as a whole.
    pub(super) const START: Self = Self::Line(1);

    /// Returns the number of the line. Returns 0 for a setting from outside of the file.
    pub fn line(self) -> usize {
        match self {
            Self::Line(line) => line,
            Self::Override(_) => 0,
        }
    }
}
