//! Pages that are open are told each second the figures, what changed in their list and in the call they show.
//!
//! One task for all of them. It works only while there is somebody, does the work for equal subscriptions once, and never
//! waits for a page.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tokio::time::{Duration, Instant, sleep, sleep_until};

use crate::changes::{Changes, event, hash};
use crate::query::Query;
use crate::site::Site;

/// What pages know.
#[derive(Default)]
struct Known {
    lists: HashMap<Query, Changes>,
    /// Hashes of what was told of calls.
    calls: HashMap<Box<str>, u64>,
}

/// Tells pages of `site` what happens, for ever.
pub async fn follow(site: Arc<Site>) {
    let mut known = Known::default();
    loop {
        let (queries, calls) = site.pages.subscriptions();
        if queries.is_empty() {
            known = Known::default();
            site.calls.forget_live();
            site.pages.came.notified().await;
            continue;
        }
        let next = Instant::now() + INTERVAL;
        tick(&site, &mut known, queries, calls).await;
        // Who comes is told soon; but whoever comes often does not keep us busy.
        sleep(MIN_PAUSE).await;
        tokio::select! {
            () = sleep_until(next) => {}
            () = site.pages.came.notified() => {}
        }
    }
}

async fn tick(site: &Site, known: &mut Known, queries: HashMap<Query, bool>, calls: HashSet<Box<str>>) {
    site.refresh(queries.keys()).await;
    let figures = event("now", &site.now());
    known.lists.retain(|query, _| queries.contains_key(query));
    known.calls.retain(|call_id, _| calls.contains(call_id));
    let mut lists = HashMap::new();
    for (query, is_new) in queries {
        let (list, numbers) = site.list(&query).await;
        let told = known.lists.entry(query.clone()).or_default().next(&list, numbers, is_new);
        lists.insert(query, told);
    }
    let mut ladders = HashMap::new();
    for call_id in calls {
        let told = match site.call(&call_id).await {
            Some(entry) => event("call", &entry.told(site.trace_url().as_deref())),
            None => event("call", &serde_json::json!({ "call_id": call_id, "unknown": true })),
        };
        let now = hash(std::str::from_utf8(&told).unwrap_or_default());
        let changed = known.calls.insert(call_id.clone(), now) != Some(now);
        ladders.insert(call_id, (told, changed));
    }
    site.pages.tell(|subscription, is_new| {
        let told = lists.get(&subscription.query)?;
        let list = if is_new { Some(told.whole.clone()?) } else { told.change.clone() };
        let ladder = match &subscription.call {
            Some(call_id) => Some(ladders.get(call_id)?),
            None => None,
        };
        let ladder = ladder.filter(|(_, changed)| is_new || *changed).map(|(told, _)| told.clone());
        Some([Some(figures.clone()), list, ladder].into_iter().flatten().collect())
    });
}

/// How often pages are told.
const INTERVAL: Duration = Duration::from_secs(1);
/// Between two times they are told, at least.
const MIN_PAUSE: Duration = Duration::from_millis(150);
