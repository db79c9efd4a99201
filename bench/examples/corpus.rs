//! Writes the corpora of the micro-benchmarks again: `cargo run -p statsd-bench --example corpus`,
//! at the root of the workspace.

use std::{fs, io, path::Path};

#[path = "../micro/recipe.rs"]
mod recipe;

fn main() -> io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    recipe::RECIPES.iter().try_for_each(|made| fs::write(folder.join(made.file), made.text()))
}
