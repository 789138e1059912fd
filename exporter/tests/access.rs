//! Who may scrape: certificates, passwords, names, and clients that hoard connections.

#[allow(dead_code, reason = "the other test of the endpoint asks for more of it")]
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use exporter::prometheus::{Config, Limits, Settings};
use pipeline::component::Exporter;
use pipeline::settings::Problems;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use support::{Reply, Running, run_with, send};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;

const SCRAPE: &[u8] = b"GET /metrics HTTP/1.1\r\nHost: ringside\r\nConnection: close\r\n\r\n";

fn started(toml: &str) -> Running {
    let config = Config { endpoint: "127.0.0.1:0".to_owned(), ..config(toml) };
    run_with(Settings::check(config, &mut Problems::default()).expect("it is right"), Limits::default())
}

fn config(toml: &str) -> Config {
    toml::from_str(toml).expect("it has the shape")
}

/// An authority, and certificates from it.
struct Authority {
    folder: tempfile::TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority");
        fs::write(folder.path().join("ca.pem"), issuer.pem()).expect("it can be written");
        Self { folder, issuer }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes certificate and key of `name`.
    fn issue(&self, name: &str, purpose: ExtendedKeyUsagePurpose) {
        let mut params = CertificateParams::new(vec!["ringside".to_owned()]).expect("a name");
        params.extended_key_usages = vec![purpose];
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        fs::write(self.path(&format!("{name}.key")), key.serialize_pem()).expect("it can be written");
        fs::write(self.path(&format!("{name}.pem")), certificate.pem()).expect("it can be written");
    }

    fn toml(&self, more: &str) -> String {
        let [certificate, key, ca] = ["server.pem", "server.key", "ca.pem"].map(|name| self.path(name));
        format!(
            "[tls_server_config]\ncert_file = {certificate:?}\nkey_file = {key:?}\n{}",
            more.replace("CA", &format!("{ca:?}"))
        )
    }

    /// Scrapes over TLS, with the certificate of `name`.
    async fn scrape(&self, running: &Running, name: Option<&str>) -> Result<Reply, std::io::Error> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates([certificate(&self.path("ca.pem"))]);
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().expect("versions").with_root_certificates(roots);
        let config = match name {
            None => builder.with_no_client_auth(),
            Some(name) => {
                let key = PrivateKeyDer::from_pem_file(self.path(&format!("{name}.key"))).expect("a key");
                let chain = vec![certificate(&self.path(&format!("{name}.pem")))];
                builder.with_client_auth_cert(chain, key).expect("they belong together")
            }
        };
        let stream = TcpStream::connect(running.address).await?;
        let name = ServerName::try_from("ringside").expect("a name");
        let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
        stream.write_all(SCRAPE).await?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await?;
        Ok(Reply::parse(&bytes))
    }
}

fn certificate(path: &Path) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(path).expect("a certificate")
}

