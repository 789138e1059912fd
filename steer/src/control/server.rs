//! The server of the control socket: connections within bounds, from those who may command.

use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, broadcast, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::credentials::Peer;
use super::{LARGEST, MOST_CONNECTIONS, Reply, Request};

/// How long a client may take for a request, and for taking an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// A request, and who waits for its answer.
#[derive(Debug)]
pub enum Asked {
    /// To be answered once.
    Once(Request, oneshot::Sender<Reply>),
    /// Wants every decision from now on.
    Watch(oneshot::Sender<broadcast::Receiver<Arc<[u8]>>>),
}

/// A socket that is listened on.
#[derive(Debug)]
pub struct Server {
    path: PathBuf,
    accepting: JoinHandle<()>,
}

impl Server {
    /// Listens at a path, which is taken over from a daemon that is gone; its folder is made where there is none. Requests
    /// go to `asked`. To be called inside a runtime.
    pub fn start(path: &Path, asked: mpsc::Sender<Asked>) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        // Nobody else runs here: the lock says so.
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
        let group = std::fs::metadata(path)?.gid();
        let accepting = tokio::spawn(accept(listener, group, asked));
        Ok(Self { path: path.to_owned(), accepting })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
        // Who connects later is told that nobody is there.
        let _ = std::fs::remove_file(&self.path);
    }
}

async fn accept(listener: UnixListener, group: u32, asked: mpsc::Sender<Asked>) {
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let place = Arc::clone(&places).acquire_owned().await.expect("the semaphore is never closed");
        match listener.accept().await {
            Ok((stream, _)) => {
                let asked = asked.clone();
                tokio::spawn(async move {
                    serve(stream, group, asked).await;
                    drop(place);
                });
            }
            Err(error) => {
                // Out of descriptors: trying again at once would only burn the processor.
                tracing::warn!(%error, "the control socket cannot take a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Answers one client until it has gone, is slow, or says what is no request.
async fn serve(stream: UnixStream, group: u32, asked: mpsc::Sender<Asked>) {
    let may = Peer::of(&stream).is_ok_and(|peer| peer.may_command(group));
    let (read, mut write) = stream.into_split();
    if !may {
        let error = "this is for root and members of the group that the socket belongs to: be one, or use sudo";
        let _ = write.write_all(&Reply::error(error).line()).await;
        return;
    }
    let mut read = BufReader::new(read);
    loop {
        let mut line = Vec::new();
        let mut bounded = (&mut read).take(LARGEST as u64);
        match timeout(PATIENCE, bounded.read_until(b'\n', &mut line)).await {
            Ok(Ok(bytes)) if bytes > 0 => {}
            _ => return,
        }
        let is_whole = line.ends_with(b"\n");
        let request = if is_whole {
            serde_json::from_slice(&line).map_err(|_| "it is no request")
        } else {
            Err("it is too long")
        };
        match request {
            Ok(Request::Watch {}) => return watch(read, write, &asked).await,
            Ok(request) => {
                let (answer, answered) = oneshot::channel();
                if asked.send(Asked::Once(request, answer)).await.is_err() {
                    return;
                }
                let Ok(reply) = answered.await else { return };
                if !send(&mut write, &reply.line()).await {
                    return;
                }
            }
            Err(why) => {
                // What follows cannot be told from it.
                send(&mut write, &Reply::error(format!("{why}: docs/steering.md shows them")).line()).await;
                return;
            }
        }
    }
}

/// Hands on decisions until the client is gone, or says anything.
async fn watch(mut read: BufReader<OwnedReadHalf>, mut write: OwnedWriteHalf, asked: &mpsc::Sender<Asked>) {
    let (answer, answered) = oneshot::channel();
    if asked.send(Asked::Watch(answer)).await.is_err() {
        return;
    }
    let Ok(mut events) = answered.await else { return };
    loop {
        let event = tokio::select! {
            event = events.recv() => event,
            _ = read.read_u8() => return,
        };
        let line = match event {
            Ok(line) => line,
            Err(broadcast::error::RecvError::Lagged(lost)) => format!("{{\"lost\":{lost}}}\n").into_bytes().into(),
            Err(broadcast::error::RecvError::Closed) => return,
        };
        if !send(&mut write, &line).await {
            return;
        }
    }
}

async fn send(write: &mut OwnedWriteHalf, line: &[u8]) -> bool {
    matches!(timeout(PATIENCE, write.write_all(line)).await, Ok(Ok(())))
}
