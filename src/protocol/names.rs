//! Writes a name and its tags as one canonical series name: `name;k=v;k2=v2`. The keys are sorted,
//! and every byte is one that sinks can store.

use super::grammar::{Dialect, Dialects, Grammar};
use super::reject::Reject;
use crate::few::{sort_few, sort_many};

/// Returns a canonical name without its tags.
pub fn bare_name(name: &[u8]) -> &[u8] {
    &name[..memchr::memchr(b';', name).unwrap_or(name.len())]
}

/// Returns the keys and values of the tags of a canonical name.
pub fn tags_of(name: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    name.split(|byte| *byte == b';').skip(1).map(|tag| {
        let (key, value) = tag.split_at(memchr::memchr(b'=', tag).unwrap_or(tag.len()));
        (key, value.get(1..).unwrap_or_default())
    })
}

/// Most lines have fewer tags than this.
const USUAL_TAGS: usize = 20;

/// What happens to a byte of a name.
#[derive(Clone, Copy, PartialEq)]
enum Class {
    Keep,
    /// White space: a run of it becomes one `_`.
    Blank,
    /// `/` becomes `-`.
    Slash,
    /// `=` and `;`. Whether they are kept, replaced or removed depends on the [`Place`].
    Equals,
    Semicolon,
    /// The first byte of a character outside of ASCII that may be white space or a byte order mark.
    Wide,
    Drop,
}

const CLASSES: [Class; 256] = classes();

const fn classes() -> [Class; 256] {
    let mut table = [Class::Drop; 256];
    let mut byte = 0;
    while byte < 256 {
        #[allow(clippy::cast_possible_truncation)] // below 256
        let class = match byte as u8 {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'.' => Class::Keep,
            b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c => Class::Blank,
            b'/' => Class::Slash,
            b'=' => Class::Equals,
            b';' => Class::Semicolon,
            0xc2 | 0xe1..=0xe3 | 0xef => Class::Wide,
            _ => Class::Drop,
        };
        table[byte] = class;
        byte += 1;
    }
    table
}

/// The bytes that every setting keeps and no dialect reads.
pub(super) static KEEPS: [bool; 256] = kept(false, false);
/// The bytes that a clean bare name may have: those of [`KEEPS`], and `=`.
static BARE: [bool; 256] = kept(true, false);
/// The bytes that a clean canonical name may have: those of [`BARE`], and `;`.
static CANONICAL: [bool; 256] = kept(true, true);

const fn kept(equals: bool, semicolon: bool) -> [bool; 256] {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = match CLASSES[byte] {
            Class::Keep => true,
            Class::Equals => equals,
            Class::Semicolon => semicolon,
            Class::Blank | Class::Slash | Class::Wide | Class::Drop => false,
        };
        byte += 1;
    }
    table
}

/// Whether `name` has no tags in any dialect, and the reader leaves it as it is.
pub fn is_plain_for(grammar: &Grammar, name: &[u8]) -> bool {
    name.iter().all(|byte| KEEPS[usize::from(*byte)])
        && !(grammar.squeeze_dots && has_empty_elements(name))
}

/// Whether a dot is at the start or the end of a bare name, or another dot follows it.
///
/// An encoder checks this for every series, so eight bytes are compared at a time.
pub fn has_empty_elements(name: &[u8]) -> bool {
    let is_dot = |byte: Option<&u8>| byte == Some(&b'.');
    if is_dot(name.first()) || is_dot(name.last()) {
        return true;
    }
    let Some(end) = name.last_chunk() else {
        return name.windows(2).any(|pair| pair == b"..");
    };
    // Each step begins with the last byte of the step before, so that no pair is missed.
    let mut pairs = pairs_of_dots(end);
    let mut rest = name;
    while let Some(eight) = rest.first_chunk() {
        pairs |= pairs_of_dots(eight);
        rest = &rest[7..];
    }
    pairs != 0
}

/// Returns a number that is not 0 if two dots follow each other.
fn pairs_of_dots(eight: &[u8; 8]) -> u64 {
    const EACH: u64 = 0x0101_0101_0101_0101;
    const LOW: u64 = EACH * 0x7f;
    let others = u64::from_le_bytes(*eight) ^ (EACH * b'.' as u64);
    // The high bit of each byte that is a dot.
    let dots = !(((others & LOW) + LOW) | others | LOW);
    dots & dots >> 8
}

