//! Rules with their conditions, and the table they come to.
//!
//! What ends or acknowledges something (ACK, BYE, CANCEL, PRACK, responses) is never limited, and a call for help within its
//! limit meets no limit either: for these there are only rules that name networks and no method, and rules for emergencies.

use ipnet::IpNet;
use sip::Method;

use super::Classes;
use crate::steer::{CLASSES, Kind, Marks, Rule, RuleTable, Then};

/// A rule and when it applies: everything that is said has to fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conditional {
    /// Methods; empty: all, and responses.
    pub methods: Vec<Method>,
    /// Networks of senders; empty: all.
    pub networks: Vec<IpNet>,
    /// Only calls for help within their limit.
    pub emergency: bool,
    /// Only while the service is overloaded.
    pub overload: bool,
    /// Also requests with a To tag.
    pub in_dialog: bool,
    /// Only what has no Call-ID.
    pub no_call_id: bool,
    /// What happens.
    pub rule: Rule,
}

impl Conditional {
    /// Whether it applies to a message of a sender whom it names, or who does not matter.
    fn applies(&self, kind: Kind, marks: Marks) -> bool {
        let by_network = self.goes_by_network();
        let fits = (!self.emergency || marks.emergency)
            && (!self.overload || marks.overload)
            && (!self.no_call_id || marks.no_call_id);
        let method = match kind {
            Kind::Request(method) => self.methods.is_empty() || self.methods.contains(&method),
            Kind::Response => self.methods.is_empty(),
        };
        fits && method
            && (by_network || self.in_dialog || !marks.in_dialog)
            && (by_network || !is_spared(kind))
            && (by_network || self.emergency || !marks.emergency)
    }

    /// It is about senders and nothing they send: everything of theirs falls under it, within dialogs too, for a dialog
    /// that is half passed or half dropped is broken.
    fn goes_by_network(&self) -> bool {
        let whole = matches!(self.rule.then, Then::Steer | Then::Pass | Then::Drop);
        let everyone = self.networks.is_empty() && self.rule.then != Then::Pass;
        whole && self.methods.is_empty() && !everyone
    }
}

/// What is never limited, and dropped by network alone.
pub fn is_spared(kind: Kind) -> bool {
    matches!(kind, Kind::Response | Kind::Request(Method::Ack | Method::Bye | Method::Cancel | Method::Prack))
}

/// The number of the first rule that applies, for everything that may come.
pub(super) fn table(rules: &[Conditional], classes: &Classes) -> RuleTable {
    let named: Vec<[bool; CLASSES as usize]> = rules
        .iter()
        .map(|rule| {
            let all = rule.networks.is_empty();
            std::array::from_fn(|class| all || classes.is_in(class as u8, &rule.networks))
        })
        .collect();
    // At most 32 of them, which fit.
    RuleTable::new(|kind, class, marks| {
        let applies = |(rule, named): (&Conditional, &[bool; CLASSES as usize])| {
            named[usize::from(class)] && rule.applies(kind, marks)
        };
        rules.iter().zip(&named).position(applies).map_or(0, |place| place as u8 + 1)
    })
}
