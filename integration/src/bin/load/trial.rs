//! One line of a table: somebody watches an interface while something is sent, and is looked at.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use integration::process::{Process, load_average, machine, megabytes};
use integration::ringside::{Config, HTTP, Ringside};
use integration::scraper::Scraper;
use integration::wait::within;
use testnet::Namespace;

/// What a line is about.
pub const HEADER: &str = "\
| offered | packets | sent at | CPU per packet | CPU | machine | lost | counters | resident, own | scrape p50 / p99 | load |
|---|---|---|---|---|---|---|---|---|---|---|";

/// Who watches.
pub enum Observer<'a> {
    /// The program.
    Ringside(&'a Setup),
    /// A reader that does nothing with what it reads: what capture itself costs.
    Tcpdump,
}

/// What ringside runs with.
pub struct Setup {
    pub name: &'static str,
    /// The one core it may use.
    pub core: Option<usize>,
    pub shards: usize,
}

impl Observer<'_> {
    pub fn name(&self) -> &str {
        match self {
            Self::Ringside(setup) => setup.name,
            Self::Tcpdump => "`tcpdump -w /dev/null`, for comparison",
        }
    }
}

/// A line that is being measured.
pub struct Trial<'a> {
    watcher: Watcher<'a>,
    start: Instant,
    cpu: Duration,
    busy: Duration,
}

enum Watcher<'a> {
    Ringside(Box<Ringside<'a>>, Scraper),
    Tcpdump(Child),
}

/// What is in the ring when the last packet has come.
pub const SETTLES: Duration = Duration::from_secs(10);

impl<'a> Trial<'a> {
    /// Begins; `interface` is in `namespace`.
    pub fn start(namespace: &'a Namespace, interface: &str, observer: &Observer<'_>) -> Self {
        let watcher = match observer {
            Observer::Ringside(setup) => {
                let toml = format!("{}\n[service]\nshards = {}\n", Config::on(interface).toml(), setup.shards);
                let core = setup.core.map(|core| core.to_string());
                let wrapper: Vec<&str> = core.iter().flat_map(|core| ["taskset", "-c", core]).collect();
                let ringside = Ringside::start_with(namespace, &toml, &wrapper);
                Watcher::Ringside(Box::new(ringside), Scraper::start(namespace, HTTP))
            }
            Observer::Tcpdump => Watcher::Tcpdump(tcpdump(namespace, interface, "udp port 5060")),
        };
        let process = watcher.process();
        Self { start: Instant::now(), cpu: process.cpu(), busy: machine(), watcher }
    }

    /// The line: what was `offered` meanwhile are `packets`, sent in `took`, after which counters must be as `expected`.
    pub fn end(self, offered: &str, packets: u64, took: Duration, expected: Vec<(String, f64)>) -> String {
        let process = self.watcher.process();
        // Reading the capture into memory included, which is not in `took`.
        let machine = 100.0 * machine().saturating_sub(self.busy).as_secs_f64() / self.start.elapsed().as_secs_f64();
        let seen = match &self.watcher {
            Watcher::Ringside(ringside, _) => {
                let all = |seen: &u64| *seen >= packets;
                let seen = || ringside.scrape().count("packets_total") + ringside.scrape().count("capture_drops_total");
                within(SETTLES, || Some(seen()).filter(all));
                Seen::of(ringside, expected)
            }
            // It has read what there is once it takes no more time.
            Watcher::Tcpdump(_) => {
                std::thread::sleep(Duration::from_secs(1));
                Seen::default()
            }
        };
        let cpu = process.cpu() - self.cpu;
        let (resident, own) = (megabytes(process.resident()), megabytes(process.own()));
        let percent = |time: Duration| 100.0 * time.as_secs_f64() / took.as_secs_f64();
        let (scrapes, lost, counters) = match self.watcher {
            Watcher::Ringside(_, scraper) => {
                let scrapes = scraper.stop();
                let [p50, p99] = [50, 99].map(|percent| scrapes.percentile(percent).as_secs_f64() * 1e3);
                (format!("{p50:.1} / {p99:.1} ms"), seen.drops.to_string(), seen.counters)
            }
            Watcher::Tcpdump(child) => ("".to_owned(), dropped(child), "".to_owned()),
        };
        format!(
            "| {offered} | {packets} | {:.0}/s | {:.2} µs | {:.1} % | {machine:.0} % | {lost} | {counters} | {resident:.0}, {own:.0} MB | {scrapes} | {:.1} |",
            packets as f64 / took.as_secs_f64(),
            cpu.as_secs_f64() * 1e6 / packets as f64,
            percent(cpu),
            load_average(),
        )
    }
}

impl Watcher<'_> {
    fn process(&self) -> Process {
        match self {
            Self::Ringside(ringside, _) => ringside.process(),
            Self::Tcpdump(child) => Process(child.id()),
        }
    }
}

/// What ringside has counted.
#[derive(Default)]
struct Seen {
    drops: u64,
    counters: String,
}

impl Seen {
    fn of(ringside: &Ringside<'_>, expected: Vec<(String, f64)>) -> Self {
        let scrape = ringside.scrape();
        let differences = scrape.differences(expected);
        let counters = match differences.len() {
            0 => "exact".to_owned(),
            count => {
                differences.iter().for_each(|difference| eprintln!("load: {difference}"));
                format!("{count} differ")
            }
        };
        Self { drops: scrape.count("capture_drops_total"), counters }
    }
}

/// Starts it and waits until it listens.
pub fn tcpdump(namespace: &Namespace, interface: &str, filter: &str) -> Child {
    let mut command = namespace.command("tcpdump");
    // A ring of 64 MiB, as large as ringside's.
    command.args(["-i", interface, "-B", "65536", "-w", "/dev/null", filter]);
    let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("tcpdump is installed");
    let listens = || {
        let sockets = namespace.run(|| std::fs::read_to_string("/proc/thread-self/net/packet"));
        sockets.ok().filter(|sockets| sockets.lines().count() > 1)
    };
    within(SETTLES, listens).expect("tcpdump opens its socket");
    child
}

/// What it says that the kernel dropped.
fn dropped(child: Child) -> String {
    let id = libc::pid_t::try_from(child.id()).expect("a process id");
    // SAFETY: no pointers; the child has not been waited for, so the id is its own.
    unsafe { libc::kill(id, libc::SIGINT) };
    let output = child.wait_with_output().expect("our own child");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let line = said.lines().find_map(|line| line.strip_suffix(" packets dropped by kernel"));
    line.unwrap_or("?").to_owned()
}
