//! The share of each sender and prefix in the series that may be given up: those that had values
//! in one interval alone, or have been idle for `evict_after`. When the table is full, a new name
//! takes the place of a series of the largest groups, so that a flood makes room for others and not
//! for itself. Established series do not count. Otherwise they would hide a smaller flood, which
//! alone has something to give up.
//!
//! ```text
//!  groups of a series:  first two elements of its name ─ first element ─ sender
//!        with tags:     whole name without tags ─ first two elements ─ sender
//!                       └─────── the largest of each ──▶ the largest group of all ───────┘
//!                                                             ▼ and those of the other kinds that
//!                                                     a flood   have most of its series, too
//! ```
//! But if a group is a part of a larger one and has at least half of its series, it counts as the
//! largest. So if many senders flood one prefix, that prefix is the largest group. If one sender
//! makes up prefixes, that sender is. If one sender floods a prefix that others have, too, the
//! flood is what is in both groups, and not the names of the others.
//!
//! If the table is full by the bytes of its series, a series counts by its size: its name, and
//! those of its tags that no other series had before it. So a few series with long names can be the
//! largest group. All is counted in fixed memory. Prefixes share a counter if 14 bits of their
//! hashes are equal.
//!
//! Series that were established and have been idle since, but not for `evict_after`, are *dormant*.
//! While the table is full, each sweep counts them in groups of their own. See [`DormantGroup`].

use super::membership::{
    Flood, Group, KINDS, Membership, PREFIX_BITS, SENDER, WEIGHT_BYTES, prefixes,
};

/// The series that fill the table, as the log shows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LargestGroup {
    /// The prefix that their names share. `None` if a sender makes up prefixes.
    pub prefix: Option<Vec<u8>>,
    /// The number of the sender of the example. 0 if it is unknown.
    pub sender: u16,
    /// The number of them.
    pub series: usize,
    /// The percentage of the series in [`of`](Self::of), or of their memory if the table is full by
    /// bytes.
    pub percent: usize,
    /// Of which series it is a share: `new series`, `idle series` or `all series`.
    pub of: &'static str,
    /// One of their names.
    pub example: Vec<u8>,
}

/// What a new name may take the place of.
#[derive(Clone, Copy, Debug)]
pub(super) struct RoomClaim {
    pub(super) flood: Flood,
    /// Whether the name is one of the flood.
    pub(super) is_of_flood: bool,
    /// The group of the flood that gives up one of its newest series for the name. The group of the
    /// name stays at most half as large, so that two groups never take from each other in turn.
    pub(super) giver: Option<Group>,
    /// The groups whose dormant series give up their places for the name.
    pub(super) dormant: Option<Flood>,
}

/// The groups with the most dormant series, if these are a large part of the table. They are dead
/// series of one program, such as those of pods that are gone. If they gave up no places, they
/// would keep all new names out until `evict_after` has passed.
///
/// A flood of new names must not take the place of well-behaved series that are idle for a while.
/// So the dormant series give up their places only while no flood has room to give up: while the
/// largest group of new series is small beside them, and so are all new series together. Once
/// a flood has taken a part of the places, it makes room itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct DormantGroup {
    pub(super) flood: Flood,
    pub(super) share: Share,
}

/// What one group has of all series that are counted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Share {
    /// By the present measure.
    size: u32,
    pub(super) series: usize,
    pub(super) percent: usize,
}

/// The dormant series of a group count if they are this part of the table. Well-behaved programs
/// have fewer at a time.
const DORMANT_PART: u64 = 8;
/// A flood of new names that has more than this part of the size of the dormant series makes room
/// itself.
const DORMANT_GIVEN_PART: u64 = 8;
/// The largest group of new series is what fills the table if it is this part of the table. A
/// smaller one may be well-behaved names, the first of which have just got in.
const NEW_PART: u64 = 16;

