//! The page at `/`: its files, as they are sent to a browser.
//!
//! They are written by hand. `page.js` begins with a map of the scripts. The page gets all that it
//! shows from `/api/*`. It requests nothing from any other host.
//!
//! ```text
//!  page.js ──▶ shrink.rs ──▶ gzip ──▶ PageFile ─┬──────────────▶ browsers
//!  └────────── build.rs ─────────┘              └─ inflated ───▶ clients that take no gzip
//! ```
//! The binary holds only the compressed files, which are a third of the size.
//!
//! `uplot.js` and `uplot.css` are `dist/uPlot.iife.min.js` and `dist/uPlot.min.css` of the npm
//! package `uplot`, version 1.6.32, unchanged. `uplot.LICENSE` is its licence.

#[cfg(test)]
mod shrink;

use crate::gzip;

/// A file of the page.
#[derive(Clone, Copy, Debug)]
pub struct PageFile {
    pub path: &'static str,
    pub content_type: &'static str,
    /// The file in the format of gzip.
    pub gzip: &'static [u8],
}

impl PageFile {
    /// Returns the file for a client that does not take gzip. It takes some 0.3 ms and at most
    /// 64 KiB, which the client holds until all is sent.
    pub fn inflated(&self) -> Vec<u8> {
        gzip::inflated(self.gzip)
    }
}

/// The header `Content-Security-Policy` of the page. A name that somehow became a script would not
/// run, and nothing can be sent to another host. The chart sets styles through the DOM only.
pub const SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";
const PICTURE: &str = "image/svg+xml";

macro_rules! packed {
    ($name:literal) => {
        include_bytes!(concat!(env!("OUT_DIR"), "/page/", $name))
    };
}

macro_rules! page_files {
    ($($name:literal $content_type:ident,)*) => {
        &[
            PageFile { path: "/", content_type: HTML, gzip: packed!("index.html") },
            $(PageFile {
                path: concat!("/page/", $name),
                content_type: $content_type,
                gzip: packed!($name),
            },)*
        ]
    };
}

const FILES: &[PageFile] = page_files! {
    "page.css" STYLE,
    "page.js" SCRIPT,
    "api.js" SCRIPT,
    "chart.js" SCRIPT,
    "detail.js" SCRIPT,
    "crowd.js" SCRIPT,
    "dom.js" SCRIPT,
    "first.js" SCRIPT,
    "format.js" SCRIPT,
    "glance.js" SCRIPT,
    "peers.js" SCRIPT,
    "route.js" SCRIPT,
    "series.js" SCRIPT,
    "who.js" SCRIPT,
    "icon.svg" PICTURE,
    "uplot.js" SCRIPT,
    "uplot.css" STYLE,
    "uplot.LICENSE" TEXT,
};

/// Returns the file at a path of a request, without its query. Returns `None` if there is none.
pub fn file(path: &str) -> Option<&'static PageFile> {
    FILES.iter().find(|file| file.path == path)
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    /// Returns the name and the text of each file that is written by hand, as browsers get it.
    fn written() -> impl Iterator<Item = (&'static str, String)> {
        let own = FILES.iter().filter(|file| !file.path.contains("uplot"));
        own.map(|file| (file.path, String::from_utf8(file.inflated()).unwrap()))
    }

    /// Returns a file as it is in the source.
    fn source(file: &PageFile) -> String {
        let name = file.path.strip_prefix("/page/").unwrap_or("index.html");
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/admin/page");
        fs::read_to_string(folder.join(name)).unwrap()
    }

    /// Shows that each file that another one names is part of the page.
    #[test]
    fn the_page_names_no_file_that_is_missing() {
        for (path, text) in written() {
            for word in text.split(['"', '\'']) {
                let named = match word.strip_prefix("./") {
                    Some(name) if name.ends_with(".js") => format!("/page/{name}"),
                    _ if word.starts_with("page/") => format!("/{word}"),
                    _ => continue,
                };
                assert!(file(&named).is_some(), "{path} names {named}");
            }
        }
    }

    /// Shows that the page works under its own security policy: no script and no style is inline,
    /// and no text becomes HTML.
    #[test]
    fn nothing_is_inline() {
        for (path, text) in written() {
            for word in ["style=", "<style", "onclick=\"", "innerHTML", "insertAdjacent", "eval("] {
                assert!(!text.contains(word), "{path}: {word}");
            }
            let scripts = text.matches("<script").count();
            assert_eq!(scripts, text.matches("<script src=").count(), "{path}");
        }
    }

    /// Shows that a client gets each file without its comments and indentation, and that
    /// the length and the checksum it gets are right.
    #[test]
    fn a_file_inflates_to_what_was_packed() {
        for file in FILES {
            let plain = file.inflated();
            let name = file.path.rsplit('/').next().unwrap();
            let name = if name.is_empty() { "index.html" } else { name };
            let expected = shrink::shrunk(name, &source(file));
            assert_eq!(String::from_utf8_lossy(&plain), expected, "{}", file.path);
            let tail = &file.gzip[file.gzip.len() - gzip::TAIL..];
            assert_eq!(tail[..4], crc32fast::hash(&plain).to_le_bytes(), "{}", file.path);
            assert!(plain.len() <= 64 * 1024, "{}", file.path);
        }
    }

    /// Shows what [`shrink`] relies on, as it reads lines and no language.
    #[test]
    fn scripts_have_no_text_over_several_lines() {
        for file in FILES.iter().filter(|file| !file.path.contains("uplot")) {
            for line in source(file).lines() {
                let ticks = line.matches('`').count() % 2 == 0;
                assert!(ticks && !line.contains("/*"), "{}: {line}", file.path);
            }
        }
    }

    #[test]
    fn shrinking_keeps_what_counts() {
        for (name, text, expected) in [
            ("a.js", "// map\n  a();\n\n    // b\n  b(`//`); // c\n", "a();\nb(`//`); // c\n"),
            ("a.js", "return\n  x\n", "return\nx\n"),
            (
                "a.css",
                "a,\nb > c {\n  font:\n    1px/2 x,\n    y;\n}\n",
                "a,b > c {font:1px/2 x,y;}",
            ),
            ("a.css", "a\nb {\n}\n", "a b {}"),
            ("a.html", "<p>a\n  <b>// c</b>\n", "<p>a\n<b>// c</b>\n"),
            ("uplot.js", "// by\n  x\n", "// by\n  x\n"),
        ] {
            assert_eq!(shrink::shrunk(name, text), expected, "{text:?}");
        }
    }

    /// Shows that the page stays small: it is part of the binary.
    #[test]
    fn the_files_stay_small() {
        let all: usize = FILES.iter().map(|file| file.gzip.len()).sum();
        assert!(all < 54_000, "{all} bytes");
    }
}
