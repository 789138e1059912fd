//! The way of one request: packed once before it waits, tried until it arrives, is refused for good, or its time is over.
//!
//! Counts what became of it and tells the log when the server's health changes. Dropping the future withdraws
//! the request; nothing is counted then but that no request is in flight any more.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::body::Bytes;
use opentelemetry::trace::{Span, SpanKind, Tracer};
use opentelemetry::{KeyValue, Value, global};
use pipeline::component::ExporterError;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use super::super::config::{Protocol, Settings};
use super::super::payload::{Failure, Outcome, Packed, Payload, Refused, Signal};
use super::super::stats::Stats;
use super::backoff::Backoff;
use super::health::{ServerHealth, Transition};
use super::store::Head;
use super::verdict::{Cause, Verdict};
use super::{connect, grpc, http, wire};

/// Everything a request needs on its way.
pub(super) struct Delivery {
    id: String,
    settings: Settings,
    client: Client,
    stats: Arc<Stats>,
    health: Mutex<ServerHealth>,
    /// The server asked for nothing to be sent before.
    not_before: Mutex<Option<Instant>>,
    /// Signals of which a partial success was told.
    partial_told: Mutex<[bool; Signal::ALL.len()]>,
    /// That the queue on disk fails was told.
    storage_told: AtomicBool,
    /// When the program wants to be gone; `None` while it runs.
    end: watch::Receiver<Option<Instant>>,
}

enum Client {
    Grpc(Option<grpc::Client>),
    Http(http::Client),
}

impl Delivery {
    pub(super) fn new(
        id: &str,
        settings: Settings,
        stats: Arc<Stats>,
        end: watch::Receiver<Option<Instant>>,
    ) -> Result<Self, ExporterError> {
        let connector = connect::connector(&settings)?;
        let client = match settings.protocol {
            Protocol::Grpc => Client::Grpc(grpc::Client::new(&settings, connector)),
            Protocol::Http => Client::Http(http::Client::new(&settings, connector)),
        };
        Ok(Self {
            id: id.to_owned(),
            settings,
            client,
            stats,
            health: Mutex::default(),
            not_before: Mutex::default(),
            partial_told: Mutex::default(),
            storage_told: AtomicBool::new(false),
            end,
        })
    }

    /// Turns away what cannot be sent at all.
    pub(super) fn check(&self, payload: &Payload) -> Result<(), Refused> {
        let refused = if self.settings.endpoint(payload.signal).is_none() {
            Refused::NoEndpoint
        } else if payload.body.len() > self.settings.max_request_size {
            Refused::TooLarge
        } else {
            return Ok(());
        };
        self.stats.enqueue_failed(payload.signal, refused, payload.items);
        Err(refused)
    }

    /// How a request that is packed now stands on disk.
    pub(super) fn head(&self, packed: &Packed) -> Head {
        let Settings { protocol, compression, .. } = self.settings;
        Head { signal: packed.signal, protocol, compression, items: packed.items, important: packed.important }
    }

    /// What travels now of one that was packed at another time, perhaps in another way.
    pub(super) async fn packed_anew(&self, head: Head, body: Bytes) -> Option<Packed> {
        let Head { signal, items, important, .. } = head;
        let Settings { protocol, compression, max_request_size, .. } = self.settings;
        let body = match (head.protocol, head.compression) == (protocol, compression) {
            true => body,
            false => {
                let plain = wire::unpack(&body, head.protocol, head.compression, max_request_size)?;
                wire::pack(plain, protocol, compression).await
            }
        };
        Some(Packed { signal, body, items, important })
    }

    /// Makes of one that was checked what travels.
    pub(super) async fn pack(&self, payload: Payload) -> Packed {
        let Payload { signal, body, items, important } = payload;
        let body = wire::pack(body, self.settings.protocol, self.settings.compression).await;
        Packed { signal, body, items, important }
    }

    /// Sends one. What is `kept` on disk has not failed when the program ends before.
    pub(super) async fn deliver(&self, packed: Packed, kept: bool) -> Outcome {
        let (signal, items) = (packed.signal, packed.items);
        // Of nobody unless service.telemetry.traces is configured.
        let tracer = global::tracer("ringside");
        let mut span = tracer.span_builder("deliver").with_kind(SpanKind::Client).start(&tracer);
        for (name, value) in [
            ("ringside.exporter", Value::from(self.id.clone())),
            ("ringside.signal", signal.name().into()),
            ("ringside.items", (items as i64).into()),
            ("ringside.request.bytes", (packed.body.len() as i64).into()),
        ] {
            span.set_attribute(KeyValue::new(name, value));
        }
        let outcome = tokio::select! {
            // What is left when the time is over is not even begun.
            biased;
            () = self.is_over() => Outcome::Failed(Failure::Ended),
            outcome = self.attempts(packed) => outcome,
        };
        span.set_attribute(KeyValue::new("ringside.outcome", outcome.name()));
        span.end();
        match outcome {
            Outcome::Accepted { rejected } => {
                self.stats.sent(signal, items - rejected);
                if rejected > 0 {
                    self.stats.send_failed(signal, rejected);
                    self.tell_of_partial(signal, rejected, items);
                }
            }
            Outcome::Failed(Failure::Ended) if kept => {}
            Outcome::Failed(_) => self.stats.send_failed(signal, items),
        }
        outcome
    }

