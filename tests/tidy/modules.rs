//! The modules of the server, and which file imports what from which: read from `mod` and `use`
//! and from the paths in the code, as the compiler would resolve them.
//!
//! Only production code counts. A `pub use` is not an import, unless its file names the item
//! itself: it passes an item on. An import of such an item is one of the file that defines the
//! item.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::{Source, sources};
use crate::tokens::{Token, generics, group, production, starts_with};

/// Where a module stands in the tree: `["sink", "outbox"]`. The root of the crate is empty.
pub(crate) type Place = Vec<String>;

#[derive(Debug)]
pub(crate) struct Module {
    /// The file, from the root of the repository.
    pub(crate) file: String,
    /// The modules it declares, in order.
    pub(crate) children: Vec<String>,
    /// The names it defines.
    items: BTreeSet<String>,
    uses: Vec<Use>,
    /// The paths in its code, such as `backoff::delay`, and single names.
    paths: BTreeSet<Vec<String>>,
    /// The type of each inherent `impl`, with the line.
    impls: Vec<(Vec<String>, usize)>,
    /// The types and traits it defines at its top level, with the line.
    pub(crate) types: Vec<(String, usize)>,
}

/// A leaf of a `use`.
#[derive(Debug, PartialEq)]
struct Use {
    path: Vec<String>,
    /// The name that the file uses for it; `*` for all that is in `path`.
    name: String,
    is_public: bool,
}

pub(crate) struct Modules(pub(crate) BTreeMap<Place, Module>);

/// A file that names an item of another file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Import {
    pub(crate) by: String,
    pub(crate) of: String,
    pub(crate) item: String,
}

impl Modules {
    /// Reads the library, from `src/lib.rs` down, and then its pure half, from `src/core.rs` down.
    /// The two are one tree: `lib.rs` passes on the modules of `core.rs`.
    pub(crate) fn read() -> Self {
        Self::of(&sources(), "src/lib.rs")
    }

    /// Reads the bench: its program, and its library.
    pub(crate) fn of_bench() -> [Self; 2] {
        ["bench/src/main.rs", "bench/src/lib.rs"].map(|root| Self::of(&sources(), root))
    }

    /// Reads a crate from the file at its root down.
    fn of(sources: &[Source], root: &str) -> Self {
        let texts: BTreeMap<_, _> =
            sources.iter().map(|source| (source.path.as_str(), source.text.as_str())).collect();
        let mut all = BTreeMap::new();
        let mut unread = vec![(Place::new(), root.to_owned())];
        while let Some((place, file)) = unread.pop() {
            let mut module = Module::read(&file, texts[file.as_str()]);
            if let Some(core) = texts.get("src/core.rs").filter(|_| file == "src/lib.rs") {
                module.children.extend(Module::read("src/core.rs", core).children);
            }
            let names = ["/mod.rs", "/lib.rs", "/main.rs"];
            let folder = names.iter().find_map(|name| file.strip_suffix(name));
            let folder = folder.unwrap_or_else(|| file.trim_end_matches(".rs"));
            for child in &module.children {
                let files = [format!("{folder}/{child}.rs"), format!("{folder}/{child}/mod.rs")];
                let found = files.into_iter().find(|file| texts.contains_key(file.as_str()));
                let below = [&place[..], std::slice::from_ref(child)].concat();
                unread
                    .push((below, found.unwrap_or_else(|| panic!("{file}: no file for {child}"))));
            }
            all.insert(place, module);
        }
        Self(all)
    }

    /// All imports between files, but those of the root of the crate, which has no items.
    pub(crate) fn imports(&self) -> BTreeSet<Import> {
        let mut imports = BTreeSet::new();
        for (place, module) in &self.0 {
            for path in module.named() {
                let Some((owner, item)) = self.resolve(place, &path, 0) else { continue };
                if owner != *place && !owner.is_empty() && !place.is_empty() {
                    let of = self.0[&owner].file.clone();
                    imports.insert(Import { by: module.file.clone(), of, item });
                }
            }
        }
        imports
    }

