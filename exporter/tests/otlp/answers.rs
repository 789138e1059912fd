//! What a server answers, and what the sender makes of it.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant, SystemTime};

use exporter::otlp::{Compression, Failure, Outcome, Payload, Protocol, Signal};
use hyper::Response;
use hyper::body::{Bytes, Frame};
use hyper::header::{HeaderName, HeaderValue};
use tokio::net::TcpListener;
use tonic::Code;
use tonic::body::Body;

use super::client::{BOTH, Client, large, names, settings, spans};
use super::server::{Server, Step, body, speak};

const ACCEPTED: Outcome = Outcome::Accepted { rejected: 0 };
const PERMANENT: Outcome = Outcome::Failed(Failure::Permanent);
const GAVE_UP: Outcome = Outcome::Failed(Failure::GaveUp);

#[tokio::test]
async fn what_is_sent_arrives_whole_compressed_or_not_with_its_headers() {
    for protocol in BOTH {
        for compression in [Compression::Gzip, Compression::None] {
            let server = Server::start(protocol);
            let mut settings = settings(protocol, server.address);
            settings.compression = compression;
            let mut secret = HeaderValue::from_static("Basic s3cret");
            secret.set_sensitive(true);
            settings.headers.push((HeaderName::from_static("authorization"), secret));
            let client = Client::start(settings);
            assert_eq!(client.sender.send_now(spans("small", 3)).await, ACCEPTED);
            // Three MiB: beyond every window and buffer on the way.
            assert_eq!(client.sender.send_now(large("large", 30, 100_000)).await, ACCEPTED);
            assert_eq!(server.taken(), [names("small", 3), names("large", 30)].concat());
            assert_eq!((client.sent(), client.failed()), (33, 0));
            let header = match protocol {
                Protocol::Grpc => "grpc-encoding",
                Protocol::Http => "content-encoding",
            };
            for seen in server.seen() {
                let encoding = seen.headers.get(header).map(|value| value.to_str().unwrap().to_owned());
                assert_eq!(encoding.as_deref(), (compression == Compression::Gzip).then_some("gzip"));
                assert_eq!(seen.headers["authorization"], "Basic s3cret");
                assert!(seen.headers["user-agent"].to_str().unwrap().starts_with("ringside/"));
            }
        }
    }
}

#[tokio::test]
async fn each_signal_goes_to_its_own_service() {
    let server = Server::start(Protocol::Grpc);
    let client = Client::start(settings(Protocol::Grpc, server.address));
    let metrics = Payload { signal: Signal::Metrics, body: Default::default(), items: 5, important: true };
    assert_eq!(client.sender.send_now(metrics).await, ACCEPTED);
    assert_eq!(client.count("otelcol_exporter_sent_metric_points"), 5);
}

#[tokio::test]
async fn a_partial_success_is_counted_and_not_sent_again() {
    for protocol in BOTH {
        let server = Server::start(protocol);
        server.script([Step::Partial(2)]);
        let client = Client::start(settings(protocol, server.address));
        assert_eq!(client.sender.send_now(spans("a", 5)).await, Outcome::Accepted { rejected: 2 });
        assert_eq!((client.sent(), client.failed(), server.seen().len()), (3, 2, 1));
    }
}

#[tokio::test]
async fn exactly_the_retryable_grpc_codes_are_tried_again() {
    let server = Server::start(Protocol::Grpc);
    let client = Client::start(settings(Protocol::Grpc, server.address));
    let mut retried = Vec::new();
    for code in 1..=16 {
        server.script([Step::Code(Code::from_i32(code), None)]);
        let before = server.seen().len();
        let outcome = client.sender.send_now(spans("a", 1)).await;
        let attempts = server.seen().len() - before;
        match outcome {
            ACCEPTED if attempts == 2 => retried.push(code),
            PERMANENT if attempts == 1 => {}
            other => panic!("{other:?} after {attempts} attempts for {code}"),
        }
    }
    assert_eq!(retried, [1, 4, 10, 11, 14, 15]);
    assert_eq!(client.count("otelcol_exporter_retries"), 6);
    assert_eq!((client.sent(), client.failed()), (6, 10));
}

