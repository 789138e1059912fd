//! A node whose service address real rules of iptables translate, as kube-proxy's do, with the daemon on it.
//!
//! Calls are sent one message at a time, and which backend got each is known: a call is broken once a message of it got to
//! another than its INVITE.

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use integration::balanced::{Lab, Rules, backend};
use integration::gate::{self, Pass};
use integration::wait::eventually;
use serde_json::Value;
use testnet::{Family, skipped};

/// The network, the daemon, and calls that are up.
pub struct Stage {
    pub lab: Lab,
    folder: tempfile::TempDir,
    pins: PathBuf,
    daemon: Option<Child>,
    count: u32,
    _pass: Pass,
}

/// A call that is up.
pub struct Call {
    id: String,
    /// Which backend has it.
    pub pod: usize,
}

/// An INVITE that a backend has.
pub struct Offered {
    /// Which one.
    pub pod: usize,
    from: SocketAddr,
    id: String,
    client: UdpSocket,
}

impl Call {
    /// Its Call-ID.
    pub fn id(&self) -> &str {
        &self.id
    }
}

/// A datagram between namespaces of one machine is there within much less.
const BRIEFLY: Duration = Duration::from_millis(200);

/// Where BPF file systems are mounted.
const BPF: &str = "/sys/fs/bpf";

static STAGES: AtomicU32 = AtomicU32::new(0);

impl Stage {
    /// A node with the first `pods` of three backends behind its service, and no daemon; `None` where that cannot be.
    pub fn new(test: &str, pods: usize) -> Option<Self> {
        Self::over(Family::V4, test, pods)
    }

    /// The same in a family.
    pub fn over(family: Family, test: &str, pods: usize) -> Option<Self> {
        let pass = gate::shared(test)?;
        let lab = || Lab::new(family, Rules::Iptables).expect("namespaces are allowed, the gate has tried");
        Self::on(test, pass, lab, pods)
    }

