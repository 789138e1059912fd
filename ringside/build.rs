//! Tells the program which commit and which compiler it was made of: `RINGSIDE_REVISION` and `RINGSIDE_RUSTVERSION`.

use std::env;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-env-changed=RINGSIDE_REVISION");
    // A package's recipe may know it where there is no checkout.
    let revision = env::var("RINGSIDE_REVISION").ok().or_else(checked_out).unwrap_or_else(|| "unknown".to_owned());
    println!("cargo::rustc-env=RINGSIDE_REVISION={revision}");
    let rustc = env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let version = said(&rustc, &["--version"]);
    let version = version.as_deref().and_then(|said| said.split(' ').nth(1)).unwrap_or("unknown");
    println!("cargo::rustc-env=RINGSIDE_RUSTVERSION={version}");
}

/// The commit of the checkout this is built in.
fn checked_out() -> Option<String> {
    // Both change with each commit; a worktree has its own.
    for file in ["HEAD", "logs/HEAD"] {
        println!("cargo::rerun-if-changed={}", said("git", &["rev-parse", "--git-path", file])?);
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
