//! The thread that sets probes: processes in, as they are sighted; probes in their TLS libraries, and decisions about
//! them, out.
//!
//! It keeps the capabilities that later processes need ([`super::Way::capabilities`]) while every other thread has none, and
//! so it looks at no byte from the wire: it reads procfs, and the symbols of libraries.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use aya::maps::{HashMap, MapData, RingBuf};
use caps::Capability;

use super::library::{self, Library};
use super::process::{self, Mapped};
use super::programs::{Prober, Probes};
use super::record::{self, Decision};
use super::selection::Selection;
use crate::capabilities;
use crate::failure::failure;
use crate::sys;

/// How often it sees whether files with probes are still used, so that those of a container that ended are let go.
const TIDY_EVERY: Duration = Duration::from_secs(60);

/// Most files with probes: one per container image that brings a library of its own.
const MAX_FILES: usize = 256;

/// What it knows, for others to see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Files with probes.
    pub libraries: usize,
    /// Files of libraries that could not be probed, or were too many.
    pub failed: usize,
    /// Processes that could not be looked at when all were.
    pub unreachable: usize,
    /// Libraries in use whose file was replaced on disk before they could be probed.
    pub replaced: usize,
}

/// A handle of the thread; it ends, and its probes with it, when this is dropped.
pub struct Attacher {
    orders: Option<Sender<Selection>>,
    wake: PipeWriter,
    thread: Option<JoinHandle<()>>,
    status: Arc<Mutex<Status>>,
}

/// What the thread is given.
pub struct Equipment {
    pub prober: Prober,
    pub sightings: RingBuf<MapData>,
    pub processes: HashMap<MapData, record::Process, [u64; 2]>,
    pub selection: Selection,
}

