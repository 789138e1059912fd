//! Media in `doctor`: whether they can be captured, and, of a running instance, whether both directions pass here.
//!
//! Half a mirror shows in calls alone, and not in a moment of listening: nearly every one of them is heard one way. So the
//! counters of the instance that runs are asked, where its configuration says that it serves them.

use std::net::SocketAddr;
use std::time::Duration;

use exporter::prometheus::Settings;
use pipeline::ComponentId;

use super::line;
use super::page::{Page, page, reachable};
use crate::settings::Loaded;

/// What is to be said of media; nothing where no pipeline listens to them. `classic`: there is no eBPF here.
pub fn findings(loaded: &Loaded, classic: bool) -> Vec<String> {
    if !is_listened_to(loaded) {
        return Vec::new();
    }
    if classic {
        let what = "the classic filter keeps none, so that nothing is heard of any call";
        return vec![line("warn", SUBJECT, what, "see to eBPF, or take `media` out of the pipelines")];
    }
    let namespace = &loaded.configuration.service.metrics.namespace;
    endpoints(loaded)
        .into_iter()
        .map(|endpoint| judge(endpoint, namespace, &page(endpoint, "/metrics", ANSWER, MOST)))
        .collect()
}

fn is_listened_to(loaded: &Loaded) -> bool {
    let mut found = false;
    for shard in &loaded.configuration.graph.shards {
        shard.trunk.walk(&mut |branch| found |= branch.processors.iter().any(|id| id.kind() == "media"));
    }
    found
}

/// Where Prometheus would ask, as reached from here.
fn endpoints(loaded: &Loaded) -> Vec<SocketAddr> {
    let mut endpoints = Vec::new();
    let mut add = |id: &ComponentId| {
        let Some(checked) = loaded.configuration.exporters.get(id) else { return };
        let Ok(settings) = checked.settings().downcast::<Settings>() else { return };
        let endpoint = reachable(settings.endpoint);
        if !endpoints.contains(&endpoint) {
            endpoints.push(endpoint);
        }
    };
    for shard in &loaded.configuration.graph.shards {
        shard.trunk.walk(&mut |branch| branch.exporters.iter().for_each(&mut add));
    }
    endpoints
}

/// What the counters say.
fn judge(endpoint: SocketAddr, namespace: &str, served: &Page) -> String {
    let page = match served {
        Page::Shown(page) => page,
        Page::Nobody => {
            let what =
                format!("nobody serves http://{endpoint}/metrics: ask again while ringside runs and has seen calls");
            return line("ok", SUBJECT, &what, "");
        }
        Page::Closed | Page::Refused(_) => {
            let what = format!("what {endpoint} serves is not shown without TLS or a password");
            let help = format!(
                "look there yourself: {namespace}_media_faults_total{{fault=\"one_way\"}} beside the answered calls"
            );
            return line("ok", SUBJECT, &what, &help);
        }
    };
    let sum = |name: &str, label: &str| sum(page, &format!("{namespace}_{name}"), label);
    let one_way = sum("media_faults_total", "fault=\"one_way\"");
    let answered = sum("ratio_input_total", "input=\"answered\"");
    // Shorter calls are over before they are judged.
    let judged = (answered - sum("short_calls_total", "")).max(one_way);
    if judged < ENOUGH {
        let what = format!("{judged} calls were long enough to be judged, {one_way} of them were heard one way");
        return line("ok", SUBJECT, &what, "");
    }
    let what = format!("{one_way} of {judged} calls were heard one way");
    if one_way < NEARLY_EVERY * judged {
        return line("ok", SUBJECT, &what, "");
    }
    line(
        "warn",
        SUBJECT,
        &format!("{what}: the mirror shows one direction of media"),
        "mirror both directions, or set `visibility = \"off\"` in processors.media",
    )
}

/// The sum of all series of a metric whose labels hold `label`.
fn sum(page: &str, name: &str, label: &str) -> f64 {
    let of = |line: &str| {
        let rest = line.strip_prefix(name).filter(|rest| rest.starts_with(['{', ' ']))?;
        let (labels, value) = rest.rsplit_once(' ')?;
        labels.contains(label).then(|| value.parse::<f64>().ok()).flatten()
    };
    page.lines().filter_map(of).sum()
}

const SUBJECT: &str = "media";
/// Fewer calls say nothing.
const ENOUGH: f64 = 10.0;
/// Share of one-way calls from which the tap is to blame and not the network.
const NEARLY_EVERY: f64 = 0.8;
const ANSWER: Duration = Duration::from_secs(5);
/// Longest page that is read, in bytes.
const MOST: u64 = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(answered: u32, short: u32, one_way: [u32; 2]) -> String {
        let page = format!(
            "# HELP x_media_faults_total ...\n\
             x_media_faults_total{{carrier=\"a\",fault=\"one_way\",direction=\"caller_only\"}} {}\n\
             x_media_faults_total{{carrier=\"b\",fault=\"one_way\",direction=\"callee_only\"}} {}\n\
             x_media_faults_total{{carrier=\"b\",fault=\"no_media\",direction=\"none\"}} 100\n\
             x_ratio_input_total{{carrier=\"a\",input=\"answered\"}} {answered}\n\
             x_ratio_input_total{{carrier=\"a\",input=\"TI\"}} 1000\nx_short_calls_total{{carrier=\"a\"}} {short}\n",
            one_way[0], one_way[1]
        );
        judge("127.0.0.1:2112".parse().expect("an address"), "x", &Page::Shown(page))
    }

    #[test]
    fn nearly_every_call_one_way_is_half_a_mirror() {
        let half = judged(25, 3, [9, 10]);
        assert!(half.starts_with("warn   media: 19 of 22 calls were heard one way: the mirror shows one"), "{half}");
        assert!(half.contains("\n       -> mirror both directions"), "{half}");
    }

    #[test]
    fn some_calls_one_way_or_few_calls_are_not() {
        assert_eq!(judged(25, 0, [2, 1]), "ok     media: 3 of 25 calls were heard one way\n");
        let few = judged(9, 4, [5, 0]);
        assert_eq!(few, "ok     media: 5 calls were long enough to be judged, 5 of them were heard one way\n");
    }

    #[test]
    fn who_does_not_run_cannot_be_asked() {
        let nobody = judge("127.0.0.1:2112".parse().expect("an address"), "x", &Page::Nobody);
        assert!(nobody.starts_with("ok     media: nobody serves http://127.0.0.1:2112/metrics"), "{nobody}");
    }
}
