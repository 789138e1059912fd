//! Responses: what every one of them says to browsers, and bodies that are ready or go on.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use endpoint::ResponseGuard;
use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;
use tokio::sync::mpsc::Receiver;

/// The body of every response.
pub struct ReplyBody(Content);

enum Content {
    /// Ready. `_busy` ends the time the client has to take it.
    Whole { bytes: Bytes, _busy: ResponseGuard },
    /// Ready, of a response that was to go on.
    Refused(Bytes),
    /// Comes as things happen.
    Stream(Receiver<Bytes>),
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = match &mut self.0 {
            Content::Whole { bytes, .. } | Content::Refused(bytes) => {
                Poll::Ready((!bytes.is_empty()).then(|| std::mem::take(bytes)))
            }
            Content::Stream(events) => events.poll_recv(context),
        };
        next.map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.0, Content::Whole { bytes, .. } | Content::Refused(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Content::Whole { bytes, .. } | Content::Refused(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::Stream(_) => SizeHint::default(),
        }
    }
}

/// A text that is ready.
pub fn whole(
    status: StatusCode,
    content_type: &'static str,
    text: impl Into<Bytes>,
    busy: ResponseGuard,
) -> Response<ReplyBody> {
    respond(status, content_type, Content::Whole { bytes: text.into(), _busy: busy })
}

/// A value as JSON.
pub fn json(value: &impl Serialize, busy: ResponseGuard) -> Response<ReplyBody> {
    let mut text = serde_json::to_vec(value).expect("text, numbers and maps with text as keys can be written as JSON");
    text.push(b'\n');
    whole(StatusCode::OK, "application/json", text, busy)
}

/// Why not, as JSON.
pub fn refusal(status: StatusCode, why: &str, busy: ResponseGuard) -> Response<ReplyBody> {
    let mut response = json(&serde_json::json!({ "error": why }), busy);
    *response.status_mut() = status;
    response
}

/// There are too many pages.
pub fn full() -> Response<ReplyBody> {
    respond(StatusCode::SERVICE_UNAVAILABLE, "text/plain; charset=utf-8", Content::Refused(Bytes::from_static(FULL)))
}

/// Events as they come (server-sent events of the HTML standard).
pub fn events(events: Receiver<Bytes>) -> Response<ReplyBody> {
    respond(StatusCode::OK, "text/event-stream", Content::Stream(events))
}

fn respond(status: StatusCode, content_type: &'static str, content: Content) -> Response<ReplyBody> {
    let mut response = Response::new(ReplyBody(content));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    protect(headers);
    response
}

/// What keeps browsers from doing with an answer anything but show it.
fn protect(headers: &mut HeaderMap) {
    for (name, value) in PROTECTION {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
}

const FULL: &[u8] = b"So many pages are open that there is no room for another.\n";

/// Nothing from elsewhere, nothing inline, in no frame; types are as they are said to be; no address is told on.
const PROTECTION: [(&str, &str); 6] = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
         frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
];
