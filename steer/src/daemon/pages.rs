//! What the daemon serves over HTTP: `/metrics` and `/health`, and where backends send hints.

use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use endpoint::{Client, Load, ResponseGuard, Site};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use tokio::sync::{mpsc, oneshot};

use crate::director::{Hint, HintResult};

/// A page that is asked for, and who waits for it.
pub(super) enum Page {
    Metrics(oneshot::Sender<String>),
    Health(oneshot::Sender<(bool, String)>),
    Hint(IpAddr, Hint, oneshot::Sender<HintResult>),
}

/// `/metrics` and `/health`.
pub(super) struct Metrics {
    pub(super) ask: mpsc::Sender<Page>,
    pub(super) load: Load,
}

/// `/v1/hint`.
pub(super) struct Hints {
    pub(super) ask: mpsc::Sender<Page>,
    pub(super) load: Load,
}

/// Largest hint, in bytes.
const LARGEST_HINT: usize = 4096;

/// A body that keeps its request among those being answered until it was taken.
pub(super) struct Reply {
    bytes: Full<Bytes>,
    _busy: ResponseGuard,
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.bytes).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.bytes.size_hint()
    }
}

fn reply(status: StatusCode, kind: &'static str, text: impl Into<Bytes>, busy: ResponseGuard) -> Response<Reply> {
    let mut response = Response::new(Reply { bytes: Full::new(text.into()), _busy: busy });
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

const PLAIN: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";

fn only(methods: &'static str, busy: ResponseGuard) -> Response<Reply> {
    let mut response = reply(StatusCode::METHOD_NOT_ALLOWED, PLAIN, format!("only {methods}\n"), busy);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
    response
}

fn ending(busy: ResponseGuard) -> Response<Reply> {
    reply(StatusCode::SERVICE_UNAVAILABLE, PLAIN, "the daemon ends\n", busy)
}

impl Site for Metrics {
    type Body = Reply;

    async fn answer(&self, request: Request<Incoming>, busy: ResponseGuard) -> Response<Reply> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return only("GET, HEAD", busy);
        }
        match request.uri().path() {
            "/metrics" => match asked(&self.ask, Page::Metrics).await {
                Some(text) => reply(StatusCode::OK, EXPOSITION, text, busy),
                None => ending(busy),
            },
            "/health" => match asked(&self.ask, Page::Health).await {
                Some((true, text)) => reply(StatusCode::OK, JSON, text, busy),
                Some((false, text)) => reply(StatusCode::SERVICE_UNAVAILABLE, JSON, text, busy),
                None => ending(busy),
            },
            _ => reply(StatusCode::NOT_FOUND, PLAIN, "there are /metrics and /health\n", busy),
        }
    }

    fn load(&self) -> &Load {
        &self.load
    }
}

impl Site for Hints {
    type Body = Reply;

    async fn answer(&self, request: Request<Incoming>, busy: ResponseGuard) -> Response<Reply> {
        if request.uri().path() != "/v1/hint" {
            return reply(StatusCode::NOT_FOUND, PLAIN, "there is /v1/hint\n", busy);
        }
        if *request.method() != Method::POST {
            return only("POST", busy);
        }
        let client = request.extensions().get::<Client>().map(|client| client.0.ip());
        let body = Limited::new(request.into_body(), LARGEST_HINT).collect().await;
        let hint = body.ok().and_then(|body| serde_json::from_slice::<Hint>(&body.to_bytes()).ok());
        let (Some(client), Some(hint)) = (client, hint) else {
            return reply(StatusCode::BAD_REQUEST, PLAIN, "it is no hint: docs/steering.md shows one\n", busy);
        };
        match asked(&self.ask, |answer| Page::Hint(client, hint, answer)).await {
            Some(HintResult::Taken) => reply(StatusCode::NO_CONTENT, PLAIN, "", busy),
            Some(HintResult::Stranger) => {
                reply(StatusCode::FORBIDDEN, PLAIN, "only a backend may say something\n", busy)
            }
            Some(HintResult::Wrong) => reply(
                StatusCode::BAD_REQUEST,
                PLAIN,
                "state, weight (0.1 to 1) or overload, and ttl up to 300s\n",
                busy,
            ),
            Some(HintResult::TooMany) => {
                reply(StatusCode::TOO_MANY_REQUESTS, PLAIN, "10 a second are the most\n", busy)
            }
            None => ending(busy),
        }
    }

    fn load(&self) -> &Load {
        &self.load
    }
}

/// Asks the daemon; `None` when it ends.
async fn asked<T>(ask: &mpsc::Sender<Page>, page: impl FnOnce(oneshot::Sender<T>) -> Page) -> Option<T> {
    let (answer, answered) = oneshot::channel();
    ask.send(page(answer)).await.ok()?;
    answered.await.ok()
}
