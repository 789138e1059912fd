//! One attempt over gRPC: framed bytes in, a verdict out (gRPC over HTTP/2; OTLP/gRPC).
//!
//! tonic's channel connects, reconnects and multiplexes; the frame goes through it as it is, so a retry sends the
//! same bytes again and nothing is encoded or compressed twice. The answer is read here: tonic's reader of a status
//! panics on details that are no base 64.

use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER, TE};
use hyper::{Method, Request, Response, StatusCode, Uri};
use tonic::Code;
use tonic::body::Body;
use tonic::transport::{Channel, Endpoint};
use tower_service::Service;

use super::super::config::{Compression, Settings};
use super::super::payload::Signal;
use super::connect::{Connector, To};
use super::verdict::{Cause, Verdict};
use super::{REPLY_BYTES, USER_AGENT, reply, throttle, wire};

/// A server, connected to when first needed.
pub(super) struct Client {
    endpoint: Endpoint,
    to: To,
    channel: Mutex<Channel>,
    headers: HeaderMap,
}

impl Client {
    /// `None` when the settings name no endpoint.
    pub(super) fn new(settings: &Settings, connector: Connector) -> Option<Self> {
        let address = settings.endpoints.iter().flatten().next()?;
        let plain: Uri = format!("http://{}", address.authority()).parse().expect("it was taken from a URI");
        let endpoint = Endpoint::from(plain)
            .origin(address.uri())
            .connect_timeout(settings.timeout)
            .user_agent(USER_AGENT)
            .expect("it is plain ASCII");
        let to = To::new(address.uri(), connector);
        let channel = Mutex::new(endpoint.connect_with_connector_lazy(to.clone()));
        let mut headers: HeaderMap = settings.headers.iter().cloned().collect();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(TE, HeaderValue::from_static("trailers"));
        headers.insert("grpc-accept-encoding", HeaderValue::from_static("gzip"));
        if settings.compression == Compression::Gzip {
            headers.insert(ENCODING, HeaderValue::from_static("gzip"));
        }
        Some(Self { endpoint, to, channel, headers })
    }

    /// Sends one frame with `items` in it.
    pub(super) async fn attempt(&self, signal: Signal, frame: Bytes, items: u64) -> Verdict {
        let mut request = Request::new(Body::new(Full::new(frame)));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = Uri::from_static(signal.grpc_path());
        *request.headers_mut() = self.headers.clone();
        let mut channel = self.channel.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Err(error) = std::future::poll_fn(|context| channel.poll_ready(context)).await {
            return Verdict::broken(&error);
        }
        match channel.call(request).await {
            Ok(response) => read(response, items).await,
            Err(error) => Verdict::broken(&error),
        }
    }

    /// Forgets the connection, which may be half dead: the next attempt makes a new one. Others on it go on.
    pub(super) fn reconnect(&self) {
        let new = self.endpoint.connect_with_connector_lazy(self.to.clone());
        *self.channel.lock().unwrap_or_else(PoisonError::into_inner) = new;
    }
}

async fn read(response: Response<Body>, items: u64) -> Verdict {
    let (head, body) = response.into_parts();
    if head.status != StatusCode::OK {
        // A proxy answered in the server's place ("HTTP to gRPC Status Code Mapping").
        let after = head.headers.get(RETRY_AFTER);
        let after = after.and_then(|value| throttle::retry_after(value.as_bytes(), SystemTime::now()));
        return Verdict::of_status(head.status.as_u16(), after);
    }
    let content_type = head.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    if !content_type.is_some_and(|value| value.starts_with(b"application/grpc")) {
        return Verdict::Refused(Cause::NotOtlp("it is not of a gRPC server; see whether the endpoint is right"));
    }
    let body = match Limited::new(body, REPLY_BYTES).collect().await {
        Ok(body) => body,
        Err(error) if error.is::<LengthLimitError>() => return Verdict::Refused(Cause::NotOtlp("it is too long")),
        Err(error) => return Verdict::broken(error.as_ref()),
    };
    // A status without a message comes in the head ("Trailers-Only").
    let trailers = body.trailers().filter(|trailers| trailers.contains_key(STATUS)).unwrap_or(&head.headers);
    let Some(status) = trailers.get(STATUS) else {
        return Verdict::Refused(Cause::NotOtlp("it has no gRPC status"));
    };
    match Code::from_bytes(status.as_bytes()) {
        Code::Ok => {
            let gzip = head.headers.get(ENCODING).is_some_and(|encoding| encoding == "gzip");
            match wire::unframed(&body.to_bytes(), gzip, REPLY_BYTES) {
                Some(message) => reply::of_message(&message, items),
                None => Verdict::Refused(Cause::NotOtlp("it is not one gRPC message")),
            }
        }
        code => {
            let details = trailers.get("grpc-status-details-bin");
            Verdict::of_code(code, details.and_then(|details| throttle::retry_info(details.as_bytes())))
        }
    }
}

/// The header that says how messages are compressed.
const ENCODING: &str = "grpc-encoding";
/// The header with the code.
const STATUS: &str = "grpc-status";
