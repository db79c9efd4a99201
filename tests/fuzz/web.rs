//! The fuzz target of the admin port: requests of HTTP.

use statsd::admin::http::{HEAD_BYTES, Method, ReadHead, WebRequest};

/// HTTP requests, one after the other. Whether a head is whole depends on its own bytes alone: it
/// is read as the same request however little of the next one has arrived. Only the bound of a head
/// ends one that is not whole.
pub(crate) fn http(data: &[u8]) {
    let mut rest = data;
    loop {
        match WebRequest::read(rest) {
            ReadHead::Whole(request, length) => {
                assert!((1..=rest.len().min(HEAD_BYTES)).contains(&length));
                let alone = WebRequest::read(&rest[..length]);
                assert_eq!(alone, WebRequest::read(rest), "{}", rest.escape_ascii());
                assert_ne!(WebRequest::read(&rest[..length - 1]), alone);
                check_request(&request);
                rest = &rest[length..];
            }
            ReadHead::Partial => return assert!(rest.len() < HEAD_BYTES),
            ReadHead::Bad(_) => return,
        }
    }
}

fn check_request(request: &WebRequest<'_>) {
    assert!(request.path.starts_with('/') || request.path == "*", "{request:?}");
    assert!(!request.path.contains(['?', ' ', '\r', '\n']), "{request:?}");
    for name in ["q", "n", "name", "kind", ""] {
        request.parameter(name);
    }
    assert!(request.most().is_ok() || request.parameter("n").is_some(), "{request:?}");
    let listed = ["stats.example.org".to_owned()];
    for host in &request.hosts {
        let text = host.as_str();
        let is_known = ["box7", "localhost", "stats.example.org"]
            .iter()
            .any(|known| text.strip_suffix('.').unwrap_or(text).eq_ignore_ascii_case(known));
        let is_numeric = |byte: u8| byte.is_ascii_digit() || byte == b'.';
        let is_address = text.starts_with('[') || text.bytes().all(is_numeric);
        assert!(!host.is_ours("box7", &listed) || is_known || is_address, "{request:?}");
    }
    assert!(matches!(request.method, Method::Get | Method::Head | Method::Other));
}
