//! What steering does for calls, and what it costs, each part at a size: on a node with kube-proxy's rules, with the daemon in
//! place of them or beside them.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use integration::balanced::{Lab, Rules, backend};
use integration::gate;
use integration::ringside::{Config, Ringside};
use integration::wait::{eventually, within};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::Signal;
use nix::sys::time::TimeValLike;
use testnet::Family;

use crate::calls::{Backends, Generator, Outcome, Pace, Plan, play};
use crate::services::{self, Proxy};
use crate::stage::Stage;

/// Who decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// kube-proxy's rules.
    Rules,
    /// The programs, through the node's stack.
    Stack,
    /// The programs, past it.
    Direct,
}

impl Who {
    pub const STEERED: [Self; 2] = [Self::Stack, Self::Direct];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rules => "kube-proxy",
            Self::Stack => "stack",
            Self::Direct => "direct",
        }
    }
}

/// Backends of the service.
pub const PODS: usize = 4;

/// A node with so many of four backends behind the service; `None` where that cannot be, which is said.
pub fn stage(test: &str, rules: Rules, pods: usize) -> Option<Stage> {
    let pass = gate::alone(test)?;
    let lab = || Lab::with_pods(Family::V4, rules, PODS).expect("namespaces are allowed, the gate has tried");
    let stage = Stage::on(test, pass, lab, pods)?;
    raise_files();
    Some(stage)
}

/// Calls from thousands of ports take as many descriptors.
fn raise_files() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).expect("every system has it");
    setrlimit(Resource::RLIMIT_NOFILE, most, most).expect("up to the hard limit anybody may");
}

/// Has that one decide from now on, with these lines of `[steer]` and of the service.
pub fn take(stage: &mut Stage, who: Who, steer: &str, service: &str) {
    assert!(stage.end(), "nothing is left in the kernel");
    stage.lab.forget_flows();
    let path = match who {
        Who::Rules => return,
        Who::Stack => "stack",
        Who::Direct => "direct",
    };
    stage.configure(&format!("path = \"{path}\"\n{steer}"), service);
    stage.start();
    stage.ask(&["mode", "active", "--force"]);
}

/// Calls whose BYE comes from another port.
pub fn other_port(stage: &mut Stage, who: Who, calls: usize) -> Outcome {
    take(stage, who, "", "");
    let backends = Backends::start(&stage.lab, PODS, Duration::ZERO);
    let outcome = play(&stage.lab, &Plan { calls, flows: 50, hop: true, ..Plan::default() });
    backends.finish();
    outcome
}

/// Calls that are silent for longer than connection tracking remembers, which is a second here.
pub fn long_silence(stage: &mut Stage, who: Who, calls: usize) -> Outcome {
    take(stage, who, "", "");
    stage.lab.remember_flows(1);
    let backends = Backends::start(&stage.lab, PODS, Duration::ZERO);
    // All begin before the first one ends, or flows would be kept by each other.
    let rate = (calls as f64).max(500.0);
    let hold = Duration::from_secs_f64(calls as f64 / rate + 3.0);
    let plan = Plan { calls, flows: calls, hold, pace: Pace::Rate(rate), ..Plan::default() };
    let outcome = play(&stage.lab, &plan);
    stage.lab.remember_flows(120);
    backends.finish();
    outcome
}

/// One flow offers nearly what so many of four backends can take, each of which takes so many calls a second, one after
/// another.
pub fn trunk(stage: &mut Stage, who: Who, each: f64, of: usize, seconds: f64) -> Outcome {
    take(stage, who, "", "");
    let backends = Backends::start(&stage.lab, PODS, Duration::from_secs_f64(1.0 / each));
    let rate = each * of as f64 * 0.85;
    let calls = (rate * seconds) as usize;
    // Longer than a backend's queue: what it takes at all counts.
    let plan = Plan { calls, pace: Pace::Rate(rate), patience: Duration::from_secs(10), ..Plan::default() };
    let outcome = play(&stage.lab, &plan);
    backends.finish();
    outcome
}

