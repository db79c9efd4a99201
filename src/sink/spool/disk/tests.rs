//! A real folder, which other processes change while it is in use.

use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::encode::chunk::Chunk;
use crate::sink::spool::{DiskCall, Spool, SpoolEvent};

fn spool(path: &Path) -> Spool {
    Spool::open(Box::new(Folder::open(path).unwrap()), "plaintext", 1 << 20).unwrap()
}

fn save(spool: &mut Spool, lines: u32) {
    spool.save(&Chunk::new("a 1 1\n".repeat(lines as usize).into_bytes(), lines, 1));
}

fn drain(spool: &mut Spool) -> u64 {
    let mut lines = 0;
    while let Some(record) = spool.take_next() {
        lines += u64::from(record.lines);
        spool.release(record.place);
    }
    lines
}

fn names(path: &Path) -> Vec<String> {
    let names = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

fn is_refused(path: &Path) -> bool {
    Folder::open(path).is_err_and(|error| error.kind() == io::ErrorKind::ResourceBusy)
}

#[test]
fn a_folder_that_is_removed_is_made_again_and_locked_again() {
    let parent = tempfile::tempdir().unwrap();
    for gone in ["spool/carbon", "spool"] {
        let path = parent.path().join("spool/carbon");
        let mut spool = spool(&path);
        save(&mut spool, 3);
        fs::remove_dir_all(parent.path().join(gone)).unwrap();
        save(&mut spool, 4);
        let events = spool.take_events();
        assert!(
            matches!(events[..], [SpoolEvent::Missing { segments: 1, lines: 3, .. }]),
            "{events:?}"
        );
        assert!(is_refused(&path));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        spool.sync().unwrap();
        assert_eq!(names(&path), ["0000000000000002.chunks", "lock", "released"]);
        assert_eq!((drain(&mut spool), spool.tally().dropped_lines), (4, 3));
        drop(spool);
        fs::remove_dir_all(parent.path().join("spool")).unwrap();
    }
}

#[test]
fn files_that_are_removed_one_by_one_are_made_again() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("carbon");
    let mut spool = spool(&path);
    save(&mut spool, 3);
    for name in ["lock", "released"] {
        fs::remove_file(path.join(name)).unwrap();
        save(&mut spool, 1);
        let record = spool.take_next().unwrap();
        spool.release(record.place);
        spool.write_due_note();
        assert_eq!(names(&path), ["0000000000000001.chunks", "lock", "released"]);
        assert!(is_refused(&path));
    }
    assert_eq!((spool.take_events(), spool.tally().dropped_lines), (vec![], 0));
    drop(spool);
    let mut next = self::spool(&path);
    assert_eq!(drain(&mut next), 1, "chunks before the note are not read again");
}

#[test]
fn handed_out_chunks_leave_no_trace_in_a_folder_of_another_server() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("carbon");
    let mut ours = spool(&path);
    save(&mut ours, 3);
    let record = ours.take_next().unwrap();
    fs::remove_dir_all(&path).unwrap();
    let mut theirs = spool(&path);
    save(&mut theirs, 7);
    ours.release(record.place);
    ours.write_due_note();
    save(&mut ours, 1);
    drop(ours);
    assert_eq!((drain(&mut theirs), theirs.tally().dropped_lines), (7, 0));
}

#[test]
fn files_that_are_replaced_are_not_taken_for_ours() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("carbon");
    let mut spool = spool(&path);
    save(&mut spool, 3);
    let segment = path.join("0000000000000001.chunks");
    let elsewhere = parent.path().join("elsewhere");
    fs::rename(&segment, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &segment).unwrap();
    let before = fs::metadata(&elsewhere).unwrap().len();
    save(&mut spool, 4);
    assert_eq!(fs::metadata(&elsewhere).unwrap().len(), before, "a link is not followed");
    assert_eq!((drain(&mut spool), spool.tally().dropped_lines), (4, 3));
}

