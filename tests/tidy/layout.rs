//! Where things stand: the order of the modules, no circles, one type in one file, one name for one
//! type.

use std::collections::{BTreeMap, BTreeSet};

use crate::modules::{Import, Modules};
use crate::source::compare;

/// Upward imports that are still there, as `src/lower.rs -> upper`.
const UPWARD: &[&str] = &[];

/// Circles of files that are still there, as the sorted names of their files.
const CIRCLES: &[&str] = &[];

/// Types whose methods still stand in several files.
const SCATTERED: &[&str] = &[];

/// Names that several types still have.
const DOUBLES: &[&str] = &[];

/// Names that two types have on purpose: the setting in `config`, and the thing that it sets.
const SETTINGS: [(&str, &str); 4] = [
    ("Console", "the destination standard output"),
    ("Exec", "the destination that is a command"),
    ("KeyFlush", "the log of frequent names"),
    ("Spool", "the queue on disk"),
];

/// The list of modules in `src/lib.rs`, and then in `src/core.rs`, is the order: a module imports
/// only from those after it.
#[test]
fn no_module_imports_from_one_above_it() {
    let modules = Modules::read();
    let order = &modules.0[&vec![]].children;
    let rank = |file: &str| order.iter().position(|module| module == module_of(file));
    let imports = modules.imports();
    let upward = imports.iter().filter(|import| rank(&import.of) < rank(&import.by));
    let found = upward.map(|import| format!("{} -> {}", import.by, module_of(&import.of)));
    compare("imports from a module listed before", &found.collect(), UPWARD);
}

/// A part of the server that imported another one, or a file that imports it, could not be tested
/// without it. All parts take the reactor as an argument.
#[test]
fn no_part_of_the_server_imports_another() {
    let parts = ["reactor", "reception", "pipeline", "admin_port", "life", "signals"];
    let files = parts.map(|part| format!("src/server/{part}.rs"));
    let imports = Modules::read().imports();
    let items = items_by_file(&imports);
    for file in &files {
        let reached = reached(file, &items);
        let found: Vec<_> =
            files[1..].iter().filter(|of| *of != file && reached.contains(of.as_str())).collect();
        assert!(found.is_empty(), "{file} reaches {found:?}");
        assert!(!reached.is_empty(), "{file} imports something");
    }
}

/// What only one part of the server uses is in the folder of its name. What two use is not.
#[test]
fn a_file_of_one_part_of_the_server_is_not_used_by_another() {
    let parts = ["reactor", "reception", "pipeline", "admin_port", "life"];
    let part = |file: &str| {
        let inside = file.strip_prefix("src/server/")?;
        parts.into_iter().find(|part| inside.split(['/', '.']).next() == Some(part))
    };
    let is_helper = |file: &str| part(file).is_some() && file.matches('/').count() > 2;
    let imports = Modules::read().imports();
    let own = imports.iter().filter(|import| is_helper(&import.of) && part(&import.by).is_some());
    assert!(own.count() > 10, "each part imports the files of its folder");
    let of_others = imports
        .iter()
        .filter(|import| is_helper(&import.of) && part(&import.by).is_some())
        .filter(|import| part(&import.by) != part(&import.of));
    let found: Vec<_> = of_others.map(|import| format!("{} -> {}", import.by, import.of)).collect();
    assert!(found.is_empty(), "{found:?}");
}

/// A type that two files need belongs in a third file. Circles of any length count: every file of
/// a circle can be understood only with all others of it.
#[test]
fn no_files_import_each_other_in_a_circle() {
    let mut imports = Modules::read().imports();
    for crate_ in Modules::of_bench() {
        let of_bench = crate_.imports();
        assert!(of_bench.len() > 5, "the bench has imports");
        imports.extend(of_bench);
    }
    let items = items_by_file(&imports);
    let reached: BTreeMap<_, _> = items.keys().map(|file| (*file, reached(file, &items))).collect();
    let mut circles = BTreeSet::new();
    for (file, of) in &reached {
        // The files that reach each other.
        let is_in = |other: &&&str| reached.get(**other).is_some_and(|back| back.contains(file));
        let circle: Vec<_> = of.iter().filter(is_in).copied().collect();
        if circle.len() > 1 && circles.insert(circle.join(" ")) {
            for by in &circle {
                let inside = items[by].iter().filter(|(of, _)| circle.contains(of) && *of != by);
                inside
                    .for_each(|(of, items)| println!("{by} imports of {of}: {}", items.join(", ")));
            }
            println!();
        }
    }
    compare("files that import each other in a circle", &circles, CIRCLES);
}

/// The items that each file imports, by the file that they are of.
fn items_by_file(imports: &BTreeSet<Import>) -> BTreeMap<&str, BTreeMap<&str, Vec<&str>>> {
    let mut items: BTreeMap<&str, BTreeMap<&str, Vec<&str>>> = BTreeMap::new();
    for Import { by, of, item } in imports {
        items.entry(by).or_default().entry(of).or_default().push(item);
    }
    items
}

/// The files that a file imports, and those that they import, and so on.
fn reached<'a>(
    file: &str,
    items: &BTreeMap<&'a str, BTreeMap<&'a str, Vec<&'a str>>>,
) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut unread = vec![file];
    while let Some(file) = unread.pop() {
        let of = items.get(file).into_iter().flat_map(|of| of.keys().copied());
        for of in of {
            if reached.insert(of) {
                unread.push(of);
            }
        }
    }
    reached
}

/// The definition of a type counts, too. A type whose methods are too long for one file is to be
/// split into types, not its `impl` into files.
#[test]
fn the_methods_of_a_type_stand_in_one_file() {
    let [program, library] = Modules::of_bench();
    let crates = [Modules::read(), program, library];
    let files: Vec<_> = crates.iter().flat_map(Modules::files_of_impls).collect();
    let scattered = files.iter().filter(|(_, files)| files.len() > 1);
    let found = scattered.map(|((place, name), files)| {
        println!("{}::{name}: {files:?}", place.join("::"));
        format!("{}::{name}", place.join("::"))
    });
    compare("types with methods in several files", &found.collect(), SCATTERED);
}

/// A reader who searches for a name finds one type.
#[test]
fn no_two_types_have_the_same_name() {
    let modules = Modules::read();
    let mut files: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for module in modules.0.values() {
        for (name, _) in &module.types {
            files.entry(name).or_default().push(&module.file);
        }
    }
    files.retain(|_, files| files.len() > 1);
    for (name, sets) in SETTINGS {
        let files = files.remove(name).unwrap_or_default();
        let settings = files.iter().filter(|file| module_of(file) == "config").count();
        assert!(settings == 1 && files.len() == 2, "{name}, for {sets}: {files:?}");
    }
    let found = files.iter().map(|(name, files)| {
        println!("{name}: {files:?}");
        (*name).to_owned()
    });
    compare("names of several types", &found.collect(), DOUBLES);
}

/// `sink` of `src/sink/link.rs` and of `src/sink.rs`.
fn module_of(file: &str) -> &str {
    let path = file.strip_prefix("src/").expect("a file of the library");
    path.split('/').next().unwrap_or(path).trim_end_matches(".rs")
}
