//! What the console shows: the calls and figures of now, and the rules a reload changes.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use call_views::unread::Unread;
use endpoint::Load;
use metrics::{ExtensionContext, Registry};
use pipeline::affinity::Report;
use pipeline::call::live::ShownNumber;
use pipeline::component::Health;
use serde::Serialize;
use tokio::time::{Duration, sleep};

use crate::asker::Asker;
use crate::calls::Calls;
use crate::config::Settings;
use crate::entry::Entry;
use crate::figures::{Figures, Past};
use crate::guard::Guard;
use crate::query::Query;
use crate::subscribers::Subscribers;

/// What the console shows.
pub struct Site {
    /// The calls.
    pub calls: Calls,
    /// Pages that are open.
    pub pages: Subscribers,
    /// `None` where no shard finds calls.
    asker: Option<Asker>,
    registry: Option<Arc<Registry>>,
    health: Arc<dyn Health>,
    past: Mutex<Past>,
    rules: Mutex<Rules>,
    /// How busy it is.
    pub load: Load,
    host: Box<str>,
    started: Instant,
}

/// What a reload changes.
struct Rules {
    guard: Arc<Guard>,
    trace_url: Option<Arc<str>>,
}

/// The figures, and what the program is like.
#[derive(Serialize)]
pub struct Now {
    /// Nanoseconds since the Unix epoch would be exact, but no page can count so far: milliseconds.
    time_ms: u64,
    version: &'static str,
    /// Name of the host, perhaps empty: several consoles are open side by side.
    host: Box<str>,
    uptime_seconds: u64,
    /// `ebpf`, `classic` or `none`.
    capture: &'static str,
    /// Why nothing can be captured now.
    blocked: Option<String>,
    calls: Shown,
    figures: Option<Figures>,
    carriers: Vec<Arc<str>>,
    /// When the newest message came that could not be read; `null` before the first.
    unread: Option<String>,
    pages: usize,
}

/// How many calls are shown.
#[derive(Serialize)]
struct Shown {
    /// Kept after their end.
    kept: usize,
    /// Most of these.
    most: usize,
    /// Ended calls that were not taken in time.
    refused: u64,
}

/// How records show numbers: `drop`, `mask`, `hmac`, `plain`; `null` unless one was looked for.
pub type Numbers = Option<&'static str>;

/// The name of this host as its kernel has it; empty where that is not told.
fn host() -> Box<str> {
    std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().into()
}

impl Site {
    /// Shows what `context` gives access to.
    pub fn new(settings: &Settings, context: &ExtensionContext) -> Self {
        Self {
            calls: Calls::new(Arc::clone(&context.label_sets), settings.max_calls_shown),
            pages: Subscribers::default(),
            asker: context.watch.clone().map(Asker::new),
            registry: context.registry.clone(),
            health: Arc::clone(&context.health),
            past: Mutex::default(),
            rules: Mutex::new(Rules::new(settings, settings.endpoint.port())),
            load: Load::default(),
            host: host(),
            started: Instant::now(),
        }
    }

    /// Applies settings; `port` is the one that is listened on.
    pub fn apply(&self, settings: &Settings, port: u16) {
        self.calls.set_most(settings.max_calls_shown);
        *self.rules.lock().unwrap_or_else(PoisonError::into_inner) = Rules::new(settings, port);
    }

    /// Notes what the figures are, for ratios of the last minutes; once every [`Past::EVERY_SECONDS`].
    pub async fn remember(&self) {
        let Some(registry) = &self.registry else { return };
        loop {
            self.past.lock().unwrap_or_else(PoisonError::into_inner).sample(&registry.snapshot());
            sleep(Duration::from_secs(Past::EVERY_SECONDS)).await;
        }
    }

