//! Sorts lists in little code. Pure.
//!
//! A sort of `std` is up to 10 kB of the binary for each type and order.

use std::cmp::Ordering;

/// Sorts a list of at most some hundred items. Equal items keep their order.
///
/// It takes time in proportion to the square of the length.
pub fn sort_few<T>(items: &mut [T], mut compare: impl FnMut(&T, &T) -> Ordering) {
    for end in 1..items.len() {
        let mut at = end;
        while at > 0 && compare(&items[at - 1], &items[at]) == Ordering::Greater {
            items.swap(at - 1, at);
            at -= 1;
        }
    }
}

/// Sorts a list of any length. Equal items keep their order.
///
/// It takes about twice as long as a sort of `std`, and memory for two indices an item.
pub fn sort_many<T>(items: &mut [T], compare: impl Fn(&T, &T) -> Ordering) {
    let mut order = order_of(items.len(), &|one, other| compare(&items[one], &items[other]));
    // Items that take each other's places form a cycle. Each cycle is moved by itself.
    for first in 0..order.len() {
        let mut at = first;
        while order[at] != first {
            let next = std::mem::replace(&mut order[at], at);
            items.swap(at, next);
            at = next;
        }
        order[at] = at;
    }
}

/// Returns the indices of a list in the order of its items. It merges ever longer sorted runs.
fn order_of(len: usize, compare: &dyn Fn(usize, usize) -> Ordering) -> Vec<usize> {
    let mut order: Vec<usize> = (0..len).collect();
    let mut merged = Vec::with_capacity(len);
    let mut run = 1;
    while run < len {
        for pair in order.chunks(2 * run) {
            let (mut left, mut right) = pair.split_at(run.min(pair.len()));
            while let ([one, ..], [other, ..]) = (left, right) {
                let from = if compare(*other, *one).is_lt() { &mut right } else { &mut left };
                merged.push(from[0]);
                *from = &from[1..];
            }
            merged.extend_from_slice(left);
            merged.extend_from_slice(right);
        }
        std::mem::swap(&mut order, &mut merged);
        merged.clear();
        run *= 2;
    }
    order
}

/// Returns the number that would be at `index` in descending order.
#[inline(never)]
pub fn nth_highest(numbers: &mut [u64], index: usize) -> u64 {
    *numbers.select_nth_unstable_by(index, |one, other| other.cmp(one)).1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_items_keep_their_order() {
        let mut items = [(3, 'a'), (1, 'b'), (2, 'c'), (1, 'd'), (3, 'e'), (0, 'f')];
        sort_few(&mut items, |a, b| a.0.cmp(&b.0));
        assert_eq!(items, [(0, 'f'), (1, 'b'), (1, 'd'), (2, 'c'), (3, 'a'), (3, 'e')]);
        let mut none: [u8; 0] = [];
        sort_few(&mut none, Ord::cmp);
    }

    #[test]
    fn the_nth_highest_number_is_found() {
        let numbers = [5, 9, 1, 9, 0, u64::MAX];
        let found = (0..6).map(|index| nth_highest(&mut numbers.clone(), index));
        assert!(found.eq([u64::MAX, 9, 9, 5, 1, 0]));
    }

    #[test]
    fn long_lists_are_sorted_as_std_does() {
        for len in [0, 1, 2, 3, 5, 63, 64, 65, 1000] {
            // The factor is prime, so that the keys are in no order and some are equal.
            let mut items: Vec<_> = (0..len).map(|n| (n * 7919 % 101, n)).collect();
            let mut expected = items.clone();
            expected.sort_by_key(|(key, _)| *key);
            sort_many(&mut items, |one, other| one.0.cmp(&other.0));
            assert_eq!(items, expected);
        }
    }
}