/// Whether a canonical name can be stored as it is.
pub fn is_clean(name: &[u8]) -> bool {
    are_all_in(&CANONICAL, name)
}

/// Whether a table has `true` for all bytes.
///
/// Nearly every name is clean. So all bytes are read, eight in each step, which takes fewer
/// instructions than to check after each byte whether the loop may end.
#[inline]
fn are_all_in(table: &[bool; 256], name: &[u8]) -> bool {
    let (eights, rest) = name.as_chunks::<8>();
    let and = |so_far, byte: &u8| so_far & table[usize::from(*byte)];
    let of_eights = eights.iter().fold(true, |so_far, eight| eight.iter().fold(so_far, and));
    rest.iter().fold(of_eights, and)
}

/// Whether a canonical name is clean, is not long, and has no empty elements and no tag `name`.
/// Every destination can store such a name. Few names are otherwise.
pub fn is_plain_path(name: &[u8]) -> bool {
    name.len() <= PLAIN_PATH_MAX
        && is_clean(name)
        && !has_empty_elements(name)
        && !has_name_tag(name)
}

/// Whether a canonical name, or the tags of one, has a tag with the key `name`.
pub fn has_name_tag(name: &[u8]) -> bool {
    memchr::memchr_iter(b';', name).any(|at| name[at + 1..].starts_with(b"name="))
}

/// The most bytes of a name that is plain. With a file suffix of four bytes it is as long as the
/// name of a file may be.
const PLAIN_PATH_MAX: usize = 251;

/// Whether the reader would make the canonical name `name`, as far as its bytes show it.
pub(crate) fn is_canonical_for(grammar: &Grammar, name: &[u8]) -> bool {
    is_clean(name) && !(grammar.squeeze_dots && has_empty_elements(bare_name(name)))
}

/// The name that `sanitize_keys = yes` makes of a canonical name which was read with `no`.
///
/// The tags are sorted again, because cleaning may change the order of their keys.
pub fn cleaned(name: &[u8]) -> Vec<u8> {
    cleaned_with(name, false)
}

/// The name that `squeeze_dots = yes` makes of it, too: without empty elements.
pub fn squeezed(name: &[u8]) -> Vec<u8> {
    cleaned_with(name, true)
}

fn cleaned_with(name: &[u8], squeeze_dots: bool) -> Vec<u8> {
    let grammar = Grammar {
        sanitize: true,
        squeeze_dots,
        dialects: Dialects::from_iter([Dialect::Graphite]),
        max_key_length: usize::MAX,
        max_tags: usize::MAX,
        ..Grammar::default()
    };
    let mut writer = NameWriter::default();
    let bare = writer.take_inline(&grammar, name);
    // The reader refuses a name of which nothing is left.
    writer.canonical(&grammar, bare).map(<[u8]>::to_vec).unwrap_or_default()
}

/// Whether a canonical name can be stored by a destination that stores raw names.
///
/// The reader makes only such names. A state file may hold others.
pub(crate) fn is_storable(name: &[u8]) -> bool {
    is_storable_text(bare_name(name))
        && tags_of(name).all(|(key, value)| is_storable_text(key) && is_storable_text(value))
}

/// Whether raw text is UTF-8, has no control characters, and does not end with a backslash. JSON
/// cannot hold other text, InfluxDB has no escape for a newline, and there a backslash at the end
/// would escape the separator that follows.
fn is_storable_text(text: &[u8]) -> bool {
    let is_text = str::from_utf8(text).is_ok() && !text.iter().any(u8::is_ascii_control);
    is_text && text.last() != Some(&b'\\')
}

/// The bytes that replace `=` and `;` in a part of a name. `None` means that the byte is removed.
#[derive(Clone, Copy)]
struct Place {
    equals: Option<u8>,
    semicolon: Option<u8>,
}

/// A `;` never stays in a bare name. With the Graphite dialect off, the text after it would become
/// a tag at the destination.
const NAME: Place = Place { equals: Some(b'='), semicolon: None };
const KEY: Place = Place { equals: None, semicolon: Some(b'_') };
/// The first `=` of a tag ends its key, so a value may contain others.
const VALUE: Place = Place { equals: Some(b'='), semicolon: Some(b'_') };

