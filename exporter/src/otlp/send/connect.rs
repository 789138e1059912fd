//! Connections: an address in, a TCP or TLS connection out, for gRPC and for HTTP alike.

use std::task::{Context, Poll};
use std::time::Duration;

use hyper::Uri;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use tower_service::Service;

use super::super::config::{Protocol, Settings};
use super::tls::{self, TlsError};

/// Makes connections as the scheme of an address says.
pub(super) type Connector = HttpsConnector<HttpConnector>;

/// What the settings say about connections. Reads the files of `tls` if any endpoint needs them.
pub(super) fn connector(settings: &Settings) -> Result<Connector, TlsError> {
    let secure = settings.endpoints.iter().flatten().any(|endpoint| endpoint.tls);
    let config = if secure { tls::client_config(&settings.tls)? } else { tls::unused()? };
    let mut builder = HttpsConnectorBuilder::new().with_tls_config(config).https_or_http();
    if let Some(name) = tls::server_name(&settings.tls)? {
        builder = builder.with_server_name_resolver(hyper_rustls::FixedServerNameResolver::new(name));
    }
    let tcp = tcp(settings.timeout);
    Ok(match settings.protocol {
        Protocol::Grpc => builder.enable_http2().wrap_connector(tcp),
        Protocol::Http => builder.enable_http1().wrap_connector(tcp),
    })
}

fn tcp(timeout: Duration) -> HttpConnector {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(timeout));
    tcp.set_keepalive(Some(KEEPALIVE));
    // A peer that vanished is given up long before the quarter of an hour the kernel would try (tcp(7)).
    tcp.set_tcp_user_timeout(Some(KEEPALIVE + timeout));
    tcp
}

/// Connects to one address, whatever is asked for.
///
/// tonic gets its address as `http` so that it does not look for TLS of its own: which one that is depends on the
/// features other crates of the build ask for.
#[derive(Clone)]
pub(super) struct To {
    address: Uri,
    connector: Connector,
}

impl To {
    pub(super) fn new(address: Uri, connector: Connector) -> Self {
        Self { address, connector }
    }
}

impl Service<Uri> for To {
    type Response = <Connector as Service<Uri>>::Response;
    type Error = <Connector as Service<Uri>>::Error;
    type Future = <Connector as Service<Uri>>::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.connector.poll_ready(context)
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        self.connector.call(self.address.clone())
    }
}

/// How long a connection may be silent before the kernel asks whether the peer is still there.
const KEEPALIVE: Duration = Duration::from_secs(30);
