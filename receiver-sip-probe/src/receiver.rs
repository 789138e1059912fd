//! The receiver: settings in, probes at their times, rows out. It has a thread to itself and brings no frames.
//!
//! Everything runs within [`Receiver::receive`], in a runtime of one thread: between two calls nothing moves, so that a
//! reload finds things at rest. A target that a reload leaves as it was goes on undisturbed; one that changed lets what
//! is under way end as it began.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use pipeline::probes::{ProbeTarget, Probes};
use pipeline::{CaptureStatus, FrameBatch, Received, Receiver, ReceiverError, Telemetry};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::chance;
use crate::config::{Settings, Target};
use crate::dns::Dns;
use crate::exchange::Carrier;
use crate::path::{End, Report};
use crate::session::{NotReady, Ready, Session};

/// `[receivers.sip_probe]`, running.
pub struct SipProbeReceiver {
    settings: Settings,
    probes: Arc<Probes>,
    running: Option<Running>,
}

/// From the start on.
struct Running {
    /// Dropped before the runtime its sockets live in.
    asked: Vec<Asked>,
    dns: Arc<Dns>,
    runtime: Runtime,
}

/// A target that is being asked.
struct Asked {
    ready: Arc<Ready>,
    /// Dropped, it tells the task to begin no more.
    _go_on: watch::Sender<()>,
}

impl SipProbeReceiver {
    /// Opens nothing and sends nothing yet.
    pub fn new(settings: Settings) -> Self {
        Self { settings, probes: Arc::default(), running: None }
    }

    /// Asks these targets from now on; those that are asked already as they are go on.
    fn ask(&mut self, targets: Vec<Ready>, anew: bool) {
        let running = self.running.as_mut().expect("it was started");
        let _inside = running.runtime.enter();
        let mut before = std::mem::take(&mut running.asked);
        for ready in targets {
            let same = before.iter().position(|asked| !anew && *asked.ready == ready);
            running.asked.push(match same {
                Some(index) => before.swap_remove(index),
                None => {
                    said_aloud(&ready.target);
                    let ready = Arc::new(ready);
                    let (go_on, stop) = watch::channel(());
                    let probes = Arc::clone(&self.probes);
                    // Its counters stand there at zero before the first probe.
                    drop(probes.row(&counted(&ready.target, ready.target.endpoint.carrier()), &ready.target.carrier));
                    let session = Session::new(Arc::clone(&ready), Arc::clone(&running.dns), Some(probes));
                    tokio::spawn(ask(session, stop));
                    Asked { ready, _go_on: go_on }
                }
            });
        }
        let asked = &running.asked;
        self.probes.retain(|row| {
            let is_row = |target: &Target| {
                let carriers = [Carrier::Udp, Carrier::Tcp, Carrier::Tls];
                carriers.into_iter().any(|carrier| target.may_use(carrier) && counted(target, carrier) == *row)
            };
            asked.iter().any(|asked| is_row(&asked.ready.target))
        });
    }
}

