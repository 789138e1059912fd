//! `replay --calls FILE`: one JSON object a line for each call, in the order they ended.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pipeline::engine::Sink;
use pipeline::metrics::LabelSets;
use pipeline::{CallRecord, Facts, FrameBatch};
use serde::Serialize;
use wire::Timestamp;

/// Writes the calls that come out of a pipeline. Cheap to clone: all clones write to the same place.
#[derive(Clone)]
pub struct Calls {
    label_sets: Arc<LabelSets>,
    out: Arc<Mutex<Out>>,
}

struct Out {
    to: Box<dyn Write + Send>,
    /// The first thing that went wrong; nothing is written after it.
    result: std::io::Result<()>,
}

impl Calls {
    /// Writes to `to`; labels are named by `label_sets`.
    pub fn new(to: Box<dyn Write + Send>, label_sets: Arc<LabelSets>) -> Self {
        Self { label_sets, out: Arc::new(Mutex::new(Out { to, result: Ok(()) })) }
    }

    /// Whether everything was written.
    pub fn finish(self) -> std::io::Result<()> {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut out.result, Ok(()))?;
        out.to.flush()
    }
}

impl Sink for Calls {
    fn take(&mut self, _: &FrameBatch, facts: &Facts) {
        if facts.calls.is_empty() {
            return;
        }
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        for pipeline::Call { record, .. } in &facts.calls {
            let (carrier, ua_type) = self.label_sets.names(facts.labels(record.slot));
            if out.result.is_ok() {
                out.result = line(&mut out.to, record, carrier, ua_type);
            }
        }
    }
}

fn line(to: &mut dyn Write, record: &CallRecord, carrier: &str, ua_type: &str) -> std::io::Result<()> {
    serde_json::to_writer(&mut *to, &Call::new(record, carrier, ua_type))?;
    to.write_all(b"\n")
}

/// A call as it is written.
#[derive(Serialize)]
struct Call<'a> {
    call_id: &'a str,
    start: String,
    caller: Option<&'a str>,
    callee: Option<&'a str>,
    source: String,
    destination: String,
    transport: &'static str,
    carrier: &'a str,
    ua_type: &'a str,
    outcome: &'static str,
    status: Option<u16>,
    end: Option<&'static str>,
    setup_seconds: Option<f64>,
    ring_seconds: Option<f64>,
    duration_seconds: Option<f64>,
    trace_id: String,
    messages: u32,
}

impl<'a> Call<'a> {
    fn new(record: &'a CallRecord, carrier: &'a str, ua_type: &'a str) -> Self {
        let seconds = |duration: Option<Duration>| duration.map(|duration| duration.as_secs_f64());
        Self {
            call_id: &record.call_id,
            start: rfc3339(record.start),
            caller: record.caller.as_deref(),
            callee: record.callee.as_deref(),
            source: record.endpoint(record.source).address.to_string(),
            destination: record.endpoint(record.destination).address.to_string(),
            transport: record.transport.as_str(),
            carrier,
            ua_type,
            outcome: record.outcome,
            status: record.status,
            end: record.end,
            setup_seconds: seconds(record.setup),
            ring_seconds: seconds(record.ring),
            duration_seconds: seconds(record.duration),
            trace_id: record.trace(carrier).id.iter().map(|byte| format!("{byte:02x}")).collect(),
            messages: record.messages,
        }
    }
}

/// `2026-01-01T00:00:00.000000Z` (RFC 3339, UTC, microseconds).
fn rfc3339(time: Timestamp) -> String {
    let nanos = time.as_nanos();
    let (seconds, micros) = (nanos / 1_000_000_000, nanos % 1_000_000_000 / 1000);
    let (year, month, day) = date(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
}

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar. Years are counted from
/// March, so that the leap day is the last of its year.
fn date(day: u64) -> (u64, u64, u64) {
    // Days from 0000-03-01 to 1970-01-01.
    let day = day + 719_468;
    let (era, day_of_era) = (day / 146_097, day % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let months_since_march = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * months_since_march + 2) / 5 + 1;
    let month = (months_since_march + 2) % 12 + 1;
    (era * 400 + year_of_era + u64::from(month <= 2), month, day_of_month)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_rfc_3339() {
        for (nanos, text) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (1_767_225_600_000_000_000, "2026-01-01T00:00:00.000000Z"),
            (951_782_400_123_456_789, "2000-02-29T00:00:00.123456Z"),
            (4_107_542_399_999_999_999, "2100-02-28T23:59:59.999999Z"),
            (4_107_542_400_000_000_000, "2100-03-01T00:00:00.000000Z"),
        ] {
            assert_eq!(rfc3339(Timestamp::from_nanos(nanos)), text);
        }
    }
}
