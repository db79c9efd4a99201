//! The targets of the Makefile that a new user runs, with a fake binary in place of the server.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::support::run;

/// A folder with the files that the targets read, and `target/release/statsd` that prints its
/// arguments.
fn checkout() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    run(Command::new("cp").arg("-r").arg(root.join("packaging")).arg(folder.path()));
    for name in ["Makefile", "statsd.conf.example"] {
        fs::copy(root.join(name), folder.path().join(name)).unwrap();
    }
    folder
}

fn build(checkout: &TempDir) {
    let release = checkout.path().join("target/release");
    fs::create_dir_all(&release).unwrap();
    // The source comes first, so that it is never newer than the binary.
    fs::write(checkout.path().join("main.rs"), "").unwrap();
    let binary = release.join("statsd");
    fs::write(&binary, "#!/bin/sh\necho \"statsd $*\"\n").unwrap();
    fs::set_permissions(&binary, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(release.join("statsd.d"), format!("{}: main.rs\n", binary.display())).unwrap();
}

/// Runs a target. The command for Cargo fails if it is used, unless it is `true`.
fn make(checkout: &TempDir, arguments: &[&str], cargo: &str) -> Output {
    let mut make = Command::new("make");
    make.current_dir(checkout.path()).args(arguments).arg(format!("CARGO={cargo}"));
    for variable in ["CARGO_TARGET_DIR", "DESTDIR", "PREFIX", "MAKEFLAGS", "MAKELEVEL"] {
        make.env_remove(variable);
    }
    make.output().expect("make is installed")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Shows that `make run` reads ./statsd.conf if there is one, else the example, and prints which.
#[test]
fn make_run_reads_the_configuration_that_is_there() {
    let checkout = checkout();
    build(&checkout);
    for name in ["statsd.conf.example", "statsd.conf"] {
        let output = make(&checkout, &["run"], "true");
        let printed = text(&output.stdout);
        assert!(output.status.success(), "{printed}");
        assert!(printed.contains(&format!("make run: the configuration is {name}\n")), "{printed}");
        assert!(printed.ends_with(&format!("\nstatsd -c {name}\n")), "{printed}");
        fs::write(checkout.path().join("statsd.conf"), "").unwrap();
    }
}

/// Shows that `make install` never builds, prints what to do without a binary, and warns about a
/// binary that is older than its source.
#[test]
fn make_install_never_builds() {
    let checkout = checkout();
    let staging = tempfile::tempdir().unwrap();
    let destination = format!("DESTDIR={}", staging.path().display());
    let install = || make(&checkout, &["install", &destination, "PREFIX=/usr"], "false");
    let missing = install();
    assert!(!missing.status.success());
    let message = text(&missing.stderr);
    assert!(message.contains("there is no target/release/statsd. Run `make build`"), "{message}");
    assert!(fs::read_dir(staging.path()).unwrap().next().is_none(), "{message}");

    build(&checkout);
    let output = install();
    assert!(output.status.success(), "{}", text(&output.stderr));
    for name in [
        "usr/bin/statsd",
        "usr/lib/systemd/system/statsd.service",
        "usr/lib/sysusers.d/statsd.conf",
        "usr/share/man/man8/statsd.8",
        "usr/share/bash-completion/completions/statsd",
        "etc/statsd.conf",
    ] {
        assert!(staging.path().join(name).exists(), "{name}");
    }
    let unit = staging.path().join("usr/lib/systemd/system/statsd.service");
    assert!(fs::read_to_string(unit).unwrap().contains("ExecStart=/usr/bin/statsd -c"));
    assert!(!text(&output.stderr).contains("warning"), "{}", text(&output.stderr));

    let source = fs::File::options().write(true).open(checkout.path().join("main.rs")).unwrap();
    let binary = fs::metadata(checkout.path().join("target/release/statsd")).unwrap();
    source.set_modified(binary.modified().unwrap() + std::time::Duration::from_secs(1)).unwrap();
    let output = install();
    let warning = text(&output.stderr);
    assert!(output.status.success() && warning.contains("warning: main.rs is newer"), "{warning}");

    let output = make(&checkout, &["uninstall", &destination, "PREFIX=/usr"], "false");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let mut left = Command::new("find");
    let left = left.arg(staging.path()).args(["-type", "f", "-printf", "%P\n"]).output().unwrap();
    assert_eq!(text(&left.stdout), "etc/statsd.conf\n");
}

/// Shows that `make test` runs every step, and that its last lines repeat the panics of the tests
/// that failed.
#[test]
fn make_test_ends_with_what_failed() {
    let checkout = checkout();
    let script = |path: &str, text: &str| {
        let path = checkout.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    };
    script("tests/peers/install.sh", "true");
    script(
        "cargo",
        "echo ran; echo '---- a::b stdout ----'; echo \"x.rs panicked at 1\"; exit 101",
    );
    let output = make(&checkout, &["test"], "./cargo");
    let printed = text(&output.stdout);
    assert!(!output.status.success(), "{printed}");
    let (steps, report) = printed.split_once("make test took ").unwrap();
    assert_eq!(steps.matches("\nran\n").count(), 3, "{printed}");
    for part in ["---- a::b stdout ----\n", "x.rs panicked at 1\n"] {
        assert_eq!(report.matches(part).count(), 3, "{printed}");
    }
    assert_eq!(report.matches("\n  ./cargo test ").count(), 3, "{printed}");
    script("cargo", "echo ran");
    assert!(make(&checkout, &["test"], "./cargo").status.success());
}

/// Shows that git ignores the files that these targets and a new user write to the folder.
#[test]
fn what_a_new_user_writes_is_not_tracked() {
    let ignored = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(".gitignore"));
    let ignored = ignored.unwrap();
    for path in ["/target", "/.peers", "/statsd.conf"] {
        assert!(ignored.lines().any(|line| line == path), "{path}");
    }
}
