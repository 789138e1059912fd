//! OTLP's services: tonic's generated ones for gRPC, by hand over hyper for HTTP. Both note what they take.

use std::io::Read;
use std::sync::Arc;
use std::time::Instant;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::{Request, Response};
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message;
use tonic::body::Body;
use tonic::codec::CompressionEncoding;
use tonic::codegen::Service;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::server::{Seen, State, Step, body};

/// Hands a request to the service of its path.
pub async fn grpc(request: Request<Incoming>, state: Arc<State>) -> Response<Body> {
    let answered = if request.uri().path().starts_with("/opentelemetry.proto.collector.trace.") {
        TraceServiceServer::new(Taker(state))
            .accept_compressed(CompressionEncoding::Gzip)
            .send_compressed(CompressionEncoding::Gzip)
            .max_decoding_message_size(MOST_BYTES)
            .call(request)
            .await
    } else {
        MetricsServiceServer::new(Taker(state)).accept_compressed(CompressionEncoding::Gzip).call(request).await
    };
    match answered {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// Unpacks a request and answers as its step says.
pub async fn http(request: Request<Incoming>, state: Arc<State>) -> Response<Body> {
    assert!(["/v1/traces", "/v1/metrics"].contains(&request.uri().path()));
    assert_eq!(request.headers()["content-type"], "application/x-protobuf");
    let step = request.extensions().get::<Step>().cloned().expect("every request has one");
    let headers = request.headers().clone();
    // A client that goes away in the middle never asked.
    let Ok(collected) = request.into_body().collect().await else { return Response::new(body("")) };
    let mut bytes = collected.to_bytes().to_vec();
    if headers.get("content-encoding").is_some_and(|encoding| encoding == "gzip") {
        let packed = std::mem::take(&mut bytes);
        flate2::read::GzDecoder::new(packed.as_slice()).read_to_end(&mut bytes).expect("gzip");
    }
    let request = ExportTraceServiceRequest::decode(bytes.as_slice()).expect("Protobuf");
    let reply = match step {
        Step::Partial(rejected) => reply(rejected),
        _ => reply(0),
    };
    state.note(Seen { at: Instant::now(), headers, spans: names(&request), taken: true });
    Response::builder().header("content-type", "application/x-protobuf").body(body(reply.encode_to_vec())).unwrap()
}

struct Taker(Arc<State>);

#[tonic::async_trait]
impl TraceService for Taker {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, Status> {
        let step = request.extensions().get::<Step>().cloned().expect("every request has one");
        let headers = request.metadata().clone().into_headers();
        let taken = !matches!(step, Step::Code(..));
        self.0.note(Seen { at: Instant::now(), headers, spans: names(request.get_ref()), taken });
        match step {
            Step::Partial(rejected) => Ok(tonic::Response::new(reply(rejected))),
            Step::Code(code, after) => Err(status(code, after)),
            _ => Ok(tonic::Response::new(reply(0))),
        }
    }
}

#[tonic::async_trait]
impl MetricsService for Taker {
    async fn export(
        &self,
        request: tonic::Request<ExportMetricsServiceRequest>,
    ) -> Result<tonic::Response<ExportMetricsServiceResponse>, Status> {
        let headers = request.metadata().clone().into_headers();
        self.0.note(Seen { at: Instant::now(), headers, spans: Vec::new(), taken: true });
        Ok(tonic::Response::new(ExportMetricsServiceResponse::default()))
    }
}

fn status(code: Code, after: Option<std::time::Duration>) -> Status {
    match after {
        None => Status::new(code, "what went wrong, in the server's words: s3cret"),
        Some(after) => Status::with_error_details(code, "s3cret", ErrorDetails::with_retry_info(Some(after))),
    }
}

fn reply(rejected_spans: i64) -> ExportTraceServiceResponse {
    let error_message = "some of it is not to our liking: s3cret".to_owned();
    let partial = ExportTracePartialSuccess { rejected_spans, error_message };
    ExportTraceServiceResponse { partial_success: (rejected_spans != 0).then_some(partial) }
}

fn names(request: &ExportTraceServiceRequest) -> Vec<String> {
    let scopes = request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
    scopes.flat_map(|scope| &scope.spans).map(|span| span.name.clone()).collect()
}

/// Above what any test sends.
const MOST_BYTES: usize = 64 << 20;