    /// On a network of its own.
    pub fn on(test: &str, pass: Pass, lab: impl FnOnce() -> Lab, pods: usize) -> Option<Self> {
        let mounts = fs::read_to_string("/proc/self/mounts").expect("Linux");
        if !mounts.lines().any(|line| line.split(' ').nth(1) == Some(BPF)) {
            skipped(test, &format!("no BPF file system is mounted at {BPF}"));
            return None;
        }
        let lab = lab();
        lab.set_backends(&(0..pods).collect::<Vec<_>>());
        let number = STAGES.fetch_add(1, Ordering::Relaxed);
        let pins = Path::new(BPF).join(format!("ringside-steer-test-{}-{number}", std::process::id()));
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("found")).expect("a folder");
        let stage = Self { lab, folder, pins, daemon: None, count: 0, _pass: pass };
        stage.configure("", "");
        stage.find(&(0..pods).collect::<Vec<_>>());
        Some(stage)
    }

    /// Writes the configuration: `steer` stands in `[steer]`, `service` in the service.
    pub fn configure(&self, steer: &str, service: &str) {
        let (shown, pins) = (self.folder.path().display(), self.pins.display());
        let sizes = if steer.contains("max_dialogs") { "" } else { "max_dialogs = 20000\n" };
        let text = format!(
            "[steer]\n{steer}\ninterfaces = [\"c0\", \"p*\", \"late*\"]\nallowed_backends = [\"10.244.0.0/16\", \"2001:db8:244::/48\"]\n\
             state_dir = \"{shown}/state\"\ncontrol = \"{shown}/control\"\npin_dir = \"{pins}\"\n\
             {sizes}max_flows = 20000\nmax_fragments = 64\nmax_buckets = 64\n\
             [discovery]\nfiles = [\"{shown}/found/*.json\"]\n\
             [[service]]\nname = \"sbc\"\naddresses = [\"{}\"]\n{service}\n",
            self.lab.service()
        );
        fs::write(self.file(), text).expect("a file");
    }

    pub fn file(&self) -> PathBuf {
        self.folder.path().join("steer.toml")
    }

    /// Names these backends in a discovery file.
    pub fn find(&self, pods: &[usize]) {
        let group = |pod: &usize| {
            let address = backend(self.lab.family, *pod);
            format!(r#"{{ "targets": ["{address}"], "labels": {{ "service": "sbc", "backend": "pod{pod}" }} }}"#)
        };
        let text = format!("[{}]", pods.iter().map(group).collect::<Vec<_>>().join(", "));
        fs::write(self.folder.path().join("beside"), text).expect("a file");
        fs::rename(self.folder.path().join("beside"), self.folder.path().join("found/pods.json")).expect("it can be");
    }

    /// The program, in the namespace of the node.
    pub fn program(&self) -> Command {
        self.lab.node.command(env!("CARGO_BIN_EXE_ringside-steer"))
    }

    /// Starts the daemon, and waits until it answers.
    pub fn start(&mut self) {
        let log = fs::File::options().create(true).append(true).open(self.folder.path().join("log")).expect("a file");
        let mut command = self.program();
        command.args(["run", "--config"]).arg(self.file()).stdin(Stdio::null()).stderr(log);
        self.daemon = Some(command.spawn().expect("it is built"));
        let log = self.folder.path().join("log");
        eventually("the daemon answers", || {
            let ended = self.daemon.as_mut().and_then(|child| child.try_wait().expect("it can be asked"));
            if let Some(status) = ended {
                panic!("the daemon ended ({status}):\n{}", fs::read_to_string(&log).unwrap_or_default());
            }
            self.try_ask(&["status"]).map(drop)
        });
    }

    pub fn daemon_id(&self) -> u32 {
        self.daemon.as_ref().expect("it runs").id()
    }

    /// Ends the daemon as nobody should.
    pub fn kill(&mut self) {
        let mut daemon = self.daemon.take().expect("it runs");
        daemon.kill().expect("it is ours");
        daemon.wait().expect("it is ours");
    }

    /// Sends a signal to the daemon.
    pub fn signal(&self, signal: nix::sys::signal::Signal) {
        let id = nix::unistd::Pid::from_raw(i32::try_from(self.daemon_id()).expect("a process id"));
        nix::sys::signal::kill(id, signal).expect("it runs");
    }

    /// Ends the daemon, and has everything taken out of the kernel; whether that was done.
    pub fn end(&mut self) -> bool {
        if self.daemon.is_some() {
            self.kill();
        }
        let mut command = self.program();
        let detached = command.args(["detach", "--force", "--config"]).arg(self.file()).output();
        detached.is_ok_and(|output| output.status.success())
    }

    /// How the daemon ended; waits for it.
    pub fn wait(&mut self) -> std::process::ExitStatus {
        self.daemon.take().expect("it runs").wait().expect("it is ours")
    }

    /// What a command answers, as JSON; `None` where it is refused.
    pub fn try_ask(&self, command: &[&str]) -> Option<Value> {
        let mut program = self.program();
        let output =
            program.args(command).arg("--json").arg("--config").arg(self.file()).output().expect("it is built");
        output.status.success().then(|| serde_json::from_slice(&output.stdout).expect("it prints JSON"))
    }

    #[track_caller]
    pub fn ask(&self, command: &[&str]) -> Value {
        self.try_ask(command).unwrap_or_else(|| panic!("{command:?} is refused"))
    }

    /// The value of a series, by its name with labels.
    pub fn metric(&self, series: &str) -> f64 {
        let address = ([127, 0, 0, 1], 2114).into();
        let (_, text) = self.lab.node.run(|| integration::http::get(address, "/metrics")).expect("it serves them");
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ').map(str::to_owned));
        line.unwrap_or_else(|| panic!("{series} is not in\n{text}")).parse().expect("a number")
    }

    /// A new call from a port of its own: INVITE, and the answer of whoever got it.
    pub fn call(&mut self) -> Call {
        self.count += 1;
        let id = format!("{}-{}@test", self.count, std::process::id());
        let client = self.client();
        let (pod, from) = self.lab.send(&client, self.lab.service(), &request("INVITE", &id, 1, false));
        let answered = self.lab.answer(pod, from, &response(200, "INVITE", &id, 1), &client);
        assert_eq!(answered, self.lab.service(), "the client hears from whom it called");
        Call { id, pod }
    }

    /// INVITEs that backends have, and have not answered.
    pub fn offer(&mut self, count: usize) -> Vec<Offered> {
        let offer = |_| {
            self.count += 1;
            let id = format!("{}-{}@test", self.count, std::process::id());
            let client = self.client();
            let (pod, from) = self.lab.send(&client, self.lab.service(), &request("INVITE", &id, 1, false));
            Offered { pod, from, id, client }
        };
        (0..count).map(offer).collect()
    }

    /// Their backends refuse these.
    pub fn refuse(&self, offered: &[Offered]) {
        for Offered { pod, from, id, client } in offered {
            self.lab.answer(*pod, *from, &response(486, "INVITE", id, 1), client);
        }
    }

    pub fn calls(&mut self, count: usize) -> Vec<Call> {
        (0..count).map(|_| self.call()).collect()
    }

    /// Which backend gets the BYE of a call, sent from another port than everything before.
    pub fn bye(&mut self, call: &Call) -> usize {
        let client = self.client();
        let (pod, from) = self.lab.send(&client, self.lab.service(), &request("BYE", &call.id, 2, true));
        let status = if pod == call.pod { 200 } else { 481 };
        self.lab.answer(pod, from, &response(status, "BYE", &call.id, 2), &client);
        pod
    }

    /// Sends a request that begins nothing a call needs, from a client's host, and says whether a backend got it.
    pub fn reaches(&mut self, host: u8, method: &str) -> bool {
        self.count += 1;
        let id = format!("{}-{}@test", self.count, std::process::id());
        let client = self.lab.client(host, 0);
        self.lab.try_send(&client, self.lab.service(), &request(method, &id, 1, false), BRIEFLY).is_some()
    }

    /// How many of these calls are broken: their BYE gets to another backend.
    pub fn broken(&mut self, calls: &[Call]) -> usize {
        calls.iter().filter(|call| self.bye(call) != call.pod).count()
    }

    fn client(&mut self) -> UdpSocket {
        // Any port that is free.
        self.lab.client(10, 0)
    }

    /// What of the pins is left.
    pub fn pinned(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.pins).map(|entries| entries.flatten().map(|entry| entry.path()).collect());
        entries.unwrap_or_default()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.end();
        let _ = fs::remove_dir(&self.pins);
        if std::thread::panicking() {
            eprintln!("{}", fs::read_to_string(self.folder.path().join("log")).unwrap_or_default());
        }
    }
}

fn request(method: &str, call_id: &str, cseq: u32, in_dialog: bool) -> String {
    let tag = if in_dialog { ";tag=b" } else { "" };
    format!(
        "{method} sip:bob@10.96.0.60 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK{call_id}{cseq};rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:alice@192.0.2.10>;tag=a\r\nTo: <sip:bob@10.96.0.60>{tag}\r\nCall-ID: {call_id}\r\n\
         CSeq: {cseq} {method}\r\nContent-Length: 0\r\n\r\n"
    )
}

fn response(status: u16, method: &str, call_id: &str, cseq: u32) -> String {
    format!(
        "SIP/2.0 {status} Whatever\r\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK{call_id}{cseq};rport\r\n\
         From: <sip:alice@192.0.2.10>;tag=a\r\nTo: <sip:bob@10.96.0.60>;tag=b\r\nCall-ID: {call_id}\r\n\
         CSeq: {cseq} {method}\r\nContent-Length: 0\r\n\r\n"
    )
}
