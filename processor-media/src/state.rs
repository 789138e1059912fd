//! Everything that is listened to, and the order in which things happen: notes about calls, packets, reports and what falls
//! due, by time (0.2).

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;
use pipeline::media::{Heard, MediaError, MediaFact, MediaPorts, MediaTable};
use pipeline::{Call, Facts, FrameBatch, Slot};
use wire::Timestamp;

use crate::ahead::{AHEAD, Found};
use crate::calls::Call as CallState;
use crate::config::Settings;
use crate::judge::Hosts;
use crate::places::Places;
use crate::reports::RecentReports;
use crate::sessions::Session;
use crate::slab::Slab;
use crate::streams::{Newcomers, Streams};
use crate::timers::{Due, Timers};
use crate::unknown::Candidates;

/// Everything that is listened to.
pub struct State {
    pub settings: Settings,
    /// Somebody wants records.
    pub records: bool,
    pub calls: HashMap<u64, CallState, RandomState>,
    pub sessions: Slab<Session>,
    pub serial: u64,
    pub places: Places,
    pub streams: Streams,
    pub newcomers: Newcomers,
    pub timers: Timers,
    /// When media of a host were last seen (5.7).
    pub hosts: Hosts,
    /// When records of media packets were last dropped.
    pub dropped: Option<Timestamp>,
    pub hash: RandomState,
    pub recent: RecentReports,
    /// Streams whose packets of this batch are not stated yet.
    pub touched: Vec<u32>,
    /// Streams without a description, where these are wanted.
    pub unknown: Option<Candidates>,
    /// It was said that somebody listens.
    said: bool,
}

/// Where facts go, and the bytes notes refer to.
pub struct Out<'a> {
    heard: &'a mut Vec<Heard>,
    pub calls: &'a mut [Call],
    pub text: &'a [u8],
}

impl Out<'_> {
    /// States a fact.
    pub fn push(&mut self, slot: Slot, fact: MediaFact) {
        self.heard.push(Heard { slot, fact });
    }

    /// Something was refused because a table is full.
    pub fn refused(&mut self, table: MediaTable) {
        self.push(Slot::OTHER, MediaFact::Refused(table));
    }

    /// Something could not be read.
    pub fn unreadable(&mut self, what: MediaError) {
        self.push(Slot::OTHER, MediaFact::Unreadable(what));
    }
}

impl State {
    /// Nothing is known yet.
    pub fn new(settings: Settings, records: bool, ports: Option<Arc<MediaPorts>>) -> Self {
        let config = &settings.config;
        Self {
            records,
            calls: HashMap::default(),
            sessions: Slab::default(),
            serial: 0,
            places: Places::new(config.max_endpoints, ports),
            streams: Streams::new(config.max_streams),
            newcomers: Newcomers::default(),
            timers: Timers::default(),
            hosts: Hosts::new(config.max_endpoints),
            dropped: None,
            hash: RandomState::default(),
            recent: RecentReports::default(),
            touched: Vec::new(),
            unknown: None,
            said: false,
            settings,
        }
    }

    /// Takes a batch, and what was stated about it.
    pub fn take(&mut self, batch: &FrameBatch, facts: &mut Facts) {
        if batch.tally.media_drops > 0 {
            self.dropped = Some(batch.now);
        }
        let notes = std::mem::take(&mut facts.notes);
        let mut out = Out { heard: &mut facts.heard, calls: &mut facts.calls, text: &facts.text };
        if !std::mem::replace(&mut self.said, true) {
            out.push(Slot::OTHER, MediaFact::Listening);
        }
        let (mut told, mut reports) = (notes.iter().peekable(), batch.rtcp.iter().peekable());
        let mut found = [Found::default(); AHEAD];
        for packets in batch.media.chunks(AHEAD) {
            let then = self.look_ahead(packets, &mut found);
            for (packet, found) in packets.iter().zip(&found) {
                // What was signalled at the same time was signalled before.
                while let Some(note) = told.next_if(|note| note.at <= packet.at) {
                    self.fire(note.at, &mut out);
                    self.on_note(note, &mut out);
                }
                while let Some(report) = reports.next_if(|report| report.at <= packet.at) {
                    self.fire(report.at, &mut out);
                    self.on_rtcp(report, &batch.bytes[report.range.clone()], &mut out);
                }
                self.fire(packet.at, &mut out);
                let current = then == self.changes();
                let found = if current { *found } else { self.look_up(packet) };
                self.on_packet(packet, found, &mut out);
            }
        }
        loop {
            let (note, report) = (told.peek().map(|note| note.at), reports.peek().map(|report| report.at));
            match (note, report) {
                (Some(note_at), report_at) if report_at.is_none_or(|at| note_at <= at) => {
                    self.fire(note_at, &mut out);
                    if let Some(note) = told.next() {
                        self.on_note(note, &mut out);
                    }
                }
                (_, Some(report_at)) => {
                    self.fire(report_at, &mut out);
                    if let Some(report) = reports.next() {
                        self.on_rtcp(report, &batch.bytes[report.range.clone()], &mut out);
                    }
                }
                _ => break,
            }
        }
        self.fire(batch.now, &mut out);
        self.state_packets(&mut out);
        facts.notes = notes;
    }

    /// Does what is due at `now` or before (0.2: at equality the timer wins).
    #[inline(always)]
    fn fire(&mut self, now: Timestamp, out: &mut Out<'_>) {
        if self.timers.is_due(now) {
            self.fire_due(now, out);
        }
    }

    #[inline(never)]
    fn fire_due(&mut self, now: Timestamp, out: &mut Out<'_>) {
        while let Some((at, due)) = self.timers.pop(now) {
            match due {
                Due::Interval { stream, first } => self.on_interval_due(stream, first, at, out),
                Due::Silence { stream, first } => self.on_silence_due(stream, first, at, out),
                Due::Judge { session, serial } if self.is_current(session, serial) => self.judge(session, at, out),
                Due::Stopped { session, serial } if self.is_current(session, serial) => {
                    self.judge_silence(session, serial, at, out);
                }
                Due::Release { session, serial } if self.is_current(session, serial) => self.release(session, at, out),
                Due::Judge { .. } | Due::Stopped { .. } | Due::Release { .. } => {}
            }
        }
    }

    fn is_current(&self, session: u32, serial: u64) -> bool {
        self.sessions.get(session).is_some_and(|session| session.serial == serial)
    }
}
