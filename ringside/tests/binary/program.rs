//! Starting the binary, and reading what it says.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// What a command that ends by itself came to.
pub struct Outcome {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// A folder of its own for one test, removed afterwards.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("binary-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&path).expect("the target folder can be written");
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file into it.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, content).expect("the target folder can be written");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The binary with arguments, in a folder.
pub fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringside"));
    command.args(arguments).current_dir(folder).stdin(Stdio::null()).env_remove("RUST_BACKTRACE");
    command
}

/// Runs it to its end.
pub fn run(folder: &Path, arguments: &[&str]) -> Outcome {
    outcome(command(folder, arguments))
}

/// Runs it to its end as a user without any capability, whoever runs this test.
pub fn run_without_privileges(folder: &Path, arguments: &[&str]) -> Outcome {
    outcome(without_privileges(folder, arguments))
}

/// The binary with arguments, in a folder, without any capability, whoever runs this test.
pub fn without_privileges(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--bounding-set=-all", "--inh-caps=-all", "--", env!("CARGO_BIN_EXE_ringside")]).args(arguments);
    command.current_dir(folder).stdin(Stdio::null()).env_remove("RUST_BACKTRACE");
    command
}

/// Runs a command to its end.
pub fn outcome(mut command: Command) -> Outcome {
    let output = command.output().expect("the binary was built for this test");
    Outcome {
        code: output.status.code().expect("it ends by itself"),
        stdout: String::from_utf8(output.stdout).expect("it prints text"),
        stderr: String::from_utf8(output.stderr).expect("it prints text"),
    }
}

/// `ringside run`, until it is told to end.
pub struct Running {
    child: Child,
    log: BufReader<std::process::ChildStderr>,
    announced: JoinHandle<String>,
}

impl Running {
    /// Starts it and waits until it says where to look.
    pub fn start(folder: &Path, arguments: &[&str]) -> (Self, String) {
        Self::begin(command(folder, arguments))
    }

    /// The same for any way to start it.
    pub fn begin(mut command: Command) -> (Self, String) {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary was built");
        let log = BufReader::new(child.stderr.take().expect("it is piped"));
        let mut out = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut first = String::new();
        while !first.contains("\nconfig ") {
            assert_ne!(out.read_line(&mut first).expect("it prints text"), 0, "it ended at once: {first}");
        }
        let announced = std::thread::spawn(move || {
            let mut rest = String::new();
            out.read_to_string(&mut rest).map(|_| rest).expect("it prints text")
        });
        (Self { child, log, announced }, first)
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: i32) {
        let pid = i32::try_from(self.child.id()).expect("process ids are positive");
        // SAFETY: kill takes numbers only, and the child was not waited for yet, so that its id is its own.
        assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
    }

    /// Reads the log until a line holds `text`; gives every line read.
    pub fn await_log(&mut self, text: &str) -> String {
        let mut lines = String::new();
        loop {
            let mut line = String::new();
            assert_ne!(self.log.read_line(&mut line).expect("it logs text"), 0, "no `{text}` in:\n{lines}");
            lines += &line;
            if line.contains(text) {
                return lines;
            }
        }
    }

    /// Waits for its end; gives how it ended, and the rest of its log.
    pub fn end(mut self) -> (ExitStatus, String) {
        let mut rest = String::new();
        self.log.read_to_string(&mut rest).expect("it logs text");
        assert_eq!(self.announced.join().expect("the reader does not panic"), "", "printed after the start");
        (self.child.wait().expect("it was not waited for"), rest)
    }
}

/// When the captures of these tests begin: 2026-01-01.
pub const EPOCH: Duration = Duration::from_secs(1_767_225_600);
