//! The console as the engine sees it: settings and the way to the calls in, a listening socket from the start on.

use std::any::Any;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use endpoint::{Limits, Refused, Server, Site as _};
use metrics::ExtensionContext;
use pipeline::component::{Extension, ExtensionError, Reports};
use pipeline::{Telemetry, Watch};
use tokio::task::JoinHandle;

use crate::config::Settings;
use crate::follow::follow;
use crate::site::Site;

/// `[extensions.console]`.
pub struct Console {
    settings: Settings,
    site: Arc<Site>,
    watch: Option<Arc<Watch>>,
    server: Option<Server>,
    tasks: Vec<JoinHandle<()>>,
}

impl Console {
    /// Shows what `context` gives access to; nothing before it is started.
    pub fn new(settings: Settings, context: &ExtensionContext) -> Self {
        let site = Arc::new(Site::new(&settings, context));
        Self { settings, site, watch: context.watch.clone(), server: None, tasks: Vec::new() }
    }

    /// Where it listens; `None` before it was started.
    pub fn local_address(&self) -> Option<std::net::SocketAddr> {
        self.server.as_ref().map(Server::address)
    }

    fn serve(&self, endpoint: std::net::SocketAddr) -> Result<Server, Refused> {
        Server::start(endpoint, LIMITS, Arc::clone(&self.site), "[extensions.console]")
    }
}

impl Extension for Console {
    fn start(&mut self) -> Result<(), ExtensionError> {
        let server = self.serve(self.settings.endpoint);
        let server = server.map_err(|Refused { what, help }| ExtensionError { what, help })?;
        self.site.apply(&self.settings, server.address().port());
        self.server = Some(server);
        if let Some(ended) = self.watch.as_ref().and_then(|watch| watch.ended()) {
            let site = Arc::clone(&self.site);
            self.tasks.push(tokio::spawn(async move { site.calls.collect(ended).await }));
        }
        let site = Arc::clone(&self.site);
        self.tasks.push(tokio::spawn(async move { site.remember().await }));
        self.tasks.push(tokio::spawn(follow(Arc::clone(&self.site))));
        Ok(())
    }

    /// Everything applies at once. A new `endpoint` is listened on before the old one is let go; where that cannot be,
    /// the old one stays, and a `token` that would leave it open is not taken away.
    fn reconfigure(&mut self, settings: Box<dyn Any + Send>) -> Vec<&'static str> {
        let new = *settings.downcast::<Settings>().expect("settings come from the check of the same type");
        let mut restart = Vec::new();
        let mut next = new.clone();
        if new.endpoint != self.settings.endpoint {
            match self.serve(new.endpoint) {
                Ok(server) => {
                    tracing::info!(address = %server.address(), "the console is at another endpoint");
                    if let Some(old) = self.server.replace(server) {
                        tokio::spawn(old.stop());
                    }
                }
                Err(error) => {
                    tracing::warn!("{error}");
                    restart.push("endpoint");
                    next.endpoint = self.settings.endpoint;
                    next.token = next.token.or_else(|| self.settings.token.clone());
                }
            }
        }
        if next.token != self.settings.token || next.endpoint != self.settings.endpoint {
            // Who has been let in is asked again.
            self.site.pages.close();
        }
        let port = self.local_address().unwrap_or(next.endpoint).port();
        self.site.apply(&next, port);
        self.settings = next;
        restart
    }

    fn addresses(&self) -> Vec<String> {
        let asks = if self.settings.token.is_some() { "  (asks for its token)" } else { "" };
        self.local_address().map(|address| format!("console  http://{address}/{asks}")).into_iter().collect()
    }

    fn reports(&self) -> Option<Arc<dyn Reports>> {
        Some(Arc::clone(&self.site) as _)
    }

    /// Takes [`Limits::shutdown_grace`] at most.
    fn stop(&mut self, _: Duration) -> Pin<Box<dyn Future<Output = ()> + '_>> {
        Box::pin(async {
            self.tasks.drain(..).for_each(|task| task.abort());
            self.site.pages.close();
            if let Some(server) = self.server.take() {
                server.stop().await;
            }
        })
    }
}

impl Reports for Site {
    fn telemetry(&self, out: &mut Vec<Telemetry>) {
        let load = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        let (kept, _) = self.calls.count();
        for (name, counter, value) in [
            ("otelcol_extension_connections", false, load(&self.load().connections)),
            ("otelcol_extension_pages", false, self.pages.count() as u64),
            ("otelcol_extension_connections_refused", true, load(&self.load().refused)),
            ("otelcol_extension_slow_clients", true, load(&self.load().too_slow)),
            ("otelcol_extension_calls_kept", false, kept as u64),
            ("otelcol_extension_calls_refused", true, self.refused()),
        ] {
            // Exact up to 2^53.
            out.push(Telemetry { name, labels: Vec::new(), counter, value: value as f64 });
        }
    }
}

/// What the console bears: a page keeps one connection open, and asks for a few files and calls on others. All who come
/// through one tunnel or proxy are one client. Browsers open a connection anew where an idle one was closed.
const LIMITS: Limits = Limits {
    connections: 128,
    connections_each: 96,
    head: Duration::from_secs(8),
    response: Duration::from_secs(30),
    shutdown_grace: Duration::from_secs(1),
};

/// No visitor can keep the others out, and half a request is not held for long.
const _: () = assert!(LIMITS.connections_each < LIMITS.connections && LIMITS.head.as_secs() <= 10);