impl Receiver for SipProbeReceiver {
    fn start(&mut self) -> Result<(), ReceiverError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let failed = |what: String, help: &str| ReceiverError::Failed { what, help: help.to_owned() };
        let runtime = runtime
            .map_err(|error| failed(format!("no runtime: {error}"), "see whether the system is short of resources"))?;
        let dns = {
            let _inside = runtime.enter();
            Dns::new(&self.settings.nameservers).map_err(|error| {
                failed(format!("no resolver: {error}"), "see /etc/resolv.conf, or set `nameservers`")
            })?
        };
        let targets = read(&self.settings.targets).map_err(|(name, error)| {
            failed(format!("target {name}: {error}"), "see that the file is there and can be read")
        })?;
        more_descriptors(targets.len());
        self.running = Some(Running { asked: Vec::new(), dns: Arc::new(dns), runtime });
        self.ask(targets, false);
        Ok(())
    }

    /// Probes for `wait`. The batch stays empty, and the clock where it was: frames have their own.
    fn receive(&mut self, batch: &mut FrameBatch, wait: Duration) -> Result<Received, ReceiverError> {
        batch.clear();
        let running = self.running.as_ref().expect("it was started");
        running.runtime.block_on(async { tokio::time::sleep(wait).await });
        Ok(Received::Batch)
    }

    fn reconfigure(&mut self, settings: Box<dyn Any + Send>) -> Vec<&'static str> {
        let new = *settings.downcast::<Settings>().expect("settings come from the check of the same type");
        let targets = match read(&new.targets) {
            Ok(targets) => targets,
            Err((name, error)) => {
                tracing::error!(target = name, %error, "probes go on as they were");
                return vec!["targets"];
            }
        };
        let anew = new.nameservers != self.settings.nameservers;
        if anew {
            let running = self.running.as_mut().expect("it was started");
            let _inside = running.runtime.enter();
            match Dns::new(&new.nameservers) {
                Ok(dns) => running.dns = Arc::new(dns),
                Err(error) => {
                    tracing::error!(%error, "no resolver; probes go on as they were");
                    return vec!["nameservers"];
                }
            }
        }
        self.settings = new;
        self.ask(targets, anew);
        Vec::new()
    }

    /// It captures nothing.
    fn set_duplicate_window(&mut self, _: Duration) {}

    fn probes(&self) -> Option<Arc<Probes>> {
        Some(Arc::clone(&self.probes))
    }

    fn status(&self) -> CaptureStatus {
        CaptureStatus { kind: "none", ..CaptureStatus::default() }
    }

    fn telemetry(&self, out: &mut Vec<Telemetry>) {
        let rows = self.probes.copy();
        let in_flight: u64 = rows.iter().map(|row| row.numbers.in_flight).sum();
        for (name, value) in [
            ("otelcol_receiver_probe_targets", rows.len() as f64),
            ("otelcol_receiver_probes_in_flight", in_flight as f64),
        ] {
            out.push(Telemetry { name, labels: Vec::new(), counter: false, value });
        }
    }
}

/// The files of every target, or the first of them that cannot be used.
fn read(targets: &[Target]) -> Result<Vec<Ready>, (String, NotReady)> {
    targets.iter().map(|target| Ready::read(target.clone()).map_err(|error| (target.name.clone(), error))).collect()
}

fn counted(target: &Target, carrier: Carrier) -> ProbeTarget {
    ProbeTarget { name: target.name.clone(), transport: carrier.as_str() }
}

/// What nobody should leave on without knowing.
fn said_aloud(target: &Target) {
    if target.tls.insecure_skip_verify && target.may_use(Carrier::Tls) {
        tracing::warn!(
            target = target.name,
            "insecure_skip_verify: any certificate is accepted, so that anybody in between can answer"
        );
    }
}

/// More sockets where these targets need more than this process may have: each has one.
fn more_descriptors(targets: usize) {
    /// For capture, exporters and whoever scrapes.
    const RESERVE: u64 = 512;
    let Ok((now, most)) = getrlimit(Resource::RLIMIT_NOFILE) else { return };
    if now >= targets as u64 + RESERVE {
        return;
    }
    if let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, most, most) {
        tracing::warn!(%error, now, "the limit of open files cannot be raised (LimitNOFILE of the unit): targets may go without a socket");
    }
}

/// Asks one target again and again until it is told to stop, and then lets what is under way end.
async fn ask(session: Session, mut stop: watch::Receiver<()>) {
    let interval = session.ready().target.interval;
    let mut next = Instant::now() + chance::part(interval);
    let mut under_way = JoinSet::new();
    let mut state = State { name: session.ready().target.name.clone(), up: None };
    loop {
        tokio::select! {
            () = sleep_until(next) => {
                let session = session.clone();
                under_way.spawn(async move { session.probe().await });
                next = (next + chance::about(interval)).max(Instant::now());
            }
            Some(reports) = under_way.join_next() => state.note(reports.unwrap_or_default()),
            // An error: nobody holds the other end any more.
            Err(_) = stop.changed() => break,
        }
    }
    while under_way.join_next().await.is_some() {}
}

/// What the log knows of a target: a line for each change, none for each probe.
struct State {
    name: String,
    up: Option<bool>,
}

