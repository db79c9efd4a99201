//! The files that are part of the program: the page and what it loads.

use super::reply::{HttpStatus, Reply, ReplyBody};
use crate::admin::page;

/// Returns the file of this path. Returns `None` if there is none.
pub(super) fn find(path: &str) -> Option<Reply> {
    let file = page::file(path)?;
    Some(Reply {
        status: HttpStatus::Ok,
        content_type: file.content_type,
        body: ReplyBody::Whole(file.bytes.into()),
        may_be_kept: true,
    })
}
