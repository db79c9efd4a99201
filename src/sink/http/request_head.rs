//! [`RequestHead`]: the head of the requests to InfluxDB. It is the same for each request, except
//! for the length of the lines. Pure.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::config::{Influxdb, Remote};

/// The bytes of a request up to the value of `Content-Length`.
#[derive(PartialEq, Eq)]
pub(in crate::sink) struct RequestHead(String);

impl RequestHead {
    pub(in crate::sink) fn new(remote: &Remote, to: &Influxdb) -> Self {
        let database = utf8_percent_encode(&to.database, NON_ALPHANUMERIC);
        let version = env!("CARGO_PKG_VERSION");
        let mut text = format!(
            "POST /write?db={database} HTTP/1.1\r\nHost: {remote}\r\nUser-Agent: statsd/{version}\r\n",
        );
        if !to.username.is_empty() {
            let account = BASE64_STANDARD.encode(format!("{}:{}", to.username, to.password));
            text += &format!("Authorization: Basic {account}\r\n");
        }
        Self(text + "Content-Type: text/plain; charset=utf-8\r\nContent-Length: ")
    }

    /// Appends to `out` a whole request with these lines as its body.
    pub(super) fn request(&self, lines: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(self.0.as_bytes());
        out.extend_from_slice(format!("{}\r\n\r\n", lines.len()).as_bytes());
        out.extend_from_slice(lines);
    }
}

/// Hides the head, because it contains the password.
impl std::fmt::Debug for RequestHead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RequestHead").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Destination, DestinationKind};
    use crate::sink::testing::influxdb_with;

    fn head(to: &Destination) -> RequestHead {
        let DestinationKind::Influxdb(influxdb) = &to.kind else { panic!("{to:?}") };
        RequestHead::new(&to.net.as_ref().unwrap().remote, influxdb)
    }

    fn request(to: &Destination) -> String {
        let mut text = Vec::new();
        head(to).request(b"a value=1 1\n", &mut text);
        String::from_utf8(text).unwrap().replace(env!("CARGO_PKG_VERSION"), "VERSION")
    }

    #[test]
    fn a_request_is_what_influxdb_reads() {
        let address = "[::1]:8086".parse().unwrap();
        let to = influxdb_with(address, |influxdb| influxdb.database = "a b/c".into());
        let expected = "POST /write?db=a%20b%2Fc HTTP/1.1\r\nHost: [::1]:8086\r\n\
            User-Agent: statsd/VERSION\r\nContent-Type: text/plain; charset=utf-8\r\n\
            Content-Length: 12\r\n\r\na value=1 1\n";
        assert_eq!(request(&to), expected);
    }

    #[test]
    fn a_request_has_the_account_and_the_password_is_not_printed() {
        let to = influxdb_with("127.0.0.1:1".parse().unwrap(), |influxdb| {
            influxdb.username = "Aladdin".into();
            influxdb.password = "open sesame".into();
        });
        // RFC 7617's example.
        assert!(request(&to).contains("\r\nAuthorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n"));
        assert!(!format!("{:?}", head(&to)).contains("QWxh"));
    }
}
