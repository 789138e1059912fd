//! TLS for a server: `tls_server_config` in, by the keys of Prometheus' exporter-toolkit, connections accepted.
//!
//! Files are looked at with each connection: a certificate that was renewed is shown without a restart, and one that
//! cannot be read leaves the one before in place.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use serde::{Deserialize, Serialize};

/// `tls_server_config`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema, Serialize)]
#[serde(default)]
pub struct TlsServerConfig {
    /// PEM file of the certificate, and of those between it and its authority. Without it there is no TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert_file: Option<PathBuf>,
    /// PEM file of its key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
    /// Whether clients show a certificate. Default `NoClientCert`.
    pub client_auth_type: ClientAuth,
    /// PEM file of the authorities that certificates of clients are from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_ca_file: Option<PathBuf>,
    /// The oldest version that is spoken: `TLS12` or `TLS13`. Default `TLS12`.
    pub min_version: Version,
}

/// Whether clients show a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema, Serialize)]
pub enum ClientAuth {
    /// They are not asked.
    #[default]
    NoClientCert,
    /// They may; a wrong one is refused.
    VerifyClientCertIfGiven,
    /// They have to.
    RequireAndVerifyClientCert,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema, Serialize)]
pub enum Version {
    /// 1.2 (RFC 5246).
    #[default]
    #[serde(rename = "TLS12")]
    V1_2,
    /// 1.3 (RFC 8446).
    #[serde(rename = "TLS13")]
    V1_3,
}

/// Why TLS cannot be set up: which key, and what is wrong with it.
#[derive(Debug, thiserror::Error)]
#[error("{key}: {error}")]
pub struct TlsError {
    /// The key of `tls_server_config`.
    pub key: &'static str,
    error: Wrong,
}

impl TlsError {
    /// What is wrong with it.
    pub fn what(&self) -> String {
        self.error.to_string()
    }
}

#[derive(Debug, thiserror::Error)]
enum Wrong {
    #[error("{0:?} cannot be read: {1}")]
    File(PathBuf, pem::Error),
    #[error("{0:?} cannot be used: {1}")]
    Pair(PathBuf, rustls::Error),
    #[error("{0:?} cannot be used: {1}")]
    Authorities(PathBuf, VerifierBuilderError),
    #[error("cert_file and key_file belong together: set both")]
    Half,
    #[error("client_auth_type asks for certificates of clients: set the authorities they are from")]
    NoAuthorities,
    #[error("client_ca_file has an effect only where certificates of clients are asked for")]
    NotAsked,
}

/// What makes connections.
pub struct Acceptor {
    config: TlsServerConfig,
    current: Mutex<Current>,
}

struct Current {
    server: Arc<ServerConfig>,
    /// When the files were changed that it was made of.
    changed: [Option<SystemTime>; 3],
}

impl Acceptor {
    /// `None` where no certificate is named.
    pub fn new(config: &TlsServerConfig) -> Result<Option<Self>, TlsError> {
        let changed = changed(config);
        let server = server_config(config)?;
        let current = |server| Current { server, changed };
        let acceptor = |server| Self { config: config.clone(), current: Mutex::new(current(server)) };
        Ok(server.map(acceptor))
    }

    /// What the next connection is made with.
    pub(crate) fn current(&self) -> Arc<ServerConfig> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = changed(&self.config);
        if current.changed != changed {
            match server_config(&self.config) {
                Ok(Some(server)) => {
                    tracing::info!("the certificate of an endpoint was read again");
                    current.server = server;
                }
                Ok(None) => {}
                Err(error) => tracing::warn!("tls_server_config.{error}; the certificate before is shown"),
            }
            current.changed = changed;
        }
        Arc::clone(&current.server)
    }
}

fn changed(config: &TlsServerConfig) -> [Option<SystemTime>; 3] {
    [&config.cert_file, &config.key_file, &config.client_ca_file]
        .map(|path| fs::metadata(path.as_ref()?).and_then(|file| file.modified()).ok())
}

impl TlsServerConfig {
    /// What can be seen to be wrong without reading files.
    pub fn check(&self) -> Result<(), TlsError> {
        let asked = self.client_auth_type != ClientAuth::NoClientCert;
        let wrong = |key, error| Err(TlsError { key, error });
        match (&self.cert_file, &self.key_file, &self.client_ca_file) {
            (None, None, None) if !asked => Ok(()),
            (None, ..) => wrong("cert_file", Wrong::Half),
            (_, None, _) => wrong("key_file", Wrong::Half),
            (.., None) if asked => wrong("client_ca_file", Wrong::NoAuthorities),
            (.., Some(_)) if !asked => wrong("client_auth_type", Wrong::NotAsked),
            _ => Ok(()),
        }
    }
}

fn server_config(config: &TlsServerConfig) -> Result<Option<Arc<ServerConfig>>, TlsError> {
    config.check()?;
    let (Some(certificate), Some(key)) = (&config.cert_file, &config.key_file) else { return Ok(None) };
    let provider = Arc::new(ring::default_provider());
    let versions: &[_] = match config.min_version {
        Version::V1_2 => &[&rustls::version::TLS12, &rustls::version::TLS13],
        Version::V1_3 => &[&rustls::version::TLS13],
    };
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_protocol_versions(versions);
    let builder = builder.expect("ring speaks both versions");
    let builder = match config.client_auth_type {
        ClientAuth::NoClientCert => builder.with_no_client_auth(),
        asked => {
            let path = config.client_ca_file.as_ref();
            let path = path.ok_or(TlsError { key: "client_ca_file", error: Wrong::NoAuthorities })?;
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(certificates("client_ca_file", path)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier = match asked {
                ClientAuth::VerifyClientCertIfGiven => verifier.allow_unauthenticated(),
                _ => verifier,
            };
            let wrong = |error| TlsError { key: "client_ca_file", error: Wrong::Authorities(path.clone(), error) };
            builder.with_client_cert_verifier(verifier.build().map_err(wrong)?)
        }
    };
    let chain = certificates("cert_file", certificate)?;
    let pair = |error| TlsError { key: "key_file", error: Wrong::Pair(key.clone(), error) };
    let key = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| TlsError { key: "key_file", error: Wrong::File(key.clone(), error) })?;
    let mut server = builder.with_single_cert(chain, key).map_err(pair)?;
    server.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Some(Arc::new(server)))
}

/// When the first certificate of a PEM file ends, in seconds since the Unix epoch; `None` where there is none to be read.
pub fn not_after(path: &Path) -> Option<i64> {
    let first = CertificateDer::pem_file_iter(path).ok()?.next()?.ok()?;
    let (_, certificate) = x509_parser::parse_x509_certificate(&first).ok()?;
    Some(certificate.validity().not_after.timestamp())
}

fn certificates(key: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let wrong = |error| TlsError { key, error: Wrong::File(path.to_owned(), error) };
    let found = CertificateDer::pem_file_iter(path).map_err(wrong)?;
    let found = found.collect::<Result<Vec<_>, _>>().map_err(wrong)?;
    if found.is_empty() { Err(wrong(pem::Error::NoItemsFound)) } else { Ok(found) }
}
