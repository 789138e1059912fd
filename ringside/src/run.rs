//! `ringside run`: starts the engine, then waits on the main thread for signals and for bad news.
//!
//! One current-thread runtime serves exporters and signals; each shard has a thread of its own. All
//! capabilities are dropped between the start of the receivers and the first of these threads.

mod announce;
mod confine;
mod files;
mod manager;
mod paths;
mod reload;
mod user;
mod written;

use std::fmt::Display;
use std::io;
use std::time::Duration;

use config::Service;
use engine::{Catalogue, Ended, Engine, Running};
use pipeline::settings::Problems;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use crate::cli::{Run, Start};
use crate::failure::Failure;
use crate::logs::{self, Log};
use crate::settings::{self, Loaded};
use crate::telemetry::OwnTelemetry;
use manager::Watchdog;
use paths::Paths;
use written::Texts;

/// Runs until a signal or a failure ends it.
pub fn run(catalogue: &Catalogue, start: &Start) -> Result<(), Failure> {
    // What is read again later is what is read now.
    let decided = Run { configured: settings::decide(&start.run.configured), ..start.run.clone() };
    let run = &decided;
    let texts = start.watch_config.then(|| settings::texts(run));
    let loaded = settings::load(run, catalogue).map_err(|problems| settings::refused(&problems))?;
    let log = Log::open(&loaded.configuration.service.telemetry.logs);
    logs::quiet_panics();
    warn_of(&loaded.warnings);
    files::raise_limit()?;
    let paths = Paths::of(&loaded);
    // Before anything is open and before there is a second thread.
    let user = user::become_user(loaded.configuration.service.user.as_deref(), &paths)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| failed("the runtime", &error))?;
    let result = runtime.block_on(serve(run, texts, loaded, catalogue, log, Rights { user, paths }));
    // Dropped, it would wait for whoever still looks up a name, which takes as long as the resolver likes.
    runtime.shutdown_background();
    result
}

async fn serve(
    run: &Run,
    texts: Option<Texts>,
    loaded: Loaded,
    catalogue: &Catalogue,
    log: Log,
    rights: Rights,
) -> Result<(), Failure> {
    // Before anything is open, so that none comes too early to be heard.
    let mut signals = Signals::listen().map_err(|error| failed("signals", &error))?;
    let mut engine = Engine::build(&loaded.configuration, catalogue);
    engine.start_exporters().map_err(|(id, error)| at(&format!("exporters.{id}"), error.into()))?;
    engine.start_extensions().map_err(|(id, error)| at(&format!("extensions.{id}"), error.into()))?;
    engine.start_receivers().map_err(|(id, error)| at(&format!("receivers.{id}"), error.into()))?;
    receiver_ebpf_sip::drop_capabilities().map_err(|error| Failure::Failed(error.to_string()))?;
    let confined = rights.close(&loaded.configuration.service);
    announce::announce(&loaded, &engine);
    tracing::info!("rights: {}, no capabilities, {confined}", rights.user);
    let where_to_look = engine.addresses().join(", ");
    let shards = loaded.configuration.graph.shards.len();
    let (news, mut ended) = mpsc::channel(shards);
    let tell = move |end| {
        // There is room for one from every shard, and nobody listens any more only when the program ends.
        let _ = news.try_send(end);
    };
    let running = engine.run(tell).map_err(|error| failed("a thread", &error))?;
    let service = loaded.configuration.service;
    let own = OwnTelemetry::start(&service.telemetry, running.status(), &log.bridge)?;
    let mut program = Program { running, shards, service, log, own };
    let mut files = texts.map(|texts| written::watch(run, texts));
    let mut watchdog = Watchdog::new();
    manager::ready(&where_to_look);
    loop {
        tokio::select! {
            end = ended.recv() => return program.fail(end).await,
            () = async { files.as_mut().expect("files are watched").changed().await }, if files.is_some() => {
                tracing::info!("a configuration file has changed");
                program.reload_and_tell(run, catalogue, &where_to_look).await;
            }
            action = signals.next() => match action {
                SignalAction::Reload => program.reload_and_tell(run, catalogue, &where_to_look).await,
                SignalAction::End(signal) => {
                    tracing::info!(signal, "ending");
                    manager::stopping();
                    return program.end(&mut signals, &mut ended).await;
                }
            },
            () = watchdog.due() => watchdog.beat(program.running.status()),
        }
    }
}

/// What the program is allowed once it runs.
struct Rights {
    /// Who it is, for the operator.
    user: String,
    /// What it comes back to.
    paths: Paths,
}

