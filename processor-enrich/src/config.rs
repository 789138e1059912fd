//! `[processors.enrich]` in pipeline.toml: a configuration in, tables ready for look-ups or every problem out.

use std::collections::HashMap;
use std::sync::Arc;

use pipeline::settings::expressions::Expressions;
use pipeline::settings::{Problems, network};
use serde::{Deserialize, Serialize};

use crate::carriers::{Carriers, Network};

/// Most carriers, and most labels of User-Agents, so that the series of a metric stay countable.
pub const MAX_LABELS: usize = 256;

/// Which labels there are. Empty by default: everything is `other`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema, Serialize)]
#[serde(default)]
pub struct Config {
    /// Values of the label `carrier`, by source address of the request; the longest matching prefix wins.
    pub carriers: Vec<Carrier>,
    /// Values of the label `ua_type`, by User-Agent of the request; the first entry that matches wins.
    pub user_agents: Vec<UserAgent>,
}

/// One carrier.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema, Serialize)]
pub struct Carrier {
    /// The label's value.
    pub name: String,
    /// Its networks, IPv4 or IPv6, in the form `10.1.0.0/16`.
    pub cidrs: Vec<String>,
}

/// One kind of User-Agent.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema, Serialize)]
pub struct UserAgent {
    /// Regular expression that matches anywhere in the value.
    pub regex: String,
    /// The label's value.
    pub label: String,
}

/// What a [`crate::Enrich`] works with.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    pub(crate) carriers: Arc<Carriers>,
    /// Names of the carriers, by index.
    pub(crate) carrier_names: Vec<String>,
    pub(crate) user_agents: Expressions,
    /// Labels of the User-Agents, by index.
    pub(crate) user_agent_labels: Vec<String>,
}

impl Config {
    /// Everything ready for look-ups; `None` after an error. All problems are told, with the path inside this table.
    pub fn check(self, problems: &mut Problems) -> Option<Settings> {
        let mut found = Problems::default();
        let carriers = check_carriers(&self.carriers, &mut found);
        let user_agents = check_user_agents(&self.user_agents, &mut found);
        let sound = !found.has_errors();
        problems.append(found);
        Some(Settings {
            carriers: Arc::new(carriers),
            carrier_names: self.carriers.into_iter().map(|carrier| carrier.name).collect(),
            user_agents: user_agents?,
            user_agent_labels: self.user_agents.into_iter().map(|agent| agent.label).collect(),
        })
        .filter(|_| sound)
    }
}

fn check_carriers(carriers: &[Carrier], problems: &mut Problems) -> Carriers {
    let names = carriers.iter().map(|carrier| carrier.name.as_str());
    check_labels("carriers", "name", names, "put its networks under the first one", problems);
    let mut networks = Vec::new();
    for (carrier, Carrier { name, cidrs }) in carriers.iter().enumerate() {
        if cidrs.is_empty() {
            let path = format!("carriers[{carrier}].cidrs");
            problems.warning(path, format!("carrier {name:?} has no networks"), "add some, or take the carrier out");
        }
        for (index, text) in cidrs.iter().enumerate() {
            let path = format!("carriers[{carrier}].cidrs[{index}]");
            match network::parse(text) {
                Ok(net) => networks.push(Network { net, carrier, path }),
                Err((what, help)) => problems.error(path, what, help),
            }
        }
    }
    Carriers::new(networks, |inner, outer| overlap(inner, outer, carriers, problems))
}

/// `inner` lies within `outer`, or is the same network; `outer` is the smallest network that does.
fn overlap(inner: &Network, outer: &Network, carriers: &[Carrier], problems: &mut Problems) {
    let Network { net, path, .. } = inner;
    let (name, other) = (&carriers[inner.carrier].name, &carriers[outer.carrier].name);
    if inner.net == outer.net && inner.carrier == outer.carrier {
        problems.warning(path, format!("{net} is listed twice for carrier {name:?}"), "take one out");
    } else if inner.net == outer.net {
        let what = format!("{net} belongs to carrier {other:?} already ({})", outer.path);
        problems.error(path, what, "take it out of one of the two: no longer prefix decides between them");
    } else if inner.carrier != outer.carrier {
        let what = format!("{net} of carrier {name:?} lies within {} of carrier {other:?} ({})", outer.net, outer.path);
        problems.warning(path, what, format!("its addresses count for {name:?}; take it out if that is not meant"));
    }
}

fn check_user_agents(agents: &[UserAgent], problems: &mut Problems) -> Option<Expressions> {
    let labels = agents.iter().map(|agent| agent.label.as_str());
    let help = "join the two expressions with `|`, or give each a label of its own";
    check_labels("user_agents", "label", labels, help, problems);
    let mut sound = true;
    for (index, UserAgent { regex, .. }) in agents.iter().enumerate() {
        let path = format!("user_agents[{index}].regex");
        if regex.is_empty() {
            problems.error(path, "an empty expression matches every User-Agent", "write '.*' if that is meant");
        } else if let Err(error) = Expressions::check(regex) {
            problems.error(path, format!("{regex:?} is no expression to search for: {}", error.what), error.help);
            sound = false;
        }
    }
    // An expression that is wrong by itself would be wrong again among the others.
    let regexes: Vec<&str> = agents.iter().filter(|_| sound).map(|agent| agent.regex.as_str()).collect();
    match Expressions::new(&regexes) {
        Ok(user_agents) => Some(user_agents),
        Err(error) => {
            problems.error("user_agents", format!("the expressions together: {}", error.what), error.help);
            None
        }
    }
}

/// Values of one label: none empty, none twice, not too many.
fn check_labels<'a>(
    list: &str,
    key: &str,
    labels: impl ExactSizeIterator<Item = &'a str>,
    cure_for_two: &str,
    problems: &mut Problems,
) {
    if labels.len() > MAX_LABELS {
        let what = format!("{} labels are more than {MAX_LABELS}", labels.len());
        problems.error(format!("{list}[{MAX_LABELS}]"), what, "join some, so that the metrics stay countable");
    }
    let mut first = HashMap::new();
    for (index, label) in labels.enumerate() {
        let path = format!("{list}[{index}].{key}");
        if label.trim().is_empty() {
            problems.error(path, "the label is empty", "name it; what matches nothing is \"other\" already");
        } else if let Some(before) = first.get(label) {
            problems.error(path, format!("{label:?} is used by {list}[{before}] already"), cure_for_two);
        } else {
            first.insert(label, index);
        }
    }
}

#[cfg(test)]
mod tests;
