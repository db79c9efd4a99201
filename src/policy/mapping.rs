//! How a rule changes a name and its tags.
//!
//! ```text
//!  airflow.dag.etl.load.duration;env=prod        as a client sends it
//!     match = airflow.dag.*.*.duration
//!     name = dag.duration
//!     tags = dag=$1, task=$2
//!     drop_tags = env
//!  dag.duration;dag=etl;task=load                the series
//! ```
//! The steps, whatever their order in the file: `drop_tags` and `keep_tags` remove tags, then
//! `rename_tag` gives others a new key, then `tags` adds some, then `max_tag_values` replaces
//! values.

use super::glob::Glob;
use super::rules::Rule;
use super::template::RuleName;
use crate::protocol::{cleaned, squeezed};

/// The value of a tag whose number of values is limited.
#[derive(Clone, Copy, Debug)]
pub struct LimitedTag<'a> {
    /// The number of the rule that limits it.
    pub rule: u8,
    pub key: &'a [u8],
    pub value: &'a [u8],
    pub most: u32,
}

/// The value that takes the place of those over a limit.
pub const OTHER: &[u8] = b"other";

/// The most bytes of a name that rules make. A record of the state file has room for as many.
const MADE_MAX: usize = 64_000;

/// The rules that change one name. Each is the first in file order that matches the name and has
/// the key.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct NameChanges<'a> {
    /// Has `name`, `tags` or both. They belong together, because they use the captures of one rule.
    pub(super) naming: Option<&'a Rule>,
    pub(super) drop_tags: Option<&'a Rule>,
    pub(super) keep_tags: Option<&'a Rule>,
    pub(super) rename_tag: Option<&'a Rule>,
    /// Has `max_tag_values`. With the number of the rule.
    pub(super) limits: Option<(u8, &'a Rule)>,
    /// Whether empty elements are removed from the name.
    pub(super) squeeze_dots: bool,
}

impl NameChanges<'_> {
    pub(super) fn is_none(&self) -> bool {
        self.naming.is_none()
            && self.drop_tags.is_none()
            && self.keep_tags.is_none()
            && self.rename_tag.is_none()
            && self.limits.is_none()
    }

    /// Returns the name of the series that the rules make of a clean name. Returns `None` if it is
    /// the name itself. `allows` returns whether one more value of a tag is within its limit.
    pub(super) fn apply(
        &self,
        name: RuleName<'_>,
        allows: &mut dyn FnMut(LimitedTag<'_>) -> bool,
    ) -> Option<Vec<u8>> {
        let composed = self.compose(name);
        let clean = if self.squeeze_dots { squeezed } else { cleaned };
        let mut made = composed.as_deref().map(clean);
        // The name would be lost if it were refused, so it stays as it is sent.
        made.take_if(|made| made.is_empty() || made[0] == b';' || made.len() > MADE_MAX);
        let sent = [name.bare, name.tags].concat();
        let made = self.limited(made.unwrap_or_else(|| sent.clone()), allows);
        // `other` may be longer than the values that it replaces.
        (made != sent && made.len() <= MADE_MAX.max(sent.len())).then_some(made)
    }

    /// Returns the name with its tags, which are not sorted yet. `None` if no rule changes them.
    fn compose(&self, name: RuleName<'_>) -> Option<Vec<u8>> {
        if self.naming.is_none()
            && self.drop_tags.is_none()
            && self.keep_tags.is_none()
            && self.rename_tag.is_none()
        {
            return None;
        }
        let mut out = Vec::with_capacity(name.bare.len() + name.tags.len() + 64);
        let naming = self.naming.map(|rule| (rule, rule.captured(name.bare)));
        if let Some((rule, captures)) = &naming
            && let Some(template) = &rule.rename
        {
            template.expand(name.bare, captures, &mut out);
        }
        if out.is_empty() {
            out.extend_from_slice(name.bare);
        }
        let keys = |rule: Option<&Rule>, is_in: fn(&Rule) -> Option<&Vec<Glob>>, key: &[u8]| {
            rule.and_then(is_in).map(|globs| globs.iter().any(|glob| glob.matches_tag(key)))
        };
        let is_kept = |key: &[u8]| {
            keys(self.drop_tags, |rule| rule.drop_tags.as_ref(), key) != Some(true)
                && keys(self.keep_tags, |rule| rule.keep_tags.as_ref(), key) != Some(false)
        };
        let renames = self.rename_tag.and_then(|rule| rule.rename_tag.as_deref());
        let new_key = |key: &[u8]| {
            let found = renames?.iter().find(|rename| rename.from.as_bytes() == key);
            found.map(|rename| rename.to.as_bytes())
        };
        let mut put = |key: &[u8], value: &dyn Fn(&mut Vec<u8>)| {
            let before = out.len();
            out.push(b';');
            out.extend_from_slice(key);
            out.push(b'=');
            let start = out.len();
            value(&mut out);
            if out.len() == start {
                out.truncate(before); // no destination stores a tag without a value
            }
        };
        // Of tags with the same key the last one stays: one that is added, else one that is
        // renamed.
        for is_renamed in [false, true] {
            for (key, value) in name.tags().filter(|(key, _)| is_kept(key)) {
                let new = new_key(key);
                if new.is_some() == is_renamed {
                    put(new.unwrap_or(key), &|out| out.extend_from_slice(value));
                }
            }
        }
        if let Some((rule, captures)) = &naming {
            for tag in rule.add_tags.iter().flatten() {
                put(tag.key.as_bytes(), &|out| tag.value.expand(name.bare, captures, out));
            }
        }
        Some(out)
    }

    /// Replaces the values of tags that have too many.
    fn limited(&self, made: Vec<u8>, allows: &mut dyn FnMut(LimitedTag<'_>) -> bool) -> Vec<u8> {
        let Some((number, rule)) = self.limits else { return made };
        let name = RuleName::new(&made);
        let mut out = name.bare.to_vec();
        for (key, value) in name.tags() {
            let limited =
                rule.tag_limit(key).map(|most| LimitedTag { rule: number, key, value, most });
            let is_over = limited.is_some_and(|tag| value != OTHER && !allows(tag));
            out.push(b';');
            out.extend_from_slice(key);
            out.push(b'=');
            out.extend_from_slice(if is_over { OTHER } else { value });
        }
        out
    }
}