#[tokio::test]
async fn exactly_the_retryable_http_statuses_are_tried_again() {
    for (protocol, expected) in [(Protocol::Http, [429, 502, 503, 504]), (Protocol::Grpc, [429, 502, 503, 504])] {
        let server = Server::start(protocol);
        let client = Client::start(settings(protocol, server.address));
        let mut retried = Vec::new();
        for status in [301, 400, 401, 403, 404, 408, 413, 415, 429, 500, 501, 502, 503, 504, 505, 507] {
            server.script([Step::Status(status, None)]);
            match client.sender.send_now(spans("a", 1)).await {
                ACCEPTED => retried.push(status),
                outcome => assert_eq!(outcome, PERMANENT, "{status}"),
            }
        }
        assert_eq!(retried, expected);
    }
}

#[tokio::test]
async fn resource_exhausted_is_tried_again_after_the_delay_it_names() {
    let server = Server::start(Protocol::Grpc);
    let client = Client::start(settings(Protocol::Grpc, server.address));
    server.script([Step::Code(Code::ResourceExhausted, Some(Duration::from_millis(300)))]);
    assert_eq!(client.sender.send_now(spans("a", 1)).await, ACCEPTED);
    let seen = server.seen();
    assert!(seen[1].at - seen[0].at >= Duration::from_millis(300));
}

#[tokio::test]
async fn retry_after_is_waited_for_as_seconds_and_as_a_date() {
    let server = Server::start(Protocol::Http);
    let client = Client::start(settings(Protocol::Http, server.address));
    // A date has whole seconds: of two at least one is left.
    let date = || httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(2));
    for after in [&|| "1".to_owned(), &date as &dyn Fn() -> String] {
        let before = server.seen().len();
        server.script([Step::Status(503, Some(after()))]);
        assert_eq!(client.sender.send_now(spans("a", 1)).await, ACCEPTED);
        let seen = &server.seen()[before..];
        assert!(seen[1].at - seen[0].at >= Duration::from_millis(900));
    }
}

#[tokio::test]
async fn other_requests_wait_too_while_the_server_asks_for_it() {
    for (protocol, step) in [
        (Protocol::Grpc, Step::Code(Code::Unavailable, Some(Duration::from_secs(1)))),
        (Protocol::Http, Step::Status(429, Some("1".to_owned()))),
    ] {
        let server = Server::start(protocol);
        let client = Client::start(settings(protocol, server.address));
        server.script([step]);
        let (first, second) = tokio::join!(client.sender.send_now(spans("a", 1)), async {
            server.requests(1).await;
            client.until(|client| client.count("otelcol_exporter_in_flight_requests") == 0).await;
            client.sender.send_now(spans("b", 1)).await
        });
        assert_eq!((first, second), (ACCEPTED, ACCEPTED));
        let seen = server.seen();
        assert!(seen[1..].iter().all(|one| one.at - seen[0].at >= Duration::from_millis(900)));
    }
}

#[tokio::test]
async fn a_wait_longer_than_all_retries_may_take_is_giving_up() {
    let server = Server::start(Protocol::Http);
    let client = Client::start(settings(Protocol::Http, server.address));
    server.script([Step::Status(503, Some("100000".to_owned()))]);
    assert_eq!(client.sender.send_now(spans("a", 1)).await, GAVE_UP);
    assert_eq!(client.sender.send_now(spans("b", 1)).await, ACCEPTED, "others are not kept waiting for a day");
}

