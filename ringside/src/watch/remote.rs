//! Calls of a running ringside, by its console: asked each second for its list, and for those that are looked at.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use call_screen::{Known, Name};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;

use super::source::News;
use super::told::{List, Told};
use crate::failure::Failure;

/// Where a console is, and how it is asked.
struct Console {
    agent: ureq::Agent,
    address: String,
    token: Option<String>,
}

/// Who is asked for calls by their Call-IDs, and the thread that asks.
pub struct Following {
    pub wanted: SyncSender<Box<str>>,
    pub thread: JoinHandle<Vec<String>>,
}

/// Asks the console at `address` until `stop`. What it tells comes as news; Call-IDs that are sent are asked for.
pub fn follow(
    address: &str,
    token: Option<String>,
    news: SyncSender<News>,
    stop: Arc<AtomicBool>,
) -> Result<Following, Failure> {
    let address = address.trim_end_matches('/');
    if !address.starts_with("http://") {
        let help =
            "a console speaks HTTP: write http://127.0.0.1:2113, and come from afar by `ssh -L 2113:127.0.0.1:2113`";
        return Err(Failure::Usage(format!("--from {address}: {help}")));
    }
    // The token is for the console alone: neither a proxy of the environment nor whoever it points to has to do with it.
    let config = ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).proxy(None).max_redirects(0).build();
    let agent = config.new_agent();
    let console = Console { agent, address: address.to_owned(), token };
    // Whoever cannot be asked at all fails before the screen is taken.
    let first: List = console.get(&path())?;
    let (sender, wanted) = sync_channel(WANTED);
    let thread = super::source::spawn(move || {
        console.follow(first, &wanted, &news, &stop);
        Vec::new()
    })?;
    Ok(Following { wanted: sender, thread })
}

impl Console {
    fn follow(&self, first: List, wanted: &Receiver<Box<str>>, news: &SyncSender<News>, stop: &AtomicBool) {
        // What was told of calls that are over: when it was seen last.
        let mut over: HashMap<Name, Instant> = HashMap::new();
        let mut list = Ok(first);
        while !stop.load(Ordering::Relaxed) {
            let told = match list {
                Ok(list) => tell(list, &mut over, news),
                Err(failure) => news.send(News::Name(format!("{}: {failure}", self.address))).is_ok(),
            };
            if !told {
                return;
            }
            let next = Instant::now() + INTERVAL;
            loop {
                match wanted.recv_timeout(next.saturating_duration_since(Instant::now())) {
                    Ok(call_id) => {
                        let path = format!("/api/calls/{}", utf8_percent_encode(&call_id, NON_ALPHANUMERIC));
                        let known = self.get::<Told>(&path).ok().and_then(Told::known);
                        if known.is_some_and(|known| news.send(News::Calls(vec![known])).is_err()) {
                            return;
                        }
                    }
                    Err(RecvTimeoutError::Timeout) => break,
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
            list = self.get(&path());
        }
    }

    fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        let failed = |what: String| {
            let help = "see whether ringside runs there with a console, and its token is right (--token)";
            Failure::Failed(format!("{}: {what}; {help}", self.address))
        };
        let mut request = self.agent.get(format!("{}{path}", self.address));
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let mut response = request.call().map_err(|error| failed(error.to_string()))?;
        let body = response.body_mut().with_config().limit(LARGEST).read_to_vec();
        let body = body.map_err(|error| failed(error.to_string()))?;
        serde_json::from_slice(&body).map_err(|_| failed("what it says is not what a console says".to_owned()))
    }
}

/// Tells of a list: all that is up, and what is over and was not told of. Whether anybody listens.
fn tell(list: List, over: &mut HashMap<Name, Instant>, news: &SyncSender<News>) -> bool {
    let now = Instant::now();
    let known = list.calls.into_iter().filter_map(Told::known);
    let (up, ended): (Vec<Known>, Vec<Known>) = known.partition(|known| known.is_up);
    let ended: Vec<Known> = ended.into_iter().filter(|known| over.insert(known.name(), now).is_none()).collect();
    over.retain(|_, seen| *seen == now);
    // How many a console lists is its own affair.
    news.send(News::Calls(ended)).is_ok() && news.send(News::Up { calls: up, only_newest: true }).is_ok()
}

fn path() -> String {
    format!("/api/calls?limit={MOST}")
}

/// How often the list is asked for.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest answer, in bytes.
const LARGEST: u64 = 64 << 20;
/// Most calls of a list: what a console keeps at most.
const MOST: usize = 10_000;
/// Calls that wait to be asked for.
const WANTED: usize = 16;