/// The sizes of all groups. Only series that may be given up count.
#[derive(Debug, Default)]
pub(super) struct SeriesGroups {
    /// The sizes of each group. Empty until the first series is counted. The memory of groups
    /// without series is never touched.
    groups: [Vec<Sizes>; KINDS],
    /// The sizes of all these series together.
    all: [usize; MEASURES],
    /// A largest group of each kind, by each measure.
    largest: [[u16; KINDS]; MEASURES],
    /// The number of series that do not count any more since the largest groups were found.
    removed: usize,
    /// [`BYTES`] if the table is full by the bytes of its series, else [`NUMBER`].
    measure: usize,
    /// The size of the whole table by this measure.
    whole: u64,
    /// See [`DormantGroup`]. Set at the end of each sweep of a full table.
    dormant: Option<DormantGroup>,
    /// Whether a name was refused, or has replaced a new one.
    has_refused: bool,
    /// The groups of the series that was created last in each group.
    last: [Vec<[u16; KINDS]>; KINDS],
    newcomers: Newcomers,
    /// A name of [`note_refused`](Self::note_refused).
    example: Option<ExampleName>,
}

/// The groups that the last new names were in. They show whether a prefix and a sender are of the
/// same flood. Old ones count for less.
#[derive(Debug, Default)]
struct Newcomers {
    /// The largest group of each kind. If one of them changes, all is counted again.
    largest: [u16; KINDS],
    /// The names in the largest group of each kind.
    of_largest: [u32; KINDS],
    /// Those that are in the largest group of senders, too.
    of_sender: [u32; KINDS],
}

/// The name of a series that is an example of its groups.
#[derive(Debug)]
pub(super) struct ExampleName {
    /// The name, cut at [`EXAMPLE_BYTES_MAX`].
    name: Vec<u8>,
    /// The prefixes of the whole name, cut in the same way.
    prefixes: [Vec<u8>; KINDS - 1],
    membership: Membership,
}

const EXAMPLE_BYTES_MAX: usize = 200;

/// The size of a group: the number of its series, and their bytes in the unit of
/// [`Membership::weight`]. It stays at the largest number if the group takes more than 64 GiB.
type Sizes = [u32; MEASURES];
const MEASURES: usize = 2;
const NUMBER: usize = 0;
const BYTES: usize = 1;

/// What one series adds to the sizes of its groups.
fn sizes_of(membership: &Membership) -> Sizes {
    [1, membership.weight()]
}

/// The number of groups of a kind.
fn groups_of(kind: usize) -> usize {
    1 << if kind == SENDER { u16::BITS } else { PREFIX_BITS }
}

impl SeriesGroups {
    /// Counts a series that may be given up from now on.
    #[inline(never)] // it has many callers
    pub(super) fn add(&mut self, membership: &Membership) {
        if self.groups[SENDER].is_empty() {
            self.groups = std::array::from_fn(|kind| vec![[0; MEASURES]; groups_of(kind)]);
            self.last = std::array::from_fn(|kind| vec![[0; KINDS]; groups_of(kind)]);
        }
        let more = sizes_of(membership);
        for (all, more) in self.all.iter_mut().zip(more) {
            *all += more as usize;
        }
        for (kind, &id) in membership.groups.iter().enumerate() {
            self.last[kind][usize::from(id)] = membership.groups;
            let groups = &mut self.groups[kind];
            for (measure, more) in more.into_iter().enumerate() {
                let size = &mut groups[usize::from(id)][measure];
                *size = size.saturating_add(more);
                let largest = &mut self.largest[measure][kind];
                // Most series are of the largest group.
                if *largest != id
                    && groups[usize::from(id)][measure] > groups[usize::from(*largest)][measure]
                {
                    *largest = id;
                }
            }
        }
    }

    /// Counts that a series is removed, or is not given up from now on.
    pub(super) fn remove(&mut self, membership: &Membership) {
        self.removed += 1;
        let less = sizes_of(membership);
        for (all, less) in self.all.iter_mut().zip(less) {
            *all -= less as usize;
        }
        for (groups, &id) in self.groups.iter_mut().zip(&membership.groups) {
            for (size, less) in groups[usize::from(id)].iter_mut().zip(less) {
                *size = size.saturating_sub(less);
            }
        }
    }

