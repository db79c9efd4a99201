//! The names of plain lines with clean tags as DogStatsD writes them: `|#key:value,key:value`.
//!
//! The general reader reads all other tags, as it reads all lines that are not plain.

use std::mem;

use arrayvec::ArrayVec;

use super::grammar::{Dialect, Grammar};
use super::names::{KEEPS, is_plain_name};

/// Lines with more tags are left to the general reader.
const TAGS_MAX: usize = 16;

#[derive(Clone, Copy)]
struct Tag<'a> {
    key: &'a [u8],
    value: &'a [u8],
}

/// Returns the canonical name of a series called `bare` with the tags at the start of `text`, and
/// the length of the tags, up to the end of the line. Returns `None` if they are not clean, or if
/// the name is too long.
pub(super) fn tagged_name<'a>(
    grammar: &Grammar,
    bare: &[u8],
    text: &[u8],
    room: &mut &'a mut [u8],
) -> Option<(&'a [u8], usize)> {
    let section = text.strip_prefix(b"|#")?;
    if !grammar.dialects.has(Dialect::Dogstatsd) || !is_plain_name(bare) {
        return None;
    }
    let (mut tags, length) = read_tags(section)?;
    let bytes = bare.len() + 1 + length; // a tag stands behind a `;`, not a `,`
    if bytes > grammar.max_key_length || !sort(&mut tags) {
        return None;
    }
    let (name, left) = mem::take(room).split_at_mut(bytes);
    *room = left;
    write(bare, &tags, name);
    Some((name, 2 + length))
}

/// Reads the tags up to the end of the line. Returns them and their length, or `None` if a tag is
/// not clean or has no value.
fn read_tags(section: &[u8]) -> Option<(ArrayVec<Tag<'_>, TAGS_MAX>, usize)> {
    let mut tags = ArrayVec::new();
    let mut start = 0;
    let mut colon = None;
    for at in 0..=section.len() {
        let byte = section.get(at).copied().unwrap_or(b'\n');
        if KEEPS[usize::from(byte)] {
            continue;
        }
        match (byte, colon) {
            (b':', None) => colon = Some(at),
            (b',' | b'\n', Some(middle)) if start < middle && middle + 1 < at => {
                let tag = Tag { key: &section[start..middle], value: &section[middle + 1..at] };
                tags.try_push(tag).ok()?;
                if byte == b'\n' {
                    return Some((tags, at));
                }
                start = at + 1;
                colon = None;
            }
            _ => return None,
        }
    }
    None
}

/// Sorts the tags by the bytes of their keys. Returns false if a key occurs twice.
fn sort(tags: &mut [Tag<'_>]) -> bool {
    let is_sorted = |tags: &[Tag<'_>]| tags.windows(2).all(|pair| pair[0].key < pair[1].key);
    is_sorted(tags) || {
        tags.sort_unstable_by_key(|tag| tag.key);
        is_sorted(tags)
    }
}

fn write(bare: &[u8], tags: &[Tag<'_>], name: &mut [u8]) {
    let mut at = 0;
    let mut put = |bytes: &[u8]| {
        name[at..at + bytes.len()].copy_from_slice(bytes);
        at += bytes.len();
    };
    put(bare);
    for Tag { key, value } in tags {
        put(b";");
        put(key);
        put(b"=");
        put(value);
    }
}