/// Appends `text` cleaned. `in_blank` is true if the text before ended with white space, and is
/// set for the text after.
fn clean_into(text: &[u8], place: Place, out: &mut Vec<u8>, in_blank: &mut bool) {
    let mut rest = text;
    loop {
        let kept = rest.iter().position(|byte| !KEEPS[usize::from(*byte)]).unwrap_or(rest.len());
        if kept > 0 {
            out.extend_from_slice(&rest[..kept]);
            *in_blank = false;
        }
        let Some(&byte) = rest.get(kept) else { return };
        let (class, length) = class_of(&rest[kept..]);
        rest = &rest[kept + length..];
        let becomes = match class {
            Class::Blank if *in_blank => continue,
            Class::Blank => Some(b'_'),
            Class::Keep => Some(byte),
            Class::Slash => Some(b'-'),
            Class::Equals => place.equals,
            Class::Semicolon => place.semicolon,
            Class::Wide => continue, // a byte order mark, also amid white space
            Class::Drop => None,
        };
        out.extend(becomes);
        *in_blank = class == Class::Blank;
    }
}

/// Returns the class of the character at the start of `text`, and its length: [`Class::Wide`] for a
/// byte order mark, and never for another character. `text` must not be empty.
fn class_of(text: &[u8]) -> (Class, usize) {
    match CLASSES[usize::from(text[0])] {
        Class::Wide => match text {
            [0xc2, 0x85 | 0xa0, ..] => (Class::Blank, 2),
            [0xe1, 0x9a, 0x80, ..]
            | [0xe2, 0x80, 0x80..=0x8a | 0xa8 | 0xa9 | 0xaf, ..]
            | [0xe2, 0x81, 0x9f, ..]
            | [0xe3, 0x80, 0x80, ..] => (Class::Blank, 3),
            [0xef, 0xbb, 0xbf, ..] => (Class::Wide, 3),
            _ => (Class::Drop, 1),
        },
        class => (class, 1),
    }
}

/// The ranges of a key and its value in [`NameWriter::text`].
#[derive(Clone, Copy, Debug)]
struct TagRange {
    key: (usize, usize),
    value: (usize, usize),
}

/// A name without its tags.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bare<'a> {
    name: &'a [u8],
    /// The text after the tags, which belongs to the name.
    tail: &'a [u8],
    /// Whether the name is known to need no cleaning, whatever the settings.
    has_clean_bytes: bool,
    pub(super) has_unread_tags: bool,
}

impl<'a> Bare<'a> {
    fn without_tags(name: &'a [u8]) -> Self {
        Self { name, tail: &[], has_clean_bytes: false, has_unread_tags: false }
    }
}

/// Composes names in buffers that are reused from line to line.
#[derive(Debug, Default)]
pub(super) struct NameWriter {
    /// Cleaned keys and values.
    text: Vec<u8>,
    tags: Vec<TagRange>,
    canonical: Vec<u8>,
}