    /// Changes the size of a series that takes `more` bytes, and `fewer` bytes than before. If it
    /// may be given up, its groups change, too.
    pub(super) fn change(
        &mut self,
        membership: &mut Membership,
        is_spare: bool,
        more: usize,
        fewer: usize,
    ) {
        let before = *membership;
        membership.change_bytes(more, fewer);
        if is_spare && membership.weight() != before.weight() {
            self.remove(&before);
            self.add(membership);
        }
    }

    /// Sets whether groups count by the bytes of their series, or by their number. The table has
    /// this many series and bytes.
    pub(super) fn count_bytes(&mut self, counts_bytes: bool, series: usize, bytes: usize) {
        self.measure = if counts_bytes { BYTES } else { NUMBER };
        self.whole = if counts_bytes { bytes / WEIGHT_BYTES } else { series } as u64;
    }

    /// Returns groups without series that count as these do.
    pub(super) fn empty_copy(&self) -> Self {
        Self { measure: self.measure, ..Self::default() }
    }

    /// Sets which dormant series may give up their places until the next sweep has ended. `counted`
    /// has all dormant series. It is empty afterwards.
    #[inline(never)]
    pub(super) fn set_dormant(&mut self, counted: &mut Self) {
        self.dormant = None;
        if counted.all[NUMBER] == 0 {
            return;
        }
        let mut counted = std::mem::take(counted);
        counted.measure = self.measure;
        let flood = counted.flood();
        let share = counted.share(flood);
        let is_large = share.size > 1 && u64::from(share.size) * DORMANT_PART >= self.whole;
        self.dormant = is_large.then_some(DormantGroup { flood, share });
    }

    /// The dormant series that may give up their places.
    pub(super) fn dormant(&self) -> Option<DormantGroup> {
        self.dormant
    }

    /// Whether a name was refused, or has replaced a new one.
    pub(super) fn has_refused(&self) -> bool {
        self.has_refused
    }

    /// Finds the largest groups again if many series do not count any more. It reads all counters,
    /// which takes about as long as to create 50 series.
    pub(super) fn find_largest_if_changed(&mut self) {
        if self.removed > 64 + self.all[NUMBER] / 16 {
            self.find_largest();
        }
    }

    /// Finds the largest groups again, since removals do not.
    pub(super) fn find_largest(&mut self) {
        self.removed = 0;
        let Newcomers { of_largest, of_sender, .. } = &mut self.newcomers;
        of_largest.iter_mut().chain(of_sender).for_each(|names| *names /= 2);
        for (measure, largest) in self.largest.iter_mut().enumerate() {
            for (groups, largest) in self.groups.iter().zip(largest) {
                let most = groups.iter().enumerate().max_by_key(|(_, sizes)| sizes[measure]);
                *largest = most.and_then(|(id, _)| u16::try_from(id).ok()).unwrap_or_default();
            }
        }
    }

    /// A largest group of each kind.
    fn largest(&self) -> [u16; KINDS] {
        self.largest[self.measure]
    }

    /// Returns what one series adds to the sizes of its groups.
    fn size_of(&self, membership: &Membership) -> u32 {
        sizes_of(membership)[self.measure]
    }

    fn count(&self, group: Group) -> u32 {
        let sizes = self.groups[group.kind].get(usize::from(group.id));
        sizes.map_or(0, |sizes| sizes[self.measure])
    }

    /// Whether `group` is a part of another group, as far as its last series shows it.
    fn is_part(&self, group: Group, of: Group) -> bool {
        let last = self.last[group.kind].get(usize::from(group.id));
        last.is_some_and(|last| last[of.kind] == of.id)
    }

