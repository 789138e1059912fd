//! Where calls come from: a thread that captures, or reads files, and follows calls; asked in between for those that are up.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use call_screen::Known;
use call_views::{Exchanges, View};
use engine::{Catalogue, Shard, Sink, Turn};
use pipeline::call::Subject;
use pipeline::call::live::LiveAsk;
use pipeline::call::watch::Question;
use pipeline::{Call, KeptCall, LabelSets};
use tokio::sync::oneshot;

use crate::captures::{self, EachCall, Reading, rewrite};
use crate::cli::{Captures, Watch};
use crate::failure::Failure;
use crate::folders;
use crate::live::Live;
use crate::watch::remote::{self, Following};

/// Calls from somewhere.
pub struct Source {
    name: String,
    news: Receiver<News>,
    questions: Option<SyncSender<Question>>,
    /// Where Call-IDs go that a console is asked for.
    remote: Option<SyncSender<Box<str>>>,
    label_sets: Arc<LabelSets>,
    newest: Option<oneshot::Receiver<Vec<KeptCall>>>,
    ones: Vec<oneshot::Receiver<Vec<KeptCall>>>,
    stop: Arc<AtomicBool>,
    lost: Arc<AtomicU64>,
    thread: Option<JoinHandle<Vec<String>>>,
    remarks: Vec<String>,
}

/// What came.
pub enum News {
    /// Calls that are over, or what happened outside calls.
    Calls(Vec<Known>),
    /// All calls that are up; `only_newest`: there may be more, that began before.
    Up { calls: Vec<Known>, only_newest: bool },
    /// Where they come from is called otherwise now.
    Name(String),
    /// It is over, and why.
    Failed(Failure),
}

impl Source {
    /// Opens what the arguments name.
    pub fn open(catalogue: &Catalogue, arguments: &Watch) -> Result<Self, Failure> {
        let (sender, news) = sync_channel(WAITING);
        let stop = Arc::<AtomicBool>::default();
        let lost = Arc::<AtomicU64>::default();
        if let Some(address) = &arguments.from {
            let token = arguments.token.clone().or_else(|| std::env::var(TOKEN).ok().filter(|token| !token.is_empty()));
            let Following { wanted, thread } = remote::follow(address, token, sender, Arc::clone(&stop))?;
            let parts = (None, Arc::<LabelSets>::default());
            return Ok(Self { remote: Some(wanted), ..Self::new(address.clone(), news, parts, (stop, lost), thread) });
        }
        if arguments.paths.is_empty() {
            let mut live = Live::new(catalogue, &arguments.run, captures::watched(), rewrite::for_the_eye)?;
            let (questions, label_sets) = (live.questions.take(), Arc::clone(&live.label_sets));
            // Packets do not wait: what nobody takes is counted.
            let feed = Feed { news: sender, lost: Arc::clone(&lost), patient: false };
            live.add_sink(feed.sink(&label_sets));
            live.start()?;
            let until = Arc::clone(&stop);
            let thread = spawn(move || {
                follow(&mut live.shard, &feed, &until, true);
                Vec::new()
            })?;
            return Ok(Self::new("live".to_owned(), news, (questions, label_sets), (stop, lost), thread));
        }
        let Watch { paths, ports, run, .. } = arguments;
        let captures = Captures { paths: paths.clone(), ports: ports.clone(), run: run.clone() };
        let folders::Resolved { captures, .. } = &folders::resolved(catalogue, &captures, &folders::Asked::default())?;
        let grows = paths.iter().any(|path| is_written(path));
        let mut watched = Reading::watched(catalogue, captures, grows)?;
        let (questions, label_sets) = (watched.questions.take(), Arc::clone(&watched.label_sets));
        let feed = Feed { news: sender, lost: Arc::clone(&lost), patient: true };
        watched.add_sink(feed.sink(&label_sets));
        let names: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        let until = Arc::clone(&stop);
        let thread = spawn(move || {
            match watched.shard.start() {
                Ok(()) => follow(&mut watched.shard, &feed, &until, grows),
                Err((_, error)) => feed.send(News::Failed(error.into())),
            }
            drop(feed);
            // What is up when nothing more comes can be asked for until nobody looks any more.
            while grows && !until.load(Ordering::Relaxed) {
                answer(&mut watched.shard);
                thread::sleep(LONGEST_WAIT);
            }
            watched.remarks()
        })?;
        Ok(Self::new(names.join(" "), news, (questions, label_sets), (stop, lost), thread))
    }

