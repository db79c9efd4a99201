//! Kinds of values that only rules have, such as patterns, tags and bins, and the tags of a name
//! space. Pure.

use super::ini::excerpt;
use super::value::{List, ValueKind, digits};
use crate::encode::namespace::ConstantTag;
use crate::policy::{
    BINS_MAX, Bin, Glob, NameRegex, NewTag, TagLimit, TagPattern, TagRename, Template,
};

/// A pattern for names, or for keys of tags.
pub(super) struct GlobText;

impl ValueKind<Glob> for GlobText {
    fn read(&self, text: &str) -> Result<Glob, String> {
        let expected = "expected patterns of visible ASCII such as api.**, without ; # and quotes";
        Glob::new(text).ok_or_else(|| expected.into())
    }

    fn show(&self, glob: &Glob) -> String {
        glob.to_string()
    }
}

/// A regular expression for names.
pub(super) struct RegexText;

impl ValueKind<NameRegex> for RegexText {
    fn read(&self, text: &str) -> Result<NameRegex, String> {
        if text.is_empty() {
            return Err("expected a regular expression".into());
        }
        NameRegex::new(text).map_err(|error| format!("expected a regular expression ({error})"))
    }

    fn show(&self, regex: &NameRegex) -> String {
        regex.as_str().into()
    }
}

/// The new name of a series, or the value of a tag.
pub(super) struct TemplateText;

impl ValueKind<Template> for TemplateText {
    fn read(&self, text: &str) -> Result<Template, String> {
        let expected = "expected a text of A-Z, a-z, 0-9, _, -, . and =, with $1 or ${1} in it";
        Template::new(text).ok_or_else(|| expected.into())
    }

    fn show(&self, template: &Template) -> String {
        template.as_str().into()
    }
}

/// A tag that a rule adds: `KEY=VALUE`.
pub(super) struct NewTagText;

impl ValueKind<NewTag> for NewTagText {
    fn read(&self, text: &str) -> Result<NewTag, String> {
        let expected = || "expected tags such as host=$1, dc=eu".to_owned();
        let (key, value) = pair(text).ok_or_else(expected)?;
        Ok(NewTag { key, value: TemplateText.read(value)? })
    }

    fn show(&self, tag: &NewTag) -> String {
        format!("{}={}", tag.key, tag.value.as_str())
    }
}

/// A tag that a name must have: `KEY`, or `KEY=PATTERN`.
pub(super) struct TagPatternText;

impl ValueKind<TagPattern> for TagPatternText {
    fn read(&self, text: &str) -> Result<TagPattern, String> {
        let expected = || "expected tags such as env, or env=test* with a pattern".to_owned();
        if is_key(text) {
            return Ok(TagPattern { key: text.into(), value: None });
        }
        let (key, value) = pair(text).ok_or_else(expected)?;
        let value = Some(Glob::new(value).ok_or_else(expected)?);
        Ok(TagPattern { key, value })
    }

    fn show(&self, tag: &TagPattern) -> String {
        match &tag.value {
            Some(value) => format!("{}={value}", tag.key),
            None => tag.key.clone(),
        }
    }
}

/// A new key for a tag: `OLD=NEW`.
pub(super) struct TagRenameText;

impl ValueKind<TagRename> for TagRenameText {
    fn read(&self, text: &str) -> Result<TagRename, String> {
        let found = pair(text).filter(|(_, to)| is_key(to));
        let (from, to) = found.ok_or("expected the old and the new key, such as dc=region")?;
        Ok(TagRename { from, to: to.into() })
    }

    fn show(&self, rename: &TagRename) -> String {
        format!("{}={}", rename.from, rename.to)
    }
}

/// The most values of a tag: `N` for each key, or `KEY=N`.
pub(super) struct TagLimitText;

/// A limit needs about 60 bytes for each value. Beyond this number the growth of its table would
/// take too long for one turn of the loop.
const VALUES_MAX: u32 = 100_000;

