//! The program's log: lines on standard error, as text or JSON; and what a panic may say.

use std::io::{self, IsTerminal};

use config::service::{Encoding, Level, Logs};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::{Layer, Registry, fmt};

use crate::show::say;
use crate::telemetry::LateBridge;

/// The log of this process. Its level can be changed while it runs.
pub struct Log {
    /// The way to OpenTelemetry's SDK, where one is opened.
    pub bridge: LateBridge,
    level: Handle<LevelFilter, Registry>,
}

impl Log {
    /// Opens it. To be called once.
    pub fn open(settings: &Logs) -> Self {
        let (filter, level) = reload::Layer::new(filter(settings.level));
        let lines = fmt::layer().with_writer(io::stderr).with_target(false);
        let lines = match settings.encoding {
            Encoding::Text => lines.with_ansi(io::stderr().is_terminal()).boxed(),
            Encoding::Json => lines.json().flatten_event(true).boxed(),
        };
        let bridge = LateBridge::default();
        let subscriber = tracing_subscriber::registry().with(filter).with(lines).with(bridge.clone());
        tracing::subscriber::set_global_default(subscriber).expect("the log is opened once");
        Self { bridge, level }
    }

    /// One that writes nothing, for tests of what stands around it.
    #[cfg(test)]
    pub fn silent() -> Self {
        let (filter, level) = reload::Layer::new(LevelFilter::OFF);
        drop(filter);
        Self { bridge: LateBridge::default(), level }
    }

    /// Changes the level.
    pub fn set_level(&self, level: Level) {
        self.level.reload(filter(level)).expect("the log lives as long as the program");
    }
}

fn filter(level: Level) -> LevelFilter {
    match level {
        Level::Debug => LevelFilter::DEBUG,
        Level::Info => LevelFilter::INFO,
        Level::Warn => LevelFilter::WARN,
        Level::Error => LevelFilter::ERROR,
    }
}

/// Makes a panic say where it happened and nothing else: its message may hold bytes of the wire.
pub fn quiet_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or("an unknown place".to_owned(), ToString::to_string);
        let thread = std::thread::current();
        say(&format!("ringside: panic at {place} in thread {}\n", thread.name().unwrap_or("without a name")));
    }));
}
