//! One attempt over HTTP/1.1: the bytes of a request in, a verdict out (OTLP/HTTP with Protobuf).

use std::time::SystemTime;

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Request, Response, Uri};
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::super::config::{Compression, Settings};
use super::super::payload::Signal;
use super::connect::Connector;
use super::verdict::{Cause, Verdict};
use super::{IDLE, REPLY_BYTES, USER_AGENT, reply, throttle};

/// A server, or one for each signal, connected to when first needed.
pub(super) struct Client {
    client: legacy::Client<Connector, Full<Bytes>>,
    addresses: [Option<Uri>; Signal::ALL.len()],
    headers: HeaderMap,
}

impl Client {
    pub(super) fn new(settings: &Settings, connector: Connector) -> Self {
        let client = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(settings.queue.num_consumers)
            .build(connector);
        let mut headers: HeaderMap = settings.headers.iter().cloned().collect();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        if settings.compression == Compression::Gzip {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        let addresses = Signal::ALL.map(|signal| settings.endpoint(signal).map(|endpoint| endpoint.uri()));
        Self { client, addresses, headers }
    }

    /// Sends one body with `items` in it.
    pub(super) async fn attempt(&self, signal: Signal, body: Bytes, items: u64) -> Verdict {
        let address = self.addresses[signal.index()].clone();
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = address.expect("who sends looks for an endpoint first");
        *request.headers_mut() = self.headers.clone();
        match self.client.request(request).await {
            Ok(response) => read(response, items).await,
            Err(error) => Verdict::broken(&error),
        }
    }
}

async fn read(response: Response<Incoming>, items: u64) -> Verdict {
    let (head, body) = response.into_parts();
    if !head.status.is_success() {
        let after = head.headers.get(header::RETRY_AFTER);
        let after = after.and_then(|value| throttle::retry_after(value.as_bytes(), SystemTime::now()));
        return Verdict::of_status(head.status.as_u16(), after);
    }
    match Limited::new(body, REPLY_BYTES).collect().await {
        Ok(body) => {
            let content_type = head.headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
            reply::of_body(content_type, &body.to_bytes(), items)
        }
        Err(error) if error.is::<LengthLimitError>() => Verdict::Refused(Cause::NotOtlp("it is too long")),
        Err(error) => Verdict::broken(error.as_ref()),
    }
}