#[tokio::test]
async fn rubbish_over_grpc_is_refused_and_harms_nobody() {
    fn grpc(body: Body, trailers: &[(&'static str, &'static str)]) -> Response<Body> {
        let mut response = Response::builder().header("content-type", "application/grpc");
        for (name, value) in trailers {
            response = response.header(*name, *value);
        }
        response.body(body).unwrap()
    }
    let rubbish: [fn() -> Response<Body>; 9] = [
        || Response::new(body("<h1>It works!</h1>")),
        || Response::builder().header("content-type", "text/html").body(body("<h1>It works!</h1>")).unwrap(),
        || grpc(body(""), &[]),
        || grpc(body(""), &[("grpc-status", "0")]),
        || grpc(body("rubbish"), &[("grpc-status", "0")]),
        || grpc(body(b"\x01\0\0\0\0".as_slice()), &[("grpc-status", "0")]),
        || grpc(body(b"\0\0\0\0\x03\xff\xff\xff".as_slice()), &[("grpc-status", "0")]),
        || grpc(body(""), &[("grpc-status", "eight")]),
        || {
            grpc(
                body(""),
                &[("grpc-status", "8"), ("grpc-status-details-bin", "!no base 64!"), ("grpc-message", "%ff%")],
            )
        },
    ];
    let server = Server::start(Protocol::Grpc);
    let client = Client::start(settings(Protocol::Grpc, server.address));
    for (index, step) in rubbish.into_iter().enumerate() {
        server.script([Step::Raw(step)]);
        assert_eq!(client.sender.send_now(spans("a", 1)).await, PERMANENT, "{index}");
    }
    assert_eq!(client.sender.send_now(spans("b", 1)).await, ACCEPTED);
    assert_eq!((client.sent(), client.failed()), (1, 9));
}

#[tokio::test]
async fn rubbish_over_http_is_refused_and_harms_nobody() {
    let rubbish: [fn() -> Response<Body>; 3] = [
        || Response::builder().header("content-type", "text/html").body(body("<h1>It works!</h1>")).unwrap(),
        || Response::new(body("OK")),
        || Response::builder().header("content-type", "application/x-protobuf").body(body(&b"\xff\xff"[..])).unwrap(),
    ];
    let server = Server::start(Protocol::Http);
    let client = Client::start(settings(Protocol::Http, server.address));
    for step in rubbish {
        server.script([Step::Raw(step)]);
        assert_eq!(client.sender.send_now(spans("a", 1)).await, PERMANENT);
    }
    assert_eq!(client.sender.send_now(spans("b", 1)).await, ACCEPTED);
}

#[tokio::test]
async fn a_huge_reply_is_not_read_to_its_end() {
    fn huge(content_type: &str) -> Response<Body> {
        Response::builder().header("content-type", content_type).body(Body::new(Endless)).unwrap()
    }
    for (protocol, reply) in [
        (Protocol::Grpc, (|| huge("application/grpc")) as fn() -> Response<Body>),
        (Protocol::Http, || huge("application/x-protobuf")),
    ] {
        let server = Server::start(protocol);
        server.script([Step::Raw(reply)]);
        let client = Client::start(settings(protocol, server.address));
        assert_eq!(client.sender.send_now(spans("a", 1)).await, PERMANENT);
    }
}

#[tokio::test]
async fn a_server_of_another_protocol_is_a_connection_that_fails() {
    for protocol in BOTH {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut settings = settings(protocol, listener.local_addr().unwrap());
        settings.retry.max_elapsed_time = Duration::from_millis(50);
        let speaking = tokio::spawn(speak(listener, b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"));
        let client = Client::start(settings);
        let begun = Instant::now();
        assert_eq!(client.sender.send_now(spans("a", 2)).await, GAVE_UP);
        assert!(begun.elapsed() < Duration::from_secs(25), "it did not wait for an answer");
        assert_eq!(client.failed(), 2);
        speaking.abort();
    }
}

/// A body that never ends.
struct Endless;

impl hyper::body::Body for Endless {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[0; 16 * 1024])))))
    }
}
