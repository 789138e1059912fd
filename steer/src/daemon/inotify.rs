//! Waits until something changes in the folders of discovery files (inotify(7)).

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::path::PathBuf;

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Folders that are watched.
pub(super) struct Watch {
    inotify: AsyncFd<Descriptor>,
}

/// What the runtime waits for.
struct Descriptor(Inotify);

impl AsFd for Descriptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Descriptor {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

impl Watch {
    /// Watches these folders. One that is not there is passed over: it is looked for every 30 s anyway.
    pub(super) fn new(folders: &[PathBuf]) -> io::Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        let changes = AddWatchFlags::IN_CLOSE_WRITE
            | AddWatchFlags::IN_MOVED_TO
            | AddWatchFlags::IN_MOVED_FROM
            | AddWatchFlags::IN_DELETE
            // A link is made, as in a volume of Kubernetes.
            | AddWatchFlags::IN_CREATE;
        for folder in folders {
            if let Err(error) = inotify.add_watch(folder, changes) {
                tracing::warn!("folder {} cannot be watched ({error}): it is looked at every 30 s", folder.display());
            }
        }
        // SAFETY: the descriptor is the same whenever it is asked for, open for as long as it is owned, and it is owned by
        // what is handed over.
        let inotify = unsafe { AsyncFd::register_with_interest(Descriptor(inotify), Interest::READABLE)? };
        Ok(Self { inotify })
    }

    /// Waits for a change.
    pub(super) async fn changed(&self) {
        loop {
            let Ok(mut ready) = self.inotify.readable().await else { return std::future::pending().await };
            let mut any = false;
            loop {
                match ready.get_inner().0.read_events() {
                    Ok(events) => any |= !events.is_empty(),
                    Err(Errno::EAGAIN) => break,
                    Err(_) => return std::future::pending().await,
                }
            }
            ready.clear_ready();
            if any {
                return;
            }
        }
    }
}
