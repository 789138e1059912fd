//! Servers that are down, come back, refuse connections, reset them or do not answer.

use std::time::{Duration, Instant};

use exporter::otlp::{Failure, Outcome};
use tokio::net::TcpListener;

use super::client::{BOTH, Client, large, names, settings, spans};
use super::server::{Reserved, Server, Step};

const ACCEPTED: Outcome = Outcome::Accepted { rejected: 0 };
const GAVE_UP: Outcome = Outcome::Failed(Failure::GaveUp);

/// Longer than any test takes: who waits for it is stuck.
const FOREVER: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn what_the_queue_holds_while_a_server_is_down_arrives_when_it_is_up() {
    for protocol in BOTH {
        let down = Reserved::new();
        let client = Client::start(settings(protocol, down.address));
        for number in 0..20 {
            client.sender.enqueue(spans(&format!("call-{number}"), 2)).await.unwrap();
        }
        client.until(|client| client.count("otelcol_exporter_retries") >= 5).await;
        assert_eq!((client.sent(), client.failed(), client.refused()), (0, 0, 0));
        let server = down.start(protocol, None);
        client.until(|client| client.sent() == 40).await;
        let mut expected: Vec<_> = (0..20).flat_map(|number| names(&format!("call-{number}"), 2)).collect();
        let mut taken = server.taken();
        expected.sort();
        taken.sort();
        assert_eq!(taken, expected, "each once");
    }
}

#[tokio::test]
async fn a_server_that_restarts_gets_what_it_missed() {
    for protocol in BOTH {
        let server = Server::start(protocol);
        let client = Client::start(settings(protocol, server.address));
        client.sender.enqueue(spans("before", 1)).await.unwrap();
        client.until(|client| client.sent() == 1).await;
        let down = server.stop().await;
        client.sender.enqueue(spans("meanwhile", 1)).await.unwrap();
        client.until(|client| client.count("otelcol_exporter_retries") >= 2).await;
        let server = down.start(protocol, None);
        client.until(|client| client.sent() == 2).await;
        assert_eq!(server.taken(), names("meanwhile", 1));
    }
}

#[tokio::test]
async fn who_is_down_for_longer_than_retries_last_loses_what_was_counted() {
    for protocol in BOTH {
        let down = Reserved::new();
        let mut settings = settings(protocol, down.address);
        settings.retry.max_elapsed_time = Duration::from_millis(50);
        let client = Client::start(settings);
        assert_eq!(client.sender.send_now(spans("a", 3)).await, GAVE_UP);
        assert_eq!((client.failed(), client.sent()), (3, 0));
        assert_eq!(client.count("otelcol_exporter_in_flight_requests"), 0);
    }
}

#[tokio::test]
async fn without_retries_there_is_one_attempt() {
    for protocol in BOTH {
        let server = Server::start(protocol);
        server.script([Step::Status(503, None)]);
        let mut settings = settings(protocol, server.address);
        settings.retry.enabled = false;
        assert_eq!(Client::start(settings).sender.send_now(spans("a", 1)).await, GAVE_UP);
        assert_eq!(server.seen().len(), 1);
    }
}

