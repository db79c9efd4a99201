//! Why a line or a value was refused. All are counted. One a minute is logged, with its line.

use std::fmt;

/// The reason why a line or a value was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reject {
    NulInside,
    NoValue,
    NoType,
    EmptyName,
    NameTooLong,
    TooManyTags,
    UnknownType,
    RateInType,
    BadValue,
    NotLast,
    NegativeTime,
    BadRate,
    BareNumber,
    EmptySection,
    UnknownSection,
    BadTimestamp,
    TimedChange,
    TooLarge,
    LineTooLong,
    TooManyParts,
    UnknownCode,
    CutShort,
    NoNul,
    NotFinite,
}

impl Reject {
    /// Every reason, in the order of the enum.
    pub const ALL: [Self; 24] = [
        Self::NulInside,
        Self::NoValue,
        Self::NoType,
        Self::EmptyName,
        Self::NameTooLong,
        Self::TooManyTags,
        Self::UnknownType,
        Self::RateInType,
        Self::BadValue,
        Self::NotLast,
        Self::NegativeTime,
        Self::BadRate,
        Self::BareNumber,
        Self::EmptySection,
        Self::UnknownSection,
        Self::BadTimestamp,
        Self::TimedChange,
        Self::TooLarge,
        Self::LineTooLong,
        Self::TooManyParts,
        Self::UnknownCode,
        Self::CutShort,
        Self::NoNul,
        Self::NotFinite,
    ];

    /// Returns a short name, for the figures. It does not change when the text of the log does.
    pub fn name(self) -> &'static str {
        match self {
            Self::NulInside => "nul_inside",
            Self::NoValue => "no_value",
            Self::NoType => "no_type",
            Self::EmptyName => "empty_name",
            Self::NameTooLong => "name_too_long",
            Self::TooManyTags => "too_many_tags",
            Self::UnknownType => "unknown_type",
            Self::RateInType => "rate_in_type",
            Self::BadValue => "bad_value",
            Self::NotLast => "not_last",
            Self::NegativeTime => "negative_time",
            Self::BadRate => "bad_rate",
            Self::BareNumber => "bare_number",
            Self::EmptySection => "empty_section",
            Self::UnknownSection => "unknown_section",
            Self::BadTimestamp => "bad_timestamp",
            Self::TimedChange => "timed_change",
            Self::TooLarge => "too_large",
            Self::LineTooLong => "line_too_long",
            Self::TooManyParts => "too_many_parts",
            Self::UnknownCode => "unknown_code",
            Self::CutShort => "cut_short",
            Self::NoNul => "no_nul",
            Self::NotFinite => "not_finite",
        }
    }
}

impl fmt::Display for Reject {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::NulInside => "the line has a NUL byte inside",
            Self::NoValue => "no colon and value after the name",
            Self::NoType => "no type after the value",
            Self::EmptyName => "nothing is left of the name once it is cleaned",
            Self::NameTooLong => "name and tags are longer than max_key_length",
            Self::TooManyTags => "the line has more tags than max_tags",
            Self::UnknownType => "the type is none of c, m, C, ms, h, d, g, s, kv",
            Self::RateInType => "the type has an @ inside: a rate needs a bar before its @",
            Self::BadValue => "the value is not a finite decimal number",
            Self::NotLast => "packed_values lets only the last of several values count",
            Self::NegativeTime => "a value of type ms is negative (h and d may be)",
            Self::BadRate => "the rate is not a decimal number over 0 and at most 1",
            Self::BareNumber => "a rate has no @ before it, as in @0.1",
            Self::EmptySection => "the line ends with an empty section",
            Self::UnknownSection => "a section that is not known stands before a group",
            Self::BadTimestamp => "the timestamp is not a positive whole number of seconds",
            Self::TimedChange => "a signed gauge cannot have a timestamp",
            Self::TooLarge => "the value takes its series out of the range of a double",
            Self::LineTooLong => "the line or binary message is longer than max_line",
            Self::TooManyParts => "the line has more than 32768 values, types or sections",
            Self::UnknownCode => "the binary message is of no type from 1 to 6",
            Self::CutShort => "the binary message ends before the length it gives",
            Self::NoNul => "the key or member of the binary message does not end with a NUL",
            Self::NotFinite => "the value of the binary message is not a finite number",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reasons_are_in_the_order_of_the_enum() {
        for (at, reject) in Reject::ALL.iter().enumerate() {
            assert_eq!(*reject as usize, at);
        }
    }
}