    /// Each type that has methods of its own: where it is defined, and the files of its definition
    /// and of its `impl`s.
    pub(crate) fn files_of_impls(&self) -> BTreeMap<(Place, String), BTreeSet<String>> {
        let mut files: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for (place, module) in &self.0 {
            for (path, _) in &module.impls {
                let path = module.expanded(path);
                if let Some(type_) = self.resolve(place, &path, 0) {
                    let definition = self.0[&type_.0].file.clone();
                    files.entry(type_).or_default().extend([definition, module.file.clone()]);
                }
            }
        }
        files
    }

    /// Finds the module that defines what `path` means in the module at `place`, and the item's
    /// name.
    ///
    /// Returns `None` for a module itself, and for what is of another crate or unknown.
    fn resolve(&self, place: &Place, path: &[String], depth: usize) -> Option<(Place, String)> {
        let mut at = place.clone();
        let mut rest = path;
        match path.first()?.as_str() {
            "crate" | "statsd" | "statsd_core" => (at, rest) = (Place::new(), &path[1..]),
            "self" => rest = &path[1..],
            "super" => {
                while rest.first().is_some_and(|step| step == "super") {
                    at.pop()?;
                    rest = &rest[1..];
                }
            }
            name if path.len() > 1 && !self.0[place].children.iter().any(|child| child == name) => {
                return None;
            }
            _ => {}
        }
        while let [step, _, ..] = rest {
            let below = [&at[..], std::slice::from_ref(step)].concat();
            if !self.0.contains_key(&below) {
                break;
            }
            (at, rest) = (below, &rest[1..]);
        }
        self.item_of(&at, rest.first()?, depth)
    }

    /// Finds the definition of `name`, as seen by the code of the module at `place`.
    fn item_of(&self, place: &Place, name: &str, depth: usize) -> Option<(Place, String)> {
        const LONGEST_CHAIN: usize = 8; // of re-exports; more is a circle of globs
        let module = self.0.get(place)?;
        if name == "*" || module.items.contains(name) {
            return Some((place.clone(), name.to_owned()));
        }
        if depth == LONGEST_CHAIN {
            return None;
        }
        let renamed = module.uses.iter().filter(|import| import.name == name);
        let globs = module.uses.iter().filter(|import| import.name == "*");
        let mut found = renamed.filter_map(|import| self.resolve(place, &import.path, depth + 1));
        found.next().or_else(|| {
            globs.into_iter().find_map(|import| {
                let path = [&import.path[..], &[name.to_owned()]].concat();
                self.resolve(place, &path, depth + 1)
            })
        })
    }
}