#[test]
fn a_folder_that_became_a_file_costs_only_counted_lines_until_it_is_a_folder_again() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("carbon");
    let mut spool = spool(&path);
    save(&mut spool, 3);
    fs::rename(&path, parent.path().join("moved")).unwrap();
    fs::write(&path, "no folder").unwrap();
    save(&mut spool, 4);
    save(&mut spool, 5);
    assert_eq!((drain(&mut spool), spool.tally().dropped_lines), (0, 12));
    let events = spool.take_events();
    assert!(
        matches!(
            events[..],
            [
                SpoolEvent::Missing { lines: 3, .. },
                SpoolEvent::Failing { what: DiskCall::Write, .. }
            ]
        ),
        "{events:?}"
    );
    assert!(spool.sync().is_err());
    fs::remove_file(&path).unwrap();
    save(&mut spool, 6);
    assert_eq!((drain(&mut spool), spool.tally().dropped_lines), (6, 12));
}

#[test]
fn a_folder_that_another_server_has_made_and_locked_is_its_own() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("carbon");
    let mut ours = spool(&path);
    save(&mut ours, 3);
    fs::remove_dir_all(&path).unwrap();
    let mut theirs = spool(&path);
    save(&mut theirs, 7);
    let before = fs::read(path.join(NOTE)).unwrap();
    save(&mut ours, 4);
    assert_eq!((drain(&mut ours), ours.tally().dropped_lines), (0, 7), "{:?}", ours.take_events());
    assert!(ours.sync().is_err());
    drop(ours);
    assert_eq!(fs::read(path.join(NOTE)).unwrap(), before);
    assert_eq!((drain(&mut theirs), theirs.tally().dropped_lines), (7, 0));
}

/// A folder for a spool, and a file outside it that no spool may touch.
fn rig() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let [dir, precious] = ["spool/carbon", "precious"].map(|name| folder.path().join(name));
    fs::write(&precious, "precious").unwrap();
    drop(Folder::open(&dir).unwrap());
    (folder, dir, precious)
}

#[test]
fn no_planted_link_is_followed() {
    let (_folder, dir, precious) = rig();
    let segment = format!("{:016x}{SUFFIX}", 1);
    for name in [NOTE, "lock", &segment] {
        let _ = fs::remove_file(dir.join(name));
        std::os::unix::fs::symlink(&precious, dir.join(name)).unwrap();
        let opened = Folder::open(&dir).and_then(|mut folder| folder.write(1, 0, b"chunk"));
        let why = opened.unwrap_err().to_string();
        assert!(why.contains(&format!("{name} is a symbolic link")), "{why}");
        fs::remove_file(dir.join(name)).unwrap();
    }
    assert_eq!(fs::read(&precious).unwrap(), b"precious");
}

#[test]
fn a_segment_that_is_a_fifo_does_not_block() {
    let (_folder, dir, _) = rig();
    let path = dir.join(format!("{:016x}{SUFFIX}", 7));
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let mut folder = Folder::open(&dir).unwrap();
    assert_eq!(folder.segments().unwrap(), [SegmentFile { number: 7, bytes: 0 }]);
    let why = folder.read(7, 0, &mut [0; 8]).unwrap_err().to_string();
    assert!(why.contains("0007.chunks is a FIFO"), "{why}");
}

#[test]
fn a_folder_that_others_may_write_to_is_refused() {
    let (_folder, dir, _) = rig();
    for unsafe_one in [&dir, dir.parent().unwrap()] {
        fs::set_permissions(unsafe_one, fs::Permissions::from_mode(0o777)).unwrap();
        let why = Folder::open(&dir).unwrap_err().to_string();
        assert!(why.contains("can be written to by other users"), "{why}");
        fs::set_permissions(unsafe_one, fs::Permissions::from_mode(0o700)).unwrap();
    }
    let first = Folder::open(&dir).unwrap();
    assert_eq!(Folder::open(&dir).unwrap_err().kind(), io::ErrorKind::ResourceBusy);
    drop(first);
    Folder::open(&dir).unwrap();
}
