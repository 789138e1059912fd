//! What probes cost a process that speaks TLS: the same rounds with and without ringside, one after the other.
//!
//! Three connections: on a SIP port, on another port of a process that is meant, and of a process that is not meant.
//! Needs root, and the release binary: `cargo build --release --package ringside`.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};

use integration::ringside::{Config, Ringside};
use integration::scratch::Folder;
use testnet::Namespace;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/tls.py");
const ROUNDS: u32 = 2_000;
const REPEATS: usize = 11;
const CALLS_PER_ROUND: f64 = 4.0;

/// A Python that speaks TLS to itself.
struct Peer {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Peer {
    fn start(namespace: &Namespace, folder: &Folder, port: u16) -> Self {
        let mut command = namespace.command("python3");
        command.arg(SCRIPT).arg(folder.join("certificate.pem")).arg(folder.join("key.pem"));
        command.args([port.to_string(), ROUNDS.to_string()]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("python3 is installed");
        let output = BufReader::new(child.stdout.take().expect("it was piped"));
        let mut peer = Self { child, output };
        assert_eq!(peer.line(), "connected");
        peer
    }

    /// Microseconds of a round.
    fn measure(&mut self) -> f64 {
        writeln!(self.child.stdin.as_mut().expect("it was piped")).expect("it waits");
        self.line().parse().expect("a number")
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("it says something");
        line.trim().to_owned()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn main() {
    if let Err(why) = integration::gate::obstacle() {
        return eprintln!("skipped: {why}");
    }
    let namespace = Namespace::new().expect("the gate has tried");
    let folder = Folder::new("bench");
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"])
        .args(["-subj", "/CN=127.0.0.1", "-keyout"])
        .arg(folder.join("key.pem"))
        .arg("-out")
        .arg(folder.join("certificate.pem"))
        .output();
    assert!(made.expect("openssl is installed").status.success());
    for (what, port, processes) in
        [("on a SIP port", 5061, ""), ("on another port", 4443, ""), ("of a process not meant", 5061, "\"nobody\"")]
    {
        let config = Config::on("lo").receiver(&format!("tls = {{ enabled = true, processes = [{processes}] }}"));
        let mut peer = Peer::start(&namespace, &folder, port);
        // Somebody who is not meant pays only where somebody who is uses the same library.
        let (mut without, mut with) = (Vec::new(), Vec::new());
        for _ in 0..REPEATS {
            without.push(peer.measure());
            let _ringside = Ringside::start(&namespace, &config);
            with.push(peer.measure());
        }
        let (without, with) = (median(&mut without), median(&mut with));
        let per_call = (with - without) / CALLS_PER_ROUND;
        println!(
            "{what}: {without:.0} us a round without, {with:.0} us with: {:.1} times, {per_call:.1} us per call",
            with / without
        );
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
