//! All calls that are shown: in the order they began, those that a filter wants, with a cursor and marks.
//!
//! Bounded in calls and in bytes of their messages: the oldest go, those that are up last.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use call_filter::Filter;
use pipeline::call::sent::MAX_SENT_IN_ALL;

use crate::known::{Known, Name};

/// The calls.
#[derive(Debug)]
pub struct List {
    calls: BTreeMap<Name, Known>,
    /// Those whose messages are kept.
    with_messages: BTreeSet<Name>,
    sent: usize,
    /// Those that are shown, in order.
    shown: Vec<Name>,
    /// `shown` is not what it should be.
    stale: bool,
    /// New calls are not shown.
    paused: bool,
    filter: Option<Filter>,
    marked: HashSet<Name>,
    /// The row under the cursor; `None` while there is none.
    cursor: Option<usize>,
    /// The cursor stays on the last row.
    follows: bool,
    /// Most calls that are held.
    most: usize,
    /// Calls that had to go.
    gone: u64,
    /// Counts what may change figures of what is chosen.
    changes: u64,
}

impl List {
    /// No calls yet, and never more than `most`.
    pub fn new(most: usize) -> Self {
        Self {
            calls: BTreeMap::new(),
            with_messages: BTreeSet::new(),
            sent: 0,
            shown: Vec::new(),
            stale: false,
            paused: false,
            filter: None,
            marked: HashSet::new(),
            cursor: None,
            follows: false,
            most,
            gone: 0,
            changes: 0,
        }
    }

    /// Takes a call, new or known. What is known with its messages keeps them while it goes on.
    pub fn put(&mut self, call: Known) {
        let name = call.name();
        if let Some(known) = self.calls.get(&name)
            && call.is_up
            && (call.record.ladder.is_empty() && !known.record.ladder.is_empty() || !known.is_up)
        {
            // An outline of what is known better, or told of before it ended.
            return;
        }
        let sent = bytes(&call);
        self.let_go_messages(&name);
        if sent > 0 {
            self.sent += sent;
            self.with_messages.insert(name.clone());
        }
        self.calls.insert(name, call);
        (self.stale, self.changes) = (true, self.changes + 1);
        self.keep_bounds();
    }

    fn let_go_messages(&mut self, name: &Name) {
        if self.with_messages.remove(name) {
            self.sent -= self.calls.get(name).map_or(0, bytes);
        }
    }

    fn keep_bounds(&mut self) {
        while self.sent > MAX_SENT_IN_ALL
            && let Some(oldest) = self.with_messages.first().cloned()
        {
            self.let_go_messages(&oldest);
            if let Some(call) = self.calls.get_mut(&oldest) {
                call.record = call.record.without_messages();
            }
        }
        while self.calls.len() > self.most {
            let over = self.calls.iter().find(|(_, call)| !call.is_up).map(|(name, _)| name.clone());
            let Some(oldest) = over.or_else(|| self.calls.keys().next().cloned()) else { return };
            self.let_go_messages(&oldest);
            self.calls.remove(&oldest);
            self.marked.remove(&oldest);
            self.gone += 1;
        }
    }

    /// Calls that were up and are not among those that are: their records were not told. They stay as they were known last.
    /// Where `up` is only the newest, nothing is known of those that began before.
    pub fn still_up(&mut self, up: &HashSet<Name>, only_newest: bool) {
        let oldest = up.iter().min().filter(|_| only_newest);
        for (name, call) in self.calls.iter_mut().filter(|(_, call)| call.is_up) {
            if !up.contains(name) && oldest.is_none_or(|oldest| name >= oldest) {
                self.changes += 1;
                call.is_up = false;
            }
        }
    }

    /// Brings what is shown up to date. The cursor stays on its call, or on the last row where it follows.
    pub fn refresh(&mut self) {
        if !self.stale || self.paused {
            return;
        }
        (self.stale, self.changes) = (false, self.changes + 1);
        let at = self.at_cursor().map(Known::name);
        let wants = |call: &Known| self.filter.as_ref().is_none_or(|filter| filter.wants(&call.view()));
        self.shown = self.calls.iter().filter(|(_, call)| wants(call)).map(|(name, _)| name.clone()).collect();
        let last = self.shown.len().checked_sub(1);
        self.cursor = match at {
            _ if self.follows => last,
            Some(name) => Some(self.shown.binary_search(&name).unwrap_or_else(|near| near)).min(last),
            None => last.map(|_| 0),
        };
    }

    /// So many are shown.
    pub fn len(&self) -> usize {
        self.shown.len()
    }

    /// So many are held.
    pub fn held(&self) -> usize {
        self.calls.len()
    }

    /// So many had to go.
    pub fn gone(&self) -> u64 {
        self.gone
    }

    /// The call in a row; `None` where it had to go.
    pub fn row(&self, row: usize) -> Option<&Known> {
        self.calls.get(self.shown.get(row)?)
    }

    /// The call under the cursor.
    pub fn at_cursor(&self) -> Option<&Known> {
        self.row(self.cursor?)
    }

    /// The row under the cursor.
    pub fn cursor(&self) -> Option<usize> {
        self.cursor
    }

    /// Moves the cursor by so many rows.
    pub fn step(&mut self, rows: isize) {
        if let (Some(at), Some(last)) = (self.cursor, self.shown.len().checked_sub(1)) {
            self.cursor = Some(at.saturating_add_signed(rows).min(last));
            // Whoever goes to the end wants to see what comes.
            self.follows = rows > 0 && self.cursor == Some(last);
        }
    }