    /// Whether the largest group of senders and that of a kind of prefixes have most of their
    /// series in common, as far as their sizes or the last new names show it.
    fn is_of_sender(&self, prefix: Group, sender: Group) -> bool {
        let of_prefix = self.count(prefix) as usize;
        let of_sender = self.count(sender) as usize;
        if (of_prefix + of_sender).saturating_sub(self.all[self.measure]) * 2 > of_prefix {
            return true;
        }
        let Newcomers { of_largest, of_sender, .. } = &self.newcomers;
        match of_largest[prefix.kind].min(of_largest[SENDER]) {
            0 => self.is_part(prefix, sender) || self.is_part(sender, prefix),
            fewer => of_sender[prefix.kind] * 2 >= fewer,
        }
    }

    /// Returns the groups that the flood is in. Returns no group if no two series have one in
    /// common.
    #[inline(never)] // it has many callers
    pub(super) fn flood(&self) -> Flood {
        flood(
            self.largest(),
            |group| self.count(group),
            |group, other| self.is_part(group, other),
            |prefix, sender| self.is_of_sender(prefix, sender),
        )
    }

    /// Returns the share of a flood of all series that are counted here.
    #[inline(never)]
    pub(super) fn share(&self, flood: Flood) -> Share {
        // All of these groups have the series of the flood, and perhaps others.
        let smallest = flood.groups().min_by_key(|group| self.count(*group));
        let Some(group) = smallest else { return Share::default() };
        let size = self.count(group);
        let series = self.groups[group.kind][usize::from(group.id)][NUMBER] as usize;
        Share { size, series, percent: size as usize * 100 / self.all[self.measure].max(1) }
    }

    /// Returns what a new name may take the place of.
    pub(super) fn claim(&self, newcomer: &Membership) -> RoomClaim {
        self.claim_of(self.flood(), newcomer, &|group| self.count(group))
    }

    #[inline(never)]
    fn claim_of(
        &self,
        flood: Flood,
        newcomer: &Membership,
        count: &dyn Fn(Group) -> u32,
    ) -> RoomClaim {
        let giver = flood.groups().find(|group| !newcomer.is_in(*group)).filter(|giver| {
            let own = count(Group { kind: giver.kind, id: newcomer.groups[giver.kind] });
            // One series makes the giver smaller, and the own group larger.
            count(*giver).saturating_sub(own).saturating_sub(own) >= 2
        });
        let new = flood.groups().map(count).min().unwrap_or_default();
        let dormant = self.dormant.filter(|dormant| {
            // If they have only their sender in common, the names of that sender may be those of
            // many programs. One of them must not take the place of another one's.
            let is_own = dormant.flood.is_of_sender() && dormant.flood.has(newcomer);
            !is_own && dormant.is_larger(new) && dormant.is_larger_than_all(self.all[self.measure])
        });
        let dormant = dormant.map(|dormant| dormant.flood);
        RoomClaim { flood, is_of_flood: flood.has(newcomer), giver, dormant }
    }

    /// Notes a name that was refused, or that replaced another one of the flood. The first one of
    /// the flood is kept as its example.
    #[cold]
    pub(super) fn note_refused(&mut self, name: &[u8], membership: Membership) {
        self.has_refused = true;
        let largest = self.largest();
        if self.newcomers.largest != largest {
            self.newcomers = Newcomers { largest, ..Newcomers::default() };
        }
        let is_of_sender = membership.groups[SENDER] == largest[SENDER];
        for (kind, id) in largest.into_iter().enumerate() {
            let is_of_largest = membership.groups[kind] == id;
            self.newcomers.of_largest[kind] += u32::from(is_of_largest);
            self.newcomers.of_sender[kind] += u32::from(is_of_largest && is_of_sender);
        }
        let flood = self.flood();
        let is_known = self.example.as_ref().is_some_and(|known| flood.has(&known.membership));
        if !is_known && flood.has(&membership) {
            self.example = Some(ExampleName::new(name, membership));
        }
    }