    fn new(
        name: String,
        news: Receiver<News>,
        (questions, label_sets): (Option<SyncSender<Question>>, Arc<LabelSets>),
        (stop, lost): (Arc<AtomicBool>, Arc<AtomicU64>),
        thread: JoinHandle<Vec<String>>,
    ) -> Self {
        let (newest, ones, remarks) = (None, Vec::new(), Vec::new());
        let remote = None;
        Self { name, news, questions, remote, label_sets, newest, ones, stop, lost, thread: Some(thread), remarks }
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What came since this was asked last.
    pub fn news(&mut self) -> Vec<News> {
        let mut news: Vec<News> = self.news.try_iter().take(WAITING).collect();
        let known = |calls: Vec<KeptCall>| calls.into_iter().map(|call| up(call, &self.label_sets)).collect::<Vec<_>>();
        if let Some(answer) = &mut self.newest {
            match answer.try_recv() {
                Ok(calls) => {
                    let only_newest = calls.len() >= NEWEST;
                    news.push(News::Up { calls: known(calls), only_newest });
                    self.newest = None;
                }
                Err(oneshot::error::TryRecvError::Closed) => self.newest = None,
                Err(oneshot::error::TryRecvError::Empty) => {}
            }
        }
        self.ones.retain_mut(|answer| match answer.try_recv() {
            Ok(calls) => {
                news.push(News::Calls(known(calls)));
                false
            }
            Err(oneshot::error::TryRecvError::Closed) => false,
            Err(oneshot::error::TryRecvError::Empty) => true,
        });
        let lost = self.lost.load(Ordering::Relaxed);
        if lost > 0 {
            news.push(News::Name(format!("{} ({lost} calls came too fast)", self.name)));
        }
        if self.thread.as_ref().is_some_and(JoinHandle::is_finished)
            && let Some(thread) = self.thread.take()
        {
            match thread.join() {
                Ok(remarks) => self.remarks.extend(remarks),
                Err(_) => news.push(News::Failed(Failure::Failed("what follows calls has ended".to_owned()))),
            }
        }
        news
    }

    /// Asks for the calls that are up, unless the last answer is still awaited.
    pub fn ask_newest(&mut self) {
        if self.newest.is_none() {
            self.newest = self.ask(LiveAsk::Newest(NEWEST));
        }
    }

    /// Asks for a call that is up, message by message.
    pub fn ask_one(&mut self, call_id: &str) {
        if let Some(remote) = &self.remote {
            // One that cannot be asked now is asked again.
            let _ = remote.try_send(call_id.into());
        } else if self.ones.len() < MOST_ASKED {
            let answer = self.ask(LiveAsk::One(call_id.into()));
            self.ones.extend(answer);
        }
    }

    fn ask(&self, ask: LiveAsk) -> Option<oneshot::Receiver<Vec<KeptCall>>> {
        let (reply, answer) = oneshot::channel();
        self.questions.as_ref()?.try_send(Question::Calls(ask, reply)).ok()?;
        Some(answer)
    }

    /// Ends it, and tells the operator what could not be read.
    pub fn say_remarks(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // A thread that waits for room would wait for ever.
        drop(self.news);
        if let Some(Ok(remarks)) = self.thread.take().filter(JoinHandle::is_finished).map(JoinHandle::join) {
            self.remarks.extend(remarks);
        }
        self.remarks.iter().for_each(|remark| crate::show::say(&format!("ringside: {remark}\n")));
    }
}

/// The way of calls to the screen.
#[derive(Clone)]
struct Feed {
    news: SyncSender<News>,
    lost: Arc<AtomicU64>,
    /// Reading waits for the screen.
    patient: bool,
}

impl Feed {
    fn send(&self, news: News) {
        match self.patient {
            true => drop(self.news.send(news)),
            false if self.news.try_send(news).is_err() => _ = self.lost.fetch_add(1, Ordering::Relaxed),
            false => {}
        }
    }

