//! The page at `/`: its files, as they are sent to a browser.
//!
//! They are written by hand, and no step of the build changes them. `page.js` begins with a map of
//! the scripts. The page gets all that it shows from `/api/*`. It asks no other host for anything.
//!
//! `uplot.js` and `uplot.css` are `dist/uPlot.iife.min.js` and `dist/uPlot.min.css` of the npm
//! package `uplot`, version 1.6.32, unchanged. `uplot.LICENSE` is its licence.

/// A file of the page.
#[derive(Clone, Copy, Debug)]
pub struct PageFile {
    pub path: &'static str,
    pub content_type: &'static str,
    pub bytes: &'static [u8],
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

macro_rules! page_files {
    ($($name:literal $content_type:ident,)*) => {
        &[
            PageFile { path: "/", content_type: HTML, bytes: include_bytes!("index.html") },
            $(PageFile {
                path: concat!("/page/", $name),
                content_type: $content_type,
                bytes: include_bytes!($name),
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
    "dom.js" SCRIPT,
    "first.js" SCRIPT,
    "format.js" SCRIPT,
    "glance.js" SCRIPT,
    "peers.js" SCRIPT,
    "route.js" SCRIPT,
    "series.js" SCRIPT,
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
    use super::*;

    /// Shows that each file that another one names is part of the page.
    #[test]
    fn the_page_names_no_file_that_is_missing() {
        for file in FILES.iter().filter(|file| !file.path.contains("uplot")) {
            let text = std::str::from_utf8(file.bytes).unwrap();
            let words = text.split(['"', '\'']);
            for word in words {
                let named = match word.strip_prefix("./") {
                    Some(name) if name.ends_with(".js") => format!("/page/{name}"),
                    _ if word.starts_with("page/") => format!("/{word}"),
                    _ => continue,
                };
                assert!(super::file(&named).is_some(), "{} names {named}", file.path);
            }
        }
    }

    /// Shows that the page works under its own security policy: no script and no style is inline,
    /// and no text becomes HTML.
    #[test]
    fn nothing_is_inline() {
        for file in FILES.iter().filter(|file| !file.path.contains("uplot")) {
            let text = std::str::from_utf8(file.bytes).unwrap();
            for word in ["style=", "<style", "onclick=\"", "innerHTML", "insertAdjacent", "eval("] {
                let comment = "// Elements without innerHTML";
                assert!(!text.replace(comment, "").contains(word), "{}: {word}", file.path);
            }
            let scripts = text.matches("<script").count();
            assert_eq!(scripts, text.matches("<script src=").count(), "{}", file.path);
        }
    }

    /// Shows that the page stays small: it is part of the binary.
    #[test]
    fn the_files_stay_small() {
        let all: usize = FILES.iter().map(|file| file.bytes.len()).sum();
        assert!(all < 130_000, "{all} bytes");
    }
}