    /// Returns the flood, if names of it were refused, and if it is what fills the table.
    pub(super) fn described(&self) -> Option<LargestGroup> {
        let flood = self.flood();
        let share = self.share(flood);
        let is_small = u64::from(share.size) * NEW_PART < self.whole
            || self.dormant.is_some_and(|dormant| dormant.is_larger(share.size));
        let example = self.example.as_ref().filter(|known| flood.has(&known.membership))?;
        (!is_small).then(|| example.describe(flood, share, "new series"))
    }
}

impl DormantGroup {
    /// Whether it is much larger than a group of this size.
    fn is_larger(&self, size: u32) -> bool {
        u64::from(size) * DORMANT_GIVEN_PART <= self.share.size.into()
    }

    /// Whether it is much larger than new series of this size that have nothing in common.
    fn is_larger_than_all(&self, size: usize) -> bool {
        size as u64 * 2 <= self.share.size.into()
    }
}

impl ExampleName {
    pub(super) fn new(name: &[u8], membership: Membership) -> Self {
        let cut = |text: &[u8]| text[..text.len().min(EXAMPLE_BYTES_MAX)].to_vec();
        let prefixes =
            prefixes(name).map(|prefix| cut(prefix.strip_suffix(b";").unwrap_or(prefix)));
        Self { name: cut(name), prefixes, membership }
    }

    /// Describes the groups that the name is an example of.
    pub(super) fn describe(&self, flood: Flood, share: Share, of: &'static str) -> LargestGroup {
        let prefix = flood.groups().next().and_then(|group| self.prefixes.get(group.kind));
        let Share { series, percent, .. } = share;
        let sender = self.membership.groups[SENDER];
        let example = self.name.clone();
        LargestGroup { prefix: prefix.cloned(), sender, series, percent, of, example }
    }
}

/// See [`SeriesGroups::flood`]. It begins with the largest group. Those of the other kinds are of
/// the same flood if they have at least half as many series, and most of them in common with it.
fn flood(
    of_kinds: [u16; KINDS],
    count: impl Fn(Group) -> u32,
    is_part: impl Fn(Group, Group) -> bool,
    is_of_sender: impl Fn(Group, Group) -> bool,
) -> Flood {
    let mut flood = Flood::default();
    let Some(largest) = largest_group(of_kinds, &count, &is_part) else { return flood };
    for (kind, id) in of_kinds.into_iter().enumerate() {
        let group = Group { kind, id };
        let is_large = u64::from(count(group)) * 2 >= count(largest).into();
        let is_common = || match (largest.kind.min(kind), largest.kind.max(kind)) {
            (_, SENDER) if of_kinds[SENDER] == 0 => false,
            (prefix, SENDER) => {
                let of = |kind: usize| Group { kind, id: of_kinds[kind] };
                is_of_sender(of(prefix), of(SENDER))
            }
            _ if largest.kind < kind => is_part(largest, group),
            _ => is_part(group, largest),
        };
        flood.groups[kind] = (group == largest || is_large && is_common()).then_some(id);
    }
    flood
}

/// Returns the largest group. Returns `None` if no two series have a group in common.
fn largest_group(
    of_kinds: [u16; KINDS],
    count: impl Fn(Group) -> u32,
    is_part: impl Fn(Group, Group) -> bool,
) -> Option<Group> {
    let mut largest = Group { kind: 0, id: of_kinds[0] };
    for (kind, &id) in of_kinds.iter().enumerate().skip(1) {
        let other = Group { kind, id };
        if kind == SENDER && other.id == 0 {
            break; // the number stands for all senders that are not known
        }
        let weight = if is_part(largest, other) { 2 } else { 1 };
        if u64::from(count(largest)) * weight < count(other).into() {
            largest = other;
        }
    }
    (count(largest) > 1).then_some(largest)
}

/// A few series that are created and evicted, without a change of the
/// [`SeriesGroups`]: what an explanation reads in their place.
#[derive(Clone, Debug, Default)]
pub(super) struct GroupChanges {
    added: Vec<Membership>,
    removed: Vec<Membership>,
    /// The largest group of each kind, if it has changed.
    largest: [Option<u16>; KINDS],
}