    /// A sink that feeds it.
    fn sink(&self, label_sets: &Arc<LabelSets>) -> Box<dyn Sink> {
        let feed = self.clone();
        let mut exchanges = Exchanges::new(true);
        let take = move |call: &Call, view: &View<'_>| {
            let known = match view.record.subject {
                Subject::Call => Known {
                    record: Arc::clone(&call.record),
                    carrier: view.carrier.into(),
                    ua_type: view.ua_type.into(),
                    times: 1,
                    is_up: false,
                },
                Subject::Request => {
                    if exchanges.list().len() >= MOST_EXCHANGES {
                        exchanges = Exchanges::new(true);
                    }
                    let Some(exchange) = exchanges.take(view) else { return };
                    Known {
                        record: Arc::new(exchange.record.clone()),
                        carrier: (&*exchange.carrier).into(),
                        ua_type: (&*exchange.ua_type).into(),
                        times: exchange.times,
                        is_up: false,
                    }
                }
                Subject::Report => return,
            };
            feed.send(News::Calls(vec![known]));
        };
        Box::new(EachCall { label_sets: Arc::clone(label_sets), take })
    }
}

/// Follows calls until there are no more, or nobody looks; `endless`: what is up goes on when nothing more comes.
fn follow(shard: &mut Shard, feed: &Feed, stop: &AtomicBool, endless: bool) {
    while !stop.load(Ordering::Relaxed) {
        match shard.turn() {
            Ok(Turn::Going) => {}
            Ok(Turn::Ended) => {
                shard.settle();
                if !endless {
                    shard.drain();
                }
                break;
            }
            Err((_, error)) => {
                return feed.send(News::Failed(error.into()));
            }
        }
        answer(shard);
    }
}

/// Answers what was asked: one for the list, the others for calls that are looked at.
fn answer(shard: &mut Shard) {
    (0..=MOST_ASKED).for_each(|_| shard.answer());
}

pub fn spawn(work: impl FnOnce() -> Vec<String> + Send + 'static) -> Result<JoinHandle<Vec<String>>, Failure> {
    thread::Builder::new().name("follow".to_owned()).spawn(work).map_err(|error| {
        Failure::Failed(format!("no thread can be made: {error}; see whether the system is short of resources"))
    })
}

fn up(call: KeptCall, label_sets: &LabelSets) -> Known {
    let (carrier, ua_type) = label_sets.names(call.labels);
    Known { record: call.call.record, carrier: carrier.into(), ua_type: ua_type.into(), times: 1, is_up: true }
}

/// Whether a capture is still being written: a pipe, or a file that changed a moment ago.
fn is_written(path: &Path) -> bool {
    if path.as_os_str() == "-" {
        return true;
    }
    let changed = fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    changed.and_then(|changed| changed.elapsed().ok()).is_some_and(|ago| ago < LATELY)
}

/// Where the token of a console may stand.
const TOKEN: &str = "RINGSIDE_CONSOLE_TOKEN";
/// News that wait at most.
const WAITING: usize = 4096;
/// Most calls that are asked whether they are up: of older ones only the end is told.
const NEWEST: usize = 2048;
/// Most calls that are asked for at once.
const MOST_ASKED: usize = 7;
/// Most exchanges that a further one may belong to.
const MOST_EXCHANGES: usize = 10_000;
/// Between two looks at questions where nothing else comes.
const LONGEST_WAIT: Duration = Duration::from_millis(20);
/// A file that changed so lately may change again.
const LATELY: Duration = Duration::from_secs(60);
