//! Answers: a request and the state of the program in, a response out.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use endpoint::{Client, Load, ResponseGuard, Site};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, VARY, WWW_AUTHENTICATE};
use hyper::{Method, Request, Response, StatusCode};
use metrics::{Detail, ExporterContext, Exposition, Format, Registry};
use pipeline::component::Health;
use pipeline::pages::{Asked, Page, Shown};
use pipeline::{CaptureStatus, Telemetry};
use serde::Serialize;
use tokio::sync::Semaphore;

use super::body::{Pieces, ReplyBody, Scrape};
use super::config::Look;
use super::internal::Manner;
use super::negotiate::Written;
use super::protobuf::Families;
use super::{internal, negotiate, process, protobuf};

/// What the endpoint shows.
pub struct Pages {
    registry: Arc<Registry>,
    health: Arc<dyn Health>,
    shown: Mutex<Look>,
    started: Instant,
    started_at: SystemTime,
    /// One permit per scrape under way: each holds a copy of all rows.
    scrapes: Arc<Semaphore>,
    scraped: AtomicU64,
    load: Load,
    /// Those of extensions.
    others: pipeline::pages::Pages,
}

impl Pages {
    pub(super) fn new(context: &ExporterContext, shown: Look, scrapes: usize) -> Self {
        Self {
            registry: context.registry.clone().expect("an exporter of metrics stands in a metrics pipeline"),
            health: Arc::clone(&context.health),
            shown: Mutex::new(shown),
            started: Instant::now(),
            started_at: SystemTime::now(),
            scrapes: Arc::new(Semaphore::new(scrapes)),
            scraped: AtomicU64::new(0),
            load: Load::default(),
            others: context.pages.clone(),
        }
    }

    pub(super) fn look(&self) -> Look {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From the next scrape on.
    pub(super) fn show(&self, shown: Look) {
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = shown;
    }

    async fn metrics(&self, request: &Request<Incoming>, head: bool, busy: ResponseGuard) -> Response<ReplyBody> {
        let format = negotiate::written(request.headers());
        let mut response = if head {
            // What a GET would say, without the work and without its length.
            plain(StatusCode::OK, format.content_type(), Bytes::new(), busy)
        } else {
            self.scrape(format, negotiate::gzip(request.headers()), busy).await
        };
        response.headers_mut().insert(VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
        response
    }

    async fn scrape(&self, written: Written, gzip: bool, busy: ResponseGuard) -> Response<ReplyBody> {
        let permit = Arc::clone(&self.scrapes).acquire_owned().await.expect("the semaphore is never closed");
        self.scraped.fetch_add(1, Ordering::Relaxed);
        let Look { undefined, choice, .. } = self.look();
        let mut own = process::numbers(self.started_at);
        self.about_components(&mut own);
        let detail = Detail { exemplars: written != Written::Text(Format::Text), native: written == Written::Protobuf };
        let snapshot = self.registry.snapshot_with(detail).choose(choice);
        let (mut first, mut pieces) = match written {
            Written::Text(format) => {
                let own = internal::render(&own, Manner::Prometheus(format)).into_bytes();
                (own, Pieces::Text(Exposition::new(snapshot, format, undefined)))
            }
            Written::Protobuf => {
                (protobuf::numbers(&internal::grouped(&own)), Pieces::Protobuf(Families::new(snapshot, undefined)))
            }
        };
        first.extend_from_slice(&pieces.next().unwrap_or_default());
        if pieces.is_finished() && !gzip {
            return plain(StatusCode::OK, written.content_type(), first, busy);
        }
        let body = ReplyBody::scrape(Scrape::new(first.into(), pieces, gzip, permit), busy);
        let mut response = respond(StatusCode::OK, written.content_type(), body);
        if gzip {
            response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        response
    }

    fn health(&self, busy: ResponseGuard) -> Response<ReplyBody> {
        let CaptureStatus { kind, blocked, no_media } = self.health.capture();
        let reason = blocked.or_else(|| self.health.trouble());
        let (code, status) = match reason {
            None => (StatusCode::OK, "ok"),
            Some(_) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        };
        let report = HealthReport {
            status,
            capture: kind,
            reason,
            no_media,
            version: env!("CARGO_PKG_VERSION"),
            uptime_seconds: self.started.elapsed().as_secs(),
        };
        let mut text = serde_json::to_string(&report).expect("text and numbers can be written as JSON");
        text.push('\n');
        plain(code, "application/json", text, busy)
    }

    /// The program about itself: the components, the rows, this endpoint.
    fn about_components(&self, all: &mut Vec<Telemetry>) {
        self.health.telemetry(all);
        self.registry.telemetry(all);
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed) as f64;
        for (name, counter, value) in [
            ("otelcol_exporter_scrapes", true, load(&self.scraped)),
            ("otelcol_exporter_connections", false, load(&self.load.connections)),
            ("otelcol_exporter_connections_refused", true, load(&self.load.refused)),
            ("otelcol_exporter_slow_clients", true, load(&self.load.too_slow)),
        ] {
            all.push(Telemetry { name, labels: Vec::new(), counter, value });
        }
    }

    /// The same with the process.
    fn about_itself(&self) -> Vec<Telemetry> {
        let mut all = Vec::new();
        self.about_components(&mut all);
        process::telemetry(self.started, &mut all);
        all
    }
}

impl Site for Pages {
    type Body = ReplyBody;

    async fn answer(&self, request: Request<Incoming>, busy: ResponseGuard) -> Response<ReplyBody> {
        let Look { auth, hosts, .. } = self.look();
        if !hosts.is_empty() && !endpoint::host(&request).is_some_and(|name| is_ours(name, &hosts)) {
            return plain(StatusCode::MISDIRECTED_REQUEST, TEXT, "This host is asked for by another name.\n", busy);
        }
        let client = request.extensions().get::<Client>().map_or(Ipv4Addr::UNSPECIFIED.into(), |client| client.0.ip());
        if !auth.admits(request.headers(), client).await {
            let mut response = plain(StatusCode::UNAUTHORIZED, TEXT, "Name and password are needed.\n", busy);
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"ringside\""));
            return response;
        }
        let path = request.uri().path();
        let other = self.others.at(path);
        if other.is_none() && !matches!(path, "/" | "/metrics" | "/health" | "/internal/metrics") {
            return plain(StatusCode::NOT_FOUND, TEXT, PATHS, busy);
        }
        let head = match *request.method() {
            Method::GET => false,
            Method::HEAD => true,
            _ => {
                let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, TEXT, "Only GET and HEAD.\n", busy);
                response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
                return response;
            }
        };
        if let Some(page) = other {
            // A HEAD is to cost nobody anything.
            return match head {
                true => plain(StatusCode::OK, Format::Text.content_type(), Bytes::new(), busy),
                false => show(&*page, &request, busy).await,
            };
        }
        match path {
            "/metrics" => self.metrics(&request, head, busy).await,
            "/health" => self.health(busy),
            "/" => plain(StatusCode::OK, HTML, LINKS, busy),
            _ => plain(
                StatusCode::OK,
                Format::Text.content_type(),
                internal::render(&self.about_itself(), Manner::Collector),
                busy,
            ),
        }
    }

    fn load(&self) -> &Load {
        &self.load
    }
}

