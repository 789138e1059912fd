//! Whom the sender trusts, and whom it is.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use exporter::otlp::config::{Tls, TlsVersion};
use exporter::otlp::{Failure, Outcome, Protocol, Sender, Settings, Stats};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion, version};
use tempfile::TempDir;
use tokio_rustls::TlsAcceptor;

use super::client::{BOTH, Client, of_endpoint, spans};
use super::server::{Reserved, Server};

const ACCEPTED: Outcome = Outcome::Accepted { rejected: 0 };
const GAVE_UP: Outcome = Outcome::Failed(Failure::GaveUp);

/// Who vouches for others.
struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its key.
struct Identity {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn vouch(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        Identity { certificate: params.signed_by(&key, &self.0).unwrap(), key }
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        roots
    }
}

/// A server with `identity`, which wants its clients to be vouched for by `clients`.
fn server(
    protocol: Protocol,
    identity: &Identity,
    clients: Option<&Authority>,
    versions: &[&'static SupportedProtocolVersion],
) -> Server {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_protocol_versions(versions).unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let roots = Arc::new(authority.roots());
            builder.with_client_cert_verifier(
                WebPkiClientVerifier::builder_with_provider(roots, provider).build().unwrap(),
            )
        }
    };
    let key = PrivateKeyDer::try_from(identity.key.serialize_der()).unwrap();
    let mut config = builder.with_single_cert(vec![identity.certificate.der().clone()], key).unwrap();
    config.alpn_protocols = match protocol {
        Protocol::Grpc => vec![b"h2".to_vec()],
        Protocol::Http => vec![b"http/1.1".to_vec()],
    };
    Reserved::new().start(protocol, Some(TlsAcceptor::from(Arc::new(config))))
}

fn both_versions(protocol: Protocol, identity: &Identity) -> Server {
    server(protocol, identity, None, &[&version::TLS12, &version::TLS13])
}

fn settings(protocol: Protocol, server: &Server, tls: Tls) -> Settings {
    let mut settings = of_endpoint(protocol, &format!("https://{}", server.address));
    settings.tls = tls;
    settings.retry.max_elapsed_time = Duration::from_millis(20);
    settings
}

async fn send(protocol: Protocol, server: &Server, tls: Tls) -> Outcome {
    Client::start(settings(protocol, server, tls)).sender.send_now(spans("a", 1)).await
}

fn trusting(authority: &Authority) -> Tls {
    Tls { ca_pem: Some(authority.0.pem()), ..Tls::default() }
}

fn file(folder: &TempDir, name: &str, text: &str) -> Option<PathBuf> {
    let path = folder.path().join(name);
    fs::write(&path, text).unwrap();
    Some(path)
}

#[tokio::test]
async fn a_server_is_trusted_by_its_authority_from_a_file_or_from_text_and_by_none_else() {
    let (authority, other, folder) = (Authority::new(), Authority::new(), TempDir::new().unwrap());
    let identity = authority.vouch("127.0.0.1", |_| {});
    for protocol in BOTH {
        let server = both_versions(protocol, &identity);
        assert_eq!(send(protocol, &server, trusting(&authority)).await, ACCEPTED);
        let from_file = Tls { ca_file: file(&folder, "ca.pem", &authority.0.pem()), ..Tls::default() };
        assert_eq!(send(protocol, &server, from_file).await, ACCEPTED);
        assert_eq!(send(protocol, &server, trusting(&other)).await, GAVE_UP);
        let anyone = Tls { insecure_skip_verify: true, ..trusting(&other) };
        assert_eq!(send(protocol, &server, anyone).await, ACCEPTED);
        assert_eq!(server.taken().len(), 3);
    }
}

#[tokio::test]
async fn an_expired_certificate_is_not_trusted() {
    let authority = Authority::new();
    let identity = authority.vouch("127.0.0.1", |params| params.not_after = date_time_ymd(2020, 1, 1));
    for protocol in BOTH {
        let server = both_versions(protocol, &identity);
        assert_eq!(send(protocol, &server, trusting(&authority)).await, GAVE_UP);
        assert!(server.seen().is_empty());
    }
}

