//! Who speaks TLS in these tests: Python's ssl module as server and client, with certificates of its own.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use integration::scratch::Folder;
use integration::sipp::await_tcp;
use integration::wait::within;
use testnet::Namespace;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/live/tls/peer.py");

/// A certificate that signs itself, with its key.
#[derive(Debug)]
pub struct Certificate(Folder);

impl Certificate {
    /// # Panics
    /// Without `openssl`.
    pub fn new() -> Self {
        let folder = Folder::new("certificate");
        let output = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"])
            .args(["-days", "2", "-subj", "/CN=127.0.0.1", "-keyout"])
            .arg(folder.join("key.pem"))
            .arg("-out")
            .arg(folder.join("certificate.pem"))
            .output()
            .expect("openssl is installed");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Self(folder)
    }

    pub fn certificate(&self) -> PathBuf {
        self.0.join("certificate.pem")
    }

    pub fn key(&self) -> PathBuf {
        self.0.join("key.pem")
    }
}

/// How a peer treats its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// A thread each; TLS objects read from sockets.
    Threads,
    /// One thread for all; TLS objects get their bytes from memory.
    Loop,
    /// As `Threads`, each message in a frame of a WebSocket.
    WebSocket,
    /// As `Threads`, one handshake after another. Clients only.
    InTurn,
    /// A process each, made after the handshake. Servers only.
    Fork,
}

/// A running Python.
#[derive(Debug)]
pub struct Peer(Child);

impl Peer {
    /// A server on 127.0.0.1; it listens when this returns. `python` runs Python's scripts.
    pub fn serve(namespace: &Namespace, python: &Path, port: u16, certificate: &Certificate, style: Style) -> Self {
        let mut command = namespace.command(python);
        command.args(script(python));
        Self::serve_by(command, namespace, port, certificate, style)
    }

    /// The same, by a command that runs the script with what is added to it.
    pub fn serve_by(
        mut command: Command,
        namespace: &Namespace,
        port: u16,
        certificate: &Certificate,
        style: Style,
    ) -> Self {
        command.arg("serve").args(flags(style)).args(["127.0.0.1", &port.to_string()]);
        command.arg(certificate.certificate()).arg(certificate.key()).stdin(Stdio::null());
        let peer = Self(command.spawn().expect("python3 is installed"));
        await_tcp(namespace, port);
        peer
    }

    /// A client of many connections to 127.0.0.1, all of which stand when this returns.
    pub fn connect(namespace: &Namespace, port: u16, connections: u32, requests: u32, style: Style) -> Self {
        let mut command = namespace.command("python3");
        command.arg(SCRIPT).args(["send", "--wait"]).args(flags(style)).args(["127.0.0.1", &port.to_string()]);
        command.args([connections.to_string(), requests.to_string()]);
        Self::connect_by(command)
    }

    /// A client that means ill on so many connections, until it is killed.
    #[track_caller]
    pub fn abuse(namespace: &Namespace, port: u16, connections: u32) {
        let mut command = namespace.command("python3");
        command.arg(SCRIPT).args(["abuse", "127.0.0.1", &port.to_string(), &connections.to_string()]);
        let mut peer = Self(command.stdin(Stdio::null()).spawn().expect("python3 is installed"));
        let ended = within(super::LONGEST, || peer.0.try_wait().expect("our own child"));
        assert_eq!(ended.expect("it ends").signal(), Some(libc::SIGKILL));
    }

    /// A client that says when it is connected, and goes on when it is told to.
    pub fn connect_by(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut peer = Self(command.spawn().expect("python3 is installed"));
        let mut line = String::new();
        let output = peer.0.stdout.as_mut().expect("it was piped");
        BufReader::new(output).read_line(&mut line).expect("it says something");
        assert_eq!(line, "connected\n");
        peer
    }

    /// Lets the client send its requests, and waits until it has had all answers.
    #[track_caller]
    pub fn send(mut self) {
        writeln!(self.0.stdin.as_mut().expect("it was piped")).expect("it waits");
        let ended = within(super::LONGEST, || self.0.try_wait().expect("our own child"));
        assert!(ended.expect("the client ends").success());
    }
}

/// What is executed under a name of its own is the script.
fn script(python: &Path) -> Option<&'static str> {
    python.ends_with("python3").then_some(SCRIPT)
}

/// Where Python's own TLS library lies.
fn installed_library() -> PathBuf {
    let output = Command::new("python3")
        .args(["-c", "import ssl\nprint(next(l.split()[-1] for l in open('/proc/self/maps') if '/libssl.so' in l))"])
        .output()
        .expect("python3 is installed");
    String::from_utf8_lossy(&output.stdout).trim().into()
}

/// A copy of it under its own name.
pub fn library(folder: &Folder) -> PathBuf {
    let library = installed_library();
    let copy = folder.join(library.file_name().and_then(|name| name.to_str()).expect("a file"));
    std::fs::copy(&library, &copy).expect("a copy of the library");
    copy
}

/// Runs the script, with what is added to it, where the TLS library is another file: a copy, in a mount namespace.
pub fn boxed(namespace: &Namespace, folder: &Folder, script: &Path) -> Command {
    let copy = library(folder);
    let mut command = namespace.command("unshare");
    command.args(["--mount", "sh", "-c", "mount --bind \"$0\" \"$1\" && shift && exec \"$@\""]);
    command.args([copy.as_path(), installed_library().as_path(), script]);
    command
}

fn flags(style: Style) -> Option<&'static str> {
    match style {
        Style::Threads => None,
        Style::Loop => Some("--loop"),
        Style::WebSocket => Some("--websocket"),
        Style::InTurn => Some("--in-turn"),
        Style::Fork => Some("--fork"),
    }
}

/// The script under a name of its own, by which its process is known too.
pub fn named(folder: &Folder, name: &str) -> PathBuf {
    copied(SCRIPT, folder, name)
}

/// The same, for another script.
pub fn copied(script: &str, folder: &Folder, name: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::copy(script, &path).expect("a copy of the script");
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&path, permissions).expect("a file of our own");
    path
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
