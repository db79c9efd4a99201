//! The names that rules drop, by their hashes. It saves the matching of names that come again.

/// The hashes of dropped names, each with the number of the rule that drops it.
///
/// It has no entries if no rule drops names. If the place of a new name is taken, the name there is
/// forgotten. It is then compared with the rules again.
#[derive(Debug, Default)]
pub(super) struct DroppedNames {
    /// An entry is the high bits of a hash, and one more than the number of a rule. The low bits
    /// are the position of the bucket. 0 stands for none.
    buckets: Box<[[u64; BUCKET]]>,
}

/// Names whose hashes are equal in the low bits share a bucket. With one name in each, two names
/// of active clients would often replace each other, and each of their lines would be matched.
const BUCKET: usize = 8;
/// There is room for 131,072 names in one MiB. The system provides a page of it when a name is
/// first stored there.
const BUCKETS: usize = 1 << 14;
/// The bits of an entry that are the number of a rule.
const RULE: u64 = 0xff;

impl DroppedNames {
    pub(super) fn new(is_any_dropped: bool) -> Self {
        let buckets = if is_any_dropped { vec![[0; BUCKET]; BUCKETS] } else { Vec::new() };
        Self { buckets: buckets.into() }
    }

    /// Returns the number of the rule that drops the name with this hash, if that is remembered.
    #[inline]
    pub(super) fn rule_of(&self, hash: u64) -> Option<u8> {
        let bucket = self.buckets.get(bucket_of(hash))?;
        let found = bucket.iter().find(|entry| (**entry ^ hash) & !RULE == 0)?;
        u8::try_from((found & RULE).checked_sub(1)?).ok()
    }

    /// Remembers that a rule drops the name with this hash.
    pub(super) fn add(&mut self, hash: u64, rule: u8) {
        let Some(bucket) = self.buckets.get_mut(bucket_of(hash)) else { return };
        // The names of a full bucket are replaced at random, as their hashes are random. If the one
        // that was not used for longest were replaced, a few too many names would replace all.
        #[allow(clippy::cast_possible_truncation)] // the low bits are meant
        let random = (hash >> 32) as usize % BUCKET;
        let free = bucket.iter().position(|entry| *entry == 0 || (entry ^ hash) & !RULE == 0);
        bucket[free.unwrap_or(random)] = hash & !RULE | (u64::from(rule) + 1);
    }

    /// Forgets all names.
    pub(super) fn clear(&mut self) {
        *self = Self::new(!self.buckets.is_empty());
    }
}

#[allow(clippy::cast_possible_truncation)] // the low bits are meant
fn bucket_of(hash: u64) -> usize {
    hash as usize % BUCKETS
}

const _: () = assert!(BUCKETS as u64 > RULE, "the position has the bits that an entry lacks");

#[cfg(test)]
mod tests {
    use statsd_bench::Random;

    use super::*;

    #[test]
    fn a_name_is_remembered_with_its_rule_and_no_other_is() {
        let mut names = DroppedNames::new(true);
        let mut random = Random::new(1);
        let hashes: Vec<u64> = (0..20_000).map(|_| random.bits()).collect();
        for (hash, rule) in hashes.iter().zip((0..100).cycle()) {
            assert_eq!(names.rule_of(*hash), None);
            names.add(*hash, rule);
            names.add(*hash, rule);
        }
        for (hash, rule) in hashes.iter().zip((0..100).cycle()) {
            assert_eq!(names.rule_of(*hash), Some(rule));
            for bit in 0..64 {
                assert_eq!(names.rule_of(hash ^ 1 << bit), None, "{hash} {bit}");
            }
        }
        assert_eq!(names.rule_of(0), None);
        names.clear();
        assert!(hashes.iter().all(|hash| names.rule_of(*hash).is_none()));
        names.add(0, 7);
        assert_eq!(names.rule_of(0), Some(7));
    }

    #[test]
    fn of_too_many_names_most_places_are_kept() {
        let mut names = DroppedNames::new(true);
        let mut random = Random::new(2);
        let hashes: Vec<u64> = (0..2 * BUCKET * BUCKETS).map(|_| random.bits()).collect();
        for round in 0..3 {
            let found = hashes.iter().filter(|hash| {
                let is_known = names.rule_of(**hash).is_some();
                names.add(**hash, 3);
                is_known
            });
            let found = found.count();
            assert!(round == 0 || found > hashes.len() / 6, "{found} in round {round}");
        }
    }

    #[test]
    fn without_rules_that_drop_names_it_has_no_room() {
        let mut names = DroppedNames::new(false);
        names.add(5, 1);
        assert_eq!(names.rule_of(5), None);
        names.clear();
        assert_eq!(names.buckets.len(), 0);
    }
}
