//! The sender: encoded requests in, OTLP over gRPC or HTTP out, whatever the server does.
//!
//! A request is packed once (`wire`), waits in the [`queue`](self), is taken by one of a few consumers and stays with it
//! until it has arrived or will not (`delivery`): sent (`grpc`, `http` over `connect` and `tls`), the answer judged
//! (`reply`, `throttle`, `verdict`), retried (`backoff`). It never looks into a request, never waits for a server
//! where it is called, and never logs what was sent, a header, or a word the server said (`health`).

mod backoff;
mod connect;
mod delivery;
mod grpc;
mod health;
mod http;
mod queue;
mod reach;
mod reply;
mod store;
mod throttle;
mod tls;
mod verdict;
mod wire;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pipeline::component::ExporterError;
use tokio::sync::{Notify, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, timeout_at};

use super::config::Settings;
use super::payload::{Body, Failure, Outcome, Packed, Payload, Refused, Waiting};
use super::stats::Stats;
use delivery::Delivery;
use queue::Queue;
use store::{Head, Left};

pub use reach::{Reached, reach};
pub use store::{Store, StoreError};

/// The way out of one exporter. Dropping it drops what it holds; see [`Sender::flush`].
pub struct Sender {
    shared: Arc<Shared>,
    end: watch::Sender<Option<Instant>>,
    consumers: Mutex<JoinSet<()>>,
    /// Takes over what an earlier run left.
    adopting: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    delivery: Delivery,
    queue: Mutex<Queue>,
    /// Where the bodies of what waits are, if not in memory.
    store: Option<Arc<Store>>,
    stats: Arc<Stats>,
    /// Something came into the queue, or it was closed.
    changed: Notify,
}

impl Sender {
    /// Reads the files of `tls` and starts the consumers; connects when there is something to send. To be called
    /// inside a runtime. `id` is the exporter's, for the log.
    pub fn start(id: &str, settings: Settings, stats: Arc<Stats>) -> Result<Self, ExporterError> {
        Self::start_stored(id, settings, stats, None)
    }

    /// The same with its queue in `store`. What an earlier run left there is sent first, unless a sender before this one
    /// has taken it already.
    pub fn start_stored(
        id: &str,
        settings: Settings,
        stats: Arc<Stats>,
        store: Option<Arc<Store>>,
    ) -> Result<Self, ExporterError> {
        let (end, ended) = watch::channel(None);
        let queue = Mutex::new(Queue::new(&settings.queue, Arc::clone(&stats), store.clone()));
        let consumers = settings.queue.num_consumers;
        let delivery = Delivery::new(id, settings, Arc::clone(&stats), ended)?;
        let shared = Arc::new(Shared { delivery, queue, store, stats, changed: Notify::new() });
        let consumers = (0..consumers).map(|_| Arc::clone(&shared).consume()).collect();
        let adopting = Mutex::new(Some(tokio::spawn(Arc::clone(&shared).adopt())));
        Ok(Self { shared, end, consumers: Mutex::new(consumers), adopting })
    }

    /// Takes over what others gave up that stands on disk: an earlier run, or a sender that this one replaced.
    pub async fn adopt(&self) {
        Arc::clone(&self.shared).adopt().await;
    }

    /// Compresses one request and puts it into the queue. Waits for no server; what is refused is counted.
    pub async fn enqueue(&self, payload: Payload) -> Result<(), Refused> {
        self.shared.delivery.check(&payload)?;
        let packed = self.shared.delivery.pack(payload).await;
        let waiting = self.shared.keep(packed).await?;
        self.shared.queue().push(waiting)?;
        self.shared.changed.notify_one();
        Ok(())
    }

    /// Sends one request past the queue and says what became of it, after all retries.
    ///
    /// For metrics: the caller holds the request, so it never stands in the queue twice, and dropping the future
    /// withdraws it, uncounted, in favour of newer values.
    pub async fn send_now(&self, payload: Payload) -> Outcome {
        match self.shared.delivery.check(&payload) {
            Ok(()) => self.shared.delivery.deliver(self.shared.delivery.pack(payload).await, false).await,
            Err(refused) => Outcome::Failed(Failure::Refused(refused)),
        }
    }