#[tokio::test]
async fn the_name_in_the_certificate_must_be_the_hosts_or_the_one_that_is_configured() {
    let authority = Authority::new();
    let identity = authority.vouch("otlp.example.com", |_| {});
    for protocol in BOTH {
        let server = both_versions(protocol, &identity);
        assert_eq!(send(protocol, &server, trusting(&authority)).await, GAVE_UP);
        let name = |name: &str| Tls { server_name_override: Some(name.to_owned()), ..trusting(&authority) };
        assert_eq!(send(protocol, &server, name("otlp.example.com")).await, ACCEPTED);
        assert_eq!(send(protocol, &server, name("otlp.example.org")).await, GAVE_UP);
    }
}

#[tokio::test]
async fn a_server_that_asks_who_we_are_is_told() {
    let (authority, clients, folder) = (Authority::new(), Authority::new(), TempDir::new().unwrap());
    let (identity, own) = (authority.vouch("127.0.0.1", |_| {}), clients.vouch("ringside", |_| {}));
    for protocol in BOTH {
        let server = server(protocol, &identity, Some(&clients), &[&version::TLS13]);
        let known = Tls {
            cert_file: file(&folder, "cert.pem", &own.certificate.pem()),
            key_file: file(&folder, "key.pem", &own.key.serialize_pem()),
            ..trusting(&authority)
        };
        assert_eq!(send(protocol, &server, known).await, ACCEPTED);
        assert_eq!(send(protocol, &server, trusting(&authority)).await, GAVE_UP);
        let stranger = authority.vouch("ringside", |_| {});
        let unknown = Tls {
            cert_file: file(&folder, "cert.pem", &stranger.certificate.pem()),
            key_file: file(&folder, "key.pem", &stranger.key.serialize_pem()),
            ..trusting(&authority)
        };
        assert_eq!(send(protocol, &server, unknown).await, GAVE_UP);
        assert_eq!(server.taken().len(), 1);
    }
}

#[tokio::test]
async fn the_lowest_version_is_kept() {
    let authority = Authority::new();
    let identity = authority.vouch("127.0.0.1", |_| {});
    for protocol in BOTH {
        let old = server(protocol, &identity, None, &[&version::TLS12]);
        assert_eq!(send(protocol, &old, trusting(&authority)).await, ACCEPTED);
        let strict = Tls { min_version: TlsVersion::V1_3, ..trusting(&authority) };
        assert_eq!(send(protocol, &old, strict).await, GAVE_UP);
    }
}

#[tokio::test]
async fn what_cannot_be_used_is_named_at_the_start() {
    let (authority, folder) = (Authority::new(), TempDir::new().unwrap());
    let (one, other) = (authority.vouch("a", |_| {}), authority.vouch("b", |_| {}));
    let certificate = file(&folder, "cert.pem", &one.certificate.pem());
    let rubbish = file(&folder, "rubbish.pem", "no PEM at all");
    let missing = Some(folder.path().join("missing.pem"));
    for (tls, key) in [
        (Tls { ca_file: missing.clone(), ..Tls::default() }, "tls.ca_file"),
        (Tls { ca_file: rubbish.clone(), ..Tls::default() }, "tls.ca_file"),
        (Tls { ca_pem: Some("no PEM at all".to_owned()), ..Tls::default() }, "tls.ca_pem"),
        (Tls { cert_file: rubbish.clone(), key_file: file(&folder, "k", ""), ..trusting(&authority) }, "tls.cert_file"),
        (Tls { cert_file: certificate.clone(), key_file: missing, ..trusting(&authority) }, "tls.key_file"),
        (Tls { cert_file: certificate.clone(), key_file: rubbish, ..trusting(&authority) }, "tls.key_file"),
        (
            Tls {
                cert_file: certificate,
                key_file: file(&folder, "other.pem", &other.key.serialize_pem()),
                ..trusting(&authority)
            },
            "tls.cert_file",
        ),
        (Tls { server_name_override: Some("no name".to_owned()), ..trusting(&authority) }, "tls.server_name_override"),
    ] {
        let mut settings = of_endpoint(Protocol::Grpc, "https://127.0.0.1:4317");
        settings.tls = tls;
        let Err(error) = Sender::start("otlp_test", settings, Arc::new(Stats::default())) else { panic!("{key}") };
        assert!(error.what.contains(key) && !error.help.is_empty(), "{key}: {error}");
    }
}