impl Module {
    fn read(file: &str, text: &str) -> Self {
        let tokens = production(text);
        let mut module = Self {
            file: file.to_owned(),
            children: Vec::new(),
            items: BTreeSet::new(),
            uses: Vec::new(),
            paths: BTreeSet::new(),
            impls: Vec::new(),
            types: Vec::new(),
        };
        let mut depth = 0_usize;
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            let rest = &tokens[at..];
            let begins_item =
                at == 0 || ["{", "}", ";", "]", ")", "pub"].contains(&tokens[at - 1].text);
            match token.text {
                "{" | "(" | "[" => depth += 1,
                "}" | ")" | "]" => depth -= 1,
                "use" if begins_item => {
                    let end = rest.iter().position(|token| token.text == ";").expect("a use ends");
                    let is_public = at > 0 && ["pub", ")"].contains(&tokens[at - 1].text);
                    module.add_uses(&rest[1..end], &[], is_public);
                    at += end;
                }
                "mod" if rest.len() > 2 && rest[2].text == ";" => {
                    module.children.push(rest[1].text.to_owned());
                }
                "impl" if begins_item => module.add_impl(rest),
                _ if depth == 0 => module.add_item(rest),
                _ => {}
            }
            let is_start = at == 0 || !["::", "."].contains(&tokens[at - 1].text);
            if token.is_name() && is_start && token.text != "use" {
                module.paths.insert(path(rest));
            }
            at += 1;
        }
        module
    }

    /// Adds the leaves of a `use` tree such as `a::{self, b as c, d::*}`.
    fn add_uses(&mut self, tree: &[Token<'_>], stem: &[String], is_public: bool) {
        let mut path = stem.to_vec();
        for (at, token) in tree.iter().enumerate() {
            match token.text {
                "{" => {
                    let inside = &tree[at + 1..tree.len() - 1];
                    for branch in at_commas(inside) {
                        self.add_uses(branch, &path, is_public);
                    }
                    return;
                }
                "as" => break,
                "self" if !path.is_empty() => {}
                text if token.is_name() || text == "*" => path.push(text.to_owned()),
                _ => {}
            }
        }
        let last = tree.last().filter(|token| token.text != "self").map(|token| token.text);
        let name = last.or_else(|| path.last().map(String::as_str)).unwrap_or_default().to_owned();
        if name == "*" {
            path.pop();
        }
        self.uses.push(Use { path, name, is_public });
    }

    fn add_impl(&mut self, tokens: &[Token<'_>]) {
        let start = 1 + generics(&tokens[1..]);
        let head = tokens[start..].iter().position(|token| token.text == "{").expect("a body");
        let head = &tokens[start..start + head];
        let is_of_trait =
            head.iter().take_while(|token| token.text != "where").any(|token| token.text == "for");
        if !is_of_trait && head.first().is_some_and(Token::is_name) {
            self.impls.push((path(head), tokens[0].line));
        }
    }

    fn add_item(&mut self, tokens: &[Token<'_>]) {
        const TYPES: [&str; 5] = ["struct", "enum", "union", "trait", "type"];
        const OTHERS: [&str; 3] = ["fn", "const", "static"];
        let [keyword, name, ..] = tokens else { return };
        let name = match keyword.text {
            "macro_rules" => tokens[2],
            _ => *name,
        };
        let is_type = TYPES.contains(&keyword.text);
        if !name.is_name() || !(is_type || OTHERS.contains(&keyword.text) || name != tokens[1]) {
            return;
        }
        self.items.insert(name.text.to_owned());
        if is_type {
            self.types.push((name.text.to_owned(), name.line));
        }
    }

    /// Returns the paths that the code names, each as the `use` lines expand it.
    fn named(&self) -> BTreeSet<Vec<String>> {
        let imported = self.uses.iter().filter(|import| !import.is_public).map(|import| {
            let glob = (import.name == "*").then(|| "*".to_owned());
            import.path.iter().cloned().chain(glob).collect()
        });
        imported.chain(self.paths.iter().map(|path| self.expanded(path))).collect()
    }

    /// Replaces the first step of a path by what it was imported as.
    fn expanded(&self, path: &[String]) -> Vec<String> {
        let import = self.uses.iter().find(|import| import.name == path[0]);
        let stem = import.map_or(&path[..1], |import| &import.path);
        [stem, &path[1..]].concat()
    }
}

/// The path that `tokens` begin with: `a::b` of `a::b::<C>()`.
fn path(tokens: &[Token<'_>]) -> Vec<String> {
    let mut path = vec![tokens[0].text.to_owned()];
    let mut rest = &tokens[1..];
    while starts_with(rest, &["::"]) && rest.get(1).is_some_and(Token::is_name) {
        path.push(rest[1].text.to_owned());
        rest = &rest[2..];
    }
    path
}

/// Splits at the commas that stand in no brackets.
pub(crate) fn at_commas<'a, 'b>(tokens: &'a [Token<'b>]) -> Vec<&'a [Token<'b>]> {
    let mut parts = Vec::new();
    let mut start = 0;
    let mut at = 0;
    while at < tokens.len() {
        match tokens[at].text {
            "," => {
                parts.push(&tokens[start..at]);
                start = at + 1;
                at += 1;
            }
            "{" | "(" | "[" => at += group(&tokens[at..]),
            _ => at += 1,
        }
    }
    parts.push(&tokens[start..]);
    parts.retain(|part| !part.is_empty());
    parts
}

/// The imports of a library of these files, as `importer > owner: item`.
fn imports_of(files: &[(&str, &str)]) -> Vec<String> {
    let source =
        |(path, text): &(&str, &str)| Source { path: (*path).into(), text: (*text).into() };
    let modules = Modules::of(&files.iter().map(source).collect::<Vec<_>>(), "src/lib.rs");
    let shown = |Import { by, of, item }| format!("{by} > {of}: {item}").replace("src/", "");
    modules.imports().into_iter().map(shown).collect()
}

#[test]
fn an_import_is_one_of_the_file_that_defines_the_item() {
    let found = imports_of(&[
        ("src/lib.rs", "mod a; mod b; mod c; pub use a::One;"),
        ("src/a/mod.rs", "mod one; mod two; pub use self::{one::One, two::*}; pub use log::Level;"),
        ("src/a/one.rs", "pub struct One; impl One { fn f() { super::two::g::<u8>() } }"),
        ("src/a/two.rs", "pub struct Two; pub fn g<T>() {} #[cfg(test)] use super::One;"),
        ("src/b.rs", "use crate::{a::{self, One as First}, c}; use std::fmt; a::Two; c::h();"),
        (
            "src/c.rs",
            "// use crate::b::K;\nmacro_rules! m { () => { $crate::a::g() } } pub fn h() {}",
        ),
    ]);
    let expected = [
        "a/one.rs > a/two.rs: g",
        "b.rs > a/one.rs: One",
        "b.rs > a/two.rs: Two",
        "b.rs > c.rs: h",
        "c.rs > a/two.rs: g",
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_parent_that_names_what_it_passes_on_imports_it() {
    let child = ("src/a/child.rs", "use super::*; pub struct Child;");
    let root = ("src/lib.rs", "mod a;");
    let passes_on = imports_of(&[root, child, ("src/a.rs", "mod child; pub use child::Child;")]);
    assert_eq!(passes_on, ["a/child.rs > a.rs: *"]);
    let text = "mod child; pub use child::Child; struct A(Child);";
    let names = imports_of(&[root, child, ("src/a.rs", text)]);
    assert_eq!(names, ["a.rs > a/child.rs: Child", "a/child.rs > a.rs: *"]);
}

#[test]
fn only_inherent_methods_count_as_methods_of_a_type() {
    let text = "struct A<T>(T); impl<T: Fn() -> u8> A<T> { } impl<T> Drop for A<T> { }
        mod b; trait C { type D; }";
    let sources = [
        ("src/lib.rs", "mod a;"),
        ("src/a.rs", text),
        (
            "src/a/b.rs",
            "use super::A; impl A<u8> { fn f() -> impl Sized { } } impl Clone for A<u8> {}
            mod c; pub struct E;",
        ),
        ("src/a/b/c.rs", "use super::E; impl E { fn g() { } }"),
    ];
    let source = |(path, text): (&str, &str)| Source { path: path.into(), text: text.into() };
    let modules = Modules::of(&sources.map(source), "src/lib.rs");
    let files = modules.files_of_impls();
    let of = |place: &[&str], name: &str| {
        let place = place.iter().map(|step| (*step).to_owned()).collect();
        files[&(place, name.to_owned())].iter().map(String::as_str).collect::<Vec<_>>()
    };
    assert_eq!(files.len(), 2);
    assert_eq!(of(&["a"], "A"), ["src/a.rs", "src/a/b.rs"]);
    assert_eq!(of(&["a", "b"], "E"), ["src/a/b.rs", "src/a/b/c.rs"], "its definition counts");
    let types = &modules.0[&vec!["a".to_owned()]].types;
    assert_eq!(types.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["A", "C"]);
}