    /// Takes nothing in any more and waits until all that was taken has arrived or been given up.
    ///
    /// With a `deadline`, waits between attempts become short, and what has not arrived by then is given up and
    /// counted; so is a [`Sender::send_now`] that is under way. Without, retries take the time they always take.
    pub async fn flush(&self, deadline: Option<Instant>) {
        let adopting = self.adopting.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(adopting) = adopting {
            let _ = match deadline {
                Some(deadline) => timeout_at(deadline, adopting).await.is_ok(),
                None => adopting.await.is_ok(),
            };
        }
        self.shared.queue().close();
        self.end.send_replace(deadline);
        self.shared.changed.notify_waiters();
        let mut consumers = std::mem::take(&mut *self.consumers.lock().unwrap_or_else(PoisonError::into_inner));
        while let Some(ended) = consumers.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "an exporter's consumer ended by a panic");
            }
        }
    }
}

impl Shared {
    /// Sends what waits, one after the other, until the queue is over.
    async fn consume(self: Arc<Self>) {
        loop {
            // Made before looking, so that nothing that comes meanwhile is missed.
            let changed = self.changed.notified();
            let (taken, over) = {
                let mut queue = self.queue();
                (queue.take(), queue.is_over())
            };
            match taken {
                Some(waiting) => {
                    let bytes = waiting.body.len();
                    self.send(waiting).await;
                    self.queue().done(bytes);
                }
                None if over => return,
                None => changed.await,
            }
        }
    }

    async fn adopt(self: Arc<Self>) {
        let Some(store) = self.store.clone() else { return };
        let looked = tokio::task::spawn_blocking(move || store.left()).await;
        let (left, broken) = looked.expect("reading files does not panic");
        if !left.is_empty() || broken > 0 {
            self.delivery.tell_of_left(left.len(), broken);
        }
        for Left { number, head, bytes } in left {
            let Head { signal, items, important, .. } = head;
            let waiting = Waiting { signal, body: Body::Stored { number, bytes }, items, important };
            // What is too much for the queue, or goes nowhere any more, is counted there.
            match self.delivery.has_endpoint(signal) {
                true => drop(self.queue().push(waiting)),
                false => self.queue().turn_away(&waiting, Refused::NoEndpoint),
            }
            self.changed.notify_one();
        }
    }

    /// Where its body is to wait.
    async fn keep(&self, packed: Packed) -> Result<Waiting, Refused> {
        let Some(store) = self.store.clone() else {
            let Packed { signal, body, items, important } = packed;
            return Ok(Waiting { signal, body: Body::Held(body), items, important });
        };
        let head = self.delivery.head(&packed);
        let Packed { signal, body, items, important } = packed;
        let bytes = body.len();
        let put = tokio::task::spawn_blocking(move || store.put(&head, &body)).await;
        match put.expect("writing a file does not panic") {
            Ok(number) => Ok(Waiting { signal, body: Body::Stored { number, bytes }, items, important }),
            Err(error) => {
                self.delivery.tell_of_storage(&error);
                self.stats.enqueue_failed(signal, Refused::Storage, items);
                Err(Refused::Storage)
            }
        }
    }

    /// Sends one. A file goes once it is known what became of its request.
    async fn send(&self, waiting: Waiting) {
        let Waiting { signal, body, items, important } = waiting;
        let (number, store) = match (body, &self.store) {
            (Body::Held(body), _) => {
                self.delivery.deliver(Packed { signal, body, items, important }, false).await;
                return;
            }
            (Body::Stored { number, .. }, store) => (number, Arc::clone(store.as_ref().expect("a file is in a store"))),
        };
        if self.delivery.is_past_end() {
            return store.release(number);
        }
        let reader = Arc::clone(&store);
        let read = tokio::task::spawn_blocking(move || reader.read(number)).await.expect("reading does not panic");
        let packed = match read {
            Ok((head, body)) => self.delivery.packed_anew(head, body).await,
            Err(error) => {
                self.delivery.tell_of_storage(&error);
                if error.kind() != std::io::ErrorKind::InvalidData {
                    // Another time it may be read.
                    self.stats.enqueue_failed(signal, Refused::Storage, items);
                    return store.release(number);
                }
                None
            }
        };
        let outcome = match packed {
            Some(packed) => self.delivery.deliver(packed, true).await,
            None => {
                self.stats.enqueue_failed(signal, Refused::Storage, items);
                Outcome::Failed(Failure::Refused(Refused::Storage))
            }
        };
        match outcome {
            Outcome::Failed(Failure::Ended) => store.release(number),
            _ => store.remove(number),
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Longest body of a reply that is read: a partial success is a number and a sentence.
const REPLY_BYTES: usize = 64 * 1024;
/// How long an unused connection over HTTP/1.1 is kept: less than servers keep it (mostly a minute), since a request on
/// a connection that is just being closed is lost and costs a retry.
const IDLE: Duration = Duration::from_secs(30);
/// As OTLP asks for ("User Agent").
const USER_AGENT: &str = concat!("ringside/", env!("CARGO_PKG_VERSION"));
