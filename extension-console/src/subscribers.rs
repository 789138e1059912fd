//! Pages that are open: what each shows in, what it is told out.
//!
//! Nobody waits for a page: one that does not take what it is told is cut off, which the server counts.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use endpoint::Abort;
use hyper::body::Bytes;
use tokio::sync::Notify;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::query::Query;

/// The pages that are open.
#[derive(Default)]
pub struct Subscribers {
    open: Mutex<Vec<Page>>,
    /// Somebody came.
    pub came: Notify,
}

/// One page.
struct Page {
    subscription: Subscription,
    sender: Sender<Bytes>,
    abort: Abort,
    /// It was told nothing yet.
    is_new: bool,
}

/// What a page shows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Subscription {
    /// Its list.
    pub query: Query,
    /// The call it shows, if it shows one.
    pub call: Option<Box<str>>,
}

impl Subscribers {
    /// One more, unless there are too many. What it is told comes out of the receiver.
    pub fn open(&self, subscription: Subscription, abort: Abort) -> Option<Receiver<Bytes>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|page| !page.sender.is_closed());
        if open.len() >= MOST_PAGES {
            return None;
        }
        let (sender, receiver) = channel(WAITING_EVENTS);
        open.push(Page { subscription, sender, abort, is_new: true });
        self.came.notify_one();
        Some(receiver)
    }

    /// Pages now.
    pub fn count(&self) -> usize {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Ends what every page is told.
    pub fn close(&self) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// What pages subscription, without those that are gone: each query once, with whether somebody new has it, and each call.
    pub fn subscriptions(&self) -> (HashMap<Query, bool>, HashSet<Box<str>>) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|page| !page.sender.is_closed());
        let (mut queries, mut calls) = (HashMap::new(), HashSet::new());
        for page in open.iter() {
            *queries.entry(page.subscription.query.clone()).or_default() |= page.is_new;
            calls.extend(page.subscription.call.clone());
        }
        (queries, calls)
    }

    /// Tells pages: `what` gives the events for each. Those whose queue is full are cut off.
    /// One that came meanwhile, whose subscriptions are not known yet, is told the next time.
    pub fn tell(&self, mut what: impl FnMut(&Subscription, bool) -> Option<Vec<Bytes>>) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain_mut(|page| {
            let Some(events) = what(&page.subscription, page.is_new) else { return true };
            page.is_new = false;
            let told = events.into_iter().try_for_each(|event| page.sender.try_send(event));
            if matches!(told, Err(tokio::sync::mpsc::error::TrySendError::Full(_))) {
                page.abort.now();
            }
            told.is_ok()
        });
    }
}

/// Pages at a time.
const MOST_PAGES: usize = 64;
/// Events that wait for one page.
const WAITING_EVENTS: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    fn subscription() -> Subscription {
        Subscription { query: Query::default(), call: None }
    }

    #[test]
    fn a_page_that_takes_nothing_is_let_go_and_the_others_are_not() {
        let pages = Subscribers::default();
        let silent = pages.open(subscription(), Abort::default()).expect("there is room");
        let mut reads = pages.open(subscription(), Abort::default()).expect("there is room");
        for _ in 0..WAITING_EVENTS {
            pages.tell(|_, _| Some(vec![Bytes::from_static(b"event")]));
            reads.try_recv().expect("it was told");
        }
        assert_eq!(pages.count(), 2);
        pages.tell(|_, _| Some(vec![Bytes::from_static(b"one too many")]));
        assert_eq!(pages.count(), 1);
        assert_eq!(reads.try_recv().expect("it was told"), "one too many");
        drop(silent);
    }

    #[test]
    fn there_is_room_for_so_many_pages_and_again_once_they_are_gone() {
        let pages = Subscribers::default();
        let open: Vec<_> =
            (0..MOST_PAGES).map(|_| pages.open(subscription(), Abort::default()).expect("room")).collect();
        assert!(pages.open(subscription(), Abort::default()).is_none());
        drop(open);
        assert!(pages.open(subscription(), Abort::default()).is_some());
    }

    #[test]
    fn one_that_came_meanwhile_is_told_the_next_time() {
        let pages = Subscribers::default();
        let mut page = pages.open(subscription(), Abort::default()).expect("there is room");
        pages.tell(|_, _| None);
        pages.tell(|_, is_new| Some(vec![if is_new { "all" } else { "change" }.into()]));
        pages.tell(|_, is_new| Some(vec![if is_new { "all" } else { "change" }.into()]));
        assert_eq!([page.try_recv(), page.try_recv()].map(|event| event.expect("an event")), ["all", "change"]);
    }
}
