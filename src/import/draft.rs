//! [`Draft`]: the `statsd.conf` that an import prints. Whatever the old file has, the draft is a
//! valid configuration: a value that this server refuses becomes a remark. Pure.

use std::path::Path;

use super::old::shown;
use crate::config::{self, Defaults};

/// The most sections of a draft. A configuration may have 300.
const SECTIONS_MAX: usize = 200;

#[derive(Debug, Default)]
pub(super) struct Draft {
    sections: Vec<DraftSection>,
    /// What has no equal, in the order it was found.
    remarks: Vec<String>,
}

#[derive(Debug)]
struct DraftSection {
    header: String,
    entries: Vec<DraftEntry>,
}

#[derive(Debug)]
struct DraftEntry {
    key: &'static str,
    value: String,
    /// The settings of the old file, and other reasons. At least one.
    reasons: Vec<String>,
}

/// The part of a draft that a line of its text belongs to.
#[derive(Clone, Copy)]
enum DraftLine {
    Comment,
    Header(usize),
    Entry(usize, usize),
}

impl Draft {
    /// Sets a key. `reason` becomes the comment above it. A value that is set again replaces the
    /// first one.
    pub(super) fn set(
        &mut self,
        header: &str,
        key: &'static str,
        value: impl Into<String>,
        reason: impl Into<String>,
    ) {
        let value = value.into();
        let reason = reason.into();
        if value.contains(char::is_control) {
            return self.remark(format!("{reason}: expected a value without control characters"));
        }
        let found = self.sections.iter().position(|section| section.header == header);
        let at = found.unwrap_or_else(|| {
            self.sections.push(DraftSection { header: header.into(), entries: Vec::new() });
            self.sections.len() - 1
        });
        let entries = &mut self.sections[at].entries;
        match entries.iter_mut().find(|entry| entry.key == key) {
            Some(entry) => {
                entry.value = value;
                entry.reasons.push(reason);
            }
            None => entries.push(DraftEntry { key, value, reasons: vec![reason] }),
        }
    }

    /// Names another setting that a key comes from.
    pub(super) fn because(&mut self, header: &str, key: &'static str, reason: impl Into<String>) {
        let value = self.value(header, key).map(str::to_owned);
        match value {
            Some(value) => self.set(header, key, value, reason),
            None => self.remark(reason),
        }
    }

    /// Whether this server accepts a value beside the keys that its section has. Reports a value
    /// that it refuses. So one bad element of a list does not cost the whole list.
    pub(super) fn accepts(
        &mut self,
        header: &str,
        key: &'static str,
        value: &str,
        reason: &str,
    ) -> bool {
        if value.contains(char::is_control) {
            self.refused(reason, "expected a value without control characters");
            return false;
        }
        let section = self.sections.iter().find(|section| section.header == header);
        let others = section.into_iter().flat_map(|section| &section.entries);
        let mut lines = vec![format!("[{header}]")];
        lines.extend(others.map(|entry| config::line_of(header, entry.key, &entry.value)));
        lines.push(config::line_of(header, key, value));
        let last = format!(":{}", lines.len());
        let Err(mistakes) = config::parse(Path::new("draft"), lines.join("\n").as_bytes()) else {
            return true;
        };
        let found = mistakes.iter().find(|mistake| mistake.place.ends_with(&last));
        if let Some(mistake) = found {
            self.refused(reason, &shown_all(&mistake.what));
        }
        found.is_none()
    }

    fn refused(&mut self, reason: &str, what: &str) {
        self.remark(format!("{reason}: not set, because this server refuses it: {what}"));
    }

    pub(super) fn remark(&mut self, text: impl Into<String>) {
        self.remarks.push(text.into());
    }

    pub(super) fn value(&self, header: &str, key: &str) -> Option<&str> {
        let section = self.sections.iter().find(|section| section.header == header)?;
        let entry = section.entries.iter().find(|entry| entry.key == key)?;
        Some(&entry.value)
    }

    /// Whether there is room for another section.
    pub(super) fn has_room(&self) -> bool {
        self.sections.len() < SECTIONS_MAX
    }

    fn is_taken(&self, header: &str) -> bool {
        self.sections.iter().any(|section| section.header == header)
    }

    /// Returns the header of a new section: `KIND` for the first one, else as
    /// [`named_header`](Self::named_header).
    pub(super) fn header(&self, kind: &str, name: &str) -> String {
        if self.is_taken(kind) { self.named_header(kind, name) } else { kind.into() }
    }

    /// Returns the header of a new section: `KIND.NAME`, with a name that no other section has.
    pub(super) fn named_header(&self, kind: &str, name: &str) -> String {
        let is_allowed = |letter: &char| letter.is_ascii_alphanumeric() || "_-".contains(*letter);
        let name: String = name.chars().filter(is_allowed).take(40).collect();
        let name = if name.is_empty() { "import".into() } else { name };
        let mut header = format!("{kind}.{name}");
        for number in 2.. {
            if !self.is_taken(&header) {
                break;
            }
            header = format!("{kind}.{name}_{number}");
        }
        header
    }

    /// Returns the text of the configuration. `title` is its first comment.
    pub(super) fn finish(mut self, title: &str) -> String {
        self.refuse();
        self.drop_defaults();
        self.shorten(title);
        self.text(title).0
    }