    async fn attempts(&self, packed: Packed) -> Outcome {
        let Packed { signal, body, items, .. } = packed;
        let mut backoff = Backoff::new(&self.settings.retry);
        let begun = Instant::now();
        loop {
            self.wait_for_server().await;
            let (cause, after) = match self.attempt(signal, body.clone(), items).await {
                Verdict::Accepted { rejected } => {
                    self.news(signal, None, |health| health.succeeded(signal));
                    return Outcome::Accepted { rejected };
                }
                Verdict::Refused(cause) => {
                    let now = Instant::now().into_std();
                    self.news(signal, Some(&cause), |health| health.refused(signal, now));
                    return Outcome::Failed(Failure::Permanent);
                }
                Verdict::Retry { cause, after } => (cause, after),
            };
            let now = Instant::now();
            self.news(signal, Some(&cause), |health| health.failed(signal, &cause, now.into_std()));
            let Some(wait) = backoff.next(now - begun, after) else { return Outcome::Failed(Failure::GaveUp) };
            if let Some(after) = after {
                let mut not_before = self.not_before.lock().unwrap_or_else(PoisonError::into_inner);
                *not_before = (*not_before).max(Some(now + after));
            }
            self.pause(wait).await;
            self.stats.retried();
        }
    }

    async fn attempt(&self, signal: Signal, body: Bytes, items: u64) -> Verdict {
        let _in_flight = InFlight::new(&self.stats);
        let attempt = async {
            match &self.client {
                Client::Grpc(client) => client.as_ref().expect(CHECKED).attempt(signal, body, items).await,
                Client::Http(client) => client.attempt(signal, body, items).await,
            }
        };
        match timeout(self.settings.timeout, attempt).await {
            Ok(verdict) => verdict,
            Err(_) => {
                if let Client::Grpc(Some(client)) = &self.client {
                    client.reconnect();
                }
                Verdict::Retry { cause: Cause::Timeout, after: None }
            }
        }
    }

    /// Waits until the server wants to hear from us again, though the program ends meanwhile.
    async fn wait_for_server(&self) {
        loop {
            let until = *self.not_before.lock().unwrap_or_else(PoisonError::into_inner);
            match until {
                Some(until) if until > Instant::now() => sleep_until(until).await,
                _ => return,
            }
        }
    }

    /// Waits before the next attempt. The program's end cuts it short: there may not be as much time any more.
    async fn pause(&self, wait: Duration) {
        let since = Instant::now();
        let mut end = self.end.clone();
        let longest = if end.borrow_and_update().is_some() { wait.min(LAST_PAUSE) } else { wait };
        tokio::select! {
            () = sleep_until(since + longest) => {}
            // The sender outlives what it sends.
            Ok(()) = end.changed() => {}
        }
    }

    /// Ready when the program wants to be gone.
    async fn is_over(&self) {
        let mut end = self.end.clone();
        let end = end.wait_for(Option::is_some).await.map(|end| *end);
        match end {
            Ok(Some(end)) => sleep_until(end).await,
            // Whoever could end it is gone: it ends by itself.
            _ => std::future::pending().await,
        }
    }

    fn news(
        &self,
        signal: Signal,
        cause: Option<&Cause>,
        change: impl FnOnce(&mut ServerHealth) -> Option<Transition>,
    ) {
        let news = change(&mut self.health.lock().unwrap_or_else(PoisonError::into_inner));
        let Some(news) = news else { return };
        let (exporter, signal_name) = (&self.id, signal.name());
        let server = self.settings.endpoint(signal).map(|endpoint| endpoint.authority()).unwrap_or_default();
        let cause = cause.map(Cause::to_string).unwrap_or_default();
        match news {
            Transition::Down => tracing::warn!(
                exporter,
                server,
                cause,
                signal = signal_name,
                "what is exported does not arrive; it is tried again, and dropped and counted when the queue is full or \
                 retry_on_failure.max_elapsed_time is over"
            ),
            Transition::Refuses => tracing::warn!(
                exporter,
                server,
                cause,
                signal = signal_name,
                "the server refuses what is exported; it is dropped and counted"
            ),
            Transition::Back => tracing::info!(exporter, server, "what is exported arrives again"),
        }
    }

    /// What others left on disk.
    pub(super) fn tell_of_left(&self, requests: usize, broken: u64) {
        tracing::info!(exporter = self.id, requests, broken, "requests that were left on disk are taken over");
    }

    /// Whether somebody takes this signal.
    pub(super) fn has_endpoint(&self, signal: Signal) -> bool {
        self.settings.endpoint(signal).is_some()
    }

    /// The time that the program has to end is over.
    pub(super) fn is_past_end(&self) -> bool {
        self.end.borrow().is_some_and(|end| end <= Instant::now())
    }

    /// Said once: a full disk would say it with each request.
    pub(super) fn tell_of_storage(&self, error: &std::io::Error) {
        if !self.storage_told.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                exporter = self.id,
                %error,
                "the queue on disk cannot be used; what should wait there is dropped and counted, this is said once"
            );
        }
    }

    fn tell_of_partial(&self, signal: Signal, rejected: u64, items: u64) {
        let told = &mut self.partial_told.lock().unwrap_or_else(PoisonError::into_inner)[signal.index()];
        if !std::mem::replace(told, true) {
            tracing::warn!(
                exporter = self.id,
                signal = signal.name(),
                rejected,
                of = items,
                "the server took a request only in part; the rest is counted, this is said once"
            );
        }
    }
}

/// A request among `in_flight_requests`, however it ends.
struct InFlight<'a>(&'a Stats);

impl<'a> InFlight<'a> {
    fn new(stats: &'a Stats) -> Self {
        stats.requested();
        Self(stats)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.answered();
    }
}

/// Why there is a client.
const CHECKED: &str = "who sends looks for an endpoint first";
/// Longest wait between attempts while the program ends.
const LAST_PAUSE: Duration = Duration::from_secs(1);