impl GroupChanges {
    /// Counts a new series, as [`SeriesGroups::add`] does.
    pub(super) fn add(&mut self, groups: &SeriesGroups, membership: &Membership) {
        self.added.push(*membership);
        let before = self.largest(groups);
        for (kind, &id) in membership.groups.iter().enumerate() {
            let count = |id| self.count(groups, Group { kind, id });
            if count(id) > count(before[kind]) {
                self.largest[kind] = Some(id);
            }
        }
    }

    /// Counts that a series is removed.
    pub(super) fn remove(&mut self, membership: &Membership) {
        self.removed.push(*membership);
    }

    /// See [`SeriesGroups::claim`].
    pub(super) fn claim(&self, groups: &SeriesGroups, newcomer: &Membership) -> RoomClaim {
        let flood = flood(
            self.largest(groups),
            |group| self.count(groups, group),
            |group, other| match self.added.iter().rev().find(|last| last.is_in(group)) {
                Some(last) => last.is_in(other),
                None => groups.is_part(group, other),
            },
            |prefix, sender| groups.is_of_sender(prefix, sender),
        );
        groups.claim_of(flood, newcomer, &|group| self.count(groups, group))
    }

    fn largest(&self, groups: &SeriesGroups) -> [u16; KINDS] {
        std::array::from_fn(|kind| self.largest[kind].unwrap_or_else(|| groups.largest()[kind]))
    }

