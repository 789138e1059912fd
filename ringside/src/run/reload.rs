//! SIGHUP: a new configuration is checked whole, then applied as far as it can be without a restart.

use std::io;
use std::time::Duration;

use engine::Catalogue;
use opentelemetry::trace::{Span, Tracer};
use opentelemetry::{KeyValue, global};
use pipeline::settings::Severity;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::{Program, warn_of};
use crate::cli::Run;
use crate::settings::{self, Loaded};

/// Longest wait for a shard to apply its part: it looks for orders every 100 ms.
const PATIENCE: Duration = Duration::from_secs(5);

impl Program {
    /// Reads the configuration again. A bad one leaves everything as it is.
    pub(super) async fn reload(&mut self, run: &Run, catalogue: &Catalogue) {
        let mut span = global::tracer("ringside").start("reload");
        self.reload_now(run, catalogue).await;
        span.set_attribute(KeyValue::new("ringside.config.applied", self.running.status().is_reloaded()));
        span.end();
    }

    async fn reload_now(&mut self, run: &Run, catalogue: &Catalogue) {
        match settings::load(run, catalogue) {
            Ok(loaded) => self.apply(loaded).await,
            Err(problems) => {
                for problem in problems.iter().filter(|problem| problem.severity == Severity::Error) {
                    tracing::error!("{problem}");
                }
                // Landlock and permissions refuse with the same error.
                let denied = io::Error::from_raw_os_error(nix::errno::Errno::EACCES as i32).to_string();
                if self.service.landlock && problems.to_string().contains(&denied) {
                    tracing::error!(
                        "a file that lies in another folder than at the start is closed off by Landlock; if its permissions \
                         are right, restart"
                    );
                }
                tracing::error!("the new configuration cannot be used; the old one runs on");
                self.running.status().reload_failed();
            }
        }
    }

    async fn apply(&mut self, loaded: Loaded) {
        warn_of(&loaded.warnings);
        let new = &loaded.configuration;
        let (reply, mut replies) = mpsc::channel(self.shards);
        let reply = move |keys| {
            // Nobody waits any more after `PATIENCE`.
            let _ = reply.try_send(keys);
        };
        let Ok((mut restart, replying)) = self.running.reconfigure(new, reply) else {
            tracing::error!("a capture thread does not answer; the old configuration runs on");
            return self.running.status().reload_failed();
        };
        let mut all = true;
        for _ in 0..replying {
            match timeout(PATIENCE, replies.recv()).await {
                Ok(Some(keys)) => restart.extend(keys),
                _ => {
                    tracing::error!("a capture thread does not answer; it may run with the old configuration");
                    all = false;
                    break;
                }
            }
        }
        let (told, tells) = (&self.service.telemetry, &new.service.telemetry);
        for (key, is_same) in [
            ("logs.encoding", tells.logs.encoding == told.logs.encoding),
            ("logs.processors", tells.logs.processors == told.logs.processors),
            ("metrics.readers", tells.metrics == told.metrics),
            ("traces.processors", tells.traces == told.traces),
        ] {
            if !is_same {
                restart.push(format!("service.telemetry.{key}"));
            }
        }
        for (key, is_same) in [
            ("user", new.service.user == self.service.user),
            ("landlock", new.service.landlock == self.service.landlock),
        ] {
            if !is_same {
                restart.push(format!("service.{key}"));
            }
        }
        self.log.set_level(new.service.telemetry.logs.level);
        self.service.shutdown_timeout = new.service.shutdown_timeout;
        for key in &restart {
            tracing::warn!(key, "changed, but needs a restart: the old value stays");
        }
        self.running.status().reloaded(restart);
        if !all {
            self.running.status().reload_failed();
        }
        tracing::info!(files = loaded.files.join(", "), "configuration reloaded");
    }
}
