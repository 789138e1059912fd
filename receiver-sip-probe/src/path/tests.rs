//! Sessions with servers of all kinds, on loopback.

use std::sync::atomic::{AtomicUsize, Ordering};

use pipeline::probes::{ProbeNumbers, Probes, Unexpected};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::config::{Target, Tls};
use crate::dns::Dns;
use crate::endpoint::Endpoint;
use crate::session::Session;

/// What a server says to a request.
fn reply(request: &str, start: &str, more: &str) -> Vec<u8> {
    let wanted = ["via:", "from:", "to:", "call-id:", "cseq:"];
    let copied = request.lines().filter(|line| wanted.iter().any(|name| line.to_lowercase().starts_with(name)));
    let copied: String = copied.map(|line| format!("{line}\r\n")).collect();
    format!("SIP/2.0 {start}\r\n{copied}{more}Content-Length: 0\r\n\r\n").into_bytes()
}

/// A server over UDP that answers each request with what `answer` makes of it. The port it is at.
async fn udp_server(bind: &str, mut answer: impl FnMut(&str) -> Vec<Vec<u8>> + Send + 'static) -> u16 {
    let socket = UdpSocket::bind((bind, 0)).await.expect("loopback has ports");
    let port = socket.local_addr().expect("it is bound").port();
    tokio::spawn(async move {
        let mut buffer = vec![0; 65_535];
        loop {
            let Ok((len, from)) = socket.recv_from(&mut buffer).await else { return };
            for message in answer(std::str::from_utf8(&buffer[..len]).expect("a request is text")) {
                socket.send_to(&message, from).await.expect("loopback takes it");
            }
        }
    });
    port
}

/// A server over TCP, with TLS if there is an acceptor, that answers 200 on each connection until it has answered `each`
/// requests there, and counts connections.
async fn stream_server(tls: Option<TlsAcceptor>, each: usize) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has ports");
    let port = listener.local_addr().expect("it is bound").port();
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    tokio::spawn(async move {
        loop {
            let Ok((stream, _)) = listener.accept().await else { return };
            counted.fetch_add(1, Ordering::SeqCst);
            let tls = tls.clone();
            tokio::spawn(async move {
                match tls {
                    Some(acceptor) => {
                        if let Ok(stream) = acceptor.accept(stream).await {
                            talk(stream, each).await;
                        }
                    }
                    None => talk(stream, each).await,
                }
            });
        }
    });
    (port, connections)
}

async fn talk(mut stream: impl Stream, each: usize) {
    let mut held = String::new();
    for _ in 0..each {
        while !held.contains("\r\n\r\n") {
            let mut piece = [0; 4096];
            match stream.read(&mut piece).await {
                Ok(len) if len > 0 => held.push_str(std::str::from_utf8(&piece[..len]).expect("a request is text")),
                _ => return,
            }
        }
        let message = reply(&std::mem::take(&mut held), "200 OK", "Server: test\r\n");
        // In two pieces: a message ends where Content-Length says.
        let (first, second) = message.split_at(20);
        for piece in [b"\r\n\r\n", first, second] {
            stream.write_all(piece).await.expect("the probe is there");
            stream.flush().await.expect("the probe is there");
        }
    }
}

trait Stream: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin {}
impl<T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin> Stream for T {}

fn target(endpoint: &str) -> Target {
    let endpoint = Endpoint::parse(endpoint).expect("it is one");
    Target { name: "t".to_owned(), timeout: Duration::from_millis(800), ..Target::at(endpoint) }
}

/// A session, and the numbers of its only row.
struct Bench {
    session: Session,
    probes: Arc<Probes>,
}

impl Bench {
    fn new(target: Target) -> Self {
        let probes = Arc::<Probes>::default();
        let ready = Ready::read(target).expect("its files are there");
        let dns = Dns::new(&["127.0.0.1:9".parse().expect("an address")]).expect("it asks nobody yet");
        Self { session: Session::new(Arc::new(ready), Arc::new(dns), Some(Arc::clone(&probes))), probes }
    }

