//! The policies in use and, after a reload, the policies before them. A series gets its new policy
//! when it is closed next. So one flush has one configuration, and a reload does not walk over the
//! series.

use std::time::Duration;

use super::policies::{Policies, Policy};
use super::rules::Rules;

/// The highest bit of a policy's number says which of the two sets it is in.
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

    /// Returns the policy with this number.
    pub fn at(&self, number: u16) -> &Policy {
        self.sets[usize::from(number >> SET_SHIFT)].at(number & NUMBER)
    }

    /// Returns the number of the policy of a name, or `None` if a rule drops the name. `hash` is
    /// the hash of the whole name.
    pub fn of_name(&mut self, name: &[u8], hash: u64) -> Option<u16> {
        let number = self.sets[usize::from(self.newest)].of_name(name, hash)?;
        Some(number | self.newest << SET_SHIFT)
    }

    pub fn is_newest(&self, number: u16) -> bool {
        number >> SET_SHIFT == self.newest
    }

    /// Whether the newest policies were made from these rules.
    pub fn are(&self, rules: &Rules, interval: Duration) -> bool {
        self.sets[usize::from(self.newest)].are_of(rules, interval)
    }

    /// Sets new rules. No series may still have a policy of the rules before the current ones.
    pub fn replace(&mut self, rules: &Rules, interval: Duration) {
        self.newest ^= 1;
        self.sets[usize::from(self.newest)] = Policies::new(rules, interval);
    }
}