    fn count(&self, groups: &SeriesGroups, group: Group) -> u32 {
        let of = |all: &[Membership]| {
            let of_group = all.iter().filter(|membership| membership.is_in(group));
            of_group.fold(0, |sum: u32, membership| sum.saturating_add(groups.size_of(membership)))
        };
        groups.count(group).saturating_add(of(&self.added)).saturating_sub(of(&self.removed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(text: &[u8]) -> u64 {
        ahash::RandomState::with_seeds(1, 2, 3, 4).hash_one(text)
    }

    /// Counts series with these senders and names. Returns the kind of the largest group, too.
    fn counted(series: impl IntoIterator<Item = (u16, String)>) -> (usize, SeriesGroups) {
        let mut groups = SeriesGroups::default();
        for (sender, name) in series {
            groups.add(&Membership::new(name.as_bytes(), sender, hash));
        }
        (groups.flood().groups().next().unwrap().kind, groups)
    }

    fn is_in(groups: &SeriesGroups, sender: u16, name: &str) -> bool {
        groups.flood().has(&Membership::new(name.as_bytes(), sender, hash))
    }

    #[test]
    fn the_largest_group_is_what_the_series_of_a_flood_share() {
        let good = || (0..1000).map(|n| (2, format!("app.web.{n}.hits")));
        // One sender and one prefix.
        let (_, groups) = counted(good().chain((0..5000).map(|n| (1, format!("a.junk.{n}")))));
        assert!(is_in(&groups, 1, "a.junk.x") && !is_in(&groups, 9, "a.junk.x"));
        assert!(!is_in(&groups, 1, "b.c.d"));
        // One sender for all, and one prefix.
        let (_, groups) = counted(good().chain((0..5000).map(|n| (2, format!("junk.{n}")))));
        assert!(is_in(&groups, 2, "junk.x") && !is_in(&groups, 2, "app.web.x"));
        // One sender that makes up second elements.
        let (kind, groups) = counted(good().chain((0..5000).map(|n| (2, format!("junk.{n}.x")))));
        assert_eq!(kind, 1);
        assert!(is_in(&groups, 2, "junk.new.x") && !is_in(&groups, 2, "app.web.x"));
        // One sender that makes up whole names.
        let (kind, groups) = counted(good().chain((0..5000).map(|n| (1, format!("{n}.b.c")))));
        assert_eq!(kind, SENDER);
        assert!(is_in(&groups, 1, "app.web.x") && !is_in(&groups, 2, "app.web.x"));
        // One name with a tag of many values, beside others with the same first element.
        let tagged = |n: u32| (2, format!("app.requests;user={n}"));
        let (kind, groups) = counted(good().chain((0..5000).map(tagged)));
        assert_eq!(kind, 0);
        assert!(is_in(&groups, 2, "app.requests;user=x") && !is_in(&groups, 2, "app.errors"));
        // Many senders, which may be forged, and one prefix.
        let (_, groups) = counted(good().chain((0..5000).map(|n| (3 + n, format!("a.junk.{n}")))));
        assert!(is_in(&groups, 9, "a.junk.x") && !is_in(&groups, 2, "app.web.x"));
    }

    /// Shows that the prefix is that of the whole name, also if its tags are past the example.
    #[test]
    fn the_prefix_of_a_long_name_with_tags_is_that_of_the_whole_name() {
        let name = |n: u16| format!("app.web.{n}{};user=7", "x".repeat(EXAMPLE_BYTES_MAX));
        let (_, mut groups) = counted((0..100).map(|n| (2 + n, name(n))));
        let refused = name(100).into_bytes();
        groups.note_refused(&refused, Membership::new(&refused, 1, hash));
        let group = groups.described().unwrap();
        assert_eq!(group.prefix.as_deref(), Some(&b"app.web"[..]));
        assert_eq!(group.example, &refused[..EXAMPLE_BYTES_MAX]);
    }

    #[test]
    fn removed_series_do_not_count() {
        let (_, mut groups) = counted((0..100).map(|n| (1, format!("a.b.{n}"))));
        (0..50).for_each(|n| groups.add(&Membership::new(format!("c.d.{n}").as_bytes(), 2, hash)));
        assert!(is_in(&groups, 1, "a.b.x"));
        (0..90)
            .for_each(|n| groups.remove(&Membership::new(format!("a.b.{n}").as_bytes(), 1, hash)));
        groups.find_largest();
        assert!(is_in(&groups, 2, "c.d.x") && !is_in(&groups, 1, "a.b.x"));
    }

    #[test]
    fn two_groups_do_not_take_from_each_other_in_turn() {
        let (_, groups) = counted((0..100).map(|n| (1, format!("a.b.{n}"))));
        let membership = |name: &str| Membership::new(name.as_bytes(), 1, hash);
        assert!(groups.claim(&membership("a.b.new")).giver.is_none());
        assert!(groups.claim(&membership("c.d.new")).giver.is_some());
        let names = (0..100).map(|n| (1, format!("a.b.{n}")));
        let (_, groups) = counted(names.chain((0..50).map(|n| (1, format!("c.d.{n}")))));
        assert!(groups.claim(&membership("c.d.new")).giver.is_none(), "it has half as many");
    }

    #[test]
    fn a_group_of_more_than_64_gib_is_the_largest() {
        let mut groups = SeriesGroups::default();
        groups.count_bytes(true, 0, 0);
        let membership = |name: &str, bytes| {
            let mut membership = Membership::new(name.as_bytes(), 1, hash);
            membership.set_bytes(bytes);
            membership
        };
        let largest = membership("a.b.c", 1 << 20);
        (0..(1 << 16) + 2).for_each(|_| groups.add(&largest));
        groups.add(&membership("c.d.e", 1 << 20));
        assert!(groups.flood().has(&largest));
        groups.remove(&largest);
        assert!(groups.flood().has(&largest));
    }

    #[test]
    fn a_series_that_gets_a_longer_original_name_counts_for_more() {
        let mut groups = SeriesGroups::default();
        groups.count_bytes(true, 0, 0);
        let mut one = Membership::new(b"a.b.c", 0, hash);
        let mut other = Membership::new(b"c.d.e", 0, hash);
        one.set_bytes(4000);
        other.set_bytes(100);
        [&one, &other, &one, &other].into_iter().for_each(|membership| groups.add(membership));
        assert!(groups.flood().has(&one));
        groups.change(&mut other, true, 8000, 0);
        assert!(groups.flood().has(&other));
        groups.change(&mut other, true, 0, 8000);
        groups.find_largest();
        assert!(groups.flood().has(&one));
    }
}
