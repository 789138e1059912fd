//! A shard: a set of receivers and what stands behind it, worked by one thread.

use std::sync::mpsc::Receiver as Questions;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use wire::Timestamp;

use super::board::Report;
use super::flow::Flow;
use super::watch::{Question, WatchSink};
use super::{Sink, named};
use crate::component::{Received, Receiver, ReceiverError};
use crate::config::{ComponentId, Settings};
use crate::frame::FrameBatch;
use crate::graph::Tap;

/// Receivers, and the flow behind them.
pub struct Shard {
    sources: Vec<Source>,
    trunk: Flow,
    /// Time of the last batch of any receiver: the flow's clock never runs back.
    now: Timestamp,
    working: Option<ComponentId>,
    /// What watchers ask; `None` where there are none.
    questions: Option<Questions<Question>>,
}

struct Source {
    id: ComponentId,
    receiver: Box<dyn Receiver>,
    batch: FrameBatch,
    ended: bool,
}

/// How it stands after a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// More may come.
    Going,
    /// Every receiver is at its end.
    Ended,
}

/// Longest wait for packets before commands are looked at.
pub(super) const LONGEST_WAIT: Duration = Duration::from_millis(100);

impl Shard {
    pub(super) fn new(receivers: Vec<(ComponentId, Box<dyn Receiver>)>, trunk: Flow) -> Self {
        let source = |(id, receiver)| Source { id, receiver, batch: FrameBatch::default(), ended: false };
        Self {
            sources: receivers.into_iter().map(source).collect(),
            trunk,
            now: Timestamp::ZERO,
            working: None,
            questions: None,
        }
    }

    /// Adds a sink at the outlets of metrics where `sink`, told the outlet's place among those the build added, gives one.
    pub fn add_sinks(&mut self, sink: impl FnMut(usize) -> Option<Box<dyn Sink>>) {
        let mut each = (0..).map(sink);
        self.trunk.add_sinks(&mut || each.next().flatten());
    }

    /// Adds a sink wherever traces pipelines end, if `sink`, told the exporters that get the calls, gives one.
    pub fn add_call_sinks(&mut self, mut sink: impl FnMut(&[ComponentId]) -> Option<Box<dyn Sink>>) {
        self.trunk.add_call_sinks(&mut sink);
    }

    /// Lets watchers have the calls that come out at `tap`, and ask for others.
    pub(super) fn add_watch(&mut self, tap: Tap, sink: WatchSink, questions: Questions<Question>) {
        self.trunk.add_tap(tap.branch, tap.place, Box::new(sink));
        self.questions = Some(questions);
    }

    /// Somebody may have questions.
    pub(super) fn is_watched(&self) -> bool {
        self.questions.is_some()
    }

    /// Answers a question, if there is one.
    pub(super) fn answer(&mut self) {
        let Some(Ok(question)) = self.questions.as_ref().map(Questions::try_recv) else { return };
        // Who asked may have gone away.
        match question {
            Question::Calls(ask, reply) => {
                let mut calls = Vec::new();
                self.trunk.live_calls(&ask, &[], &mut calls);
                let _ = reply.send(calls);
            }
            Question::Number(number, reply) => {
                let _ = reply.send(self.trunk.shown_number(&number));
            }
        }
    }

    /// Opens the receivers, in order.
    pub fn start(&mut self) -> Result<(), (ComponentId, ReceiverError)> {
        self.pass_duplicate_window();
        for source in &mut self.sources {
            source.receiver.start().map_err(|error| (source.id.clone(), error))?;
        }
        Ok(())
    }

    /// Takes one batch from every receiver in turn and passes each on. Waits 100 ms at most.
    pub fn turn(&mut self) -> Result<Turn, (ComponentId, ReceiverError)> {
        let several = self.sources.len() > 1;
        let wait = LONGEST_WAIT / u32::try_from(self.sources.len().max(1)).unwrap_or(u32::MAX);
        let mut turn = Turn::Ended;
        for source in self.sources.iter_mut().filter(|source| !source.ended) {
            self.working = Some(source.id.clone());
            let received =
                source.receiver.receive(&mut source.batch, wait).map_err(|error| (source.id.clone(), error))?;
            if several {
                source.catch_up(self.now);
            }
            self.now = source.batch.now;
            let working = &mut self.working;
            self.trunk.process(&source.batch, None, &mut |id| working.clone_from(&Some(id.clone())));
            source.ended = received == Received::End;
            if !source.ended {
                turn = Turn::Going;
            }
        }
        Ok(turn)
    }

    /// Lets the processors state what is still open.
    pub fn drain(&mut self) {
        let last = FrameBatch { now: self.now, ..FrameBatch::default() };
        let working = &mut self.working;
        self.trunk.drain(&last, None, &mut |id| working.clone_from(&Some(id.clone())));
    }

    /// Hands out new settings; `None` keeps the old ones. Returns the keys that need a restart.
    pub(super) fn reconfigure(
        &mut self,
        receivers: Vec<Option<Settings>>,
        processors: Vec<Option<Settings>>,
    ) -> Vec<String> {
        let mut restart = Vec::new();
        for (source, settings) in self.sources.iter_mut().zip(receivers) {
            if let Some(settings) = settings {
                let keys = source.receiver.reconfigure(settings);
                restart.extend(keys.iter().map(|key| format!("receivers.{}.{key}", source.id)));
            }
        }
        self.trunk.reconfigure(&mut processors.into_iter(), &mut restart);
        self.pass_duplicate_window();
        restart
    }

    /// Writes down what the components are like.
    pub(super) fn publish(&self, report: &Mutex<Report>) {
        let mut telemetry = Vec::new();
        for source in &self.sources {
            let from = telemetry.len();
            source.receiver.telemetry(&mut telemetry);
            named("receiver", &source.id, from, &mut telemetry);
        }
        self.trunk.telemetry(&mut telemetry);
        let captures = self.sources.iter().map(|source| source.receiver.status()).collect();
        // A reader that panicked leaves a whole report behind: it only reads.
        *report.lock().unwrap_or_else(PoisonError::into_inner) = Report { captures, telemetry };
    }

    /// Whose code ran last.
    pub(super) fn working(&self) -> String {
        self.working.as_ref().map_or_else(|| "the engine".to_owned(), ComponentId::to_string)
    }

    /// Processors know how far apart copies may be, receivers remove them. The configuration was refused if
    /// two disagree.
    fn pass_duplicate_window(&mut self) {
        let mut window = None;
        self.trunk.each(&mut |_, processor| window = window.or_else(|| processor.duplicate_window()));
        if let Some(window) = window {
            self.sources.iter_mut().for_each(|source| source.receiver.set_duplicate_window(window));
        }
    }
}

impl Source {
    /// Several receivers take turns: what one brings may be a little older than what another brought before.
    fn catch_up(&mut self, now: Timestamp) {
        self.batch.now = self.batch.now.max(now);
        self.batch.frames.iter_mut().for_each(|frame| frame.at = frame.at.max(now));
    }
}
