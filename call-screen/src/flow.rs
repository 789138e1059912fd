//! The ladder of one or several calls: a cursor on its messages, two of them side by side.

use std::sync::Arc;

use call_views::ladder::{self, Picture};
use call_views::{Style, View};
use pipeline::CallRecord;

use crate::known::{Known, Name};

/// A ladder that is looked at.
#[derive(Debug)]
pub struct Flow {
    /// The calls in it.
    pub names: Vec<Name>,
    record: Arc<CallRecord>,
    carrier: Arc<str>,
    ua_type: Arc<str>,
    /// The rung under the cursor.
    cursor: usize,
    /// The message that others are compared with: its place in the ladder.
    marked: Option<usize>,
    /// The first line of the message that is shown.
    scroll: usize,
    /// The message takes the whole screen.
    pub whole: bool,
    /// The message is shown beside the ladder.
    pub beside: bool,
    /// Bodies are shown.
    pub bodies: bool,
    /// Streams stand in the ladder.
    pub streams: bool,
}

impl Flow {
    /// The ladder of these calls; `None` of none.
    pub fn new(calls: &[&Known]) -> Option<Self> {
        let first = calls.first()?;
        let mut flow = Self {
            names: calls.iter().map(|call| call.name()).collect(),
            record: Arc::clone(&first.record),
            carrier: Arc::clone(&first.carrier),
            ua_type: Arc::clone(&first.ua_type),
            cursor: 0,
            marked: None,
            scroll: 0,
            whole: false,
            beside: true,
            bodies: true,
            streams: true,
        };
        flow.update(calls);
        Some(flow)
    }

    /// Takes what is known of the calls now.
    pub fn update(&mut self, calls: &[&Known]) {
        let records: Vec<&CallRecord> = calls.iter().map(|call| &*call.record).collect();
        let Some(record) = ladder::joined(&records) else { return };
        self.record = Arc::new(record);
        self.cursor = self.cursor.min(self.rungs().saturating_sub(1));
    }

    /// As views take it.
    pub fn view(&self) -> View<'_> {
        View { record: &self.record, carrier: &self.carrier, ua_type: &self.ua_type }
    }

    /// The ladder as it is drawn.
    pub fn picture(&self, style: &Style) -> Picture {
        match self.streams || self.record.media.is_none() {
            true => ladder::picture(&self.record, style),
            false => ladder::picture(&CallRecord { media: None, ..(*self.record).clone() }, style),
        }
    }

    fn rungs(&self) -> usize {
        self.picture(&Style { width: Some(Style::NARROWEST), ..Style::default() }).rungs.len()
    }

    /// The rung under the cursor.
    pub fn cursor(&self) -> usize {
        self.cursor
    }

    /// Moves the cursor by so many rungs.
    pub fn step(&mut self, rungs: isize) {
        let last = self.rungs().saturating_sub(1);
        (self.cursor, self.scroll) = (self.cursor.saturating_add_signed(rungs).min(last), 0);
    }

    /// The message under the cursor: its place in the ladder; `None` on a stream.
    pub fn message(&self) -> Option<usize> {
        self.picture(&Style::default()).rungs.get(self.cursor)?.message
    }

    /// The first line of the message that is shown.
    pub fn scroll(&self) -> usize {
        self.scroll
    }

    /// Scrolls the message; `lines` it has.
    pub fn scroll_by(&mut self, by: isize, lines: usize) {
        self.scroll = self.scroll.saturating_add_signed(by).min(lines.saturating_sub(1));
    }

    /// The message that others are compared with.
    pub fn marked(&self) -> Option<usize> {
        self.marked
    }

    /// Marks the message under the cursor for comparison, or takes the mark away.
    pub fn toggle_mark(&mut self) {
        let message = self.message();
        self.marked = if self.marked == message { None } else { message };
    }

    /// Goes to the next message with `wanted` in it, in any case. Whether there is one.
    pub fn find(&mut self, wanted: &str) -> bool {
        let wanted = wanted.to_lowercase();
        let picture = self.picture(&Style::default());
        let rungs = picture.rungs.len();
        let has = |rung: &usize| {
            let rung = &picture.rungs[*rung];
            let sent = self.record.sent.as_ref().zip(rung.message).and_then(|(sent, place)| sent.message(place));
            let sent = sent.map(|message| String::from_utf8_lossy(message).to_lowercase());
            sent.is_some_and(|text| text.contains(&wanted)) || rung.text.to_lowercase().contains(&wanted)
        };
        let found = (self.cursor + 1..rungs).chain(0..rungs.min(self.cursor + 1)).find(has);
        if let Some(found) = found {
            (self.cursor, self.scroll) = (found, 0);
        }
        found.is_some()
    }
}
