//! Answers: a request and the calls and figures of now in, a response out.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use call_views::{Style, ladder};
use endpoint::{Busy, Load};
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONNECTION, HeaderValue, LOCATION, SET_COOKIE, WWW_AUTHENTICATE};
use hyper::{Request, Response, StatusCode};
use metrics::{ExtensionContext, Registry};
use percent_encoding::percent_decode_str;
use pipeline::call::live::ShownNumber;
use pipeline::component::Health;
use serde::Serialize;
use tokio::time::{Duration, sleep};

use crate::asker::Asker;
use crate::calls::Calls;
use crate::config::Settings;
use crate::entry::{Entry, Line};
use crate::figures::{Figures, Past};
use crate::files;
use crate::follow::{Pages, Wish};
use crate::guard::{Guard, Verdict};
use crate::query::Query;
use crate::reply::{self, ReplyBody, events, json, refusal, whole};

/// What the console shows.
pub struct Site {
    /// The calls.
    pub calls: Calls,
    /// Pages that are open.
    pub pages: Pages,
    /// `None` where no shard finds calls.
    asker: Option<Asker>,
    registry: Option<Arc<Registry>>,
    health: Arc<dyn Health>,
    past: Mutex<Past>,
    rules: Mutex<Rules>,
    load: Load,
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
    uptime_seconds: u64,
    /// `ebpf`, `classic` or `none`.
    capture: &'static str,
    /// Why nothing can be captured now.
    blocked: Option<String>,
    calls: Shown,
    figures: Option<Figures>,
    carriers: Vec<Arc<str>>,
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

/// `/api/calls`.
#[derive(Serialize)]
struct List {
    calls: Vec<Line>,
    numbers: Numbers,
}

/// How records show numbers: `drop`, `mask`, `hmac`, `plain`; `null` unless one was looked for.
pub type Numbers = Option<&'static str>;

impl Site {
    /// Shows what `context` gives access to.
    pub fn new(settings: &Settings, context: &ExtensionContext) -> Self {
        Self {
            calls: Calls::new(Arc::clone(&context.label_sets), settings.max_calls_shown),
            pages: Pages::default(),
            asker: context.watch.clone().map(Asker::new),
            registry: context.registry.clone(),
            health: Arc::clone(&context.health),
            past: Mutex::default(),
            rules: Mutex::new(Rules::new(settings, settings.endpoint.port())),
            load: Load::default(),
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
            Query { outcome: None, carrier: None, number: None, call_id: None, limit, .. } => limit.unwrap_or(USUAL),
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

    /// The figures of now.
    pub fn now(&self) -> Now {
        let past = self.past.lock().unwrap_or_else(PoisonError::into_inner);
        let capture = self.health.capture();
        let (kept, _) = self.calls.count();
        let refused = self.asker.as_ref().map_or(0, Asker::refused);
        Now {
            time_ms: std::time::UNIX_EPOCH.elapsed().unwrap_or_default().as_millis() as u64,
            version: env!("CARGO_PKG_VERSION"),
            uptime_seconds: self.started.elapsed().as_secs(),
            capture: capture.kind,
            blocked: capture.blocked,
            calls: Shown { kept, most: self.calls.most(), refused },
            figures: self.registry.as_ref().map(|registry| Figures::of(&registry.snapshot(), &past)),
            carriers: self.calls.carriers(),
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

    fn guard(&self) -> Arc<Guard> {
        Arc::clone(&self.rules.lock().unwrap_or_else(PoisonError::into_inner).guard)
    }

    async fn welcome(&self, path: &str, query: &str, busy: Busy) -> Response<ReplyBody> {
        match path {
            "/api/now" => json(&self.now(), busy),
            "/api/calls" => self.answer_calls(query, busy).await,
            "/api/events" => self.answer_events(query, busy),
            _ => match path.strip_prefix("/api/calls/") {
                Some(call_id) if !call_id.is_empty() => self.answer_call(call_id, query, busy).await,
                _ => match files::find(path) {
                    Some(file) => whole(StatusCode::OK, file.content_type, file.text, busy),
                    None => whole(StatusCode::NOT_FOUND, TEXT, PATHS, busy),
                },
            },
        }
    }

    async fn answer_calls(&self, query: &str, busy: Busy) -> Response<ReplyBody> {
        let query = match Query::read(query, &[]) {
            Ok(query) => query,
            Err(error) => return refusal(StatusCode::BAD_REQUEST, &error.0, busy),
        };
        self.refresh([&query].into_iter()).await;
        let (calls, numbers) = self.list(&query).await;
        json(&List { calls: calls.iter().map(Entry::line).collect(), numbers }, busy)
    }

    async fn answer_call(&self, call_id: &str, query: &str, busy: Busy) -> Response<ReplyBody> {
        let call_id = percent_decode_str(call_id).decode_utf8_lossy();
        let format = form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == "format");
        let format = format.map_or("json".into(), |(_, format)| format);
        if !["json", "text", "mermaid"].contains(&&*format) {
            return refusal(StatusCode::BAD_REQUEST, "format is json, text or mermaid", busy);
        }
        let Some(entry) = self.call(&call_id).await else {
            return refusal(StatusCode::NOT_FOUND, "no such call is up or was kept", busy);
        };
        let style = Style { width: None, unicode: true, colour: false };
        match &*format {
            "text" => whole(StatusCode::OK, TEXT, ladder::text(&entry.view(), &style), busy),
            "mermaid" => whole(StatusCode::OK, TEXT, ladder::mermaid(&entry.view()), busy),
            _ => json(&entry.told(self.trace_url().as_deref()), busy),
        }
    }

    fn answer_events(&self, query: &str, busy: Busy) -> Response<ReplyBody> {
        let call = form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == "call").map(|(_, call)| call.into());
        match Query::read(query, &["call"]) {
            Ok(query) => {
                let cut = busy.endless();
                match self.pages.open(Wish { query, call }, cut) {
                    Some(receiver) => events(receiver),
                    None => reply::full(),
                }
            }
            Err(error) => refusal(StatusCode::BAD_REQUEST, &error.0, busy),
        }
    }
}

impl Rules {
    fn new(settings: &Settings, port: u16) -> Self {
        let trace_url = settings.trace_url.as_deref().map(Arc::from);
        Self { guard: Arc::new(Guard::new(settings, port)), trace_url }
    }
}

impl endpoint::Site for Site {
    type Body = ReplyBody;

    async fn answer(&self, request: Request<Incoming>, busy: Busy) -> Response<ReplyBody> {
        let (path, query) = (request.uri().path(), request.uri().query().unwrap_or_default());
        let mut refused = match self.guard().check(&request) {
            Verdict::Welcome => return self.welcome(path, query, busy).await,
            Verdict::Method => {
                let mut response = whole(StatusCode::METHOD_NOT_ALLOWED, TEXT, "Only GET.\n", busy);
                response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
                response
            }
            Verdict::Host => whole(StatusCode::MISDIRECTED_REQUEST, TEXT, NOT_HERE, busy),
            Verdict::Cookie(cookie) => {
                let mut response = whole(StatusCode::SEE_OTHER, TEXT, "", busy);
                let cookie = HeaderValue::from_str(&cookie).expect("a name, hex digits and attributes are ASCII");
                let location = without_token(path, query);
                response.headers_mut().insert(SET_COOKIE, cookie);
                response.headers_mut().insert(LOCATION, location);
                return response;
            }
            Verdict::Token { wrong } => {
                if wrong {
                    sleep(PENALTY).await;
                }
                let mut response = match path.starts_with("/api/") {
                    true => refusal(StatusCode::UNAUTHORIZED, "a token is needed: Authorization: Bearer", busy),
                    false => whole(StatusCode::UNAUTHORIZED, files::HTML, NEEDS_TOKEN, busy),
                };
                response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
                response
            }
        };
        // Who is turned away keeps no place.
        refused.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        refused
    }

    fn load(&self) -> &Load {
        &self.load
    }
}

/// The same address without the token. A path that could be taken for another host becomes the first page.
fn without_token(path: &str, query: &str) -> HeaderValue {
    let rest = form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key != "token");
    let rest = form_urlencoded::Serializer::new(String::new()).extend_pairs(rest).finish();
    let path = if path.starts_with("//") || path.starts_with("/\\") { "/" } else { path };
    let location = if rest.is_empty() { path.to_owned() } else { format!("{path}?{rest}") };
    HeaderValue::from_str(&location).unwrap_or(HeaderValue::from_static("/"))
}

const TEXT: &str = "text/plain; charset=utf-8";
const PATHS: &str = "Here are /, /api/calls, /api/calls/{call-id}, /api/now and /api/events.\n";
const NOT_HERE: &str = "This console answers to localhost, to addresses, and with a token to the name of its host.\n";
const NEEDS_TOKEN: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>ringside</title>\
    <meta name=\"viewport\" content=\"width=device-width\"><meta name=\"color-scheme\" content=\"light dark\"><p>This console asks for its token: open it once with <code>?token=</code> and the token at the end of its \
    address.</p><p>You have been here before and came by a link? <a href=\"\">Go on</a>.</p></html>\n";
/// Calls in a list that says nothing else.
const USUAL: usize = 200;
/// Whoever tries tokens waits for each.
const PENALTY: Duration = Duration::from_millis(500);
