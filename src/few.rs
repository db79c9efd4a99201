//! Sorts short lists in little code. Pure.

use std::cmp::Ordering;

/// Sorts a list of at most some hundred items. Equal items keep their order.
///
/// The sorts of `std` are up to 10 kB of the binary for each type and order. They are for long
/// lists: this one takes time in proportion to the square of the length.
pub fn sort_few<T>(items: &mut [T], mut compare: impl FnMut(&T, &T) -> Ordering) {
    for end in 1..items.len() {
        let mut at = end;
        while at > 0 && compare(&items[at - 1], &items[at]) == Ordering::Greater {
            items.swap(at - 1, at);
            at -= 1;
        }
    }
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
}