#[tokio::test]
async fn a_scrape_may_be_encrypted() {
    let authority = Authority::new();
    authority.issue("server", ExtendedKeyUsagePurpose::ServerAuth);
    let running = started(&authority.toml(""));
    assert_eq!(running.exporter.addresses(), [format!("metrics  https://{}/metrics", running.address)]);
    let reply = authority.scrape(&running, None).await.expect("it is encrypted");
    assert!(reply.status == 200 && reply.text().contains("sip_exporter_build_info{"));
    // Who does not encrypt gets nothing, and does no harm.
    let mut plain = TcpStream::connect(running.address).await.expect("it listens");
    plain.write_all(SCRAPE).await.expect("it takes bytes");
    let mut bytes = Vec::new();
    let _ = plain.read_to_end(&mut bytes).await;
    assert!(!bytes.starts_with(b"HTTP"));
    assert!(authority.scrape(&running, None).await.is_ok());
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_without_a_restart() {
    let authority = Authority::new();
    authority.issue("server", ExtendedKeyUsagePurpose::ServerAuth);
    let running = started(&authority.toml(""));
    authority.scrape(&running, None).await.expect("the first one");
    // Another authority: the old certificate would not do.
    let other = Authority::new();
    other.issue("server", ExtendedKeyUsagePurpose::ServerAuth);
    for name in ["server.key", "server.pem"] {
        fs::copy(other.path(name), authority.path(name)).expect("a renewal");
    }
    other.scrape(&running, None).await.expect("the new one");
    fs::write(authority.path("server.pem"), "broken").expect("a mistake");
    other.scrape(&running, None).await.expect("the one before the mistake");
}

#[tokio::test]
async fn clients_may_have_to_show_a_certificate() {
    let authority = Authority::new();
    authority.issue("server", ExtendedKeyUsagePurpose::ServerAuth);
    authority.issue("client", ExtendedKeyUsagePurpose::ClientAuth);
    let asked = "client_auth_type = 'RequireAndVerifyClientCert'\nclient_ca_file = CA";
    let running = started(&authority.toml(asked));
    assert_eq!(authority.scrape(&running, Some("client")).await.expect("it has one").status, 200);
    assert!(authority.scrape(&running, None).await.is_err());
    let running = started(&authority.toml("client_auth_type = 'VerifyClientCertIfGiven'\nclient_ca_file = CA"));
    assert!(authority.scrape(&running, None).await.is_ok());
}

#[test]
fn what_cannot_be_served_is_named_by_its_key() {
    let toml = "[tls_server_config]\ncert_file = '/nowhere.pem'\nkey_file = '/nowhere.key'";
    let settings = Settings::check(config(toml), &mut Problems::default()).expect("files are read at start");
    let context = support::context(&metrics::Registry::new(""), &Arc::default());
    let error = exporter::prometheus::Prometheus::new(settings, &context).start().expect_err("there is no such file");
    assert!(error.to_string().contains("tls_server_config.cert_file: \"/nowhere.pem\""), "{error}");
}

#[test]
fn what_is_half_configured_is_refused_before_the_start() {
    let authority = Authority::new();
    for (toml, expected) in [
        ("[tls_server_config]\ncert_file = '/a.pem'".to_owned(), "tls_server_config.key_file: cert_file and key_file"),
        (authority.toml("client_auth_type = 'RequireAndVerifyClientCert'"), "tls_server_config.client_ca_file: "),
        (
            authority.toml("client_ca_file = CA"),
            "tls_server_config.client_auth_type: client_ca_file has an effect only",
        ),
        ("hosts = ['a.example:2112']".to_owned(), "hosts: \"a.example:2112\" is no name"),
        ("hosts = ['*.example']".to_owned(), "hosts: "),
        ("[basic_auth_users]\na = 'secret'".to_owned(), "basic_auth_users.a: is no bcrypt hash"),
    ] {
        let mut problems = Problems::default();
        assert!(Settings::check(config(&toml), &mut problems).is_none(), "{toml}");
        assert!(problems.to_string().contains(expected), "{problems}");
    }
}

#[tokio::test]
async fn who_has_a_password_may_scrape() {
    let hash = bcrypt::hash("secret", 4).expect("a hash");
    let running = started(&format!("[basic_auth_users]\nprometheus = '{hash}'"));
    for (path, authorization, status) in [
        // prometheus:secret, prometheus:wrong
        ("/metrics", "Authorization: Basic cHJvbWV0aGV1czpzZWNyZXQ=", 200),
        ("/metrics", "Authorization: Basic cHJvbWV0aGV1czp3cm9uZw==", 401),
        ("/metrics", "X-Nothing: 1", 401),
        ("/internal/metrics", "X-Nothing: 1", 401),
        ("/nowhere", "X-Nothing: 1", 401),
    ] {
        let reply = send(running.address, &format!("GET {path} HTTP/1.1\n{authorization}")).await;
        assert_eq!(reply.status, status, "{path} {authorization}");
        assert_eq!(reply.header("www-authenticate").is_some(), status == 401);
    }
}

#[tokio::test]
async fn a_foreign_name_is_refused_where_names_are_configured() {
    let asked = async |running: &Running, host: &str| {
        let mut stream = TcpStream::connect(running.address).await.expect("it listens");
        let request = format!("GET /health HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("it takes bytes");
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.expect("an answer");
        Reply::parse(&bytes).status
    };
    let running = started("hosts = ['sbc1.example.com']");
    for (host, status) in [
        ("sbc1.example.com:2112", 200),
        ("SBC1.example.com.", 200),
        ("192.0.2.1:2112", 200),
        ("[2001:db8::1]:2112", 200),
        ("attacker.example", 421),
        ("sbc1.example.com.attacker.example", 421),
    ] {
        assert_eq!(asked(&running, host).await, status, "{host}");
    }
    assert_eq!(asked(&started(""), "attacker.example").await, 200, "none are configured");
}

/// Half requests until nothing more is taken.
async fn hoard(running: &Running, address: &str, count: usize) -> Vec<TcpStream> {
    let mut streams = Vec::new();
    for _ in 0..count {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(format!("{address}:0").parse().expect("an address")).expect("the loopback has it");
        let mut stream = socket.connect(running.address).await.expect("it listens");
        // The server may have closed it before it was written to.
        let _ = stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: ring").await;
        streams.push(stream);
    }
    streams
}

#[tokio::test]
async fn who_hoards_connections_keeps_nobody_out() {
    let settings =
        Settings::check(Config { endpoint: "127.0.0.1:0".to_owned(), ..Config::default() }, &mut Problems::default());
    // Nothing that is only half asked for ends by itself here.
    let limits = Limits { head: Duration::from_secs(3600), ..Limits::default() };
    let running = run_with(settings.expect("it is right"), limits);
    let _first = hoard(&running, "127.0.0.2", 250).await;
    let _second = hoard(&running, "127.0.0.3", 250).await;
    for _ in 0..3 {
        assert_eq!(support::get(running.address, "/metrics").await.status, 200);
    }
    // A connection that is kept between scrapes is not the one that has to go.
    let mut kept = TcpStream::connect(running.address).await.expect("it listens");
    for round in 0..2 {
        kept.write_all(b"GET /health HTTP/1.1\r\nHost: ringside\r\n\r\n").await.expect("it is open");
        let mut bytes = [0; 12];
        kept.read_exact(&mut bytes).await.expect("an answer");
        assert_eq!(&bytes, b"HTTP/1.1 200", "round {round}");
        let mut rest = vec![0; 4096];
        let _ = kept.read(&mut rest).await.expect("the rest of it");
        let _more = hoard(&running, "127.0.0.4", 100).await;
        assert_eq!(support::get(running.address, "/health").await.status, 200);
    }
}