impl State {
    fn note(&mut self, reports: Vec<Report>) {
        let Some(worst) = reports.iter().min_by_key(|report| report.counted().is_up()) else { return };
        let up = worst.counted().is_up();
        if self.up.replace(up) == Some(up) {
            return;
        }
        let Self { name, .. } = self;
        match &worst.end {
            End::Answered(response, _) if up => {
                tracing::info!(target = name, status = response.status, "answers probes")
            }
            End::Answered(response, _) => tracing::warn!(target = name, status = response.status, "refuses probes"),
            End::Timeout => tracing::warn!(target = name, "does not answer probes"),
            End::Failed(fault) => tracing::warn!(target = name, error = %fault, "cannot be probed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use pipeline::probes::ProbeNumbers;

    use super::*;
    use crate::config::{Config, TargetConfig};

    fn settings(targets: &[(&str, &str)]) -> Settings {
        let target = |(name, endpoint): &(&str, &str)| TargetConfig {
            endpoint: (*endpoint).to_owned(),
            name: Some((*name).to_owned()),
            ..TargetConfig::default()
        };
        let config = Config {
            targets: targets.iter().map(target).collect(),
            collection_interval: Duration::from_secs(1),
            timeout: Duration::from_millis(200),
            ..Config::default()
        };
        config.check(&mut Default::default()).expect("it is right")
    }

    fn numbers(receiver: &SipProbeReceiver, name: &str) -> Option<ProbeNumbers> {
        let rows = receiver.probes.copy();
        rows.into_iter().find(|row| row.target.name == name).map(|row| row.numbers)
    }

    /// Lets it run until `done`, or ten seconds.
    fn run(receiver: &mut SipProbeReceiver, mut done: impl FnMut(&SipProbeReceiver) -> bool) {
        let mut batch = FrameBatch::default();
        for _ in 0..1000 {
            if done(receiver) {
                return;
            }
            receiver.receive(&mut batch, Duration::from_millis(10)).expect("it goes on");
            assert!(batch.frames.is_empty());
            for ProbeNumbers { sent, received, lost, in_flight, .. } in
                receiver.probes.copy().into_iter().map(|row| row.numbers)
            {
                assert_eq!(sent, received + lost + in_flight);
            }
        }
        panic!("it never came: {:?}", receiver.probes.copy());
    }

    #[test]
    fn a_reload_adds_and_removes_targets_and_leaves_the_others_alone() {
        let silent = UdpSocket::bind("127.0.0.1:0").expect("loopback has ports");
        let endpoint = format!("udp://{}", silent.local_addr().expect("it is bound"));
        let mut receiver = SipProbeReceiver::new(settings(&[("a", &endpoint), ("b", &endpoint)]));
        receiver.start().expect("nothing is needed");
        assert_eq!(numbers(&receiver, "a"), Some(ProbeNumbers::default()), "counters are there at zero");
        run(&mut receiver, |receiver| {
            ["a", "b"].iter().all(|name| numbers(receiver, name).is_some_and(|n| n.lost >= 1))
        });
        let before = numbers(&receiver, "a").expect("it is there");
        let keys = receiver.reconfigure(Box::new(settings(&[("a", &endpoint), ("c", &endpoint)])));
        assert_eq!(keys, Vec::<&str>::new());
        assert_eq!(numbers(&receiver, "a"), Some(before.clone()));
        assert_eq!(numbers(&receiver, "b"), None);
        assert_eq!(numbers(&receiver, "c"), Some(ProbeNumbers::default()));
        run(&mut receiver, |receiver| {
            numbers(receiver, "a").is_some_and(|n| n.sent > before.sent)
                && numbers(receiver, "c").is_some_and(|n| n.lost >= 1)
        });
        // The same target asked differently keeps its counts too, and what was under way ends.
        let before = numbers(&receiver, "a").expect("it is there");
        let mut other = settings(&[("a", &endpoint)]);
        other.targets[0].form.max_forwards = 7;
        receiver.reconfigure(Box::new(other));
        run(&mut receiver, |receiver| {
            numbers(receiver, "a").is_some_and(|n| n.lost > before.lost + 1 && n.in_flight == 0)
        });
    }

    #[test]
    fn a_file_that_is_not_there_is_told_at_the_start_and_keeps_a_reload_from_being_applied() {
        let mut wrong = settings(&[("a", "tls://127.0.0.1:1")]);
        wrong.targets[0].tls.ca_file = Some("/nowhere/ca.pem".into());
        let error = SipProbeReceiver::new(wrong.clone()).start().expect_err("there is no such file");
        assert!(error.to_string().starts_with("target a: tls.ca_file: \"/nowhere/ca.pem\" cannot be used"), "{error}");
        let mut receiver = SipProbeReceiver::new(settings(&[("b", "udp://127.0.0.1:1")]));
        receiver.start().expect("nothing is needed");
        assert_eq!(receiver.reconfigure(Box::new(wrong)), ["targets"]);
        assert!(numbers(&receiver, "a").is_none() && numbers(&receiver, "b").is_some());
    }
}
