//! `[[service.rule]]`: what is checked in rules, and what they come to.

use affinity::policy::{Conditional, is_spared};
use affinity::steer::{self, Kind, Limit, Rule, Then};
use pipeline::settings::Problems;
use sip::Method;

use super::check::{few_rules, networks, not_between};
use super::{Action, MatchTable, Over, Per, RuleTable, ServiceTable};

/// The rules of a service, those that can be used.
pub(super) fn check(table: &ServiceTable, path: &str, problems: &mut Problems) -> Vec<Conditional> {
    few_rules(table.rule.len(), path, problems);
    let rules = table.rule.iter().enumerate();
    rules.filter_map(|(place, rule)| check_rule(rule, &format!("{path}.rule[{place}]"), problems)).collect()
}

fn check_rule(table: &RuleTable, path: &str, problems: &mut Problems) -> Option<Conditional> {
    let when = &table.r#match;
    let methods = methods(&when.method, &format!("{path}.match.method"), problems);
    let networks = networks(&when.cidr, &format!("{path}.match.cidr"), problems);
    let then = then(table, path, problems)?;
    check_match(when, &methods, then, path, problems);
    let priority = number(table.priority, 7, &format!("{path}.priority"), problems);
    let dscp = number(table.dscp, 63, &format!("{path}.dscp"), problems);
    let MatchTable { emergency, overload, in_dialog, no_call_id, .. } = *when;
    let rule = Rule { then, priority, dscp };
    Some(Conditional { methods, networks, emergency, overload, in_dialog, no_call_id, rule })
}

fn methods(names: &[String], path: &str, problems: &mut Problems) -> Vec<Method> {
    let mut methods = Vec::new();
    for (place, name) in names.iter().enumerate() {
        let method = Method::named(name.as_bytes());
        if method == Method::Other && name != Method::Other.as_str() {
            let known = Method::ALL.map(Method::as_str).join(", ");
            let help = format!("write one of {known}");
            problems.error(format!("{path}[{place}]"), format!("{name:?} is no method that is known here"), help);
        } else {
            methods.push(method);
        }
    }
    methods
}

/// What the rule does.
fn then(table: &RuleTable, path: &str, problems: &mut Problems) -> Option<Then> {
    match (table.action, &table.limit) {
        (Some(Action::Steer), None) => Some(Then::Steer),
        (Some(Action::Pass), None) => Some(Then::Pass),
        (Some(Action::Drop), None) => Some(Then::Drop),
        (None, Some(table)) => {
            let per = match table.per {
                Per::Service => steer::Per::Service,
                Per::Source => steer::Per::Source,
            };
            let over = match table.over {
                Over::Drop => steer::Over::Drop,
                Over::Count => steer::Over::Count,
            };
            limit(table.rate, table.burst, &format!("{path}.limit"), problems).map(|limit| Then::Limit {
                limit,
                per,
                over,
            })
        }
        (Some(_), Some(_)) => {
            problems.error(path, "it has both `action` and `limit`", "keep one of them");
            None
        }
        (None, None) => {
            let help = "add action = \"steer\", \"pass\" or \"drop\", or limit = { rate, burst, per, over }";
            problems.error(path, "it does nothing", help);
            None
        }
    }
}

/// A limit whose numbers are some.
pub(super) fn limit(rate: u32, burst: u32, path: &str, problems: &mut Problems) -> Option<Limit> {
    let mut good = true;
    for (key, value) in [("rate", rate), ("burst", burst)] {
        if !(1..=MOST_MESSAGES).contains(&value) {
            let help = match key {
                "rate" => "it is messages a second; to let none through use action = \"drop\"",
                _ => "it is messages at once, at least 1",
            };
            problems.error(format!("{path}.{key}"), not_between(value, 1, MOST_MESSAGES), help);
            good = false;
        }
    }
    good.then_some(Limit { rate, burst })
}

/// Greatest `rate` and `burst`.
const MOST_MESSAGES: u32 = 1_000_000;

/// Refuses what could never apply, and what would break dialogs.
fn check_match(when: &MatchTable, methods: &[Method], then: Then, path: &str, problems: &mut Problems) {
    let splits = !when.method.is_empty() || when.emergency || when.overload;
    if then == Then::Pass && splits {
        let what = "`pass` with a method, `emergency` or `overload` would split dialogs";
        problems.error(path, what, "match by `cidr` alone, or use another action");
    }
    let spared = |method: &Method| is_spared(Kind::Request(*method));
    if !methods.is_empty() && methods.len() == when.method.len() && methods.iter().all(spared) {
        let what = "ACK, BYE, CANCEL and PRACK are never limited, nor dropped by method";
        problems.error(format!("{path}.match.method"), what, "name other methods, or match by `cidr` alone");
    }
    if when.emergency && !methods.is_empty() && !methods.contains(&Method::Invite) {
        let what = "only an INVITE is a call for help, so this never applies";
        problems.error(format!("{path}.match.method"), what, "take `method` or `emergency` out");
    }
}

fn number(value: Option<u32>, most: u8, path: &str, problems: &mut Problems) -> Option<u8> {
    let value = value?;
    if value > u32::from(most) {
        problems.error(path, not_between(value, 0, most), "leave it out to leave packets as they are");
    }
    u8::try_from(value).ok()
}
