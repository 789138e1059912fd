//! Whether the servers of an exporter can be reached: a connection each, and a handshake where TLS is spoken. Nothing is sent
//! beyond that. For `ringside doctor`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::super::config::{Endpoint, Protocol, Settings};
use super::super::payload::Signal;
use super::tls;

/// What became of one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reached {
    /// `host:port`.
    pub authority: String,
    /// How long it took until something could be sent; else what went wrong, and what to do about it.
    pub result: Result<Duration, (String, String)>,
}

/// Tries each server that the settings name, once.
pub async fn reach(settings: &Settings) -> Vec<Reached> {
    let mut tried: Vec<Reached> = Vec::new();
    for endpoint in Signal::ALL.iter().filter_map(|signal| settings.endpoint(*signal)) {
        let authority = endpoint.authority();
        if tried.iter().all(|reached| reached.authority != authority) {
            let result = try_one(settings, endpoint).await;
            tried.push(Reached { authority, result });
        }
    }
    tried
}

async fn try_one(settings: &Settings, endpoint: &Endpoint) -> Result<Duration, (String, String)> {
    let begun = Instant::now();
    let failed = |what: String, help: &str| Err((what, help.to_owned()));
    let connecting = TcpStream::connect((endpoint.host.as_str(), endpoint.port));
    let stream = match timeout(PATIENCE, connecting).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            return failed(format!("cannot be reached: {error}"), "is it there, under that name and port?");
        }
        Err(_) => {
            return failed("no connection within 3 s".to_owned(), "is it there, and does a firewall let it through?");
        }
    };
    if !endpoint.tls {
        return Ok(begun.elapsed());
    }
    let explained = |error: tls::TlsError| {
        let error = pipeline::component::ExporterError::from(error);
        (error.what, error.help)
    };
    let mut config = tls::client_config(&settings.tls).map_err(explained)?;
    config.alpn_protocols = match settings.protocol {
        Protocol::Grpc => vec![b"h2".to_vec()],
        Protocol::Http => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
    };
    let name = match tls::server_name(&settings.tls).map_err(explained)? {
        Some(name) => name,
        None => match ServerName::try_from(endpoint.host.clone()) {
            Ok(name) => name,
            Err(_) => return failed(format!("{:?} is no host name", endpoint.host), "see the endpoint"),
        },
    };
    match timeout(PATIENCE, TlsConnector::from(Arc::new(config)).connect(name, stream)).await {
        Ok(Ok(_)) => Ok(begun.elapsed()),
        Ok(Err(error)) => failed(
            format!("TLS fails: {error}"),
            "does it speak TLS there, and is its certificate of an authority trusted in `tls`?",
        ),
        Err(_) => failed("no TLS within 3 s".to_owned(), "does it speak TLS there? With `http://` none is spoken"),
    }
}

/// Longest wait for each step.
const PATIENCE: Duration = Duration::from_secs(3);
