//! The part of a new configuration that a reload can apply.

use crate::config::{Carbon, Config, Influxdb, Repeater};

/// What only a start can apply stays as it is: who the process is, where its folders are, and a destination in another
/// protocol than the one in which it has chunks waiting.
pub(super) fn applicable(before: &Config, wanted: &Config) -> Config {
    let (user, group) = (before.user.clone(), before.group.clone());
    let mut running = Config { user, group, spool: before.spool.clone(), ..wanted.clone() };
    for carbon in &mut running.carbons {
        let same = before.carbons.iter().find(|known| known.name == carbon.name);
        if let Some(same) = same.filter(|same| same.protocol != carbon.protocol) {
            let namespace = std::mem::take(&mut carbon.namespace); // the other may be gone
            *carbon = Carbon { namespace, ..same.clone() };
        }
    }
    for influxdb in &mut running.influxdbs {
        let same = before.influxdbs.iter().find(|known| known.name == influxdb.name);
        if let Some(same) = same.filter(|same| same.protocol != influxdb.protocol) {
            let namespace = std::mem::take(&mut influxdb.namespace);
            *influxdb = Influxdb { namespace, ..same.clone() };
        }
    }
    for repeater in &mut running.repeaters {
        let same = before.repeaters.iter().find(|known| known.name == repeater.name);
        if let Some(same) = same.filter(|same| same.protocol != repeater.protocol) {
            *repeater = Repeater::clone(same);
        }
    }
    running
}
