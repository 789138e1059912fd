//! A long time under load, with everything around it changing: calls without end, a scrape each second, an OTLP receiver
//! that comes and goes, a reload now and then. Nothing may be lost, and nothing may grow.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use testnet::{Cable, Injector};

use crate::backend::Backend;
use crate::exposition::Exposition;
use crate::process::{Process, load_average, machine, megabytes};
use crate::ringside::{HTTP, Ringside};
use crate::scraper::{Scraper, Scrapes};
use crate::traffic::{Held, Traffic};

/// How long, and how much.
#[derive(Clone, Copy, Debug)]
pub struct Soak {
    /// Seconds of calls.
    pub seconds: u32,
    /// Calls and registrations per second, as [`crate::traffic::Mix::Everyday`] has them.
    pub rate: u32,
    /// Between two reloads.
    pub reload: Duration,
    /// The OTLP receiver is there for so long, then gone for as long.
    pub backend: Duration,
    /// `service.shards`.
    pub shards: usize,
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    soak: Soak,
    held: Held,
    last: Exposition,
    internal: Exposition,
    scrapes: Scrapes,
    /// Requests that the OTLP receiver took.
    pushed: u64,
    reloads: u64,
    samples: Vec<Sample>,
    cpu: Duration,
    busy: Duration,
    wall: Duration,
}

/// The process at one time.
#[derive(Clone, Copy, Debug)]
struct Sample {
    own: u64,
    descriptors: usize,
}

const BACKEND: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 4318);

/// Memory may differ by so much between the second quarter and the last: buffers that a push fills when the receiver is
/// back, and pages of the allocator.
const SLACK: u64 = 6 << 20;

impl Soak {
    /// Does it.
    ///
    /// # Panics
    /// When a part of it cannot run at all, or ringside ends.
    pub fn run(self) -> Outcome {
        let cable = Cable::new().expect("namespaces are allowed, the gate has tried");
        let namespace = &cable.right;
        let mut ringside = Ringside::start_with(namespace, &self.configuration(0), &[]);
        let process = ringside.process();
        let backend = Backend::coming_and_going(namespace, BACKEND, self.backend);
        let scraper = Scraper::start(namespace, HTTP);
        let (start, cpu, busy) = (Instant::now(), process.cpu(), machine());
        let (over, is_over) = channel::<()>();
        let (held, (samples, reloads)) = thread::scope(|scope| {
            let watched = &ringside;
            let watch = scope.spawn(move || self.watch(watched, process, &is_over));
            let held = cable.left.run(|| self.send());
            drop(over);
            (held, watch.join().expect("the watch does not panic"))
        });
        let (wall, cpu, busy) = (start.elapsed(), process.cpu() - cpu, machine().saturating_sub(busy));
        let last = ringside.settled(held.messages);
        let internal = Exposition::parse(&ringside.page("/internal/metrics"));
        let (scrapes, pushed) = (scraper.stop(), backend.taken());
        ringside.signal(libc::SIGTERM);
        let status = ringside.ended(Duration::from_secs(15));
        assert!(status.success(), "ringside: {status}\n{}", ringside.log());
        Outcome { soak: self, held, last, internal, scrapes, pushed, reloads, samples, cpu, busy, wall }
    }

    fn send(&self) -> Held {
        let traffic = Traffic { calls: u64::from(self.rate * self.seconds), rate: self.rate, ..Traffic::default() };
        traffic.send(&Injector::new("left").expect("the cable has two ends"))
    }

    /// Looks at the process each second and reloads now and then, until it is over.
    fn watch(&self, ringside: &Ringside<'_>, process: Process, over: &Receiver<()>) -> (Vec<Sample>, u64) {
        let (mut samples, mut reloads) = (Vec::new(), 0);
        let mut next = Instant::now() + self.reload;
        while over.recv_timeout(Duration::from_secs(1)) == Err(RecvTimeoutError::Timeout) {
            samples.push(Sample { own: process.own(), descriptors: process.descriptors() });
            if Instant::now() >= next {
                next += self.reload;
                reloads += 1;
                ringside.rewrite(&self.configuration(reloads));
                ringside.signal(libc::SIGHUP);
            }
        }
        (samples, reloads)
    }