impl NameWriter {
    /// Removes the tags of the previous line.
    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.tags.clear();
    }

    /// Takes the tags out of `name`. Returns the rest of the name.
    pub(super) fn take_inline<'a>(&mut self, grammar: &Grammar, name: &'a [u8]) -> Bare<'a> {
        let bare = Bare::without_tags(name);
        if has_clean_bytes(name) {
            return Bare { has_clean_bytes: true, ..bare }; // no separator of any dialect in it
        }
        let has_unread_tags = has_unread_tags(grammar, name);
        let Some((at, inline)) = grammar.dialects.find(name) else {
            return Bare { has_unread_tags, ..bare };
        };
        let (tags, tail) = inline.split(&name[at + 1..]);
        for piece in tags.split(|byte| *byte == inline.separates) {
            self.push(grammar, piece, memchr::memchr(b'=', piece));
        }
        Bare { name: &name[..at], tail, has_unread_tags, ..bare }
    }

    /// Adds the tags of a `#` section. Some clients write `k=v` there.
    pub(super) fn add_section(&mut self, grammar: &Grammar, section: &[u8]) {
        for piece in section.split(|byte| *byte == b',') {
            let separator = memchr::memchr(b':', piece).or_else(|| memchr::memchr(b'=', piece));
            self.push(grammar, piece, separator);
        }
    }

    /// Adds the tag in `piece`. `separator` is the index of the byte between its key and its value.
    /// A tag without a value gets the value `true`. A tag without a key is dropped.
    fn push(&mut self, grammar: &Grammar, piece: &[u8], separator: Option<usize>) {
        if self.has_too_many(grammar) {
            return; // the line is refused
        }
        let (key, value) = match separator {
            Some(at) => (&piece[..at], &piece[at + 1..]),
            None => (piece, &[][..]),
        };
        let key = self.append(grammar, key, KEY);
        if key.0 == key.1 {
            return;
        }
        let mut value = self.append(grammar, value, VALUE);
        if value.0 == value.1 {
            self.text.extend_from_slice(b"true");
            value.1 = self.text.len();
        }
        self.tags.push(TagRange { key, value });
    }

    /// Whether there are more tags than a line may have. They are not sorted then: a line of 64 KiB
    /// has room for 30,000 tags, and sorting them would take milliseconds.
    fn has_too_many(&self, grammar: &Grammar) -> bool {
        self.tags.len() > grammar.max_tags
    }

    /// Appends a key or a value to `text`, cleaned, and returns its range. A leading `~` is removed
    /// even with `sanitize_keys = no`, because no destination takes such a tag.
    fn append(&mut self, grammar: &Grammar, piece: &[u8], place: Place) -> (usize, usize) {
        let start = self.text.len();
        let piece = piece.strip_prefix(b"~").unwrap_or(piece);
        clean_part(grammar, piece, place, &mut self.text);
        (start, self.text.len())
    }

    /// Returns the canonical name of `bare` with the tags taken so far. This is `bare` itself if
    /// nothing must be written.
    pub(super) fn canonical<'a>(
        &'a mut self,
        grammar: &Grammar,
        bare: Bare<'a>,
    ) -> Result<&'a [u8], Reject> {
        let is_whole = self.tags.is_empty() && bare.tail.is_empty();
        let is_kept = (bare.has_clean_bytes || is_clean_bare(grammar, bare.name))
            && !(grammar.squeeze_dots && has_empty_elements(bare.name));
        let name = if is_whole && is_kept {
            bare.name
        } else if self.has_too_many(grammar) {
            return Err(Reject::TooManyTags);
        } else {
            self.write(grammar, bare)
        };
        if matches!(name.first(), None | Some(b';')) {
            return Err(Reject::EmptyName); // only the tags of a name begin with ';'
        }
        if !grammar.sanitize && !survives(bare_name(name), NAME) {
            return Err(Reject::EmptyName);
        }
        if name.len() > grammar.max_key_length {
            return Err(Reject::NameTooLong);
        }
        Ok(name)
    }

    /// Writes the canonical name: the cleaned bare name, and the sorted tags.
    fn write(&mut self, grammar: &Grammar, bare: Bare<'_>) -> &[u8] {
        self.sort_tags();
        let out = &mut self.canonical;
        out.clear();
        clean_bare(grammar, bare, out);
        for tag in &self.tags {
            out.push(b';');
            out.extend_from_slice(&self.text[tag.key.0..tag.key.1]);
            out.push(b'=');
            out.extend_from_slice(&self.text[tag.value.0..tag.value.1]);
        }
        out
    }

    /// Sorts the tags by the bytes of their keys. Of a repeated key the last tag stays.
    fn sort_tags(&mut self) {
        let text = &self.text;
        let key = |tag: &TagRange| &text[tag.key.0..tag.key.1];
        // The sort must be stable. For the usual number of tags it does not allocate.
        if self.tags.len() <= USUAL_TAGS {
            sort_few(&mut self.tags, |a, b| key(a).cmp(key(b)));
        } else {
            sort_many(&mut self.tags, |a, b| key(a).cmp(key(b)));
        }
        let mut kept = 0;
        for at in 0..self.tags.len() {
            let tag = self.tags[at];
            if kept > 0 && key(&self.tags[kept - 1]) == key(&tag) {
                self.tags[kept - 1] = tag;
            } else {
                self.tags[kept] = tag;
                kept += 1;
            }
        }
        self.tags.truncate(kept);
    }
}

