//! What stands before the lines in each request to InfluxDB. Pure.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::config::Influxdb;

/// All of a request's head but its length.
#[derive(PartialEq, Eq)]
pub(in crate::sink) struct Preface(String);

impl Preface {
    pub(in crate::sink) fn new(to: &Influxdb) -> Self {
        let database = utf8_percent_encode(&to.database, NON_ALPHANUMERIC);
        let version = env!("CARGO_PKG_VERSION");
        let mut text = format!(
            "POST /write?db={database} HTTP/1.1\r\nHost: {}\r\nUser-Agent: statsd/{version}\r\n",
            to.address
        );
        if !to.username.is_empty() {
            let account = BASE64_STANDARD.encode(format!("{}:{}", to.username, to.password));
            text += &format!("Authorization: Basic {account}\r\n");
        }
        Self(text + "Content-Type: text/plain; charset=utf-8\r\nContent-Length: ")
    }

    /// A whole request.
    pub(super) fn request(&self, lines: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(self.0.as_bytes());
        out.extend_from_slice(format!("{}\r\n\r\n", lines.len()).as_bytes());
        out.extend_from_slice(lines);
    }
}

/// The password is in it.
impl std::fmt::Debug for Preface {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Preface").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::testing::influxdb;

    fn request(to: &Influxdb) -> String {
        let mut text = Vec::new();
        Preface::new(to).request(b"a value=1 1\n", &mut text);
        String::from_utf8(text).unwrap().replace(env!("CARGO_PKG_VERSION"), "VERSION")
    }

    #[test]
    fn a_request_is_what_influxdb_reads() {
        let to = Influxdb { database: "a b/c".into(), ..influxdb("[::1]:8086".parse().unwrap()) };
        let expected = "POST /write?db=a%20b%2Fc HTTP/1.1\r\nHost: [::1]:8086\r\n\
            User-Agent: statsd/VERSION\r\nContent-Type: text/plain; charset=utf-8\r\n\
            Content-Length: 12\r\n\r\na value=1 1\n";
        assert_eq!(request(&to), expected);
    }

    #[test]
    fn who_has_a_name_gives_it_and_nobody_prints_the_password() {
        let to = Influxdb {
            username: "Aladdin".into(),
            password: "open sesame".into(),
            ..influxdb("127.0.0.1:1".parse().unwrap())
        };
        // RFC 7617's example.
        assert!(request(&to).contains("\r\nAuthorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n"));
        assert!(!format!("{:?}", Preface::new(&to)).contains("QWxh"));
    }
}
