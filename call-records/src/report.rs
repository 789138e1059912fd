//! Reports of voice quality about calls whose records have left, or that were not seen: a record of its own for each, in the
//! trace of the call it names (RFC 6035; `sip-metrics.md` 5.6).

use pipeline::call::Subject;
use pipeline::call::ladder::Endpoint;
use pipeline::{CallRecord, Facts, SipFrame, Slot};
use sip::Message;

use crate::call::shown;
use crate::config::Addresses;
use crate::identity::{self, Identity};
use crate::privacy::Own;
use crate::records::Records;
use crate::single::FINAL;

/// A report that was accepted.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// The call it names.
    pub call_id: &'a [u8],
    /// All of it.
    pub body: &'a [u8],
}

impl Records {
    /// Makes the record of a report that `response` accepts, and gives its place among those that leave; `None` where
    /// nobody wants records of anything but calls. Its trace is that of the Call-ID it names: where traces get their ids
    /// from elsewhere, it stands alone.
    pub fn report(
        &mut self,
        report: &Report<'_>,
        response: &Message<'_>,
        frame: &SipFrame,
        slot: Slot,
        out: &mut Facts,
    ) -> Option<usize> {
        if !self.wanted.requests {
            return None;
        }
        let privacy = &self.config.privacy;
        let mut own = Own::default();
        own.learn(response, privacy);
        own.learn_report(report.body, privacy);
        let token = self.config.id_token(report.call_id, &own);
        let trace_id = identity::trace_id(token.as_ref().map_or(report.call_id, |token| &token[..]));
        let span = Identity::new(&self.wanted.instance, report.call_id, token);
        let span = span.span("report", identity::cseq(response), response.via.branch);
        // A response comes from where its request went.
        let endpoints = [frame.destination, frame.source].map(|address| Endpoint { address: privacy.address(address) });
        let record = CallRecord {
            slot,
            call_id: privacy.call_id(report.call_id, &own),
            trace_id,
            span,
            outcome: FINAL,
            destination: 1,
            transport: frame.transport,
            endpoints: endpoints.into(),
            hides_addresses: privacy.ip == Addresses::Prefix,
            ..CallRecord::begun(Subject::Report, shown(frame.at, frame.wall_offset))
        };
        self.send(record, out);
        Some(out.calls.len() - 1)
    }
}
