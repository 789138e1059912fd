//! OpenSSL 1.1.1, built for this test where that is possible, beside the host's own in one process.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use integration::ringside::Ringside;
use integration::scratch::Folder;
use integration::wait::eventually;
use testnet::skipped;

use super::peers::{self, Certificate, Peer, Style};
use super::{PYTHON, REQUESTS, config, possible};
use crate::stage::namespace;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/live/tls/older.py");

/// The folder with the libraries of OpenSSL 1.1.1; they are kept beside what cargo builds, since it takes minutes.
/// Errs with what stands in the way.
fn libraries() -> Result<PathBuf, String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("openssl-1.1.1");
    let done = folder.join("done");
    if done.exists() {
        return Ok(folder);
    }
    let _ = fs::remove_dir_all(&folder);
    let run = |command: &mut Command| match command.output() {
        Ok(Output { status, .. }) if status.success() => Ok(()),
        Ok(Output { stderr, .. }) => {
            Err(String::from_utf8_lossy(&stderr).lines().last().unwrap_or("it failed").to_owned())
        }
        Err(error) => Err(format!("{}: {error}", command.get_program().display())),
    };
    run(Command::new("cp").arg("-r").arg(openssl_src::source_dir()).arg(&folder))?;
    run(Command::new("sh").arg("config").args(["shared", "no-tests", "no-engine"]).current_dir(&folder))?;
    run(Command::new("make").args(["-j2", "build_libs"]).current_dir(&folder))?;
    fs::write(done, "").map_err(|error| error.to_string())?;
    Ok(folder)
}

#[test]
fn openssl_1_1_1_is_read_by_each_of_its_functions_beside_another_version_in_the_process() {
    const TEST: &str = "TLS by OpenSSL 1.1.1";
    // Before it is this test's turn: others go on meanwhile.
    let libraries = match libraries() {
        Ok(libraries) => libraries,
        Err(why) => return skipped(TEST, &format!("it cannot be built here: {why}")),
    };
    let Some(_pass) = possible(TEST) else { return };
    let namespace = namespace();
    let certificate = Certificate::new();
    let folder = Folder::new("older");
    let client = peers::copied(SCRIPT, &folder, "older-peer");
    let ringside = Ringside::start(&namespace, &config("\"older-peer\""));
    let _server = Peer::serve(&namespace, Path::new(PYTHON), 5061, &certificate, Style::Threads);
    let mut command = namespace.command(client);
    command.arg(&libraries).args(["127.0.0.1", "5061", &REQUESTS.to_string()]);
    let client = Peer::connect_by(command);
    // A library nobody used before is found when its process connects: not in no time.
    eventually("libraries", || ringside.internal("otelcol_receiver_tls_libraries").filter(|count| *count == 2.0));
    client.send();
    let all = f64::from(REQUESTS);
    ringside.settled(4 * u64::from(REQUESTS)).assert([
        ("requests_total{carrier=\"c1\",method=\"OPTIONS\"}", all),
        ("requests_total{carrier=\"c2\",method=\"OPTIONS\"}", all),
        ("200_total", 2.0 * all),
        ("packets_total", 4.0 * all),
        ("capture_duplicates_total", 0.0),
        ("stream_resync_total", 0.0),
        ("unmatched_total", 0.0),
    ]);
}
