//! Destinations and the way to them.

#[cfg_attr(not(test), expect(dead_code, reason = "the link is to come"))]
mod backoff;
pub mod outbox;
#[expect(dead_code, reason = "the link is to come")]
pub mod resolve;
#[cfg(test)]
mod testing;
