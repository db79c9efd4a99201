//! Compresses the files that the binary holds, and links a release without what only a debugger
//! would read, if the linker can.
//!
//! The page and `statsd.conf.example` are in the binary once, compressed. `src/admin/page/mod.rs`
//! shows which client gets which form of the page.
//!
//! The server aborts on a panic, so nothing in it unwinds the stack. The tables for unwinding would
//! be 130 kB of the binary, and what reads them 150 kB. A profile with debug information keeps
//! both, for debuggers and profilers.

#[path = "src/admin/page/shrink.rs"]
mod shrink;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs, io};

/// Removes the sections, and the one that names the compilers. `INSERT` keeps the linker's own
/// script for all others.
const WITHOUT_TABLES: &str = "SECTIONS
{ /DISCARD/ : { *(.eh_frame) *(.eh_frame_hdr) *(.gcc_except_table*) *(.comment) } }
INSERT AFTER .text;
";

/// Keeps the functions of `src/sys/callers.rs` from libraries that are loaded later.
const HIDDEN: &str = "{ local: _Unwind_*; };\n";

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-check-cfg=cfg(optimised, without_callers)");
    if env::var("OPT_LEVEL").is_ok_and(|level| level != "0") {
        println!("cargo:rustc-cfg=optimised");
    }
    let folder = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    pack_page(&folder.join("page"))?;
    pack_example(&folder)?;
    let is = |key: &str, value: &str| env::var(key).is_ok_and(|found| found == value);
    if !is("PROFILE", "release") || !is("DEBUG", "false") || !is("CARGO_CFG_TARGET_OS", "linux") {
        return Ok(());
    }
    let tables = folder.join("without_tables.ld");
    fs::write(&tables, WITHOUT_TABLES)?;
    let hidden = folder.join("hidden.map");
    fs::write(&hidden, HIDDEN)?;
    let script = format!("-Wl,-T,{}", tables.display());
    let map = format!("-Wl,--version-script={}", hidden.display());
    if accepted(&folder, &["-Wl,--no-eh-frame-hdr", &script, &map])? {
        println!("cargo:rustc-cfg=without_callers");
    }
    // Equal functions, such as those of two types with one layout, become one function.
    accepted(&folder, &["-Wl,--icf=all"])?;
    // Equal ends of strings are stored once.
    accepted(&folder, &["-Wl,-O2"])?;
    // An address that is known only when the program is loaded takes about a bit instead of 24
    // bytes. glibc reads this form from 2.36 on.
    accepted(&folder, &["-Wl,-z,pack-relative-relocs"])?;
    Ok(())
}

/// Passes `arguments` to the linker, if a program that is linked so works.
fn accepted(folder: &Path, arguments: &[&str]) -> io::Result<bool> {
    let works = works(folder, arguments)?;
    if works {
        for argument in arguments {
            println!("cargo:rustc-link-arg-bins={argument}");
        }
    }
    Ok(works)
}

/// Writes each file of the page to `folder` in the format of gzip.
fn pack_page(folder: &Path) -> io::Result<()> {
    const SOURCE: &str = "src/admin/page";
    println!("cargo:rerun-if-changed={SOURCE}");
    fs::create_dir_all(folder)?;
    for entry in fs::read_dir(SOURCE)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default();
        if path.extension().is_some_and(|extension| extension == "rs") {
            continue;
        }
        let text = shrink::shrunk(&name.to_string_lossy(), &fs::read_to_string(&path)?);
        fs::write(folder.join(name), gzip(text.as_bytes()))?;
    }
    Ok(())
}

/// Writes the manual, which `--print-config=example` prints, to `folder` in the format of gzip.
fn pack_example(folder: &Path) -> io::Result<()> {
    const NAME: &str = "statsd.conf.example";
    println!("cargo:rerun-if-changed={NAME}");
    fs::write(folder.join(NAME), gzip(&fs::read(NAME)?))
}

/// Compresses a file as much as possible. The result depends on nothing but `file`, so two builds
/// are the same.
fn gzip(file: &[u8]) -> Vec<u8> {
    // The method is deflate, there is no time and no name, and the system is unknown.
    let mut packed = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 255];
    packed.extend(miniz_oxide::deflate::compress_to_vec(file, 10));
    packed.extend(crc32fast::hash(file).to_le_bytes());
    let length = u32::try_from(file.len()).expect("the files are small");
    packed.extend(length.to_le_bytes());
    packed
}

/// Whether the linker that cargo uses accepts `arguments`, and this machine runs what it makes of
/// them. Not every linker and every libc knows each of them. A program for another kind of machine
/// is not run.
fn works(folder: &Path, arguments: &[&str]) -> io::Result<bool> {
    let program = folder.join("probe");
    let probe = folder.join("probe.rs");
    fs::write(&probe, "fn main() {}\n")?;
    let variable = |key| env::var_os(key).unwrap_or_default();
    let mut rustc = Command::new(variable("RUSTC"));
    rustc.arg("--target").arg(variable("TARGET")).args(["-C", "panic=abort"]);
    if let Some(linker) = env::var_os("RUSTC_LINKER") {
        let mut flag = OsString::from("-Clinker=");
        flag.push(linker);
        rustc.arg(flag);
    }
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    rustc.args(flags.split('\x1f').filter(|flag| !flag.is_empty()));
    rustc.args(arguments.iter().map(|argument| format!("-Clink-arg={argument}")));
    rustc.arg("-o").arg(&program).arg(&probe);
    if !rustc.stdout(Stdio::null()).stderr(Stdio::null()).status()?.success() {
        return Ok(false);
    }
    if variable("TARGET") != variable("HOST") {
        return Ok(true);
    }
    Ok(Command::new(program).stderr(Stdio::null()).status().is_ok_and(|status| status.success()))
}