/// Whether a host is asked for by one of its names, or by an address: these cannot be rebound.
fn is_ours(name: &str, hosts: &[String]) -> bool {
    let name = name.trim_end_matches('.');
    name.parse::<IpAddr>().is_ok() || hosts.iter().any(|ours| name.eq_ignore_ascii_case(ours))
}

/// A page of an extension.
async fn show(page: &dyn Page, request: &Request<Incoming>, busy: ResponseGuard) -> Response<ReplyBody> {
    let patience = request.headers().get(PATIENCE).and_then(|value| value.to_str().ok()?.parse().ok());
    let patience = patience.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let asked = Asked { query: request.uri().query().unwrap_or_default().to_owned(), patience };
    let Shown { status, text } = page.answer(asked).await;
    let status = StatusCode::from_u16(status).expect("pages answer with a status of HTTP");
    let content_type = if status == StatusCode::OK { Format::Text.content_type() } else { TEXT };
    plain(status, content_type, text, busy)
}

/// How long Prometheus waits for a scrape.
const PATIENCE: &str = "x-prometheus-scrape-timeout-seconds";

/// The body of `/health`.
#[derive(Serialize)]
struct HealthReport {
    /// `ok`, or `unavailable` with a reason.
    status: &'static str,
    /// `ebpf`, `classic` or `none`.
    capture: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Why there is no voice quality although it is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    no_media: Option<&'static str>,
    version: &'static str,
    uptime_seconds: u64,
}

fn plain(
    status: StatusCode,
    content_type: &'static str,
    text: impl Into<Bytes>,
    busy: ResponseGuard,
) -> Response<ReplyBody> {
    respond(status, content_type, ReplyBody::whole(text, busy))
}

fn respond(status: StatusCode, content_type: &'static str, body: ReplyBody) -> Response<ReplyBody> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

const HTML: &str = "text/html; charset=utf-8";
/// For whoever types the address into a browser.
const LINKS: &str = concat!(
    "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>ringside</title>\n<h1>ringside ",
    env!("CARGO_PKG_VERSION"),
    "</h1>\n<ul>\n",
    "<li><a href=\"metrics\">metrics</a>: what is counted of SIP\n",
    "<li><a href=\"health\">health</a>: whether it captures\n",
    "<li><a href=\"internal/metrics\">internal/metrics</a>: the program about itself\n</ul>\n</html>\n"
);
const TEXT: &str = "text/plain; charset=utf-8";
const PATHS: &str = "Here are /, /metrics, /health and /internal/metrics.\n";
