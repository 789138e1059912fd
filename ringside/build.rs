//! Tells the program which commit and which compiler it was made of: `RINGSIDE_REVISION` and `RINGSIDE_RUSTVERSION`.

use std::env;
use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-env-changed=RINGSIDE_REVISION");
    // A package's recipe may know it where there is no checkout.
    let given = env::var("RINGSIDE_REVISION").ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_graphic()));
    let revision = given.or_else(checked_out).unwrap_or_else(|| "unknown".to_owned()).replace(['"', '\\'], "");
    println!("cargo::rustc-env=RINGSIDE_REVISION={revision}");
    let rustc = env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let version = said(&rustc, &["--version"]);
    let version = version.as_deref().and_then(|said| said.split(' ').nth(1)).unwrap_or("unknown");
    println!("cargo::rustc-env=RINGSIDE_RUSTVERSION={version}");
}

/// The commit of the checkout this is built in.
fn checked_out() -> Option<String> {
    // A tarball that was unpacked inside another checkout is none.
    let top = said("git", &["rev-parse", "--show-toplevel"])?;
    let here = Path::new(&env::var("CARGO_MANIFEST_DIR").ok()?).parent()?.canonicalize().ok()?;
    if Path::new(&top).canonicalize().ok()? != here {
        return None;
    }
    // They change with each commit, and the last one where files are added; a worktree has its own.
    for file in ["HEAD", "logs/HEAD", "index"] {
        let path = said("git", &["rev-parse", "--git-path", file])?;
        if Path::new(&path).exists() {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    let revision = said("git", &["rev-parse", "--short=12", "HEAD"])?;
    let changed = said("git", &["status", "--porcelain", "--untracked-files=no"])?;
    Some(if changed.is_empty() { revision } else { revision + "-dirty" })
}

/// The standard output of a program that ended well.
fn said(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
