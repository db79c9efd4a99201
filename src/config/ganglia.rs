//! `[ganglia]`: what there is to say of a Ganglia, or rather of the gmond that takes its metrics. Pure.

use super::Remote;
use super::address::OFF;
use super::destination::Way;
use super::value::Kind;
use crate::encode::ganglia::Labels;

/// One gmond.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ganglia {
    /// `ganglia`, or `ganglia.NAME`.
    pub name: String,
    pub address: Remote,
    /// The host that the metrics are said to be of: `address:name`.
    pub spoof: String,
    /// Stands before each name, with a dot behind it unless it is empty.
    pub prefix: String,
    /// Bytes; what has a longer one is not sent.
    pub max_name_length: usize,
}

impl Ganglia {
    /// For the table's defaults to be written into.
    pub(super) fn blank() -> Self {
        Self {
            name: "ganglia".into(),
            address: OFF,
            spoof: String::new(),
            prefix: String::new(),
            max_name_length: 0,
        }
    }

    pub fn way(&self) -> Way<'_> {
        Way::to(&self.address)
    }

    pub(super) fn labels(&self) -> Labels {
        let Self { spoof, prefix, max_name_length, .. } = self;
        Labels { spoof: spoof.clone(), prefix: prefix.clone(), max_name_length: *max_name_length }
    }
}

/// The host that a metric is said to be of. gmond takes what stands before the first colon for its address.
pub(super) struct Spoof;

impl Kind<String> for Spoof {
    fn read(&self, text: &str) -> Result<String, String> {
        let printable = |byte: u8| byte.is_ascii_graphic();
        let parts = text.split_once(':').filter(|(address, name)| {
            !address.is_empty() && !name.is_empty() && text.bytes().all(printable)
        });
        match parts {
            Some(_) if text.len() <= 128 => Ok(text.into()),
            _ => Err("expected address:name, of at most 128 printable characters".into()),
        }
    }

    fn show(&self, spoof: &String) -> String {
        spoof.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse::tests::{config, mistakes};
    use super::super::value::tests::{both_ways, refused};
    use super::*;

    #[test]
    fn it_is_off_without_an_address() {
        assert_eq!(config("[ganglia]\nprefix = a").ganglias, []);
        let ganglias = config("[ganglia]\naddress = a\n[ganglia.b]\naddress = b:1").ganglias;
        let found: Vec<_> =
            ganglias.iter().map(|one| (one.name.as_str(), one.address.to_string())).collect();
        assert_eq!(found, [("ganglia", "a:8649".into()), ("ganglia.b", "b:1".into())]);
        let expected = "1: [ganglia.a] address: expected host[:port], it has no default";
        assert!(mistakes("[ganglia.a]")[0].contains(expected));
    }

    #[test]
    fn a_spoofed_host_is_an_address_and_a_name() {
        both_ways(&Spoof, &[("192.0.2.7:web-1", "192.0.2.7:web-1".into(), "192.0.2.7:web-1")]);
        refused(&Spoof, &["", "web-1", ":web-1", "192.0.2.7:", "a:b c"], "expected address:name");
    }
}