/// Calls are up when steering is switched on, after observing; their BYE comes from another port.
pub fn switching_on(stage: &mut Stage, who: Who, up: usize) -> Outcome {
    assert!(stage.end(), "nothing is left in the kernel");
    stage.lab.forget_flows();
    stage.configure(&format!("path = \"{}\"", who.as_str()), "");
    stage.start();
    stage.ask(&["mode", "observe", "--force"]);
    let backends = Backends::start(&stage.lab, PODS, Duration::ZERO);
    let rate = up as f64 / 2.0;
    let hold = Duration::from_secs(4);
    let plan = Plan { calls: up, flows: 20, hold, hop: true, pace: Pace::Rate(rate), ..Plan::default() };
    let generator = Generator::new(&stage.lab, &plan);
    let outcome = thread::scope(|scope| {
        let playing = scope.spawn(move || generator.run());
        // All have begun after two seconds, and none ends before four.
        thread::sleep(Duration::from_secs(3));
        stage.ask(&["mode", "active", "--force"]);
        playing.join().expect("it does not panic")
    });
    backends.finish();
    outcome
}

/// What happens in the middle of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Killed,
    Hung,
    Restarted,
    Upgraded,
    Drained,
    Scaled,
    BackendKilled,
    WrongFile,
}

impl Fault {
    pub const ALL: [Self; 8] = [
        Self::Killed,
        Self::Hung,
        Self::Restarted,
        Self::Upgraded,
        Self::Drained,
        Self::Scaled,
        Self::BackendKilled,
        Self::WrongFile,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Killed => "the daemon is killed",
            Self::Hung => "the daemon hangs",
            Self::Restarted => "the daemon ends and another starts",
            Self::Upgraded => "another takes over with other maps",
            Self::Drained => "a backend drains",
            Self::Scaled => "a fourth backend comes",
            Self::BackendKilled => "a backend is gone (calls of the others)",
            Self::WrongFile => "a wrong file at a reload",
        }
    }
}

/// Calls at a rate, held for two seconds, whose BYE comes from another port; in their middle something happens. Calls of a
/// backend that is gone are counted apart.
pub fn fault(stage: &mut Stage, who: Who, fault: Fault, calls: usize, rate: f64) -> Outcome {
    let pods = if fault == Fault::Scaled { PODS - 1 } else { PODS };
    stage.find(&(0..pods).collect::<Vec<_>>());
    take(stage, who, "", "");
    // What was commanded for the fault before holds over a start.
    for pod in 0..pods {
        stage.ask(&["up", &format!("sbc/pod{pod}")]);
    }
    let mut backends = Backends::start(&stage.lab, PODS, Duration::ZERO);
    let hold = Duration::from_secs(2);
    let plan = Plan { calls, flows: 20, hop: true, hold, repeat: true, pace: Pace::Rate(rate), ..Plan::default() };
    let generator = Generator::new(&stage.lab, &plan);
    let mut outcome = thread::scope(|scope| {
        let playing = scope.spawn(move || generator.run());
        thread::sleep(Duration::from_secs_f64(calls as f64 / rate / 2.0));
        happen(stage, fault, who, &mut backends);
        let outcome = playing.join().expect("it does not panic");
        if fault == Fault::Hung {
            stage.signal(Signal::SIGCONT);
        }
        outcome
    });
    if fault == Fault::BackendKilled {
        outcome.excused = outcome.broken_at[0];
    }
    backends.finish();
    outcome
}

