//! How the program ends, with an exporter that does as it likes.

use std::any::Any;
use std::cell::Cell;
use std::future::{pending, ready};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use config::{Configuration, Role, Settings, Sources, Type};
use engine::Catalogue;
use metrics::ExporterContext;
use pipeline::settings::Problems;
use pipeline::{Build, CaptureStatus, Exporter, ExporterError, FrameBatch, Received, Receiver, ReceiverError};

use super::*;

/// Brings nothing, at once.
struct Silence;

impl Receiver for Silence {
    fn start(&mut self) -> Result<(), ReceiverError> {
        Ok(())
    }

    fn receive(&mut self, batch: &mut FrameBatch, _: Duration) -> Result<Received, ReceiverError> {
        batch.clear();
        Ok(Received::End)
    }

    fn reconfigure(&mut self, _: Settings) -> Vec<&'static str> {
        Vec::new()
    }

    fn set_duplicate_window(&mut self, _: Duration) {}

    fn status(&self) -> CaptureStatus {
        CaptureStatus::default()
    }
}

/// Ends at once or never, and says that it was asked.
struct Slow {
    hangs: bool,
    asked: Rc<Cell<bool>>,
}

impl Exporter for Slow {
    fn start(&mut self) -> Result<(), ExporterError> {
        Ok(())
    }

    fn reconfigure(&mut self, _: Box<dyn Any + Send>) -> Vec<&'static str> {
        Vec::new()
    }

    fn stop(&mut self, _: Duration) -> Pin<Box<dyn Future<Output = ()> + '_>> {
        self.asked.set(true);
        if self.hangs { Box::pin(pending()) } else { Box::pin(ready(())) }
    }
}

#[derive(Clone, Default, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
struct Nothing {}

struct Fixture {
    program: Program,
    ended: mpsc::Receiver<Ended>,
    asked: Rc<Cell<bool>>,
}

fn program(hangs: bool, shutdown_timeout: Duration) -> Fixture {
    let asked = Rc::new(Cell::new(false));
    let asked_here = Rc::clone(&asked);
    let check = |nothing: Nothing, _: &mut Problems| Some(nothing);
    let catalogue = Catalogue {
        build: Build::default(),
        receivers: vec![Type::<dyn Receiver, ()>::new("silence", Role::Receives, "", check, |_, ()| Box::new(Silence))],
        processors: vec![],
        exporters: vec![Type::<dyn Exporter, ExporterContext>::new(
            "slow",
            Role::ExportsMetrics,
            "",
            check,
            move |_, _| Box::new(Slow { hangs, asked: Rc::clone(&asked_here) }),
        )],
        extensions: Vec::new(),
    };
    let text = "receivers.silence = {}\nexporters.slow = {}\n\
                service.pipelines.metrics = { receivers = ['silence'], exporters = ['slow'] }";
    let mut problems = Problems::default();
    let sources = Sources { files: vec![("test".to_owned(), text.to_owned())], set: Vec::new(), may_be_unset: None };
    let tree = sources.load(&|_| None, &mut problems).expect("it is TOML");
    let configuration = Configuration::check(&tree, &catalogue, &mut problems).expect("it is right");
    let (news, ended) = mpsc::channel(1);
    let running =
        Engine::build(&configuration, &catalogue).run(move |end| news.try_send(end).expect("there is room for it"));
    let running = running.expect("a thread can be made");
    let service = Service { shutdown_timeout, ..configuration.service };
    Fixture {
        program: Program { running, shards: 1, service, log: Log::silent(), own: OwnTelemetry::default() },
        ended,
        asked,
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime can be made").block_on(future)
}

/// A signal is heard by the whole process: who listens and who sends one go one after the other.
static SIGNALS: Mutex<()> = Mutex::new(());

const LONG: Duration = Duration::from_secs(3600);

#[test]
fn an_end_in_time_is_no_failure() {
    let _alone = SIGNALS.lock().unwrap_or_else(PoisonError::into_inner);
    let Fixture { program, mut ended, asked } = program(false, LONG);
    block_on(async {
        let mut signals = Signals::listen().expect("signals can be caught");
        program.end(&mut signals, &mut ended).await.expect("nothing stands in its way");
    });
    assert!(asked.get());
}

#[test]
fn an_end_takes_no_longer_than_it_may() {
    let _alone = SIGNALS.lock().unwrap_or_else(PoisonError::into_inner);
    let Fixture { program, mut ended, .. } = program(true, Duration::ZERO);
    block_on(async {
        let mut signals = Signals::listen().expect("signals can be caught");
        let failure = program.end(&mut signals, &mut ended).await.expect_err("the exporter hangs");
        assert!(failure.to_string().contains("service.shutdown_timeout (0s)"), "{failure}");
    });
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let _alone = SIGNALS.lock().unwrap_or_else(PoisonError::into_inner);
    let Fixture { program, mut ended, .. } = program(true, LONG);
    block_on(async {
        let mut signals = Signals::listen().expect("signals can be caught");
        let pid = i32::try_from(std::process::id()).expect("process ids are positive");
        // SAFETY: kill takes numbers only; the signal is caught, since `Signals` listens to it.
        assert_eq!(unsafe { libc::kill(pid, libc::SIGINT) }, 0);
        let failure = program.end(&mut signals, &mut ended).await.expect_err("the exporter hangs");
        assert_eq!(failure.to_string(), "a second signal (SIGINT): ended at once");
    });
}

#[test]
fn a_panic_ends_it_after_exporters_were_asked_to_send_what_is_left() {
    let Fixture { program, asked, .. } = program(false, LONG);
    let end = Some(Ended::Panicked { component: "dialog".to_owned() });
    let failure = block_on(program.fail(end)).expect_err("it is a bug");
    assert!(failure.to_string().starts_with("a bug in dialog"), "{failure}");
    assert!(matches!(failure, Failure::Failed(_)));
    assert!(asked.get());
}
