//! The policies in use, and while series go over to them, those before: what a reload changes is changed for each series
//! when it is closed next, so that a flush has one configuration and no series is looked for.

use std::time::Duration;

use super::policies::{Policies, Policy};
use super::rules::Rules;

/// A policy's number says which of the two its policies are.
#[derive(Debug)]
pub struct Generations {
    sets: [Policies; 2],
    newest: u16,
}

const SET_SHIFT: u32 = u16::BITS - 1;
const NUMBER: u16 = (1 << SET_SHIFT) - 1;

impl Generations {
    pub fn new(rules: &Rules, interval: Duration) -> Self {
        let none = || Policies::new(&Rules::default(), interval);
        Self { sets: [Policies::new(rules, interval), none()], newest: 0 }
    }

    /// The policy of that number.
    pub fn at(&self, number: u16) -> &Policy {
        self.sets[usize::from(number >> SET_SHIFT)].at(number & NUMBER)
    }

    /// The number of a name's policy; None if the name is to be dropped. `hash` is the whole name's.
    pub fn of_name(&mut self, name: &[u8], hash: u64) -> Option<u16> {
        let number = self.sets[usize::from(self.newest)].of_name(name, hash)?;
        Some(number | self.newest << SET_SHIFT)
    }

    pub fn is_newest(&self, number: u16) -> bool {
        number >> SET_SHIFT == self.newest
    }

    /// Whether these are the newest rules.
    pub fn are(&self, rules: &Rules, interval: Duration) -> bool {
        self.sets[usize::from(self.newest)].are_of(rules, interval)
    }

    /// New rules. Nobody may have a policy of those before the last.
    pub fn replace(&mut self, rules: &Rules, interval: Duration) {
        self.newest ^= 1;
        self.sets[usize::from(self.newest)] = Policies::new(rules, interval);
    }
}