fn happen(stage: &mut Stage, fault: Fault, who: Who, backends: &mut Backends) {
    let path = format!("path = \"{}\"", who.as_str());
    match fault {
        Fault::Killed => stage.kill(),
        Fault::Hung => stage.signal(Signal::SIGSTOP),
        Fault::Restarted | Fault::Upgraded => {
            if fault == Fault::Upgraded {
                stage.configure(&format!("{path}\nmax_dialogs = 30000"), "");
            }
            stage.signal(Signal::SIGTERM);
            assert!(stage.wait().success());
            stage.start();
        }
        Fault::Drained => _ = stage.ask(&["drain", "sbc/pod1"]),
        Fault::Scaled => stage.find(&(0..PODS).collect::<Vec<_>>()),
        Fault::BackendKilled => {
            backends.end(0);
            stage.ask(&["down", "sbc/pod0"]);
        }
        Fault::WrongFile => {
            let right = std::fs::read_to_string(stage.file()).expect("a file");
            std::fs::write(stage.file(), right.replace("[[service]]", "[[services]]")).expect("a file");
            stage.signal(Signal::SIGHUP);
            let counted = || (stage.metric("sip_steer_config_errors_total") >= 1.0).then_some(());
            eventually("it is counted", counted);
            std::fs::write(stage.file(), right).expect("a file");
        }
    }
}

/// What a call costs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// Time of the processors, in µs, of clients, backends and the kernel between them.
    pub cpu: f64,
    /// Context switches.
    pub switches: f64,
    /// Calls a second.
    pub rate: f64,
    /// From INVITE to 200, in µs: median, and what 99 of 100 do not exceed.
    pub delay: [u32; 2],
    pub failed: usize,
}

/// Calls to one backend.
pub fn cost(lab: &Lab, plan: &Plan) -> Cost {
    lab.forget_flows();
    let backends = Backends::start(lab, 1, Duration::ZERO);
    // Sockets are made before anything is measured.
    let generator = Generator::new(lab, plan);
    let (before, interrupts) = (used(), interrupt_threads());
    let outcome = generator.run();
    let (after, later) = (used(), interrupt_threads());
    backends.finish();
    let calls = outcome.good.max(1) as f64;
    Cost {
        cpu: (after.0 - before.0 + later - interrupts) / calls,
        switches: (after.1 - before.1) / calls,
        rate: calls / outcome.took.as_secs_f64(),
        delay: [outcome.delay(50), outcome.delay(99)],
        failed: plan.calls - outcome.good,
    }
}

/// Time of the processors in µs and context switches of this process.
fn used() -> (f64, f64) {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("every system says it");
    let time = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    (time as f64, (usage.voluntary_context_switches() + usage.involuntary_context_switches()) as f64)
}

/// Time of the threads that the kernel hands packets to when there are many, in µs.
fn interrupt_threads() -> f64 {
    const TICK: f64 = 10_000.0;
    let processes = std::fs::read_dir("/proc").expect("Linux").flatten();
    let stats = processes.filter_map(|process| std::fs::read_to_string(process.path().join("stat")).ok());
    let ticks = stats.filter(|stat| stat.contains("(ksoftirqd/")).filter_map(|stat| {
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        Some(fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?)
    });
    ticks.sum::<u64>() as f64 * TICK
}

/// Addresses of the first so many backends.
pub fn addresses(pods: usize) -> Vec<SocketAddr> {
    (0..pods).map(|pod| backend(Family::V4, pod)).collect()
}

/// The rules of kube-proxy with so many services.
pub fn with_services(stage: &Stage, proxy: Proxy, count: usize) {
    services::write(&stage.lab.node, proxy, count, stage.lab.service(), &addresses(1));
}

/// Calls at a rate while a flood of other requests comes, at backends of so many requests a second each.
pub fn flood(stage: &mut Stage, rules: &str, flood: &Plan, calls: &Plan, each: f64) -> Outcome {
    take(stage, Who::Stack, "", rules);
    let backends = Backends::start(&stage.lab, PODS, Duration::from_secs_f64(1.0 / each));
    let generator = Generator::new(&stage.lab, flood);
    let outcome = thread::scope(|scope| {
        let flooding = scope.spawn(move || generator.run());
        // Once it is under way.
        thread::sleep(Duration::from_millis(500));
        let outcome = play(&stage.lab, calls);
        flooding.join().expect("it does not panic");
        outcome
    });
    backends.finish();
    outcome
}

