//! HTTP on the admin port: for browsers, probes and Prometheus. GET and HEAD only, so no request
//! changes anything.
//!
//! ```text
//!  bytes ──▶ WebRequest ──▶ routes.rs (one table) ──▶ Reply ──▶ HttpSession ──▶ bytes
//!            (pure)          host, method, path        head, body    │ a slice in each turn,
//!                                                                    ▼ in chunks
//!                                                                  AnswerStream
//! ```
//! The connection stays one of HTTP: none of its bytes is ever read as a command of the line
//! protocol. A request with a body is answered, and the connection is closed after that, so the
//! body is not read as the next request.

mod accept;
mod history;
mod host;
mod metrics;
mod reply;
mod request;
mod routes;
mod search_pattern;
mod sender_list;
mod series_list;
mod server_info;
mod session;
mod status;

pub use host::Authority;
pub use request::{HEAD_BYTES, Method, ReadHead, WebRequest};
pub(super) use session::{HttpSession, HttpStep};
pub use status::HttpStatus;