#[tokio::test]
async fn a_connection_reset_in_the_middle_of_a_request_costs_one_retry() {
    for protocol in BOTH {
        let server = Server::start(protocol);
        server.script([Step::Reset, Step::Reset]);
        let client = Client::start(settings(protocol, server.address));
        assert_eq!(client.sender.send_now(large("a", 30, 100_000)).await, ACCEPTED);
        assert_eq!(server.taken(), names("a", 30));
        assert_eq!(client.count("otelcol_exporter_retries"), 2);
    }
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_asked_again_after_the_timeout() {
    for protocol in BOTH {
        let server = Server::start(protocol);
        server.script([Step::Hang]);
        let mut settings = settings(protocol, server.address);
        // As short as a machine with other work can bear for the second attempt, which is answered.
        settings.timeout = Duration::from_secs(1);
        let client = Client::start(settings);
        assert_eq!(client.sender.send_now(spans("a", 1)).await, ACCEPTED);
        let seen = server.seen();
        assert!(seen[1].at - seen[0].at >= Duration::from_millis(900));
    }
}

#[tokio::test]
async fn a_server_that_takes_connections_and_says_nothing_is_given_up() {
    for protocol in BOTH {
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        for scheme in ["http", "https"] {
            let endpoint = format!("{scheme}://{}", silent.local_addr().unwrap());
            let mut settings = super::client::of_endpoint(protocol, &endpoint);
            settings.timeout = Duration::from_millis(50);
            settings.retry.max_elapsed_time = Duration::from_millis(120);
            settings.tls.insecure_skip_verify = true;
            assert_eq!(Client::start(settings).sender.send_now(spans("a", 1)).await, GAVE_UP);
        }
    }
}

#[tokio::test]
async fn a_stop_while_the_server_is_down_ends_in_time_and_counts_what_is_lost() {
    for protocol in BOTH {
        let down = Reserved::new();
        let mut settings = settings(protocol, down.address);
        settings.retry.initial_interval = FOREVER;
        let client = Client::start(settings);
        for _ in 0..5 {
            client.sender.enqueue(spans("a", 2)).await.unwrap();
        }
        let begun = Instant::now();
        let deadline = tokio::time::Instant::now() + Duration::from_millis(200);
        client.sender.flush(Some(deadline)).await;
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
        assert_eq!((client.failed(), client.sent()), (10, 0));
        assert_eq!(client.count("otelcol_exporter_queue_size"), 0);
        assert!(client.sender.enqueue(spans("late", 1)).await.is_err());
        assert_eq!(client.sender.send_now(spans("late", 1)).await, GAVE_UP);
    }
}

#[tokio::test]
async fn a_stop_does_not_wait_out_a_long_pause_between_attempts() {
    for protocol in BOTH {
        let server = Server::start(protocol);
        server.script([Step::Status(503, None), Step::Status(503, None)]);
        let mut settings = settings(protocol, server.address);
        settings.retry.initial_interval = FOREVER;
        settings.retry.max_interval = FOREVER;
        settings.retry.max_elapsed_time = Duration::ZERO;
        let client = Client::start(settings);
        for number in 0..4 {
            client.sender.enqueue(spans(&format!("call-{number}"), 1)).await.unwrap();
        }
        server.requests(2).await;
        client.sender.flush(Some(tokio::time::Instant::now() + Duration::from_secs(60))).await;
        assert_eq!((client.sent(), client.failed()), (4, 0));
    }
}

#[tokio::test]
async fn a_server_that_hangs_does_not_hold_up_a_stop() {
    for protocol in BOTH {
        let server = Server::start(protocol);
        server.script([Step::Hang, Step::Hang, Step::Hang]);
        let client = Client::start(settings(protocol, server.address));
        for _ in 0..3 {
            client.sender.enqueue(spans("a", 1)).await.unwrap();
        }
        server.requests(2).await;
        client.sender.flush(Some(tokio::time::Instant::now() + Duration::from_millis(100))).await;
        assert_eq!(client.failed(), 3);
    }
}

#[tokio::test]
async fn a_flush_without_a_deadline_retries_as_always() {
    for protocol in BOTH {
        let server = Server::start(protocol);
        server.script([Step::Status(503, None), Step::Reset, Step::Status(429, Some("1".to_owned()))]);
        let client = Client::start(settings(protocol, server.address));
        for number in 0..3 {
            client.sender.enqueue(spans(&format!("call-{number}"), 1)).await.unwrap();
        }
        client.sender.flush(None).await;
        assert_eq!((client.sent(), server.taken().len()), (3, 3));
    }
}

#[tokio::test]
async fn a_request_that_is_withdrawn_leaves_nothing_behind() {
    for protocol in BOTH {
        let server = Server::start(protocol);
        server.script([Step::Hang]);
        let client = Client::start(settings(protocol, server.address));
        tokio::select! {
            outcome = client.sender.send_now(spans("old", 1)) => panic!("{outcome:?}"),
            () = server.requests(1) => {}
        }
        assert_eq!(client.count("otelcol_exporter_in_flight_requests"), 0);
        assert_eq!(client.sender.send_now(spans("new", 1)).await, ACCEPTED);
        assert_eq!((client.sent(), client.failed()), (1, 0));
        assert_eq!(server.taken(), names("new", 1));
    }
}
