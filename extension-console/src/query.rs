//! What is asked for: the query of an address in, a filter out.

use call_filter::Filter;
use pipeline::call::live::ShownNumber;

use crate::entry::Entry;

/// Which calls are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Query {
    /// An outcome, or `failed`.
    pub outcome: Option<Box<str>>,
    /// The label.
    pub carrier: Option<Box<str>>,
    /// A carrier that an INVITE of it came from or was sent to.
    pub trunk: Option<Box<str>>,
    /// A number of caller or callee, as records show it.
    pub number: Option<Box<str>>,
    /// Part of a Call-ID, in any case.
    pub call_id: Option<Box<str>>,
    /// `Some(true)` for calls that are up, `Some(false)` for those that ended.
    pub live: Option<bool>,
    /// What else they have to be.
    pub filter: Option<Filter>,
    /// What is wrong with its media.
    pub media: Option<Ailment>,
    /// Most calls in the answer.
    pub limit: Option<usize>,
}

/// What is wrong with the media of a call that is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ailment {
    /// A fault, or an interval with a MOS-CQ below 3.5.
    Poor,
    /// A fault.
    Fault,
}

/// Why an address is not understood; the text is for its writer.
#[derive(Debug, PartialEq, Eq)]
pub struct NotUnderstood(pub String);

impl Query {
    /// Reads a query; keys that are `others`' are passed over. Empty values count as left out.
    pub fn read(query: &str, others: &[&str]) -> Result<Self, NotUnderstood> {
        let mut read = Self::default();
        for (key, value) in form_urlencoded::parse(query.as_bytes()) {
            if value.len() > LONGEST && key != "filter" {
                return Err(NotUnderstood(format!("{key} is too long")));
            }
            let text = || (!value.is_empty()).then(|| Box::<str>::from(&*value));
            match &*key {
                "outcome" => read.outcome = text(),
                "carrier" => read.carrier = text(),
                "trunk" => read.trunk = text(),
                "number" => read.number = text(),
                "call_id" => read.call_id = text().map(|text| text.to_lowercase().into()),
                "state" => {
                    read.live = match &*value {
                        "" => None,
                        "live" => Some(true),
                        "ended" | "recent" => Some(false),
                        _ => return Err(NotUnderstood("state is live or ended".to_owned())),
                    }
                }
                "filter" if value.trim().is_empty() => {}
                "filter" => {
                    let filter = Filter::parse(&value);
                    read.filter = Some(filter.map_err(|error| NotUnderstood(format!("filter: {error}")))?);
                }
                "media" => {
                    read.media = match &*value {
                        "" => None,
                        "poor" => Some(Ailment::Poor),
                        "fault" => Some(Ailment::Fault),
                        _ => return Err(NotUnderstood("media is poor or fault".to_owned())),
                    }
                }
                "limit" => {
                    let limit = value.parse().ok().filter(|limit| *limit > 0);
                    read.limit = Some(limit.ok_or_else(|| NotUnderstood("limit is a number from 1 on".to_owned()))?);
                }
                other if others.contains(&other) => {}
                _ => {
                    let keys = "outcome, carrier, trunk, number, call_id, state, filter, media and limit";
                    return Err(NotUnderstood(format!("there is no such filter; there are {keys}")));
                }
            }
        }
        Ok(read)
    }

    /// Whether a call is wanted; `shown` is the number as records show it.
    pub fn wants(&self, entry: &Entry, shown: Option<&ShownNumber>) -> bool {
        let record = &entry.record;
        let is_live = entry.is_live();
        self.live.is_none_or(|live| live == is_live)
            && self.media.is_none_or(|ailment| {
                record.media.as_ref().is_some_and(|media| match ailment {
                    Ailment::Poor => media.is_poor(),
                    Ailment::Fault => !media.faults.is_empty(),
                })
            })
            && self.carrier.as_ref().is_none_or(|carrier| **carrier == *entry.carrier)
            && self.trunk.as_ref().is_none_or(|carrier| {
                let mut carriers = record.transactions.iter().flat_map(|transaction| transaction.carriers());
                carriers.any(|(_, of_trunk)| **of_trunk == **carrier)
            })
            && self.outcome.as_ref().is_none_or(|outcome| match &**outcome {
                "failed" => !is_live && entry.view().failed(),
                outcome => record.outcome == outcome,
            })
            && self.filter.as_ref().is_none_or(|filter| filter.wants(&entry.view()))
            && self.call_id.as_ref().is_none_or(|part| record.call_id.to_lowercase().contains(&**part))
            && (self.number.is_none()
                || shown.is_some_and(|shown| {
                    let numbers = [&record.caller, &record.callee];
                    numbers.into_iter().flatten().any(|number| shown.matches(number))
                }))
    }
}

/// Longest value; a filter has a bound of its own.
const LONGEST: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_read_and_what_is_none_is_said() {
        let query =
            Query::read("outcome=busy&carrier=a%20b&trunk=c&call_id=AbC&state=live&limit=7&number=&call=x", &["call"]);
        let query = query.expect("it is right");
        assert_eq!((query.outcome.as_deref(), query.carrier.as_deref()), (Some("busy"), Some("a b")));
        assert_eq!((query.call_id.as_deref(), query.live, query.limit), (Some("abc"), Some(true), Some(7)));
        assert_eq!((query.trunk.as_deref(), query.number), (Some("c"), None));
        for wrong in [
            "limit=0",
            "limit=-1",
            "limit=x",
            "state=up",
            "outcomes=busy",
            "filter=setup%20%3E%203",
            &format!("number={}", "1".repeat(2000)),
        ] {
            assert!(Query::read(wrong, &[]).is_err(), "{wrong}");
        }
    }
}
