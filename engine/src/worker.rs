//! A worker: a flow on a thread of its own, which follows the calls it is handed.
//!
//! It takes batches in the order they were handed over and gives each back empty, so that a few go round and nothing is
//! allocated. Whoever hands out waits when all are under way: packets then wait in front of the receiver, where the
//! kernel counts those that found no room.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use pipeline::{ComponentId, FrameBatch};

use super::flow::{Flow, Last, Working};

/// The near end of a worker. Dropped, it waits for the thread to end.
pub(super) struct Worker {
    /// `None` once it is told to end.
    work: Option<SyncSender<Work>>,
    done: Receiver<FrameBatch>,
    /// Batches that are neither open nor handed over.
    idle: Vec<FrameBatch>,
    /// The batch that is being filled; `None` until one is needed.
    open: Option<FrameBatch>,
    thread: Option<JoinHandle<Result<(), WorkerPanic>>>,
}

/// What a worker is told to do.
#[expect(clippy::large_enum_variant, reason = "nearly all are batches, and a channel holds five")]
enum Work {
    Follow(FrameBatch),
    /// Something between two batches.
    Do(Job),
}

/// What is done to a flow, told whose code is running.
type Job = Box<dyn FnOnce(&mut Flow, Working<'_>) + Send>;

/// A worker that panicked.
pub(super) struct WorkerPanic {
    /// What the panic said.
    pub(super) payload: Box<dyn Any + Send>,
    /// Whose code it was in, as far as is known.
    pub(super) working: Option<ComponentId>,
}

/// An answer that a worker owes.
pub(super) struct Asked<T>(Receiver<T>);

/// Batches of one worker. One is filled while one is followed, the others take up what comes unevenly.
const BATCHES: usize = 4;

impl Worker {
    /// Gives `flow` a thread.
    pub(super) fn start(name: String, mut flow: Flow) -> io::Result<Self> {
        // Room for every batch and for what is asked in between, so that neither end waits for room.
        let (work, orders) = sync_channel(BATCHES + 1);
        let (back, done) = sync_channel(BATCHES);
        let run = move || {
            let mut working = None;
            catch_unwind(AssertUnwindSafe(|| follow(&mut flow, &orders, &back, &mut working)))
                .map_err(|payload| WorkerPanic { payload, working })
        };
        let thread = Some(thread::Builder::new().name(name).spawn(run)?);
        let idle = (0..BATCHES).map(|_| FrameBatch::default()).collect();
        Ok(Self { work: Some(work), done, idle, open: None, thread })
    }

    /// The batch to fill next; waits until there is one.
    pub(super) fn open(&mut self) -> Result<&mut FrameBatch, WorkerPanic> {
        if self.open.is_none() {
            // One that has been used before is in a cache.
            let batch = self.done.try_recv().ok().or_else(|| self.idle.pop());
            self.open = Some(batch.map_or_else(|| self.take_back(), Ok)?);
        }
        Ok(self.open.as_mut().expect("filled above"))
    }

    /// Hands over the batch that was filled.
    pub(super) fn close(&mut self) -> Result<(), WorkerPanic> {
        self.open.take().map_or(Ok(()), |batch| self.tell(Work::Follow(batch)))
    }

    /// Waits until everything handed over has been followed.
    pub(super) fn settle(&mut self) -> Result<(), WorkerPanic> {
        while self.idle.len() + usize::from(self.open.is_some()) < BATCHES {
            let batch = self.take_back()?;
            self.idle.push(batch);
        }
        Ok(())
    }

    /// Has `ask` done once all that was handed over has been followed.
    pub(super) fn ask<T: Send + 'static>(
        &mut self,
        ask: impl FnOnce(&mut Flow, Working<'_>) -> T + Send + 'static,
    ) -> Result<Asked<T>, WorkerPanic> {
        let (reply, answer) = sync_channel(1);
        self.tell(Work::Do(Box::new(move |flow, working| {
            // Nobody waits any more when the engine ends.
            let _ = reply.send(ask(flow, working));
        })))?;
        Ok(Asked(answer))
    }

    /// The answer to what was asked.
    pub(super) fn answer<T>(&mut self, asked: &Asked<T>) -> Result<T, WorkerPanic> {
        asked.0.recv().map_err(|_| self.panicked())
    }

    fn tell(&mut self, work: Work) -> Result<(), WorkerPanic> {
        let told = self.work.as_ref().is_some_and(|worker| worker.send(work).is_ok());
        if told { Ok(()) } else { Err(self.panicked()) }
    }

    /// A batch that has been followed; waits for it.
    fn take_back(&mut self) -> Result<FrameBatch, WorkerPanic> {
        self.done.recv().map_err(|_| self.panicked())
    }

    /// Why it does not answer.
    fn panicked(&mut self) -> WorkerPanic {
        self.work = None;
        let end = self.thread.take().map(JoinHandle::join);
        match end {
            Some(Ok(Err(panicked))) => panicked,
            Some(Err(payload)) => WorkerPanic { payload, working: None },
            Some(Ok(Ok(()))) | None => WorkerPanic { payload: Box::new("a worker ended by itself"), working: None },
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.work = None;
        if let Some(thread) = self.thread.take() {
            // How it ended does not matter any more.
            let _ = thread.join();
        }
    }
}

/// The life of a worker's thread: until nobody can hand it anything any more.
fn follow(flow: &mut Flow, orders: &Receiver<Work>, back: &SyncSender<FrameBatch>, working: &mut Option<ComponentId>) {
    let mut note = |id: &ComponentId| working.clone_from(&Some(id.clone()));
    for work in orders {
        match work {
            Work::Follow(mut batch) => {
                flow.take(&batch, Last::No, None, &mut note);
                batch.clear();
                // Nobody wants it back when the engine ends.
                let _ = back.send(batch);
            }
            Work::Do(ask) => ask(flow, &mut note),
        }
    }
}