    /// Asks which calls are up, for lists like these, unless that was asked a moment ago.
    pub async fn refresh(&self, queries: impl Iterator<Item = &Query>) {
        let Some(asker) = &self.asker else { return };
        let all = self.calls.most();
        // What a filter leaves may be far behind the newest.
        let wanted = queries.map(|query| match query {
            Query {
                outcome: None,
                carrier: None,
                trunk: None,
                number: None,
                call_id: None,
                filter: None,
                limit,
                ..
            } => limit.unwrap_or(USUAL),
            _ => all,
        });
        if let Some(calls) = asker.newest(wanted.max().unwrap_or(USUAL).min(all)).await {
            self.calls.set_live(calls);
        }
    }

    /// The calls that are wanted, of those that are known, and how records show numbers.
    pub async fn list(&self, query: &Query) -> (Vec<Entry>, Numbers) {
        let shown = self.shown(query).await;
        let numbers = shown.as_ref().map(|shown| match shown {
            ShownNumber::Dropped => "drop",
            ShownNumber::Masked(_) => "mask",
            ShownNumber::Hashed(_) => "hmac",
            ShownNumber::Digits(_) => "plain",
        });
        (self.calls.list(query, shown.as_ref(), USUAL), numbers)
    }

    async fn shown(&self, query: &Query) -> Option<ShownNumber> {
        self.asker.as_ref()?.shown(query.number.as_deref()?).await
    }

    /// A call, as it stands now.
    pub async fn call(&self, call_id: &str) -> Option<Entry> {
        let ended = self.calls.ended(call_id);
        if let Some(asker) = self.asker.as_ref().filter(|_| ended.is_none() || self.calls.is_up(call_id))
            && let Some(call) = asker.one(call_id).await
        {
            return Some(self.calls.whole(call));
        }
        // It may have ended while it was asked for.
        ended.or_else(|| self.calls.ended(call_id))
    }

    /// The newest messages that could not be read.
    pub fn unread(&self) -> Vec<Unread> {
        self.asker.as_ref().map_or_else(Vec::new, |asker| Unread::list(asker.unread().iter(), true))
    }

    /// What was found about backends of services; `None` where no processor looks.
    pub async fn affinity(&self) -> Option<Report> {
        self.asker.as_ref()?.affinity().await
    }

    /// The figures of now.
    pub fn now(&self) -> Now {
        let past = self.past.lock().unwrap_or_else(PoisonError::into_inner);
        let capture = self.health.capture();
        let (kept, _) = self.calls.count();
        let refused = self.asker.as_ref().map_or(0, Asker::refused);
        Now {
            time_ms: std::time::UNIX_EPOCH.elapsed().unwrap_or_default().as_millis() as u64,
            version: env!("CARGO_PKG_VERSION"),
            host: self.host.clone(),
            uptime_seconds: self.started.elapsed().as_secs(),
            capture: capture.kind,
            blocked: capture.blocked,
            calls: Shown { kept, most: self.calls.most(), refused },
            figures: self.registry.as_ref().map(|registry| Figures::of(&registry.snapshot(), &past)),
            carriers: self.calls.carriers(),
            unread: self.unread().last().map(|unread| call_views::rfc3339(unread.time)),
            pages: self.pages.count(),
        }
    }

    /// Where traces are.
    pub fn trace_url(&self) -> Option<Arc<str>> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner).trace_url.clone()
    }

    /// Ended calls that were not taken in time.
    pub fn refused(&self) -> u64 {
        self.asker.as_ref().map_or(0, Asker::refused)
    }

    /// Who may ask.
    pub fn guard(&self) -> Arc<Guard> {
        Arc::clone(&self.rules.lock().unwrap_or_else(PoisonError::into_inner).guard)
    }
}

impl Rules {
    fn new(settings: &Settings, port: u16) -> Self {
        let trace_url = settings.trace_url.as_deref().map(Arc::from);
        Self { guard: Arc::new(Guard::new(settings, port)), trace_url }
    }
}

/// Calls in a list that says nothing else.
const USUAL: usize = 200;
