//! What waits is bounded, and what is turned away is counted.

use exporter::otlp::{Compression, Failure, Outcome, Refused, Signal};

use super::client::{BOTH, Client, large, settings, spans};
use super::server::{Reserved, Server, Step};

#[tokio::test]
async fn memory_is_bounded_while_a_server_is_down_and_everything_is_accounted_for() {
    for protocol in BOTH {
        let down = Reserved::new();
        let mut settings = settings(protocol, down.address);
        settings.queue.queue_size = 256 * 1024;
        settings.compression = Compression::None;
        let client = Client::start(settings);
        let mut refused = 0;
        for number in 0..1000 {
            refused += u64::from(client.sender.enqueue(large(&number.to_string(), 1, 4096)).await.is_err());
            assert!(client.count("otelcol_exporter_queue_size") <= 256 * 1024);
            tokio::task::yield_now().await;
        }
        assert_eq!(client.count("otelcol_exporter_queue_capacity"), 256 * 1024);
        assert!((930..950).contains(&refused), "{refused}");
        assert_eq!(client.refused(), refused);
        let server = down.start(protocol, None);
        client.sender.flush(None).await;
        assert_eq!((client.sent(), client.failed()), (1000 - refused, 0));
        assert_eq!(server.taken().len() as u64, 1000 - refused);
        assert_eq!(client.count("otelcol_exporter_queue_size"), 0);
    }
}

/// What waits is what travels: the same room holds several times as many requests where they are compressed.
#[tokio::test]
async fn requests_wait_as_they_travel() {
    for protocol in BOTH {
        let mut held = Vec::new();
        for compression in [Compression::None, Compression::Gzip] {
            let down = Reserved::new();
            let mut settings = settings(protocol, down.address);
            settings.queue.queue_size = 256 * 1024;
            settings.compression = compression;
            let client = Client::start(settings);
            let mut waiting = 0;
            while client.sender.enqueue(large(&waiting.to_string(), 1, 4096)).await.is_ok() {
                waiting += 1;
            }
            held.push(waiting);
            let server = down.start(protocol, None);
            client.sender.flush(None).await;
            assert_eq!((client.sent(), server.taken().len() as u64), (waiting, waiting));
        }
        assert!(held[1] > 4 * held[0], "{held:?}");
    }
}

#[tokio::test]
async fn failures_are_kept_at_the_cost_of_the_rest() {
    for protocol in BOTH {
        let down = Reserved::new();
        let mut settings = settings(protocol, down.address);
        settings.queue.queue_size = 64 * 1024;
        settings.compression = Compression::None;
        let client = Client::start(settings);
        // Two that the consumers hold.
        for name in ["first", "second"] {
            client.sender.enqueue(spans(name, 1)).await.unwrap();
        }
        client.until(|client| client.count("otelcol_exporter_retries") >= 2).await;
        let mut well = 1;
        while client.sender.enqueue(large("well", 1, 4096)).await.is_ok() {
            well += 1;
        }
        let mut failed = large("failed", 1, 8192);
        failed.important = true;
        client.sender.enqueue(failed).await.unwrap();
        let server = down.start(protocol, None);
        client.sender.flush(None).await;
        assert!(server.taken().contains(&"failed-0".to_owned()));
        assert!(
            (3..=4).contains(&client.refused()),
            "the one too many, and those in whose place one of twice the size is"
        );
        assert_eq!(client.sent() + client.refused(), 2 + well + 1);
    }
}

#[tokio::test]
async fn more_consumers_send_more_at_a_time() {
    for protocol in BOTH {
        let server = Server::start(protocol);
        server.script((0..3).map(|_| Step::Hang));
        let mut settings = settings(protocol, server.address);
        settings.queue.num_consumers = 4;
        let client = Client::start(settings);
        for _ in 0..10 {
            client.sender.enqueue(spans("a", 1)).await.unwrap();
        }
        client.until(|client| client.sent() == 7).await;
        assert_eq!(client.count("otelcol_exporter_in_flight_requests"), 3);
    }
}

#[tokio::test]
async fn what_cannot_be_sent_at_all_is_refused_by_its_reason() {
    for protocol in BOTH {
        let server = Server::start(protocol);
        let mut settings = settings(protocol, server.address);
        settings.max_request_size = 1000;
        settings.endpoints[Signal::Logs.index()] = None;
        let client = Client::start(settings);
        assert_eq!(client.sender.enqueue(large("a", 1, 1000)).await, Err(Refused::TooLarge));
        let too_large = Outcome::Failed(Failure::Refused(Refused::TooLarge));
        assert_eq!(client.sender.send_now(large("a", 1, 1000)).await, too_large);
        let mut logs = spans("a", 7);
        logs.signal = Signal::Logs;
        assert_eq!(client.sender.enqueue(logs).await, Err(Refused::NoEndpoint));
        assert_eq!(client.refused(), 2);
        assert_eq!(client.count("otelcol_exporter_enqueue_failed_log_records"), 7);
        assert!(server.seen().is_empty());
    }
}
