//! The program's log: lines on standard error, as text or JSON; and what a panic may say.

use std::io::{self, IsTerminal};

use config::service::{Encoding, Level, Logs};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Layer, fmt};

use crate::shown::say;

/// Opens the log. To be called once.
pub fn open(settings: &Logs) {
    let level = match settings.level {
        Level::Debug => LevelFilter::DEBUG,
        Level::Info => LevelFilter::INFO,
        Level::Warn => LevelFilter::WARN,
        Level::Error => LevelFilter::ERROR,
    };
    let lines = fmt::layer().with_writer(io::stderr).with_target(false);
    let lines = match settings.encoding {
        Encoding::Text => lines.with_ansi(io::stderr().is_terminal()).boxed(),
        Encoding::Json => lines.json().flatten_event(true).boxed(),
    };
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(level).with(lines))
        .expect("the log is opened once");
    // A panic says where it happened and nothing else: its message may hold bytes of a packet.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or("an unknown place".to_owned(), ToString::to_string);
        say(&format!("ringside-steer: panic at {place}\n"));
    }));
}