impl ValueKind<TagLimit> for TagLimitText {
    fn read(&self, text: &str) -> Result<TagLimit, String> {
        let number = |text: &str| {
            let most = digits(text).and_then(|most| u32::try_from(most).ok());
            most.filter(|most| (1..=VALUES_MAX).contains(most))
        };
        let limit = match pair(text) {
            Some((key, most)) => number(most).map(|most| TagLimit { key: Some(key), most }),
            None => number(text).map(|most| TagLimit { key: None, most }),
        };
        limit.ok_or_else(|| format!("expected numbers from 1 to {VALUES_MAX}, or KEY=NUMBER"))
    }

    fn show(&self, limit: &TagLimit) -> String {
        limit.to_string()
    }
}

/// The tags of a name space. A series has one value for each key.
pub(super) struct ConstantTagList;

impl ValueKind<Vec<ConstantTag>> for ConstantTagList {
    fn read(&self, text: &str) -> Result<Vec<ConstantTag>, String> {
        let tags = List(ConstantTagText).read(text)?;
        for (at, tag) in tags.iter().enumerate() {
            if tags[..at].iter().any(|before| before.key == tag.key) {
                return Err(format!("expected {} only once", tag.key));
            }
        }
        Ok(tags)
    }

    fn show(&self, tags: &Vec<ConstantTag>) -> String {
        List(ConstantTagText).show(tags)
    }

    fn found(&self, text: &str) -> String {
        List(ConstantTagText).found(text)
    }
}

/// A tag of a name space: `KEY=VALUE`. `$HOST` or `${HOST}` in the value is the short name of the
/// host.
struct ConstantTagText;

impl ValueKind<ConstantTag> for ConstantTagText {
    fn read(&self, text: &str) -> Result<ConstantTag, String> {
        let is_kept = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.=".contains(&byte);
        let is_clean = |value: &str| !value.is_empty() && value.bytes().all(is_kept);
        let expected = "expected tags such as dc=eu, host=$HOST";
        let (key, value) = pair(text).ok_or(expected)?;
        let tag = ConstantTag { key, value: value.into() };
        match tag.value_with("h") {
            Some(value) if is_clean(&value) => Ok(tag),
            None => Err(format!("{expected}; only $HOST and ${{HOST}} are replaced")),
            Some(_) => Err(expected.into()),
        }
    }

    fn show(&self, tag: &ConstantTag) -> String {
        format!("{}={}", tag.key, tag.value)
    }
}

/// Splits `KEY=TEXT`. Returns `None` if the key is none.
fn pair(text: &str) -> Option<(String, &str)> {
    let (key, value) = text.split_once('=')?;
    let key = key.trim();
    is_key(key).then(|| (key.to_owned(), value.trim()))
}

/// Whether a text is a key that a tag can have after cleaning.
fn is_key(text: &str) -> bool {
    let is_clean = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    (1..=128).contains(&text.len()) && text.bytes().all(is_clean)
}

/// The bins of a histogram: their upper bounds in ascending order. The last bound may be `inf`.
/// `min:max:width` stands for the bounds `min`, `min + width` and so on to `max`, and `inf`.
pub(super) struct Bins;

impl ValueKind<Vec<Bin>> for Bins {
    fn read(&self, text: &str) -> Result<Vec<Bin>, String> {
        let expected = || {
            format!(
                "expected at most {BINS_MAX} bounds in ascending order such as 10, 100, inf, \
                 or min:max:width with whole widths between"
            )
        };
        let bounds = if text.contains(':') { even_bounds(text) } else { listed_bounds(text) };
        let sound = |bounds: &Vec<f64>| {
            bounds.len() <= BINS_MAX && bounds.is_sorted_by(|one, next| one < next)
        };
        bounds.filter(sound).map(|bounds| Bin::histogram(&bounds)).ok_or_else(expected)
    }

    fn show(&self, bins: &Vec<Bin>) -> String {
        bins.iter().map(Bin::to_string).collect::<Vec<_>>().join(", ")
    }

