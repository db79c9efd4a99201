//! The hint for a TCP destination that closes each connection right after the first bytes.

use crate::config::{Carbon, Destination, DestinationKind, Protocol};

/// Returns what to check in the configuration. The peer probably expects another protocol.
pub(super) fn wrong_protocol(to: &Destination) -> String {
    let name = &to.name;
    match &to.kind {
        DestinationKind::Carbon(Carbon { protocol: Protocol::Plaintext, .. }) => format!(
            "[{name}] protocol = plaintext is for carbon's port 2003; a port for pickle, such as 2004, takes protocol = pickle"
        ),
        DestinationKind::Carbon(_) => format!(
            "[{name}] protocol = pickle is for carbon's port 2004; a port for lines, such as 2003, takes protocol = plaintext"
        ),
        _ => {
            format!("check [{name}] address; the process at that port may expect another protocol")
        }
    }
}
