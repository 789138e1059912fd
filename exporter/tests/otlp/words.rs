//! What the log says while a server misbehaves: little, and nothing of what was sent, configured or answered.

use std::cell::RefCell;
use std::io::Write;
use std::sync::Once;

use hyper::header::{HeaderName, HeaderValue};
use tonic::Code;

use super::client::{BOTH, Client, settings, spans};
use super::server::{Reserved, Server, Step};

/// Makes every thread note what it logs from INFO up. One subscriber for all tests, set before anything is logged:
/// what one thread decides about a line while it has none would hold for the others.
pub fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| tracing_subscriber::fmt().with_ansi(false).with_writer(|| Note).init());
}

thread_local! {
    static NOTED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

struct Note;

impl Write for Note {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        NOTED.with_borrow_mut(|noted| noted.write(bytes))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What this thread has logged since it was asked last.
fn lines() -> Vec<String> {
    String::from_utf8(NOTED.take()).unwrap().lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn an_outage_is_one_line_and_its_end_another() {
    for protocol in BOTH {
        let down = Reserved::new();
        let client = Client::start(settings(protocol, down.address));
        for _ in 0..10 {
            client.sender.enqueue(spans("a", 1)).await.unwrap();
        }
        client.until(|client| client.count("otelcol_exporter_retries") >= 20).await;
        let noted = lines();
        let [line] = &noted[..] else { panic!("{noted:?}") };
        assert!(line.contains("WARN") && line.contains("otlp_test"), "{line}");
        assert!(line.contains(&down.address.to_string()) && line.contains("Connection refused"), "{line}");
        let _server = down.start(protocol, None);
        client.sender.flush(None).await;
        let noted = lines();
        let [line] = &noted[..] else { panic!("{noted:?}") };
        assert!(line.contains("INFO") && line.contains("arrives again"), "{line}");
    }
}

#[tokio::test]
async fn nothing_that_is_sent_configured_or_answered_is_repeated() {
    for protocol in BOTH {
        let server = Server::start(protocol);
        server.script([
            Step::Status(503, None),
            Step::Status(401, None),
            Step::Partial(1),
            Step::Partial(1),
            Step::Code(Code::PermissionDenied, None),
            Step::Reset,
        ]);
        let mut settings = settings(protocol, server.address);
        settings.headers.push((HeaderName::from_static("x-key"), HeaderValue::from_static("s3cret")));
        let client = Client::start(settings);
        for _ in 0..6 {
            client.sender.send_now(spans("+4930123456", 2)).await;
        }
        let lines = lines();
        assert!((3..=6).contains(&lines.len()), "{lines:?}");
        assert_eq!(lines.iter().filter(|line| line.contains("only in part")).count(), 1, "{lines:?}");
        assert!(lines.iter().any(|line| line.contains("401")), "{lines:?}");
        for line in lines {
            assert!(!line.contains("s3cret") && !line.contains("4930123456") && !line.contains("liking"), "{line}");
        }
    }
}