/// Live calls while many INVITEs with Call-IDs of their own come; then their BYE from another port.
pub fn random_call_ids(stage: &mut Stage, up: usize, random: usize) -> Outcome {
    take(stage, Who::Stack, "", "");
    let backends = Backends::start(&stage.lab, PODS, Duration::ZERO);
    let begun = Instant::now();
    let flood = Plan {
        name: "random",
        calls: random,
        pace: Pace::Rate(random as f64),
        patience: Duration::from_millis(1),
        only: Some("INVITE"),
        from: (15, 20_000),
        flows: 8,
        ..Plan::default()
    };
    let hold = Duration::from_secs(2 + random as u64 / 15_000);
    let live =
        Plan { calls: up, flows: 20, hop: true, hold, repeat: true, pace: Pace::Rate(up as f64), ..Plan::default() };
    let generator = Generator::new(&stage.lab, &live);
    let outcome = thread::scope(|scope| {
        let live = scope.spawn(move || generator.run());
        thread::sleep(Duration::from_millis(1500));
        play(&stage.lab, &flood);
        assert!(
            begun.elapsed() < hold + Duration::from_secs(1),
            "the flood took longer than the calls: {:?}",
            begun.elapsed()
        );
        live.join().expect("it does not panic")
    });
    backends.finish();
    outcome
}

/// What a collector counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    pub attempts: u64,
    pub requests: u64,
    pub responses: u64,
}

impl Counted {
    /// Of answered calls of seven messages.
    pub fn of(calls: usize) -> Self {
        let calls = calls as u64;
        Self { attempts: calls, requests: 3 * calls, responses: 4 * calls }
    }
}

/// What collectors on the node and in the first backend's pod count of calls, and how many of these that backend had.
/// `None`: steering observes.
pub fn captured(stage: &mut Stage, who: Option<Who>, calls: usize) -> (Counted, Counted, usize) {
    take(stage, who.unwrap_or(Who::Stack), "", "");
    if who.is_none() {
        stage.ask(&["mode", "observe", "--force"]);
    }
    let backends = Backends::start(&stage.lab, PODS, Duration::ZERO);
    let node = Ringside::start(&stage.lab.node, &Config::on("any"));
    let pod = Ringside::start(stage.lab.pod(0), &Config::on("eth0"));
    let outcome = play(&stage.lab, &Plan { calls, flows: 20, pace: Pace::Rate(100.0), ..Plan::default() });
    backends.finish();
    assert_eq!(outcome.good, calls, "{outcome:?}");
    let counted = |collector: &Ringside<'_>| {
        let scrape = collector.scrape();
        let count = |name: &str| scrape.count(name);
        Counted {
            attempts: count("session_attempts_total"),
            requests: count("requests_total"),
            responses: count("responses_total"),
        }
    };
    let settled = |collector: &Ringside<'_>, calls: usize| {
        let all = || Some(counted(collector)).filter(|counted| *counted == Counted::of(calls));
        within(Duration::from_secs(5), all).unwrap_or_else(|| counted(collector))
    };
    (settled(&node, calls), settled(&pod, outcome.shares[0]), outcome.shares[0])
}

/// What the maps take of the kernel's memory, in bytes.
pub fn memory(stage: &Stage) -> u64 {
    let folder = format!("/proc/{}/fdinfo", stage.daemon_id());
    let entries = std::fs::read_dir(folder).expect("it runs").flatten();
    let maps = entries.filter_map(|entry| std::fs::read_to_string(entry.path()).ok());
    let taken = |text: String| -> Option<(u64, u64)> {
        let number = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        number("map_type:").and_then(|_: u64| Some((number("map_id:")?, number("memlock:")?)))
    };
    let maps: std::collections::BTreeMap<u64, u64> = maps.filter_map(taken).collect();
    maps.values().sum()
}

/// Waits until the daemon has a device for each backend, and so sends past the stack.
pub fn wait_for_direct(stage: &Stage) {
    let direct = || (!stage.ask(&["services"]).to_string().contains("\"direct\":false")).then_some(());
    within(Duration::from_secs(20), direct).expect("devices of all backends are found");
}
