//! The files that are part of the program: the page and what it loads.

use super::reply::{HttpStatus, Reply, ReplyBody};

/// A file under its path.
struct PageFile {
    path: &'static str,
    content_type: &'static str,
    bytes: &'static [u8],
}

const FILES: &[PageFile] = &[];

/// Returns the file of this path. Returns `None` if there is none.
pub(super) fn find(path: &str) -> Option<Reply> {
    let file = FILES.iter().find(|file| file.path == path)?;
    Some(Reply {
        status: HttpStatus::Ok,
        content_type: file.content_type,
        body: ReplyBody::Whole(file.bytes.into()),
        may_be_kept: true,
    })
}