    async fn probe(&self) -> Report {
        self.session.probe().await.pop().expect("one report for each probe")
    }

    fn numbers(&self) -> ProbeNumbers {
        self.probes.copy().pop().expect("a row").numbers
    }

    /// Waits until so many messages of a kind have been counted.
    async fn unexpected(&self, what: Unexpected, count: u64) {
        let counted = async {
            while self.numbers().unexpected[what as usize] < count {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let counted = tokio::time::timeout(Duration::from_secs(5), counted).await;
        assert!(counted.is_ok(), "{what:?} {count}: {:?}", self.numbers().unexpected);
    }
}

fn status(report: &Report) -> u16 {
    match &report.end {
        End::Answered(response, _) => response.status,
        other => panic!("not answered: {other:?}"),
    }
}

#[tokio::test]
async fn over_udp_and_both_families_a_target_answers() {
    for (bind, host) in [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]")] {
        let port = udp_server(bind, |request| {
            assert!(request.contains(";rport\r\n") && request.starts_with("OPTIONS sip:"));
            vec![reply(request, "100 Trying", ""), reply(request, "404 Not Found", "Server: x\r\n")]
        });
        let bench = Bench::new(target(&format!("udp://{host}:{}", port.await)));
        for _ in 0..3 {
            let report = bench.probe().await;
            let End::Answered(response, rtt) = &report.end else { panic!("{report:?}") };
            assert_eq!((response.status, response.reason.as_str()), (404, "Not Found"));
            assert!(response.server.as_deref() == Some("x") && *rtt < Duration::from_millis(500));
            assert_eq!(report.provisional, Some(100));
        }
        let ProbeNumbers { sent, received, lost, statuses, now, .. } = bench.numbers();
        assert_eq!((sent, received, lost, statuses), (3, 3, 0, [(100, 3), (404, 3)].into()));
        assert!(now.is_some_and(|now| now.up && now.last_status == 404 && now.jitter.is_some()));
    }
}

#[tokio::test]
async fn what_a_bad_server_sends_is_counted_and_not_believed() {
    let port = udp_server("127.0.0.1", |request| {
        let wrong = request.replace("branch=z9hG4bK", "branch=z9hG4bKx");
        vec![reply(&wrong, "200 OK", ""), b"nonsense".to_vec(), vec![0xff; 60_000]]
    });
    let bench = Bench::new(target(&format!("udp://127.0.0.1:{}", port.await)));
    let report = bench.probe().await;
    assert!(matches!(report.end, End::Timeout) && report.retransmissions == 1, "{report:?}");
    // The request and its repetition, each with one of every kind.
    bench.unexpected(Unexpected::Stray, 2).await;
    bench.unexpected(Unexpected::Unreadable, 4).await;
    let ProbeNumbers { sent, lost, timeouts, retransmissions, now, .. } = bench.numbers();
    assert_eq!((sent, lost, timeouts, retransmissions), (1, 1, 1, 1));
    assert!(now.is_some_and(|now| !now.up && now.last_status == 0));

    let port = udp_server("127.0.0.1", |request| vec![reply(request, "200 OK", ""); 10]);
    let bench = Bench::new(target(&format!("udp://127.0.0.1:{}", port.await)));
    assert_eq!(status(&bench.probe().await), 200);
    bench.unexpected(Unexpected::Doubled, 9).await;

    let port =
        udp_server("127.0.0.1", |request| vec![reply(request, "200 OK", &format!("X: {}\r\n", "x".repeat(65_000)))]);
    let bench = Bench::new(target(&format!("udp://127.0.0.1:{}", port.await)));
    assert_eq!(status(&bench.probe().await), 200);
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_an_error_at_once() {
    let free = std::net::UdpSocket::bind("127.0.0.1:0").expect("loopback has ports");
    let port = free.local_addr().expect("it is bound").port();
    drop(free);
    for endpoint in [format!("udp://127.0.0.1:{port}"), format!("tcp://127.0.0.1:{port}")] {
        let bench = Bench::new(target(&endpoint));
        for _ in 0..2 {
            let begun = Instant::now();
            let report = bench.probe().await;
            assert!(matches!(report.end, End::Failed(Fault::Unreachable(_) | Fault::Connect(_))), "{report:?}");
            assert!(begun.elapsed() < Duration::from_millis(400));
        }
        assert_eq!((bench.numbers().errors, bench.numbers().lost), (2, 2));
    }
}

#[tokio::test]
async fn one_connection_is_kept_and_made_anew_where_it_was_closed() {
    let (port, connections) = stream_server(None, 3).await;
    let bench = Bench::new(target(&format!("tcp://127.0.0.1:{port}")));
    let mut connected = Vec::new();
    for _ in 0..7 {
        let report = bench.probe().await;
        assert_eq!(status(&report), 200);
        connected.push(report.phases.connect.is_some());
    }
    assert_eq!(connected, [true, false, false, true, false, false, true]);
    assert_eq!(connections.load(Ordering::SeqCst), 3);
    assert_eq!(bench.numbers().lost, 0);
}

#[tokio::test]
async fn probes_overlap_and_each_ends_once() {
    let port = udp_server("127.0.0.1", |_| Vec::new());
    let bench = Bench::new(target(&format!("udp://127.0.0.1:{}", port.await)));
    let first = tokio::spawn({
        let session = bench.session.clone();
        async move { session.probe().await }
    });
    let second = bench.probe().await;
    let first = first.await.expect("it ends").pop().expect("one report");
    assert!(matches!((first.end, second.end), (End::Timeout, End::Timeout)));
    let ProbeNumbers { sent, lost, in_flight, .. } = bench.numbers();
    assert_eq!((sent, lost, in_flight), (2, 2, 0));
}

#[tokio::test]
async fn a_name_that_leads_nowhere_is_an_error() {
    let bench = Bench::new(target("udp://nowhere.invalid:5060"));
    let report = bench.probe().await;
    assert!(matches!(report.end, End::Failed(Fault::Dns(_))), "{report:?}");
    let ProbeNumbers { sent, lost, errors, .. } = bench.numbers();
    assert_eq!((sent, lost, errors), (1, 1, 1));
}

/// An authority, and a server certificate of it that lasts for so many days.
struct Pki {
    folder: tempfile::TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Pki {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names are fine");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("an authority");
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("ca.pem"), issuer.pem()).expect("it can be written");
        Self { folder, issuer }
    }

    fn file(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn issue(&self, days: i64) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>, i64) {
        let mut params = CertificateParams::new(vec!["sbc.example.net".to_owned()]).expect("a name");
        let now = std::time::SystemTime::now();
        let day = Duration::from_secs(24 * 3600);
        let end = match u32::try_from(days) {
            Ok(days) => now + day * days,
            Err(_) => now - day * u32::try_from(-days).expect("few days"),
        };
        params.not_before = (end - day * 100).into();
        params.not_after = end.into();
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        std::fs::write(self.file("own.pem"), certificate.pem()).expect("it can be written");
        std::fs::write(self.file("own.key"), key.serialize_pem()).expect("it can be written");
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let end = end.duration_since(std::time::UNIX_EPOCH).expect("it is after 1970").as_secs();
        (vec![certificate.der().clone()], key, i64::try_from(end).expect("it is before the end of time"))
    }

    fn server(&self, days: i64, ask: bool) -> (TlsAcceptor, i64) {
        let (chain, key, end) = self.issue(days);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.issuer.der().clone()).expect("it is one");
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_safe_default_protocol_versions().expect("ring has them");
        let builder = match ask {
            true => {
                let judge = rustls::server::WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
                builder.with_client_cert_verifier(judge.build().expect("it has an authority"))
            }
            false => builder.with_no_client_auth(),
        };
        let config = builder.with_single_cert(chain, key).expect("they belong together");
        (TlsAcceptor::from(Arc::new(config)), end)
    }
}

