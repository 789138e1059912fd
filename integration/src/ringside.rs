//! The program under test: started with a configuration of its own, watched through what an operator sees:
//! `/metrics`, `/health`, its log and its exit status.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use testnet::Namespace;

use crate::exposition::Exposition;
use crate::http;
use crate::process::Process;
use crate::scratch::Folder;
use crate::wait::{DEADLINE, eventually, within};

/// Where it serves unless told otherwise: in a namespace of its own any port is free.
pub const HTTP: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 2112);

/// Longer than the receiver holds anything back.
const CAPTURE_LATENCY: Duration = Duration::from_millis(300);

/// Longer than a failure waits for another try (`fork_hold`, 2 s) and is held back.
const DECIDED: Duration = Duration::from_secs(3);

/// What differs from test to test in the configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// `exporters.prometheus.endpoint`.
    pub endpoint: SocketAddr,
    /// `receivers.ebpf_sip.interfaces`.
    pub interfaces: Vec<String>,
    /// Further lines of `[receivers.ebpf_sip]`.
    pub receiver: String,
    /// Lines of `[processors.dialog]`.
    pub dialog: String,
    /// Lines of `[processors.enrich]`.
    pub enrich: String,
    /// Further lines of `[exporters.prometheus]`.
    pub prometheus: String,
}

impl Config {
    /// Captures one interface, everything else by default.
    pub fn on(interface: &str) -> Self {
        Self {
            endpoint: HTTP,
            interfaces: vec![interface.to_owned()],
            receiver: String::new(),
            dialog: String::new(),
            enrich: String::new(),
            prometheus: String::new(),
        }
    }

    /// With these lines in `[receivers.ebpf_sip]`.
    pub fn receiver(self, lines: &str) -> Self {
        Self { receiver: lines.to_owned(), ..self }
    }

    /// With these lines in `[processors.dialog]`.
    pub fn dialog(self, lines: &str) -> Self {
        Self { dialog: lines.to_owned(), ..self }
    }

    /// With these lines in `[processors.enrich]`.
    pub fn enrich(self, lines: &str) -> Self {
        Self { enrich: lines.to_owned(), ..self }
    }

    /// With these lines in `[exporters.prometheus]`.
    pub fn prometheus(self, lines: &str) -> Self {
        Self { prometheus: lines.to_owned(), ..self }
    }

    /// The file.
    pub fn toml(&self) -> String {
        let Self { endpoint, interfaces, receiver, dialog, enrich, prometheus } = self;
        format!(
            "[receivers.ebpf_sip]\ninterfaces = {interfaces:?}\n{receiver}\n\
             [processors.dialog]\n{dialog}\n\
             [processors.enrich]\n{enrich}\n\
             [exporters.prometheus]\nendpoint = \"{endpoint}\"\n{prometheus}\n\
             [service.pipelines.metrics]\nreceivers = [\"ebpf_sip\"]\n\
             processors = [\"dialog\", \"enrich\"]\nexporters = [\"prometheus\"]\n"
        )
    }
}

/// The binary: `RINGSIDE_BIN`, else the one that lies beside the running test.
///
/// # Panics
/// When there is none.
pub fn binary() -> PathBuf {
    let given = std::env::var_os("RINGSIDE_BIN").map(PathBuf::from);
    let path = given.unwrap_or_else(|| {
        let test = std::env::current_exe().expect("a running program has a path");
        let folder = test.ancestors().find(|path| path.join("deps").is_dir()).expect("a cargo target folder");
        folder.join("ringside")
    });
    assert!(path.exists(), "{} is missing: cargo build --package ringside", path.display());
    path
}

/// A running ringside, killed when dropped.
#[derive(Debug)]
pub struct Ringside<'a> {
    child: Child,
    folder: Folder,
    namespace: &'a Namespace,
    endpoint: SocketAddr,
}

