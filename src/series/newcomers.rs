//! Counts which prefixes of names have the most new series, so that a warning can name one.

/// Counts prefixes in bounded memory, by the space-saving rule: if all places are taken, a new
/// prefix replaces the rarest one and continues its count. So a count may be too high, by the count
/// of the prefix that was replaced. But the prefix with the most new series is never missed.
#[derive(Debug, Default)]
pub struct Newcomers {
    prefixes: Vec<(Vec<u8>, u64)>,
}

const PREFIXES_MAX: usize = 16;
const PREFIX_BYTES_MAX: usize = 128;

impl Newcomers {
    /// Counts a new series by the prefix of its name.
    pub(super) fn add(&mut self, name: &[u8]) {
        let prefix = prefix(name);
        if let Some((_, count)) = self.prefixes.iter_mut().find(|(known, _)| known == prefix) {
            *count += 1;
        } else if self.prefixes.len() < PREFIXES_MAX {
            self.prefixes.push((prefix.to_vec(), 1));
        } else if let Some((rarest, count)) =
            self.prefixes.iter_mut().min_by_key(|(_, count)| *count)
        {
            rarest.clear();
            rarest.extend_from_slice(prefix);
            *count += 1;
        }
    }

    /// Returns the prefix with the most new series. All counts are halved, so that the next answer
    /// is about later series.
    pub fn take_busiest(&mut self) -> Option<Vec<u8>> {
        let (prefix, _) = self.prefixes.iter().max_by_key(|(_, count)| *count)?;
        let busiest = prefix.clone();
        for (_, count) in &mut self.prefixes {
            *count /= 2;
        }
        Some(busiest)
    }
}

/// The first two elements of a name, without its tags.
fn prefix(name: &[u8]) -> &[u8] {
    let name = &name[..name.len().min(PREFIX_BYTES_MAX)];
    let name = name.split(|byte| *byte == b';').next().unwrap_or(name);
    match memchr::memchr_iter(b'.', name).nth(1) {
        Some(second_dot) => &name[..second_dot],
        None => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_two_elements_without_tags() {
        for (name, expected) in
            [("a.b.c.d", "a.b"), ("a.b", "a.b"), ("a", "a"), ("a;t=x.y.z", "a"), ("a.b;t=1", "a.b")]
        {
            assert_eq!(prefix(name.as_bytes()), expected.as_bytes());
        }
        assert_eq!(prefix(&[b'x'; 2000]).len(), PREFIX_BYTES_MAX);
    }

    #[test]
    fn the_busiest_is_named_among_ever_new_ones() {
        let mut newcomers = Newcomers::default();
        assert_eq!(newcomers.take_busiest(), None);
        for n in 0..1000 {
            newcomers.add(format!("once.{n}.x").as_bytes());
            newcomers.add(format!("app.junk.{n}").as_bytes());
        }
        assert!(newcomers.prefixes.len() <= PREFIXES_MAX);
        assert_eq!(newcomers.take_busiest().as_deref(), Some(&b"app.junk"[..]));
        (0..2000).for_each(|n| newcomers.add(format!("later.on.{n}").as_bytes()));
        assert_eq!(newcomers.take_busiest().as_deref(), Some(&b"later.on"[..]));
    }
}
