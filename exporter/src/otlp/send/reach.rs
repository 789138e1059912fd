//! Whether the servers of an exporter can be reached: a connection each, made as the exporter makes it, with TLS where that is
//! spoken. Nothing is sent beyond that. For `ringside doctor`.

use std::time::{Duration, Instant};

use pipeline::component::ExporterError;
use tokio::time::timeout;
use tower_service::Service;

use super::super::config::{Endpoint, Settings};
use super::super::payload::Signal;
use super::{connect, verdict};

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
    let mut connector = connect::connector(settings).map_err(|error| {
        let ExporterError { what, help } = error.into();
        (what, help)
    })?;
    let failed = |what: String| {
        let help = match endpoint.tls {
            false => "is it there, under that name and port, and does a firewall let it through?",
            true => "does it speak TLS there, with a certificate of an authority trusted in `tls`?",
        };
        Err((what, help.to_owned()))
    };
    match timeout(PATIENCE, connector.call(endpoint.uri())).await {
        Ok(Ok(_)) => Ok(begun.elapsed()),
        Ok(Err(error)) => failed(format!("no connection: {}", verdict::cause_of(error.as_ref()))),
        Err(_) => failed(format!("no connection within {} s", PATIENCE.as_secs())),
    }
}

/// Longest wait for a server.
const PATIENCE: Duration = Duration::from_secs(3);
