//! [`MemoryLimit`]: how much memory this process can use. It is the least of the memory of the
//! machine, the limits of its cgroups, and its own resource limits.

use std::fs;
use std::path::{Path, PathBuf};

use crate::sys;

/// A limit of the memory that the process can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryLimit {
    pub bytes: u64,
    /// What sets the limit, such as `the cgroup`.
    pub of: &'static str,
}

impl MemoryLimit {
    /// Returns the least limit of the memory of this process. Returns `None` if there is none that
    /// can be read.
    pub fn of_process() -> Option<Self> {
        // Not from /proc/meminfo, which a service with ProcSubset=pid does not see.
        memory_limit(Path::new("/"), sys::memory_bytes())
    }
}

/// Returns the least limit. `root` is the folder in which `proc` and `sys` are. `machine` is the
/// memory of the machine.
fn memory_limit(root: &Path, machine: Option<u64>) -> Option<MemoryLimit> {
    let read = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_default();
    let mut limits = Vec::new();
    limits.extend(machine.map(|bytes| MemoryLimit { bytes, of: "this machine" }));
    let ulimits = read("proc/self/limits");
    for (name, of) in [
        ("Max address space", "the limit of address space (ulimit -v)"),
        ("Max data size", "the limit of data (ulimit -d)"),
    ] {
        let soft =
            ulimits.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next());
        let bytes = soft.and_then(|soft| soft.parse().ok());
        limits.extend(bytes.map(|bytes| MemoryLimit { bytes, of }));
    }
    for file in cgroup_files(root, &read("proc/self/cgroup")) {
        let text = fs::read_to_string(file).unwrap_or_default();
        // `max` (version 2) and a huge number (version 1) mean that there is no limit.
        let bytes = text.trim().parse().ok();
        limits.extend(bytes.map(|bytes| MemoryLimit { bytes, of: "the cgroup" }));
    }
    limits.into_iter().min_by_key(|limit| limit.bytes)
}

/// Returns the files with the limits of the cgroups that a process is in, from the root down. Not
/// all of them exist. `cgroups` is the text of /proc/self/cgroup.
fn cgroup_files(root: &Path, cgroups: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for line in cgroups.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
        let (mounts, names): (&[&str], &[&str]) = match controllers {
            // Version 2. Beside version 1 it is mounted at `unified`.
            "" => (&["sys/fs/cgroup", "sys/fs/cgroup/unified"], &["memory.max", "memory.high"]),
            _ if controllers.split(',').any(|name| name == "memory") => {
                (&["sys/fs/cgroup/memory"], &["memory.limit_in_bytes"])
            }
            _ => continue,
        };
        // A container may see the path of the host, which is not there. Its own cgroup is then at
        // the root of the mount.
        let path = Path::new(path.trim_start_matches('/'));
        for folder in path.ancestors() {
            for mount in mounts {
                files.extend(names.iter().map(|name| root.join(mount).join(folder).join(name)));
            }
        }
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the limit that files in an otherwise empty root give.
    fn limit(files: &[(&str, &str)]) -> Option<(u64, &'static str)> {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        memory_limit(root.path(), MACHINE).map(|limit| (limit.bytes, limit.of))
    }

    const MACHINE: Option<u64> = Some(2 << 20);

    #[test]
    fn the_least_limit_counts() {
        let v2 = ("proc/self/cgroup", "0::/a/b\n");
        let v1 = ("proc/self/cgroup", "4:cpu:/x\n3:blkio,memory:/a/b\n0::/\n");
        let unlimited = ("proc/self/limits", "Max data size   unlimited   unlimited   bytes\n");
        let limited = ("proc/self/limits", "Max address space    1000    unlimited   bytes\n");
        for (files, expected) in [
            (vec![unlimited], Some((2 << 20, "this machine"))),
            (vec![limited], Some((1000, "the limit of address space (ulimit -v)"))),
            (vec![v2, ("sys/fs/cgroup/a/b/memory.max", "max\n")], Some((2 << 20, "this machine"))),
            (vec![v2, ("sys/fs/cgroup/a/b/memory.max", "4096\n")], Some((4096, "the cgroup"))),
            (vec![v2, ("sys/fs/cgroup/a/memory.max", "4096\n")], Some((4096, "the cgroup"))),
            (vec![v2, ("sys/fs/cgroup/a/b/memory.high", "4096\n")], Some((4096, "the cgroup"))),
            (vec![v2, ("sys/fs/cgroup/memory.max", "4096\n")], Some((4096, "the cgroup"))),
            (
                vec![v1, ("sys/fs/cgroup/memory/a/b/memory.limit_in_bytes", "4096\n")],
                Some((4096, "the cgroup")),
            ),
            (
                vec![v1, ("sys/fs/cgroup/memory/memory.limit_in_bytes", "4096\n")],
                Some((4096, "the cgroup")),
            ),
            (
                vec![v1, ("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "9223372036854771712\n")],
                Some((2 << 20, "this machine")),
            ),
        ] {
            assert_eq!(limit(&files), expected, "{files:?}");
        }
    }
}
