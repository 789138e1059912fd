//! What waits on disk outlives the program, in whatever way that ends.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use exporter::otlp::{Compression, HttpConfig, Protocol, Settings, Store};
use pipeline::settings::Problems;
use tokio::time::Instant;

use super::client::{BOTH, Client, large, settings, spans};
use super::server::{Reserved, Server};

fn start(settings: Settings, folder: &Path) -> Client {
    Client::stored(settings, Some(Arc::new(Store::open(folder).expect("nobody has it"))))
}

fn requests(folder: &Path) -> usize {
    let names = fs::read_dir(folder).expect("it is there").map(|entry| entry.expect("an entry").file_name());
    names.filter(|name| name.to_string_lossy().ends_with(".request")).count()
}

#[tokio::test]
async fn what_did_not_arrive_before_the_end_arrives_after_the_next_start() {
    for protocol in BOTH {
        let folder = tempfile::tempdir().expect("a folder");
        let down = Reserved::new();
        let first = start(settings(protocol, down.address), folder.path());
        for name in ["a", "b", "c"] {
            first.sender.enqueue(spans(name, 2)).await.expect("there is room");
        }
        first.sender.flush(Some(Instant::now() + Duration::from_millis(20))).await;
        assert_eq!((first.sent(), first.failed(), requests(folder.path())), (0, 0, 3), "they have not failed");
        drop(first);
        let server = down.start(protocol, None);
        let second = start(settings(protocol, server.address), folder.path());
        second.sender.enqueue(spans("d", 1)).await.expect("there is room");
        second.sender.flush(None).await;
        let mut taken = server.taken();
        taken.sort();
        assert_eq!(taken, ["a-0", "a-1", "b-0", "b-1", "c-0", "c-1", "d-0"]);
        assert_eq!((second.sent(), second.failed(), requests(folder.path())), (7, 0, 0));
    }
}

#[tokio::test]
async fn another_protocol_and_compression_take_what_was_left() {
    let folder = tempfile::tempdir().expect("a folder");
    let down = Reserved::new();
    let mut before = settings(Protocol::Grpc, down.address);
    before.compression = Compression::Gzip;
    let first = start(before, folder.path());
    first.sender.enqueue(large("a", 1, 5000)).await.expect("there is room");
    // As after a kill: nobody flushes.
    drop(first);
    let server = Server::start(Protocol::Http);
    let mut after = settings(Protocol::Http, server.address);
    after.compression = Compression::None;
    // Its tasks end with it; the file is theirs no longer.
    let store = loop {
        match Store::open(folder.path()) {
            Ok(store) => break store,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    let second = Client::stored(after, Some(Arc::new(store)));
    second.sender.flush(None).await;
    assert_eq!((server.taken(), second.sent()), (vec!["a-0".to_owned()], 1));
}

#[tokio::test]
async fn a_sender_that_replaces_another_takes_over_what_that_did_not_send() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Arc::new(Store::open(folder.path()).expect("nobody has it"));
    let down = Reserved::new();
    let old = Client::stored(settings(Protocol::Http, down.address), Some(Arc::clone(&store)));
    for name in ["a", "b"] {
        old.sender.enqueue(spans(name, 1)).await.expect("there is room");
    }
    let server = Server::start(Protocol::Http);
    let new = Client::stored(settings(Protocol::Http, server.address), Some(store));
    new.sender.enqueue(spans("c", 1)).await.expect("there is room");
    new.until(|new| new.sent() == 1).await;
    assert_eq!(requests(folder.path()), 2, "the old one's are its own");
    old.sender.flush(Some(Instant::now())).await;
    new.sender.adopt().await;
    new.sender.flush(None).await;
    let mut taken = server.taken();
    taken.sort();
    assert_eq!((taken, requests(folder.path())), (["a-0", "b-0", "c-0"].map(str::to_owned).to_vec(), 0));
    assert_eq!((old.failed(), new.failed(), new.refused()), (0, 0, 0));
}

#[tokio::test]
async fn what_nobody_takes_any_more_is_counted_and_gone() {
    let folder = tempfile::tempdir().expect("a folder");
    let down = Reserved::new();
    let first = start(settings(Protocol::Http, down.address), folder.path());
    first.sender.enqueue(spans("a", 3)).await.expect("there is room");
    first.sender.flush(Some(Instant::now())).await;
    drop(first);
    let config =
        HttpConfig { metrics_endpoint: format!("http://{}/v1/metrics", down.address), ..HttpConfig::default() };
    let metrics_alone = Settings::http(config, &mut Problems::default()).expect("it is right");
    let second = start(metrics_alone, folder.path());
    second.sender.flush(None).await;
    assert_eq!((second.refused(), second.failed(), requests(folder.path())), (3, 0, 0));
}

#[tokio::test]
async fn the_end_does_not_read_what_it_cannot_send() {
    let folder = tempfile::tempdir().expect("a folder");
    let down = Reserved::new();
    let client = start(settings(Protocol::Http, down.address), folder.path());
    for number in 0..50 {
        client.sender.enqueue(spans(&number.to_string(), 1)).await.expect("there is room");
    }
    // A body that is read is found to be broken, and its file removed.
    for entry in fs::read_dir(folder.path()).expect("it is there") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|kind| kind == "request") {
            let mut content = fs::read(&path).expect("it is there");
            *content.last_mut().expect("bytes") ^= 1;
            fs::write(&path, content).expect("changed");
        }
    }
    client.sender.flush(Some(Instant::now())).await;
    assert!(requests(folder.path()) >= 48, "but for those on their way");
}

