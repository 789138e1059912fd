//! A call that is shown, or what happened outside calls: its record with the names of its labels.

use std::sync::Arc;

use call_views::View;
use pipeline::CallRecord;
use wire::Timestamp;

/// What is known of a call. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Known {
    /// Its record: of a call that goes on perhaps without its messages.
    pub record: Arc<CallRecord>,
    /// The label `carrier`.
    pub carrier: Arc<str>,
    /// The label `ua_type`.
    pub ua_type: Arc<str>,
    /// How often the same happened; 1 of a call.
    pub times: u32,
    /// It goes on.
    pub is_up: bool,
}

/// Which call it is: a Call-ID may begin anew. In the order calls begin.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    /// When it began.
    pub start: Timestamp,
    /// Its Call-ID.
    pub call_id: Arc<str>,
}

impl Known {
    /// Which call it is.
    pub fn name(&self) -> Name {
        Name { start: self.record.start, call_id: (&*self.record.call_id).into() }
    }

    /// As views and filters take it.
    pub fn view(&self) -> View<'_> {
        View { record: &self.record, carrier: &self.carrier, ua_type: &self.ua_type }
    }
}
