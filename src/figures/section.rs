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

impl FigureSection {
    pub const ALL: [Self; 8] = [
        Self::Server,
        Self::Input,
        Self::Series,
        Self::Flush,
        Self::Destinations,
        Self::Loss,
        Self::Memory,
        Self::Limits,
    ];

    /// Returns the name that `info SECTION` takes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Input => "input",
            Self::Series => "series",
            Self::Flush => "flush",
            Self::Destinations => "destinations",
            Self::Loss => "loss",
            Self::Memory => "memory",
            Self::Limits => "limits",
        }
    }

    /// Returns the name as a heading.
    pub fn title(self) -> String {
        let name = self.name();
        name[..1].to_ascii_uppercase() + &name[1..]
    }

    /// Returns the section with this name.
    pub fn named(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|section| section.name().as_bytes() == name)
    }
}
