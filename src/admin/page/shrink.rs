//! Removes from a file of the page what browsers skip: indentation, empty lines, and lines that are
//! comments. `build.rs` does that before it compresses the file. Pure.
//!
//! It reads lines, not languages. So a script of the page has no comment in `/* */`, and no
//! template literal over several lines. A test holds both.

/// Returns the text that a browser gets for the file `name`.
pub(super) fn shrunk(name: &str, text: &str) -> String {
    if name.starts_with("uplot") {
        return text.to_owned(); // it is kept as its authors publish it
    }
    let is_style = name.ends_with(".css");
    let is_script = name.ends_with(".js");
    let mut shrunk = String::with_capacity(text.len());
    for line in text.lines().map(str::trim) {
        if line.is_empty() || (is_script && line.starts_with("//")) {
            continue;
        }
        shrunk.push_str(line);
        match line.bytes().last() {
            Some(b'{' | b'}' | b';' | b',' | b':') if is_style => {}
            _ if is_style => shrunk.push(' '),
            _ => shrunk.push('\n'), // the end of a line may end a statement
        }
    }
    shrunk
}
