//! `[exporters.prometheus]`: `/metrics`, `/health` and `/internal/metrics` over HTTP/1.1.
//!
//! The crate `endpoint` accepts and bounds connections, `routes` answers requests, `negotiate` reads what the client
//! accepts, `choice` what is shown, `body` writes a scrape piece by piece, `internal` and `process` the program's own numbers, `help` what they mean.

mod body;
mod choice;
mod config;
mod help;
mod internal;
mod negotiate;
mod process;
mod protobuf;
mod routes;

use std::any::Any;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use metrics::ExporterContext;
use pipeline::Telemetry;
use pipeline::component::{Exporter, ExporterError};

pub use config::{Config, Settings};

pub use help::help;

use endpoint::{Acceptor, Refused, Server, TlsServerConfig};
use routes::Pages;

/// Adds what Linux says of the process: uptime since `started` and processor time in seconds, resident memory in bytes.
pub fn about_process(started: Instant, out: &mut Vec<Telemetry>) {
    process::telemetry(started, out);
}

/// What the endpoint bears: see [`endpoint::Limits`].
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at a time.
    pub connections: usize,
    /// Connections of one client at a time; more are closed at once.
    pub connections_each: usize,
    /// Scrapes at a time, each with its copy of all rows; more wait.
    pub scrapes: usize,
    /// How long a connection may be without a whole head of a request.
    pub head: Duration,
    /// How long a response may take.
    pub response: Duration,
    /// How long responses under way have when the program ends.
    pub shutdown_grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let endpoint::Limits { connections, connections_each, head, response, shutdown_grace } =
            endpoint::Limits::default();
        Self { connections, connections_each, scrapes: 8, head, response, shutdown_grace }
    }
}

impl Limits {
    fn serving(&self) -> endpoint::Limits {
        let Self { connections, connections_each, head, response, shutdown_grace, .. } = *self;
        endpoint::Limits { connections, connections_each, head, response, shutdown_grace }
    }
}

/// The exporter: nothing before [`Exporter::start`], a listening socket from then on.
pub struct Prometheus {
    settings: Settings,
    limits: Limits,
    site: Arc<Pages>,
    server: Option<Server>,
}

impl Prometheus {
    /// Shows the rows and the state of `context`.
    pub fn new(settings: Settings, context: &ExporterContext) -> Self {
        Self::with_limits(settings, context, Limits::default())
    }

    /// With other bounds than the usual ones.
    pub fn with_limits(settings: Settings, context: &ExporterContext, limits: Limits) -> Self {
        if settings.native_histograms {
            context.registry.iter().for_each(|registry| registry.keep_native());
        }
        let site = Arc::new(Pages::new(context, settings.look(None), limits.scrapes));
        Self { settings, limits, site, server: None }
    }

    fn serve(&self, endpoint: SocketAddr, tls: &TlsServerConfig) -> Result<Server, ExporterError> {
        let acceptor = Acceptor::new(tls).map_err(|error| ExporterError {
            what: format!("tls_server_config.{error}"),
            help: "give PEM files that this user may read, as Prometheus' exporter-toolkit wants them".to_owned(),
        })?;
        let (limits, site) = (self.limits.serving(), Arc::clone(&self.site));
        let server = Server::start_encrypted(endpoint, acceptor, limits, site, "[exporters.prometheus]");
        server.map_err(|Refused { what, help }| ExporterError { what, help })
    }

    /// Where it listens; `None` before it was started.
    pub fn local_address(&self) -> Option<SocketAddr> {
        self.server.as_ref().map(Server::address)
    }
}

impl Exporter for Prometheus {
    fn start(&mut self) -> Result<(), ExporterError> {
        self.server = Some(self.serve(self.settings.endpoint, &self.settings.tls)?);
        Ok(())
    }

    /// What is shown, and how, applies from the next scrape on. A new `endpoint` is listened on before the old one is let
    /// go, so that there always is one; where that cannot be, the old one stays. To be called inside the runtime.
    fn reconfigure(&mut self, settings: Box<dyn Any + Send>) -> Vec<&'static str> {
        let new = settings.downcast::<Settings>().expect("settings come from the check of the same type");
        self.site.show(new.look(Some(&self.site.look())));
        self.settings.undefined_ratio = new.undefined_ratio;
        self.settings.choice = Arc::clone(&new.choice);
        self.settings.users = new.users;
        self.settings.hosts = new.hosts;
        let mut restart = Vec::new();
        if new.native_histograms != self.settings.native_histograms {
            restart.push("native_histograms");
        }
        if new.tls != self.settings.tls {
            restart.push("tls_server_config");
        }
        if new.endpoint == self.settings.endpoint {
            return restart;
        }
        match self.serve(new.endpoint, &self.settings.tls) {
            Ok(server) => {
                tracing::info!(address = %server.address(), "metrics are served at another endpoint");
                self.settings.endpoint = new.endpoint;
                if let Some(old) = self.server.replace(server) {
                    tokio::spawn(old.stop());
                }
            }
            Err(error) => {
                tracing::warn!("{error}");
                restart.push("endpoint");
            }
        }
        restart
    }

    fn addresses(&self) -> Vec<String> {
        let scheme = if self.settings.tls.cert_file.is_some() { "https" } else { "http" };
        self.local_address().map(|address| format!("metrics  {scheme}://{address}/metrics")).into_iter().collect()
    }

    /// Takes [`Limits::shutdown_grace`] at most.
    fn stop(&mut self, _: Duration) -> Pin<Box<dyn Future<Output = ()> + '_>> {
        Box::pin(async {
            if let Some(server) = self.server.take() {
                server.stop().await;
            }
        })
    }
}
