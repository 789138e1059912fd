//! Chromium, driven through playwright-core by the scripts in `browser/`.

use std::path::{Path, PathBuf};
use std::process::Command;

use testnet::Namespace;

/// What is missing to drive a browser, for people to read; `None` when nothing is.
pub fn obstacle() -> Option<String> {
    let here = |program: &str| Path::new("/usr/bin").join(program).exists();
    if let Some(missing) = ["chromium", "node"].into_iter().find(|program| !here(program)) {
        return Some(format!("{missing} is not installed"));
    }
    let library = folder().join("node_modules/playwright-core");
    (!library.exists()).then(|| "playwright-core is not installed: npm ci --prefix integration/browser".to_owned())
}

/// Runs a script of `browser/` in a namespace.
pub fn script(namespace: &Namespace, name: &str, arguments: &[&str]) -> Command {
    let mut command = namespace.command("node");
    command.arg(folder().join(name)).args(arguments);
    command
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("browser")
}