fn named(tls: Tls) -> Tls {
    Tls { server_name_override: Some("sbc.example.net".to_owned()), ..tls }
}

#[tokio::test]
async fn over_tls_the_end_of_the_certificate_is_told() {
    let pki = Pki::new();
    let (acceptor, end) = pki.server(3, false);
    let (port, connections) = stream_server(Some(acceptor), usize::MAX).await;
    let tls = named(Tls { ca_file: Some(pki.file("ca.pem")), ..Tls::default() });
    let bench = Bench::new(Target { tls, ..target(&format!("tls://127.0.0.1:{port}")) });
    let report = bench.probe().await;
    assert_eq!(status(&report), 200);
    assert_eq!((report.tls.not_after, report.phases.tls.is_some()), (Some(end), true));
    assert_eq!(status(&bench.probe().await), 200);
    let now = bench.numbers().now.expect("a result");
    assert!(now.not_after == Some(end) && now.handshake.is_some_and(|took| took > 0.0));
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted_is_an_error_and_seen_to_all_the_same() {
    let (pki, other) = (Pki::new(), Pki::new());
    let authority = |pki: &Pki| Tls { ca_file: Some(pki.file("ca.pem")), ..Tls::default() };
    // Of another authority, under another name, expired yesterday.
    for (server, tls, days) in
        [(&pki, named(authority(&other)), 3), (&pki, authority(&pki), 3), (&pki, named(authority(&pki)), -1)]
    {
        let (acceptor, end) = server.server(days, false);
        let (port, _) = stream_server(Some(acceptor), 1).await;
        let bench = Bench::new(Target { tls: tls.clone(), ..target(&format!("tls://127.0.0.1:{port}")) });
        let report = bench.probe().await;
        assert!(matches!(report.end, End::Failed(Fault::Tls(_))), "{report:?}");
        assert_eq!(report.tls.not_after, Some(end));
        assert!(bench.numbers().now.is_some_and(|now| !now.up && now.not_after == Some(end)));

        let any = Tls { insecure_skip_verify: true, ..tls };
        let bench = Bench::new(Target { tls: any, ..target(&format!("tls://127.0.0.1:{port}")) });
        assert_eq!(status(&bench.probe().await), 200);
    }
}

#[tokio::test]
async fn an_own_certificate_is_shown_to_who_asks_for_it() {
    let pki = Pki::new();
    let (acceptor, _) = pki.server(3, true);
    let (port, _) = stream_server(Some(acceptor), 1).await;
    let tls = named(Tls { ca_file: Some(pki.file("ca.pem")), ..Tls::default() });
    let without = Bench::new(Target { tls: tls.clone(), ..target(&format!("tls://127.0.0.1:{port}")) });
    assert!(matches!(without.probe().await.end, End::Failed(_)));
    let own = Tls { cert_file: Some(pki.file("own.pem")), key_file: Some(pki.file("own.key")), ..tls };
    let with = Bench::new(Target { tls: own, ..target(&format!("tls://127.0.0.1:{port}")) });
    assert_eq!(status(&with.probe().await), 200);
}

#[tokio::test]
async fn a_server_that_asks_who_this_is_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("password");
    std::fs::write(&file, "secret\n").expect("it can be written");
    let port = udp_server("127.0.0.1", |request| match request.contains("\r\nAuthorization: Digest username=\"me\"") {
        true => vec![reply(request, "200 OK", "")],
        false => vec![reply(request, "401 Who", "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\n")],
    });
    let credentials = Some(("me".to_owned(), file));
    let port = port.await;
    let with = Bench::new(Target { credentials, ..target(&format!("udp://127.0.0.1:{port}")) });
    assert_eq!(status(&with.probe().await), 200);
    assert_eq!(with.numbers().sent, 1);
    let without = Bench::new(target(&format!("udp://127.0.0.1:{port}")));
    assert_eq!(status(&without.probe().await), 401);
}