    /// Names the first bound that is no number, or that is not above the bound before it.
    fn found(&self, text: &str) -> String {
        if text.contains(':') {
            return excerpt(text);
        }
        let mut before = None;
        for (index, word) in text.split(',').map(str::trim).enumerate() {
            let bound = listed_bounds(word).and_then(|bounds| bounds.first().copied());
            match bound {
                _ if index == BINS_MAX => return format!("{} bounds", text.split(',').count()),
                Some(bound) if before.is_none_or(|before| before < bound) => before = Some(bound),
                _ => return excerpt(word),
            }
        }
        excerpt(text)
    }
}

/// Returns the bounds of a list. Returns `None` if one of them is not a number.
fn listed_bounds(text: &str) -> Option<Vec<f64>> {
    let words = text.split(',').map(str::trim).filter(|_| !text.is_empty());
    let bound = |word| if word == "inf" { Some(f64::INFINITY) } else { plain(word) };
    // One more than allowed, so that the caller finds a list that is too long, but no more work.
    words.take(BINS_MAX + 1).map(bound).collect()
}

/// Returns the bounds of `min:max:width`. It computes with integers, in units of the last decimal
/// place that is written. With floats 0:1:0.1 would have the bound 0.30000000000000004. Returns
/// `None` if the widths are not whole or there are too many bins.
fn even_bounds(text: &str) -> Option<Vec<f64>> {
    let words: Vec<_> = text.split(':').map(str::trim).collect();
    let places = |word: &&str| word.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    let places = words.iter().map(places).max().filter(|&places| places <= 9)?;
    let unit = 10_f64.powi(i32::try_from(places).ok()?);
    let units = |word: &str| {
        let units = (plain(word)? * unit).round();
        #[allow(clippy::cast_possible_truncation)] // within what a double counts exactly
        (units.abs() < 9e15).then_some(units as i64)
    };
    let [min, max, width] = words[..] else { return None };
    let min = units(min)?;
    let max = units(max)?;
    let width = units(width)?;
    if width <= 0 || max < min || (max - min) % width != 0 || (max - min) / width >= BINS_MAX as i64
    {
        return None;
    }
    let bounds = (0..=(max - min) / width).map(|nth| (min + nth * width) as f64 / unit);
    Some(bounds.chain([f64::INFINITY]).collect())
}

/// Parses a number with sign, digits and a point, or with an exponent, as large numbers are shown.
/// `parse` alone would also accept `inf` and `nan`.
fn plain(text: &str) -> Option<f64> {
    let usual = text.bytes().all(|byte| byte.is_ascii_digit() || b".-+e".contains(&byte));
    text.parse().ok().filter(|number: &f64| usual && number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::super::value::tests::{both_ways, refused};
    use super::*;

    #[test]
    fn histograms() {
        let of = Bin::histogram;
        let inf = f64::INFINITY;
        both_ways(
            &Bins,
            &[
                ("", of(&[]), ""),
                ("10,100, inf", of(&[10.0, 100.0, inf]), "10, 100, inf"),
                ("-0.5, 2.21", of(&[-0.5, 2.21]), "-0.5, 2.21"),
                ("0:30:10", of(&[0.0, 10.0, 20.0, 30.0, inf]), "0, 10, 20, 30, inf"),
                ("0.1:0.4:0.1", of(&[0.1, 0.2, 0.3, 0.4, inf]), "0.1, 0.2, 0.3, 0.4, inf"),
                ("-5 : 5 : 10", of(&[-5.0, 5.0, inf]), "-5, 5, inf"),
                ("1, 1e21", of(&[1.0, 1e21]), "1, 1e+21"),
            ],
        );
        let wrong = [
            "inf, 1",
            "2, 1",
            "1, 1",
            "1,",
            "x",
            "nan",
            "infinity",
            "-inf",
            "0:10",
            "0:10:0",
            "10:0:1",
            "0:10:3",
            "0:1000:1",
            "0:1:0.0000000001",
            "0:1e300:1",
            "0:inf:1",
            "1:2:3:4",
        ];
        refused(&Bins, &wrong, "expected at most 256 bounds");
    }
}
