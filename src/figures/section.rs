//! [`FigureSection`]: the sections of `info`.

/// A section of `info`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FigureSection {
    Server,
    Input,
    Series,
    Flush,
    Destinations,
    Loss,
    Memory,
    Limits,
}
