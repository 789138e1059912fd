//! Calls off the wire, for `ringside calls --live` and `ringside watch`.
//!
//! The configuration's own receiver of packets, and what is behind it up to the calls; no exporter, no page. It needs the
//! rights of `run` and gives them up likewise. Interrupted it just ends: nothing is kept that could be lost.

use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};

use call_views::View;
use config::Node;
use config::graph::Branch;
use engine::{Catalogue, FlowContext, Shard, Sink, Turn};
use pipeline::call::Subject;
use pipeline::call::watch::Question;
use pipeline::{Call, CallsWanted, LabelSets, ReceiverError};

use crate::captures::{EachCall, rewrite};
use crate::cli::Run;
use crate::failure::Failure;
use crate::settings;
use crate::show::say;

/// What captures and follows calls.
pub struct Live {
    /// Built; what is to be added to it comes before its start.
    pub shard: Shard,
    /// Where the labels of calls have their names.
    pub label_sets: Arc<LabelSets>,
    /// Who may be asked for calls that are up.
    pub questions: Option<SyncSender<Question>>,
}

impl Live {
    /// Builds what the configuration says; `adjust` changes it before.
    pub fn new(
        catalogue: &Catalogue,
        run: &Run,
        wanted: CallsWanted,
        adjust: impl Fn(&mut Node),
    ) -> Result<Self, Failure> {
        let adjust = &mut |tree: &mut Node| {
            settings::share_ports(tree);
            adjust(tree);
        };
        let loaded =
            settings::load_adjusted(run, catalogue, adjust).map_err(|problems| settings::refused(&problems))?;
        say(&loaded.warnings.to_string());
        crate::logs::quiet_panics();
        let configuration = loaded.configuration;
        let plan = configuration.graph.shards.iter().find(|plan| {
            let captures = |id: &pipeline::ComponentId| id.kind() == "ebpf_sip";
            plan.receivers.iter().any(captures)
        });
        let Some(plan) = plan else {
            let text = "no pipeline captures: name an `ebpf_sip` in `receivers` of one, or no --config";
            return Err(Failure::Failed(text.to_owned()));
        };
        let label_sets = Arc::<LabelSets>::default();
        let wanted = &|_: &Branch| Some(wanted.clone());
        // Calls are shown in the order they ended, which one has to see.
        let context = FlowContext { label_sets: &label_sets, wanted, shards: 1 };
        let receivers = plan.receivers.iter().map(|id| {
            let kind = catalogue.receivers.iter().find(|kind| kind.name == id.kind()).expect("it was checked");
            (id.clone(), kind.build(configuration.receivers[id].settings(), &()))
        });
        let mut outlets = Vec::new();
        let mut shard = Shard::build(plan, receivers.collect(), &configuration, catalogue, &context, &mut outlets);
        let questions = shard.open_questions(plan, catalogue);
        Ok(Self { shard, label_sets, questions })
    }

    /// Puts a sink at the end of one pipeline.
    pub fn add_sink(&mut self, sink: Box<dyn Sink>) {
        let mut sink = Some(sink);
        self.shard.add_sinks(|_| sink.take());
    }

    /// Begins to capture, and gives up the rights to.
    pub fn start(&mut self) -> Result<(), Failure> {
        self.shard.start().map_err(|(_, error)| Failure::from(error))?;
        receiver_ebpf_sip::drop_capabilities().map_err(|error| Failure::Failed(error.to_string()))
    }
}

/// Hands every call that ends to `take`, for ever; it ends when `take` says so. `started`: it captures.
pub fn follow(
    catalogue: &Catalogue,
    run: &Run,
    wanted: CallsWanted,
    started: impl FnOnce(),
    mut take: impl FnMut(&View<'_>) -> bool + Send + 'static,
) -> Result<(), Failure> {
    let mut live = Live::new(catalogue, run, wanted, rewrite::with_numbers)?;
    let (enough, seen_enough) = sync_channel(1);
    let take = move |_: &Call, view: &View<'_>| {
        if view.record.subject == Subject::Call && !take(view) {
            let _ = enough.try_send(());
        }
    };
    let label_sets = Arc::clone(&live.label_sets);
    live.add_sink(Box::new(EachCall { label_sets, take }));
    live.start()?;
    started();
    loop {
        let turn = live.shard.turn().map_err(|(_, error): (_, ReceiverError)| Failure::from(error))?;
        if turn == Turn::Ended || seen_enough.try_recv().is_ok() {
            return Ok(());
        }
    }
}
