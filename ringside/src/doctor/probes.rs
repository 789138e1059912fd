//! Probes in `doctor`: each target is asked once.

use std::sync::Arc;

use pipeline::ComponentId;
use receiver_sip_probe::dns::Dns;
use receiver_sip_probe::exchange::Response;
use receiver_sip_probe::{End, Ready, Report, Session, Settings, Target};
use tokio::sync::Semaphore;

use super::line;
use crate::failure::Failure;
use crate::settings::Loaded;
use crate::show::print;

/// Targets asked at a time.
const AT_A_TIME: usize = 32;

/// Asks the targets of every receiver that probes, and prints what came. A target that does not answer is no reason why
/// capture would not work.
pub fn try_each(loaded: &Loaded) -> Result<(), Failure> {
    for (id, settings) in receivers(loaded) {
        print(&format!("{id}:\n"))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Failure::Failed(format!("the runtime could not be set up: {error}")))?;
        for finding in runtime.block_on(ask(settings)) {
            print(&finding)?;
        }
    }
    Ok(())
}

/// The receivers that pipelines use and that probe, with their settings.
fn receivers(loaded: &Loaded) -> impl Iterator<Item = (ComponentId, Settings)> {
    let used = loaded.configuration.graph.shards.iter().flat_map(|shard| &shard.receivers);
    let settings = |id: &ComponentId| loaded.configuration.receivers[id].settings().downcast::<Settings>().ok();
    used.filter_map(move |id| Some((id.clone(), *settings(id)?)))
}

async fn ask(settings: Settings) -> Vec<String> {
    let dns = match Dns::new(&settings.nameservers) {
        Ok(dns) => Arc::new(dns),
        Err(error) => {
            return vec![line("warn", "DNS", &error.to_string(), "see /etc/resolv.conf, or set `nameservers`")];
        }
    };
    let places = Arc::new(Semaphore::new(AT_A_TIME));
    let one = |target: Target| {
        let (dns, places) = (Arc::clone(&dns), Arc::clone(&places));
        tokio::spawn(async move {
            let _place = places.acquire().await.expect("it is never closed");
            let name = target.name.clone();
            match Ready::read(target) {
                Ok(ready) => Session::new(Arc::new(ready), dns, None)
                    .probe()
                    .await
                    .iter()
                    .map(|report| tell(&name, report))
                    .collect(),
                Err(error) => {
                    vec![line("warn", &name, &error.to_string(), "see that the file is there and can be read")]
                }
            }
        })
    };
    let asked: Vec<_> = settings.targets.into_iter().map(one).collect();
    let mut findings = Vec::new();
    for found in asked {
        findings.extend(found.await.unwrap_or_default());
    }
    findings
}

fn tell(name: &str, report: &Report) -> String {
    let whom =
        report.place.map(|place| format!(" from {} {}", place.carrier.as_str(), place.address)).unwrap_or_default();
    match &report.end {
        End::Answered(Response { status, reason, .. }, rtt) => {
            let what = format!("{status} {reason}{whom} in {:.1} ms", rtt.as_secs_f64() * 1e3);
            match report.counted().is_up() {
                true => line("ok", name, &what, ""),
                false => line("warn", name, &what, "it answers, and says that it does not work"),
            }
        }
        End::Timeout => {
            let help = "is it there, does the way back exist, does it filter OPTIONS? docs/probing.md";
            line("warn", name, &format!("no answer{whom}"), help)
        }
        End::Failed(fault) => line("warn", name, &format!("{fault}{whom}"), "see name, port, transport and trust"),
    }
}
