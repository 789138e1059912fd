//! Asking the daemon: what the commands do.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::{Reply, Request};

/// Why nothing was answered. The text says what to do.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {help}")]
pub struct Unreached {
    what: String,
    help: &'static str,
}

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Asks once.
pub fn ask(socket: &Path, request: &Request) -> Result<Reply, Unreached> {
    let mut lines = connect(socket, request, Some(PATIENCE))?;
    let mut line = String::new();
    let read = lines.read_line(&mut line).map_err(|error| lost(&error))?;
    match read {
        0 => Err(Unreached { what: "the daemon did not answer".to_owned(), help: "look at its log" }),
        _ => serde_json::from_str(&line).map_err(|error| lost(&io::Error::other(error))),
    }
}

/// Asks for lines without end, and hands each on until nobody wants more.
pub fn follow(socket: &Path, request: &Request, mut line: impl FnMut(&str) -> bool) -> Result<(), Unreached> {
    let mut lines = connect(socket, request, None)?;
    let mut text = String::new();
    while lines.read_line(&mut text).map_err(|error| lost(&error))? > 0 {
        if !line(&text) {
            return Ok(());
        }
        text.clear();
    }
    Err(Unreached { what: "the daemon ended".to_owned(), help: "look at its log" })
}

fn connect(socket: &Path, request: &Request, patience: Option<Duration>) -> Result<BufReader<UnixStream>, Unreached> {
    let mut stream = UnixStream::connect(socket).map_err(|error| {
        let what = format!("{} cannot be reached: {error}", socket.display());
        let help = match error.kind() {
            io::ErrorKind::PermissionDenied => "be a member of group ringside-steer, or use sudo",
            _ => "start the daemon by `systemctl start ringside-steer`, or name its configuration by --config",
        };
        Unreached { what, help }
    })?;
    let mut text = serde_json::to_vec(request).expect("text and numbers can be written as JSON");
    text.push(b'\n');
    stream.set_read_timeout(patience).map_err(|error| lost(&error))?;
    stream.write_all(&text).map_err(|error| lost(&error))?;
    Ok(BufReader::new(stream))
}

fn lost(error: &io::Error) -> Unreached {
    Unreached { what: format!("the daemon was lost: {error}"), help: "look at its log" }
}