    /// What it runs with after so many reloads: each changes what can be changed.
    fn configuration(&self, reloads: u64) -> String {
        let (short_call, label) = (1 + reloads % 5, ["a", "b"][reloads as usize % 2]);
        format!(
            "[receivers.ebpf_sip]\ninterfaces = ['right']\n\
             [processors.dialog]\nshort_call = '{short_call}s'\n\
             [processors.enrich]\ncarriers = [{{ name = '{label}', cidrs = ['10.1.0.0/16', '10.2.0.0/16'] }}]\n\
             [processors.sampling]\nratio = 0.{short_call}\n\
             [exporters.prometheus]\nendpoint = '{HTTP}'\n\
             [exporters.otlp_http]\nendpoint = 'http://{BACKEND}'\nmetric_export_interval = '5s'\n\
             retry_on_failure.initial_interval = '1s'\nretry_on_failure.max_elapsed_time = '1m'\n\
             [service]\nshards = {}\n\
             [service.pipelines.metrics]\nreceivers = ['ebpf_sip']\nprocessors = ['dialog', 'enrich']\n\
             exporters = ['prometheus', 'otlp_http']\n\
             [service.pipelines.traces]\nreceivers = ['ebpf_sip']\nprocessors = ['dialog', 'enrich', 'sampling']\n\
             exporters = ['otlp_http']\n",
            self.shards
        )
    }
}

impl Outcome {
    /// What should not be; nothing when all is well.
    pub fn problems(&self) -> Vec<String> {
        let mut expected = self.held.expectations();
        expected.extend(["capture_drops_total", "evicted_total"].map(|selector| (selector.to_owned(), 0.0)));
        let mut problems = self.last.differences(expected);
        let internal = |name: &str| {
            let series = self.internal.series().iter().filter(|series| series.name == name);
            series.map(|series| series.value).sum::<f64>()
        };
        for (name, most) in [("otelcol_config_reload_failures", 0.0), ("otelcol_config_restart_needed", 0.0)] {
            if internal(name) > most {
                problems.push(format!("{name} is {}", internal(name)));
            }
        }
        if self.scrapes.failed > 0 {
            problems.push(format!("{} of {} scrapes failed", self.scrapes.failed, self.scrapes.took.len()));
        }
        if self.pushed == 0 || self.reloads == 0 {
            problems.push(format!("{} pushes and {} reloads prove nothing", self.pushed, self.reloads));
        }
        let (before, after) = (self.most(1), self.most(3));
        if after.own > before.own + before.own / 10 + SLACK {
            let (before, after) = (megabytes(before.own), megabytes(after.own));
            problems.push(format!("memory grew from {before:.1} MB to {after:.1} MB"));
        }
        // The receiver comes and goes, and so do connections to it: two for its queue, one for the next.
        if after.descriptors > before.descriptors + 3 {
            problems.push(format!("descriptors grew from {} to {}", before.descriptors, after.descriptors));
        }
        problems
    }

    /// The figures, a line each, for a table.
    pub fn table(&self) -> Vec<(&'static str, String)> {
        let packets = self.held.messages;
        let quarters = |show: fn(Sample) -> String| (0..4).map(|n| show(self.most(n))).collect::<Vec<_>>().join(", ");
        let percent = |time: Duration| format!("{:.1} %", 100.0 * time.as_secs_f64() / self.wall.as_secs_f64());
        vec![
            (
                "calls and registrations",
                format!("{} in {:.0} s", self.soak.rate * self.soak.seconds, self.wall.as_secs_f64()),
            ),
            ("messages", format!("{packets}, {} counted", self.last.count("packets_total"))),
            ("kernel drops", format!("{}", self.last.count("capture_drops_total"))),
            ("processor time of ringside", format!("{} of a core", percent(self.cpu))),
            ("a message", format!("{:.2} µs", self.cpu.as_secs_f64() * 1e6 / packets as f64)),
            ("the machine", format!("{} of a core busy, load average {:.1}", percent(self.busy), load_average())),
            ("own memory at most, by quarter", quarters(|most| format!("{:.1} MB", megabytes(most.own)))),
            ("descriptors at most, by quarter", quarters(|most| most.descriptors.to_string())),
            ("scrapes", format!("{}, {} failed", self.scrapes.took.len(), self.scrapes.failed)),
            (
                "a scrape",
                format!(
                    "p50 {:.1} ms, p99 {:.1} ms, longest {:.1} ms",
                    millis(self.scrapes.percentile(50)),
                    millis(self.scrapes.percentile(99)),
                    millis(self.scrapes.percentile(100))
                ),
            ),
            ("requests the OTLP receiver took", self.pushed.to_string()),
            ("reloads", self.reloads.to_string()),
        ]
    }

    /// The most of each in one of four quarters.
    fn most(&self, quarter: usize) -> Sample {
        let length = (self.samples.len() / 4).max(1);
        let samples = self.samples.iter().skip(quarter * length).take(length);
        samples.fold(Sample { own: 0, descriptors: 0 }, |most, sample| Sample {
            own: most.own.max(sample.own),
            descriptors: most.descriptors.max(sample.descriptors),
        })
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