impl Rights {
    /// Closes off all files but those; how far, for the operator. Where it is refused, as by a container's rules, the program
    /// runs without.
    fn close(&self, service: &Service) -> &'static str {
        if !service.landlock {
            return "files not closed off, as service.landlock says";
        }
        match confine::close(&self.paths) {
            Ok(confined) => confined.as_str(),
            Err(error) => {
                tracing::warn!(%error, "Landlock is refused: files are not closed off; allow landlock_* where system calls are filtered");
                "files not closed off"
            }
        }
    }
}

/// What runs, and the settings of the program as a whole it runs with.
struct Program {
    running: Running,
    /// How many, and so how many messages they can send at once.
    shards: usize,
    service: Service,
    log: Log,
    /// What it tells about itself by OTLP.
    own: OwnTelemetry,
}

impl Program {
    /// Reads the configuration again, and tells the service manager what became of it.
    async fn reload_and_tell(&mut self, run: &Run, catalogue: &Catalogue, where_to_look: &str) {
        manager::reloading();
        self.reload(run, catalogue).await;
        let refused = "the new configuration cannot be used, the old one runs on: see the log";
        manager::ready(if self.running.status().is_reloaded() { where_to_look } else { refused });
    }

    /// A signal asked for the end: no more packets, what is open is stated, what is left is sent.
    async fn end(mut self, signals: &mut Signals, ended: &mut mpsc::Receiver<Ended>) -> Result<(), Failure> {
        let limit = self.service.shutdown_timeout;
        let until = Instant::now() + limit;
        let graceful = async {
            for _ in 0..self.running.stop_shards() {
                if let Some(Ended::Failed { .. } | Ended::Panicked { .. }) = ended.recv().await {
                    return Err(Failure::Failed("a capture thread failed while it was ending".to_owned()));
                }
            }
            self.running.stop_exporters(before(until)).await;
            // Last, so that what became of the others is told too.
            self.own.stop(before(until)).await;
            Ok(())
        };
        tokio::select! {
            result = timeout(limit, graceful) => result.unwrap_or_else(|_| {
                let limit = pipeline::settings::duration::format(limit);
                Err(Failure::Failed(format!("not ended within service.shutdown_timeout ({limit}); ended anyway")))
            }),
            name = signals.end() => Err(Failure::Failed(format!("a second signal ({name}): ended at once"))),
        }
    }

    /// A shard ended although nobody asked it to.
    async fn fail(mut self, end: Option<Ended>) -> Result<(), Failure> {
        let failure = match end {
            Some(Ended::Failed { receiver, error }) => at(&format!("receivers.{receiver}"), error.into()),
            Some(Ended::Panicked { component }) => Failure::Failed(format!(
                "a bug in {component}: its state cannot be trusted any more; please report it with the line above"
            )),
            Some(Ended::Stopped) | None => Failure::Failed("a capture thread ended by itself".to_owned()),
        };
        // What was counted until now still goes out, and what the other shards have open.
        self.running.stop_shards();
        let limit = self.service.shutdown_timeout;
        let within = before(Instant::now() + limit);
        if timeout(limit, self.running.stop_exporters(within)).await.is_err() {
            tracing::warn!("what was counted last could not be sent");
        }
        Err(failure)
    }
}

/// How long exporters may take, so that the program ends in time: they count what they give up, and that takes a moment.
fn before(until: Instant) -> Duration {
    let left = until.saturating_duration_since(Instant::now());
    left.saturating_sub(LAST_MOMENT.min(left / 4))
}

/// Kept for what comes after the exporters.
const LAST_MOMENT: Duration = Duration::from_millis(500);

/// The signals the program listens to.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the next signal.
    async fn next(&mut self) -> SignalAction {
        tokio::select! {
            _ = self.terminate.recv() => SignalAction::End("SIGTERM"),
            _ = self.interrupt.recv() => SignalAction::End("SIGINT"),
            _ = self.hangup.recv() => SignalAction::Reload,
        }
    }

    /// Waits for the next signal that asks for the end.
    async fn end(&mut self) -> &'static str {
        loop {
            if let SignalAction::End(signal) = self.next().await {
                return signal;
            }
        }
    }
}

/// What a signal asks for.
enum SignalAction {
    Reload,
    /// With the name of the signal.
    End(&'static str),
}

fn warn_of(problems: &Problems) {
    problems.iter().for_each(|problem| tracing::warn!("{problem}"));
}

/// A failure with the component it happened in.
fn at(path: &str, failure: Failure) -> Failure {
    match failure {
        Failure::Failed(text) => Failure::Failed(format!("{path}: {text}")),
        Failure::Usage(text) => Failure::Usage(format!("{path}: {text}")),
        Failure::Privilege(text) => Failure::Privilege(format!("{path}: {text}")),
    }
}

fn failed(what: &str, error: &dyn Display) -> Failure {
    Failure::Failed(format!("{what} could not be set up: {error}; see whether the system is short of resources"))
}

#[cfg(test)]
mod tests;