    /// Leaves out the last remarks if this server would refuse the file for its length.
    fn shorten(&mut self, title: &str) {
        if self.text(title).0.len() <= config::FILE_MAX {
            return;
        }
        let remarks = std::mem::take(&mut self.remarks);
        let last_remark_bytes = 200;
        let used = self.text(title).0.len() + last_remark_bytes;
        let mut room = config::FILE_MAX.saturating_sub(used);
        let bytes = |remark: &String| -> usize {
            comment(remark, "- ").iter().map(|line| line.len() + 1).sum()
        };
        let fits = |remark: &&String| {
            let next = room.checked_sub(bytes(remark));
            room = next.unwrap_or(0);
            next.is_some()
        };
        self.remarks = remarks.iter().take_while(fits).cloned().collect();
        let more = remarks.len() - self.remarks.len();
        self.remark(format!("{more} further remarks, for which a file has no room"));
    }

    /// Turns what the parser refuses into remarks.
    fn refuse(&mut self) {
        // Each round removes at least one entry or section.
        loop {
            let (text, lines) = self.text("");
            let Err(mistakes) = config::parse(Path::new("draft"), text.as_bytes()) else { return };
            let mut is_changed = false;
            // From the end, so that removals leave the indices before them.
            for mistake in mistakes.iter().rev() {
                let number = mistake.place.rsplit(':').next().and_then(|line| line.parse().ok());
                let line: usize = number.unwrap_or(0);
                let found = line.checked_sub(1).and_then(|at| lines.get(at)).copied();
                match found.unwrap_or(DraftLine::Comment) {
                    DraftLine::Entry(section, entry) => {
                        is_changed |= self.refuse_entry(section, entry, &mistake.what);
                    }
                    DraftLine::Header(section) => {
                        is_changed |= self.refuse_section(section, &mistake.what);
                    }
                    DraftLine::Comment => {}
                }
            }
            if !is_changed {
                // What is wrong belongs to no line. The last section can be left out.
                let last = self.sections.len().checked_sub(1);
                let Some(last) = last else { return };
                self.refuse_section(last, "it cannot be read with the sections before it");
            }
        }
    }

    fn refuse_entry(&mut self, section: usize, entry: usize, what: &str) -> bool {
        let entries = &mut self.sections[section].entries;
        if entry >= entries.len() {
            return false;
        }
        let DraftEntry { reasons, key, .. } = entries.remove(entry);
        let what = shown_all(what);
        // Without the key, the points would go to the default address.
        if key == "address" && self.sections[section].header == "carbon" {
            let reason = "the old address cannot be used: see below";
            self.set("carbon", "address", "", reason);
        }
        for reason in reasons {
            self.refused(&reason, &what);
        }
        true
    }

    fn refuse_section(&mut self, section: usize, what: &str) -> bool {
        if section >= self.sections.len() {
            return false;
        }
        let DraftSection { header, entries } = self.sections.remove(section);
        let what = shown_all(what);
        for reason in entries.into_iter().flat_map(|entry| entry.reasons) {
            self.remark(format!("{reason}: not set, because [{header}] is left out: {what}"));
        }
        true
    }

    /// Turns keys that have their default into remarks.
    fn drop_defaults(&mut self) {
        let defaults = Defaults::of_style(self.value("namespace", "style").unwrap_or("legacy"));
        let mut remarks = Vec::new();
        for DraftSection { header, entries } in &mut self.sections {
            entries.retain(|DraftEntry { key, value, reasons }| {
                let is_default = defaults.has(header, key, value);
                if is_default {
                    let same =
                        |reason| format!("{reason}: the default of [{header}] {key} here, too");
                    // The other reasons are no settings of the old file.
                    let settings = reasons.iter().filter(|reason| reason.contains(" (line "));
                    remarks.extend(settings.map(same));
                }
                !is_default
            });
        }
        self.sections.retain(|section| !section.entries.is_empty());
        // What the operator has to do stands first.
        self.remarks.extend(remarks);
    }

    /// Returns the text, and what each of its lines belongs to.
    fn text(&self, title: &str) -> (String, Vec<DraftLine>) {
        let mut text = String::new();
        let mut lines = Vec::new();
        let mut add = |line: &str, of: DraftLine| {
            text.push_str(line);
            text.push('\n');
            lines.push(of);
        };
        for line in title.lines() {
            add(&format!("# {line}"), DraftLine::Comment);
        }
        for (section, DraftSection { header, entries }) in self.sections.iter().enumerate() {
            add("", DraftLine::Comment);
            add(&format!("[{header}]"), DraftLine::Header(section));
            for (entry, DraftEntry { key, value, reasons }) in entries.iter().enumerate() {
                for reason in reasons {
                    comment(reason, "").iter().for_each(|line| add(line, DraftLine::Comment));
                }
                let line = config::line_of(header, key, value);
                add(&line, DraftLine::Entry(section, entry));
            }
        }
        if !self.remarks.is_empty() {
            add("", DraftLine::Comment);
            add("# Settings of the old file that have no key above:", DraftLine::Comment);
            for remark in &self.remarks {
                comment(remark, "- ").iter().for_each(|line| add(line, DraftLine::Comment));
            }
        }
        (text, lines)
    }
}

/// The most columns of a comment.
const COLUMNS: usize = 100;

/// Returns the lines of a comment. `bullet` stands before the first one.
fn comment(text: &str, bullet: &str) -> Vec<String> {
    let clean = |letter: char| if letter.is_control() { '?' } else { letter };
    let text: String = text.chars().map(clean).collect();
    let indent = " ".repeat(bullet.len());
    let mut lines = Vec::new();
    let mut line = format!("# {bullet}");
    let mut is_empty = true;
    for word in text.split(' ') {
        if !is_empty && line.len() + word.len() >= COLUMNS {
            lines.push(std::mem::replace(&mut line, format!("# {indent}")));
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        line.push_str(word);
        is_empty = false;
    }
    lines.push(line.trim_end().into());
    lines
}

/// Returns a message of the parser in one line.
fn shown_all(text: &str) -> String {
    text.split('\n').map(|line| if line.len() > 400 { shown(line) } else { line.into() }).collect()
}