/// Whether anything is left of a raw name, key or value after a sink has cleaned it.
fn survives(raw: &[u8], place: Place) -> bool {
    let mut rest = raw;
    while !rest.is_empty() {
        let (class, length) = class_of(rest);
        let is_kept = match class {
            Class::Keep | Class::Blank | Class::Slash => true,
            Class::Equals => place.equals.is_some(),
            Class::Semicolon => place.semicolon.is_some(),
            Class::Wide | Class::Drop => false,
        };
        if is_kept {
            return true;
        }
        rest = &rest[length..];
    }
    false
}

/// Whether a bare name has only bytes that cleaning keeps. Then it has no separator of a dialect
/// either.
fn has_clean_bytes(bare: &[u8]) -> bool {
    are_all_in(&BARE, bare)
}

/// Whether a bare name needs no cleaning.
fn is_clean_bare(grammar: &Grammar, bare: &[u8]) -> bool {
    if grammar.sanitize {
        has_clean_bytes(bare)
    } else {
        memchr::memchr(b';', bare).is_none() && is_storable_text(bare)
    }
}

/// Appends a bare name, cleaned.
fn clean_bare(grammar: &Grammar, bare: Bare<'_>, out: &mut Vec<u8>) {
    let mut in_blank = false;
    for text in [bare.name, bare.tail] {
        if grammar.sanitize {
            clean_into(text, NAME, out, &mut in_blank);
        } else {
            append_raw(text, NAME, out);
        }
    }
    if grammar.squeeze_dots && has_empty_elements(out) {
        squeeze(out);
    }
    if !grammar.sanitize {
        trim_backslashes(out, 0);
        while grammar.squeeze_dots && out.last() == Some(&b'.') {
            out.pop();
            trim_backslashes(out, 0);
        }
    }
}

/// Turns each run of dots into one dot, and removes the dots at both ends.
#[cold]
fn squeeze(name: &mut Vec<u8>) {
    let mut is_after_dot = true;
    name.retain(|byte| {
        let is_dot = *byte == b'.';
        let is_kept = !(is_dot && is_after_dot);
        is_after_dot = is_dot;
        is_kept
    });
    if name.last() == Some(&b'.') {
        name.pop();
    }
}

/// Appends a key or a value, cleaned. With `sanitize_keys = no` a part of which sinks would keep
/// nothing is left out.
fn clean_part(grammar: &Grammar, part: &[u8], place: Place, out: &mut Vec<u8>) {
    if grammar.sanitize {
        clean_into(part, place, out, &mut false);
    } else if survives(part, place) {
        let start = out.len();
        append_raw(part, place, out);
        trim_backslashes(out, start);
    }
}

/// Appends raw text. Only what no destination can store is changed: bytes that would make other
/// tags, control characters, and bytes that are not UTF-8.
fn append_raw(text: &[u8], place: Place, out: &mut Vec<u8>) {
    for chunk in text.utf8_chunks() {
        out.extend(chunk.valid().bytes().filter_map(|byte| match byte {
            b'=' => place.equals,
            b';' => place.semicolon,
            b'\t' | b'\n' | b'\r' | 0x0b | 0x0c => Some(b'_'),
            other => Some(other).filter(|byte| !byte.is_ascii_control()),
        }));
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
}

/// Removes the backslashes at the end of the text from `start` on.
fn trim_backslashes(out: &mut Vec<u8>, start: usize) {
    while out.len() > start && out.last() == Some(&b'\\') {
        out.pop();
    }
}

/// Whether the Influx dialect is off and, were it on, would find tags in `name`.
fn has_unread_tags(grammar: &Grammar, name: &[u8]) -> bool {
    if grammar.dialects.has(Dialect::Influx) {
        return false;
    }
    let Some((at, inline)) = grammar.dialects.with(Dialect::Influx).find(name) else {
        return false;
    };
    let has_key = |piece: &[u8]| !matches!(piece.first(), None | Some(b'='));
    inline.dialect == Dialect::Influx && name[at + 1..].split(|byte| *byte == b',').any(has_key)
}