impl<'a> Ringside<'a> {
    /// Starts it and waits until it captures.
    ///
    /// # Panics
    /// When it ends instead, with its log.
    #[track_caller]
    pub fn start(namespace: &'a Namespace, config: &Config) -> Self {
        let mut ringside = Self::spawn(namespace, &config.toml(), &[]);
        ringside.endpoint = config.endpoint;
        ringside.await_health();
        ringside
    }

    /// The same with a configuration file of this text, which serves at [`HTTP`], by way of `wrapper`; see
    /// [`Ringside::spawn`].
    ///
    /// # Panics
    /// When it ends instead, with its log.
    #[track_caller]
    pub fn start_with(namespace: &'a Namespace, toml: &str, wrapper: &[&str]) -> Self {
        let mut ringside = Self::spawn(namespace, toml, wrapper);
        ringside.await_health();
        ringside
    }

    /// Waits until it captures.
    ///
    /// # Panics
    /// When it ends instead, with its log.
    #[track_caller]
    pub fn await_health(&mut self) {
        let healthy = within(DEADLINE, || {
            let ended = self.child.try_wait().expect("our own child");
            assert!(ended.is_none(), "ringside has ended: {ended:?}\n{}", self.log());
            self.health().ok().filter(|(status, _)| *status == 200)
        });
        assert!(healthy.is_some(), "ringside does not become healthy\n{}", self.log());
    }

    /// Starts it with a configuration file of this text, which serves at [`HTTP`], by way of `wrapper` (a command that
    /// runs a command).
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn spawn(namespace: &'a Namespace, toml: &str, wrapper: &[&str]) -> Self {
        let folder = Folder::new("run");
        let config = folder.join("pipeline.toml");
        fs::write(&config, toml).expect("a configuration");
        let log = File::create(folder.join("log")).expect("a log");
        let mut command = match wrapper {
            [] => namespace.command(binary()),
            [program, arguments @ ..] => {
                // The user it changes to may not be allowed into cargo's folder.
                let copy = folder.join("ringside");
                fs::copy(binary(), &copy).expect("a copy of the binary");
                let mut command = namespace.command(program);
                command.args(arguments).arg(copy);
                command
            }
        };
        let output = File::create(folder.join("output")).expect("an output");
        command.args(["run", "--config"]).arg(&config).stdin(Stdio::null()).stdout(output).stderr(log);
        let child = command.spawn().expect("ringside starts");
        Self { child, folder, namespace, endpoint: HTTP }
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it runs no more.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("our own child").is_some()
    }

    /// Status and body of `/health`.
    pub fn health(&self) -> io::Result<(u16, serde_json::Value)> {
        let (status, body) = self.namespace.run(|| http::get(self.endpoint, "/health"))?;
        Ok((status, serde_json::from_str(&body).map_err(io::Error::other)?))
    }

    /// A page of the Prometheus exporter.
    ///
    /// # Panics
    /// When it does not answer with 200.
    #[track_caller]
    pub fn page(&self, path: &str) -> String {
        match self.namespace.run(|| http::get(self.endpoint, path)) {
            Ok((200, body)) => body,
            other => panic!("GET {path}: {other:?}\n{}", self.log()),
        }
    }

    /// `/metrics` now.
    #[track_caller]
    pub fn scrape(&self) -> Exposition {
        Exposition::parse(&self.page("/metrics"))
    }

    /// `/internal/metrics` now: the sum over all series of a name.
    #[track_caller]
    pub fn internal(&self, name: &str) -> Option<f64> {
        let scrape = Exposition::parse(&self.page("/internal/metrics"));
        let matching = scrape.series().iter().filter(|series| series.name == name);
        matching.map(|series| series.value).reduce(|sum, value| sum + value)
    }