impl Attacher {
    /// Starts it; when this returns all libraries in use have their probes.
    pub fn start(equipment: Equipment) -> Result<Self, StartError> {
        let (orders, to_do) = channel();
        let (woken, wake) = io::pipe()?;
        let (started, starting) = sync_channel(1);
        let status = Arc::<Mutex<Status>>::default();
        let shared = Arc::clone(&status);
        let work = move || {
            if let Err(error) = capabilities::keep_on_this_thread(equipment.prober.way().capabilities()) {
                let _ = started.send(Err(error));
                return;
            }
            let mut worker = Worker::new(equipment, shared);
            worker.look_at_all();
            worker.publish();
            if started.send(Ok(())).is_ok() {
                worker.run(&woken, &to_do);
            }
        };
        let thread = thread::Builder::new().name("tls-attach".to_owned()).spawn(work)?;
        starting.recv().map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))??;
        Ok(Self { orders: Some(orders), wake, thread: Some(thread), status })
    }

    /// Looks into other processes from now on.
    pub fn select(&mut self, selection: Selection) {
        if let Some(orders) = &self.orders
            && orders.send(selection).is_ok()
        {
            let _ = self.wake.write(&[0]);
        }
    }

    /// What it knows.
    pub fn status(&self) -> Status {
        *self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Attacher {
    fn drop(&mut self) {
        self.orders = None;
        let _ = self.wake.write(&[0]);
        if let Some(thread) = self.thread.take() {
            // A panic there has been reported already.
            let _ = thread.join();
        }
    }
}

/// Why the thread could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No thread, no pipe.
    #[error("the thread that sets probes could not be started")]
    Thread(#[from] io::Error),
    /// Its capabilities could not be set.
    #[error("the thread that sets probes could not keep what it needs")]
    Capabilities(#[from] capabilities::CapabilityError),
}

/// The thread.
struct Worker {
    prober: Prober,
    sightings: RingBuf<MapData>,
    processes: HashMap<MapData, record::Process, [u64; 2]>,
    selection: Selection,
    /// By device and inode.
    files: BTreeMap<(u64, u64), Probed>,
    /// Replaced libraries that were warned of, with their process.
    replaced: BTreeSet<(u64, String)>,
    /// How often there was no room for a file.
    turned_away: usize,
    status: Status,
    shared: Arc<Mutex<Status>>,
}

/// A file that was probed, or could not be.
struct Probed {
    probes: Option<Probes>,
    path: String,
    /// Processes that were seen to use it.
    users: BTreeSet<u64>,
    /// It belongs to this host: any process may use it at any time.
    is_installed: bool,
}

impl Worker {
    fn new(equipment: Equipment, shared: Arc<Mutex<Status>>) -> Self {
        let Equipment { prober, sightings, processes, selection } = equipment;
        Self {
            prober,
            sightings,
            processes,
            selection,
            files: BTreeMap::new(),
            replaced: BTreeSet::new(),
            turned_away: 0,
            status: Status::default(),
            shared,
        }
    }

    /// Until nobody can send orders any more.
    fn run(&mut self, woken: &PipeReader, orders: &Receiver<Selection>) {
        let mut tidied = Instant::now();
        loop {
            if let Err(error) = sys::poll([self.sightings.as_fd(), woken.as_fd()], TIDY_EVERY) {
                return tracing::error!(%error, "no TLS library gets probes any more");
            }
            match orders.try_recv() {
                Ok(selection) => {
                    // One byte was written for each.
                    let _ = (&mut &*woken).read(&mut [0]);
                    self.select(selection);
                }
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => return,
            }
            while let Some(process) = self.sightings.next().and_then(|bytes| record::parse_sighting(&bytes)) {
                self.sighted(process);
            }
            if tidied.elapsed() >= TIDY_EVERY {
                tidied = Instant::now();
                self.tidy();
            }
            self.publish();
        }
    }

    fn publish(&mut self) {
        self.status.libraries = self.files.values().filter(|file| file.probes.is_some()).count();
        self.status.failed = self.files.len() - self.status.libraries + self.turned_away;
        self.status.replaced = self.replaced.len();
        *self.shared.lock().unwrap_or_else(PoisonError::into_inner) = self.status;
    }

    /// A process was seen to speak TLS, or TCP on a SIP port.
    fn sighted(&mut self, process: record::Process) {
        let [_, id] = process;
        let wanted = self.is_wanted(id);
        if !self.selection.is_every() {
            let decision = if wanted { Decision::Wanted } else { Decision::Unwanted };
            // When it was told of it stays: else the next sighting of the process would be told at once.
            let told_at = self.processes.get(&process, 0).map_or(0, |[_, told_at]| told_at);
            // Without it the process stays undecided, and what it says is dropped and counted.
            if let Err(error) = self.processes.insert(process, [decision as u64, told_at], 0) {
                tracing::debug!(error = failure(&error), "a decision about a process could not be told");
            }
        }
        if wanted {
            // One that cannot be looked at has been counted at the start, or will be by `tidy`.
            let _ = self.look(id);
        }
    }

    fn is_wanted(&self, id: u64) -> bool {
        self.selection.is_every() || process::Process::look(id).is_some_and(|process| self.selection.includes(&process))
    }

    fn look_at_all(&mut self) {
        self.look_at_installed();
        let ids = process::all().unwrap_or_else(|error| {
            tracing::error!(%error, "processes could not be listed");
            Vec::new()
        });
        self.status.unreachable = 0;
        for id in ids {
            if self.is_wanted(id) && self.look(id).is_err() {
                self.status.unreachable += 1;
            }
        }
        if self.status.unreachable > 0 && !capabilities::has(Capability::CAP_SYS_PTRACE) {
            let help = capabilities::setcap_command_with_tls();
            tracing::warn!(processes = self.status.unreachable, help, "TLS of other users' processes stays unseen");
        }
    }

    /// Where every process is meant, those that start later find the probes set: they may speak sooner than they could
    /// be looked at.
    fn look_at_installed(&mut self) {
        self.files.values_mut().for_each(|file| file.is_installed = false);
        if !self.selection.is_every() {
            return;
        }
        for path in library::installed() {
            let path_text = path.to_string_lossy();
            let probed = File::open(&path).and_then(|file| self.probe(&file, &path_text));
            match probed {
                Ok(file) => file.is_installed = true,
                Err(error) => tracing::debug!(path = %path_text, %error, "a TLS library could not be opened"),
            }
        }
    }

    /// Sets probes in the libraries of a process. Errs if it may not be looked at.
    fn look(&mut self, id: u64) -> io::Result<()> {
        for mapped in process::libraries(id)? {
            if mapped.replaced {
                match self.probed_before(&mapped) {
                    Some(file) => _ = file.users.insert(id),
                    None => self.warn_of_replaced(id, mapped),
                }
                continue;
            }
            match process::open(id, &mapped.path).and_then(|file| self.probe(&file, &mapped.path)) {
                Ok(file) => {
                    file.users.insert(id);
                }
                // The process has ended meanwhile, mostly.
                Err(error) => tracing::debug!(path = mapped.path, %error, "a TLS library could not be opened"),
            }
        }
        Ok(())
    }

    /// The file of a library that was replaced on disk, if its probes were set before.
    fn probed_before(&mut self, mapped: &Mapped) -> Option<&mut Probed> {
        let same = |(key, file): &(&(u64, u64), &mut Probed)| key.1 == mapped.inode && file.path == mapped.path;
        self.files.iter_mut().find(same).map(|(_, file)| file).filter(|file| file.probes.is_some())
    }

    fn warn_of_replaced(&mut self, id: u64, mapped: Mapped) {
        if self.replaced.len() < MAX_FILES && self.replaced.insert((id, mapped.path.clone())) {
            tracing::warn!(
                process = id,
                path = mapped.path,
                help = "restart that process",
                "its TLS library was replaced on disk: what it says stays unseen"
            );
        }
    }

    /// Sets probes in a file unless it has them.
    fn probe(&mut self, file: &File, path: &str) -> io::Result<&mut Probed> {
        let metadata = file.metadata()?;
        let key = (metadata.dev(), metadata.ino());
        if !self.files.contains_key(&key) {
            if self.files.len() >= MAX_FILES {
                self.turned_away += 1;
                return Err(io::ErrorKind::QuotaExceeded.into());
            }
            let library = library::of_file(path).expect("only libraries are looked at");
            let probes = match self.set(file, library) {
                Ok(probes) => {
                    tracing::info!(library = library.name, path, "read in the clear");
                    Some(probes)
                }
                Err(error) => {
                    tracing::warn!(library = library.name, path, error, "cannot be read in the clear");
                    None
                }
            };
            let probed = Probed { probes, path: path.to_owned(), users: BTreeSet::new(), is_installed: false };
            self.files.insert(key, probed);
        }
        Ok(self.files.get_mut(&key).expect("it is there by now"))
    }

    /// Errs with a line for the operator.
    fn set(&mut self, file: &File, library: &Library) -> Result<Probes, String> {
        let points = process::points(file, library).map_err(|error| error.to_string())?;
        self.prober.probe(file, &points).map_err(|error| failure(&error))
    }

    /// Other processes are meant from now on; decisions about those already seen are taken anew.
    fn select(&mut self, selection: Selection) {
        self.selection = selection;
        let decided: Vec<record::Process> = self.processes.keys().flatten().collect();
        for process in decided {
            // One that is not there any more was forgotten by the kernel meanwhile.
            let _ = self.processes.remove(&process);
        }
        self.files.values_mut().for_each(|file| file.users.clear());
        self.keep_used();
    }

    /// Lets files go that no process uses any more.
    fn tidy(&mut self) {
        // An upgrade may have put other files in their place.
        self.look_at_installed();
        self.replaced.retain(|(id, path)| uses(*id, path));
        let mut unused = false;
        for file in self.files.values_mut() {
            // One user is enough.
            file.users.retain(|id| uses(*id, &file.path));
            unused |= file.users.is_empty() && !file.is_installed;
        }
        if unused {
            // A process that was forked, or has not spoken yet, may use it.
            self.keep_used();
        }
    }

    /// Looks at all processes, and lets files go that have no users then.
    fn keep_used(&mut self) {
        self.look_at_all();
        self.files.retain(|_, file| {
            let is_used = !file.users.is_empty() || file.is_installed;
            if !is_used {
                tracing::info!(path = file.path, "TLS library is used by nobody any more");
            }
            is_used
        });
    }
}

/// Whether a process has a library mapped, replaced since or not.
fn uses(id: u64, path: &str) -> bool {
    process::libraries(id).is_ok_and(|libraries| libraries.iter().any(|mapped| mapped.path == path))
}