#[tokio::test]
async fn the_bound_holds_on_disk_and_what_is_turned_away_is_counted_and_gone() {
    let folder = tempfile::tempdir().expect("a folder");
    let down = Reserved::new();
    let mut small = settings(Protocol::Http, down.address);
    (small.queue.queue_size, small.compression) = (256 * 1024, Compression::None);
    let client = start(small, folder.path());
    for number in 0..100 {
        let _ = client.sender.enqueue(large(&number.to_string(), 1, 4096)).await;
    }
    let held = requests(folder.path()) as u64;
    assert_eq!((held + client.refused(), client.failed()), (100, 0));
    assert!((55..64).contains(&held), "{held}");
    assert!(client.count("otelcol_exporter_queue_size") <= 256 * 1024);
    let mut important = large("x", 1, 4096);
    important.important = true;
    client.sender.enqueue(important).await.expect("in the place of another");
    assert_eq!(requests(folder.path()) as u64, held);
}

#[tokio::test]
async fn a_broken_file_is_left_out_and_the_others_arrive() {
    let folder = tempfile::tempdir().expect("a folder");
    let down = Reserved::new();
    let first = start(settings(Protocol::Http, down.address), folder.path());
    for name in ["a", "b"] {
        first.sender.enqueue(spans(name, 1)).await.expect("there is room");
    }
    first.sender.flush(Some(Instant::now())).await;
    drop(first);
    let newest = folder.path().join(format!("{:020}.request", 1));
    let whole = fs::read(&newest).expect("the second");
    fs::write(&newest, &whole[..whole.len() / 2]).expect("cut");
    let server = down.start(Protocol::Http, None);
    let second = start(settings(Protocol::Http, server.address), folder.path());
    second.sender.flush(None).await;
    assert_eq!((server.taken(), requests(folder.path())), (vec!["a-0".to_owned()], 0));
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_costs_requests_that_are_counted() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(Protocol::Http);
    let client = start(settings(Protocol::Http, server.address), folder.path());
    fs::remove_dir_all(folder.path()).expect("somebody cleans up");
    assert!(client.sender.enqueue(spans("a", 3)).await.is_err());
    assert_eq!(client.refused(), 3);
}