    /// `/metrics` once `packets_total` has reached `packets`, and then one capture interval later, so that what is
    /// counted too often shows as well; later still when an attempt failed and may be tried again.
    ///
    /// # Panics
    /// When it is not reached.
    #[track_caller]
    pub fn settled(&self, packets: u64) -> Exposition {
        let reached =
            within(DEADLINE, || Some(self.scrape()).filter(|scrape| scrape.count("packets_total") >= packets));
        if reached.is_none() {
            let scrape = self.scrape();
            let [seen, dropped, copies] = ["packets_total", "capture_drops_total", "capture_duplicates_total"]
                .map(|counter| scrape.count(counter));
            panic!("{seen} of {packets} packets seen, {dropped} dropped, {copies} capture duplicates\n{}", self.log());
        }
        std::thread::sleep(CAPTURE_LATENCY);
        let are_decided = |scrape: &Exposition| {
            ["session", "registration"].iter().all(|what| {
                let [attempts, outcomes] = ["attempts", "outcomes"].map(|of| format!("{what}_{of}_total"));
                scrape.count(&attempts) == scrape.count(&outcomes)
            })
        };
        within(DECIDED, || Some(self.scrape()).filter(are_decided)).unwrap_or_else(|| self.scrape())
    }

    /// The first scrape where `selector` stands at `value`.
    ///
    /// # Panics
    /// When that does not come.
    #[track_caller]
    pub fn reaches(&self, selector: &str, value: f64) -> Exposition {
        eventually(&format!("{selector} = {value}"), || {
            Some(self.scrape()).filter(|scrape| scrape.value(selector).unwrap_or(0.0) == value)
        })
    }

    /// Replaces the configuration file; it is read again at SIGHUP.
    pub fn rewrite(&self, toml: &str) {
        fs::write(self.folder.join("pipeline.toml"), toml).expect("a configuration");
    }

    /// Sends a signal.
    pub fn signal(&self, signal: libc::c_int) {
        let id = libc::pid_t::try_from(self.child.id()).expect("a process id");
        // SAFETY: no pointers; the child has not been waited for, so the id is still its own.
        assert_eq!(unsafe { libc::kill(id, signal) }, 0, "kill: {}", io::Error::last_os_error());
    }

    /// Waits for it to end by itself.
    ///
    /// # Panics
    /// When it does not within `deadline`.
    #[track_caller]
    pub fn ended(&mut self, deadline: Duration) -> ExitStatus {
        let status = within(deadline, || self.child.try_wait().expect("our own child"));
        status.unwrap_or_else(|| panic!("ringside still runs after {deadline:?}\n{}", self.log()))
    }

    /// What it said on standard error.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// What it said on standard output.
    pub fn output(&self) -> String {
        fs::read_to_string(self.folder.join("output")).unwrap_or_default()
    }

    /// Its process, to see what it takes.
    pub fn process(&self) -> Process {
        Process(self.child.id())
    }

    /// Processor time it has used so far.
    ///
    /// # Panics
    /// When it has ended.
    pub fn processor_time(&self) -> Duration {
        self.process().cpu()
    }

    /// Processor time of its threads of this name (`/proc/PID/task/*/schedstat`).
    ///
    /// # Panics
    /// When it has ended.
    pub fn thread_time(&self, name: &str) -> Duration {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("a running process").flatten();
        let read = |task: &fs::DirEntry, file| fs::read_to_string(task.path().join(file)).unwrap_or_default();
        let named = tasks.filter(|task| read(task, "comm").trim() == name);
        let nanos = named.filter_map(|task| read(&task, "schedstat").split(' ').next()?.parse::<u64>().ok());
        Duration::from_nanos(nanos.sum())
    }

    /// Bytes of memory it holds, without the ring that the kernel shares with it (`RssAnon`).
    ///
    /// # Panics
    /// When it has ended.
    pub fn memory(&self) -> u64 {
        self.process().own()
    }
}

impl Drop for Ringside<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a subcommand to its end.
///
/// # Panics
/// When the program cannot be started.
pub fn command(arguments: &[&str], folder: &Path) -> std::process::Output {
    Command::new(binary()).args(arguments).current_dir(folder).output().expect("ringside starts")
}
