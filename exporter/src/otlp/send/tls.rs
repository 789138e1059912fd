//! Trust and identity: the `tls` table in, what rustls needs out. Files are read once, when the exporter starts.
//!
//! The crypto provider is named here and nowhere else, so that no default can be missing or ambiguous.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use pipeline::component::ExporterError;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::super::config::{Tls, TlsVersion};

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub(super) enum TlsError {
    /// A file cannot be read, or is not what it should be.
    #[error("tls.{key}: {path:?} cannot be used: {error}")]
    File {
        /// The key that names it.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: FileError,
    },
    /// `ca_pem` holds no certificate that can be used.
    #[error("tls.ca_pem holds no certificate that can be read")]
    Text,
    /// There is no authority to trust.
    #[error("this system has no certificates of authorities")]
    NoAuthorities,
    /// Certificate and key do not belong together, or are of a kind that cannot be used.
    #[error("tls.cert_file and tls.key_file cannot be used: {0}")]
    Identity(rustls::Error),
    /// `server_name_override` is no name.
    #[error("tls.server_name_override is no host name")]
    Name,
    /// The versions do not fit the provider, which is a bug.
    #[error("TLS cannot be set up: {0}")]
    Setup(rustls::Error),
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    #[error(transparent)]
    Pem(#[from] pem::Error),
    #[error(transparent)]
    Certificate(#[from] rustls::Error),
}

impl TlsError {
    fn help(&self) -> &'static str {
        match self {
            Self::File { key: "ca_file", .. } => "give a PEM file with the certificates of the authorities to trust",
            Self::File { key: "key_file", .. } => "give a PEM file with the key of the own certificate",
            Self::File { .. } => "give a PEM file with the own certificate and those between it and its authority",
            Self::Text => "give it as PEM, from \"-----BEGIN CERTIFICATE-----\" on",
            Self::NoAuthorities => "install the package ca-certificates, or set tls.ca_file",
            Self::Identity(_) => "see that the key belongs to the certificate",
            Self::Name => "write it as it stands in the server's certificate",
            Self::Setup(_) => "please report this",
        }
    }
}

impl From<TlsError> for ExporterError {
    fn from(error: TlsError) -> Self {
        Self { what: error.to_string(), help: error.help().to_owned() }
    }
}

/// What a connection with TLS is made with.
pub(super) fn client_config(tls: &Tls) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let versions: &[_] = match tls.min_version {
        TlsVersion::V1_2 => &[&rustls::version::TLS12, &rustls::version::TLS13],
        TlsVersion::V1_3 => &[&rustls::version::TLS13],
    };
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_protocol_versions(versions).map_err(TlsError::Setup)?;
    let builder = if tls.insecure_skip_verify {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
    } else {
        builder.with_root_certificates(authorities(tls)?)
    };
    match (&tls.cert_file, &tls.key_file) {
        (Some(certificate), Some(key)) => {
            let chain = certificates("cert_file", certificate)?;
            let key = PrivateKeyDer::from_pem_file(key).map_err(|error| file("key_file", key, error))?;
            builder.with_client_auth_cert(chain, key).map_err(TlsError::Identity)
        }
        _ => Ok(builder.with_no_client_auth()),
    }
}

/// What a connection without TLS is given, where one has to be given: it trusts nobody.
pub(super) fn unused() -> Result<ClientConfig, TlsError> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(TlsError::Setup)?;
    Ok(builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}

/// The name the certificate must have, if it is not the host's.
pub(super) fn server_name(tls: &Tls) -> Result<Option<ServerName<'static>>, TlsError> {
    let name = tls.server_name_override.as_ref().map(|name| ServerName::try_from(name.clone()));
    name.transpose().map_err(|_| TlsError::Name)
}

/// Whom to trust: those given, else those of the system, or both.
fn authorities(tls: &Tls) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    let given = match (&tls.ca_file, &tls.ca_pem) {
        (Some(path), _) => Some(certificates("ca_file", path)?),
        (None, Some(text)) => Some(all(CertificateDer::pem_slice_iter(text.as_bytes())).map_err(|_| TlsError::Text)?),
        (None, None) => None,
    };
    if given.is_none() || tls.include_system_ca_certs_pool {
        // A machine's pool may hold one that is broken among a hundred good ones.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    for certificate in given.unwrap_or_default() {
        roots.add(certificate).map_err(|error| match &tls.ca_file {
            Some(path) => file("ca_file", path, error),
            None => TlsError::Text,
        })?;
    }
    if roots.is_empty() { Err(TlsError::NoAuthorities) } else { Ok(roots) }
}

fn certificates(key: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    CertificateDer::pem_file_iter(path).and_then(all).map_err(|error| file(key, path, error))
}

/// One certificate at least.
fn all(
    found: impl Iterator<Item = Result<CertificateDer<'static>, pem::Error>>,
) -> Result<Vec<CertificateDer<'static>>, pem::Error> {
    let all = found.collect::<Result<Vec<_>, _>>()?;
    if all.is_empty() { Err(pem::Error::NoItemsFound) } else { Ok(all) }
}

fn file(key: &'static str, path: &Path, error: impl Into<FileError>) -> TlsError {
    TlsError::File { key, path: path.to_owned(), error: error.into() }
}

/// `insecure_skip_verify`: whose certificate it is does not matter, only that the server has its key.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
