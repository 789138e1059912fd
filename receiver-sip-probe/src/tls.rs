//! Trust and identity: the `tls` table in, what a connection is made with out; and when certificates expire.
//!
//! Files are read when the receiver starts and at each reload. The crypto provider is named here and nowhere else. What
//! a target shows is noted before it is judged, so that a certificate that has expired is seen to.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::config::Tls;
use crate::endpoint::Host;

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or is not what it should be.
    #[error("tls.{key}: {path:?} cannot be used: {error}")]
    File {
        /// The key that names it.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: pem::Error,
    },
    /// There is no authority to trust.
    #[error("there is no certificate of an authority that could be used")]
    NoAuthorities,
    /// Something does not fit together.
    #[error("tls: {0}")]
    Setup(rustls::Error),
}

/// What connections to one target are made with.
#[derive(Debug)]
pub struct Trust {
    provider: Arc<CryptoProvider>,
    /// Who judges the target's certificate; `None` where any will do.
    judge: Option<Arc<WebPkiServerVerifier>>,
    identity: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
    name: ServerName<'static>,
    /// What the files held: whether a reload brings anything new.
    read: Vec<Vec<u8>>,
}

impl PartialEq for Trust {
    /// Whether the same files were read, of the same table.
    fn eq(&self, other: &Self) -> bool {
        self.read == other.read
    }
}

impl Trust {
    /// Reads the files of `tls`, for a target at `host`.
    pub fn read(tls: &Tls, host: &Host) -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let mut read = Vec::new();
        let judge = match tls.insecure_skip_verify {
            true => None,
            false => {
                let roots = Arc::new(authorities(tls.ca_file.as_deref(), &mut read)?);
                let builder = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider));
                Some(builder.build().map_err(|_| TlsError::NoAuthorities)?)
            }
        };
        let identity = match (&tls.cert_file, &tls.key_file) {
            (Some(chain), Some(key)) => {
                let chain = certificates("cert_file", chain)?;
                let error = |error| TlsError::File { key: "key_file", path: key.clone(), error };
                let key = PrivateKeyDer::from_pem_file(key).map_err(error)?;
                read.extend(chain.iter().map(|certificate| certificate.to_vec()));
                read.push(key.secret_der().to_vec());
                Some((chain, key))
            }
            _ => None,
        };
        let name = match (&tls.server_name_override, host) {
            (Some(name), _) => ServerName::try_from(name.clone()),
            (None, Host::Name(name)) => ServerName::try_from(name.trim_end_matches('.').to_owned()),
            (None, Host::Address(address)) => Ok(ServerName::from(*address)),
        };
        let name =
            name.map_err(|_| TlsError::Setup(rustls::Error::General("the host is no name of TLS".to_owned())))?;
        let trust = Self { provider, judge, identity, name, read };
        // Whether certificate and key belong together shows here, not at the first probe.
        trust.connection()?;
        Ok(trust)
    }

    /// The name the certificate must have.
    pub fn name(&self) -> ServerName<'static> {
        self.name.clone()
    }

    /// For one connection, with who notes what the target shows on it. Nothing is resumed: each handshake is whole.
    pub fn connection(&self) -> Result<(ClientConfig, Arc<Shown>), TlsError> {
        let shown = Arc::new(Shown {
            judge: self.judge.clone(),
            provider: Arc::clone(&self.provider),
            not_after: Mutex::default(),
        });
        let builder = ClientConfig::builder_with_provider(Arc::clone(&self.provider));
        let builder = builder.with_safe_default_protocol_versions().map_err(TlsError::Setup)?;
        let builder = builder.dangerous().with_custom_certificate_verifier(Arc::clone(&shown) as _);
        let config = match &self.identity {
            Some((chain, key)) => {
                builder.with_client_auth_cert(chain.clone(), key.clone_key()).map_err(TlsError::Setup)?
            }
            None => builder.with_no_client_auth(),
        };
        Ok((config, shown))
    }
}

/// Notes when the certificates expire that a target shows, and has them judged.
#[derive(Debug)]
pub struct Shown {
    judge: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
    not_after: Mutex<Option<i64>>,
}

impl Shown {
    /// When the first certificate of the chain expires, in seconds since the Unix epoch; `None` before it was shown.
    pub fn not_after(&self) -> Option<i64> {
        *self.not_after.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ServerCertVerifier for Shown {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let first = std::iter::once(end_entity).chain(intermediates).filter_map(expiry).min();
        *self.not_after.lock().unwrap_or_else(PoisonError::into_inner) = first;
        match &self.judge {
            Some(judge) => judge.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now),
            None => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// When a certificate expires (RFC 5280 §4.1.2.5), in seconds since the Unix epoch; `None` when it cannot be read.
fn expiry(certificate: &CertificateDer<'_>) -> Option<i64> {
    let (_, certificate) = x509_parser::parse_x509_certificate(certificate).ok()?;
    Some(certificate.validity().not_after.timestamp())
}

/// Whom to trust: those of a file, else those of the system.
fn authorities(file: Option<&Path>, read: &mut Vec<Vec<u8>>) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    let given = match file {
        Some(path) => {
            let given = certificates("ca_file", path)?;
            read.extend(given.iter().map(|certificate| certificate.to_vec()));
            given
        }
        None => rustls_native_certs::load_native_certs().certs,
    };
    // A pool may hold one that is broken among a hundred good ones.
    roots.add_parsable_certificates(given);
    if roots.is_empty() { Err(TlsError::NoAuthorities) } else { Ok(roots) }
}

/// One certificate at least.
fn certificates(key: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let all = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let all = all.and_then(|all| if all.is_empty() { Err(pem::Error::NoItemsFound) } else { Ok(all) });
    all.map_err(|error| TlsError::File { key, path: path.to_owned(), error })
}