    /// A call by its name.
    pub fn call(&self, name: &Name) -> Option<&Known> {
        self.calls.get(name)
    }

    /// Grows with whatever may change figures of what is chosen.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// Marks the call under the cursor, or takes its mark away.
    pub fn toggle_mark(&mut self) {
        self.changes += 1;
        if let Some(name) = self.at_cursor().map(Known::name)
            && !self.marked.remove(&name)
        {
            self.marked.insert(name);
        }
    }

    /// Whether a call is marked.
    pub fn is_marked(&self, call: &Known) -> bool {
        !self.marked.is_empty() && self.marked.contains(&call.name())
    }

    /// Takes all marks away.
    pub fn unmark(&mut self) {
        self.changes += 1;
        self.marked.clear();
    }

    /// The calls that are marked, in order; without marks the one under the cursor.
    pub fn chosen(&self) -> Vec<Name> {
        if self.marked.is_empty() {
            return self.at_cursor().map(Known::name).into_iter().collect();
        }
        let mut marked: Vec<Name> = self.marked.iter().cloned().collect();
        marked.sort_unstable();
        marked
    }

    /// The call under the cursor with those that may be its other legs.
    pub fn with_legs(&self) -> Vec<Name> {
        let Some(call) = self.at_cursor() else { return Vec::new() };
        self.calls.values().filter(|other| is_leg(call, other)).map(Known::name).collect()
    }

    /// Marked calls, or all that are shown where none is.
    pub fn selection(&self) -> impl Iterator<Item = &Known> {
        let shown = self.shown.iter().filter(|_| self.marked.is_empty());
        shown.chain(self.marked.iter()).filter_map(|name| self.calls.get(name))
    }

    /// Whether anything is marked.
    pub fn has_marks(&self) -> bool {
        !self.marked.is_empty()
    }

    /// Shows only what `filter` wants.
    pub fn set_filter(&mut self, filter: Option<Filter>) {
        (self.filter, self.stale) = (filter, true);
        let paused = std::mem::take(&mut self.paused);
        self.refresh();
        self.paused = paused;
    }

    /// Stops and goes on.
    pub fn toggle_pause(&mut self) {
        self.paused = !self.paused;
    }

    /// What comes is not shown.
    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// Something came that is not shown.
    pub fn is_stale(&self) -> bool {
        self.stale
    }

    /// Forgets all calls that are over.
    pub fn clear(&mut self) {
        self.calls.retain(|_, call| call.is_up);
        self.with_messages.retain(|name| self.calls.contains_key(name));
        self.sent = self.with_messages.iter().filter_map(|name| self.calls.get(name)).map(bytes).sum();
        self.marked.retain(|name| self.calls.contains_key(name));
        (self.stale, self.cursor) = (true, None);
        let paused = std::mem::take(&mut self.paused);
        self.refresh();
        self.paused = paused;
    }

    /// Goes to the next row whose text has `wanted` in it, in any case, from the one under the cursor on and round. Whether there
    /// is one.
    pub fn find(&mut self, wanted: &str, text: impl Fn(&Known) -> String) -> bool {
        let wanted = wanted.to_lowercase();
        let rows = self.shown.len();
        let from = self.cursor.map_or(0, |at| at + 1);
        let order = (from..rows).chain(0..from.min(rows));
        let found = order
            .into_iter()
            .find(|row| self.row(*row).is_some_and(|call| text(call).to_lowercase().contains(&wanted)));
        if found.is_some() {
            (self.cursor, self.follows) = (found, false);
        }
        found.is_some()
    }
}

/// Whether `other` is `call`, or may be another leg of it: begun within seconds of it, at a host that it passed, about one of the
/// same numbers.
fn is_leg(call: &Known, other: &Known) -> bool {
    if call.name() == other.name() {
        return true;
    }
    let (one, two) = (&call.record, &other.record);
    let apart = one.start.since(two.start).max(two.start.since(one.start));
    let hosts =
        |record: &pipeline::CallRecord| -> Vec<_> { record.endpoints.iter().map(|end| end.address.ip()).collect() };
    let (here, there) = (hosts(one), hosts(two));
    let numbers = |record: &pipeline::CallRecord| -> Vec<String> {
        [&record.caller, &record.callee].into_iter().flatten().map(|number| digits(number)).collect()
    };
    let same = |number: &String| !number.is_empty() && numbers(two).iter().any(|other| ends_alike(number, other));
    one.subject == two.subject
        && apart <= LEGS_APART
        && here.iter().any(|host| there.contains(host))
        && numbers(one).iter().any(same)
}

/// The digits of a number, or all of a name without any.
fn digits(number: &str) -> String {
    let digits: String = number.chars().filter(char::is_ascii_digit).collect();
    if digits.is_empty() { number.to_lowercase() } else { digits }
}

/// Whether one is the end of the other: numbers are said with and without their country.
fn ends_alike(one: &str, other: &str) -> bool {
    let (short, long) = if one.len() <= other.len() { (one, other) } else { (other, one) };
    short == long || short.len() >= SHORTEST_END && long.ends_with(short)
}

fn bytes(call: &Known) -> usize {
    call.record.sent.as_ref().map_or(0, |sent| sent.bytes())
}

/// How long after one leg the other may begin.
const LEGS_APART: std::time::Duration = std::time::Duration::from_secs(5);
/// So many digits at the end of a number are enough.
const SHORTEST_END: usize = 6;
