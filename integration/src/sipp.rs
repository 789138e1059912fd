//! SIPp as caller and callee: one call flow as text goes in, real calls happen, SIPp's own counts come out.
//!
//! Both sides' scenarios are made from the same text ([`scenario`]), so that they cannot disagree.

mod counts;
pub mod scenario;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::time::Duration;

pub use counts::Counts;
use scenario::{Scenario, Side, Transport};
use testnet::Namespace;

use crate::scratch::Folder;
use crate::wait::{eventually, within};

/// A side that has not ended so long after the last call began is stuck.
const LONGEST: Duration = Duration::from_secs(90);

/// Most characters shown of SIPp's errors.
const MOST_ERRORS: usize = 2_000;

/// Most calls that SIPp has up at once: it wants a descriptor in reserve for each.
const MOST_UP: u32 = 10_000;

/// One side of the calls.
#[derive(Clone, Copy, Debug)]
pub struct Party<'a> {
    /// Where it runs.
    pub namespace: &'a Namespace,
    /// Where it listens and sends from.
    pub address: SocketAddr,
}

/// How many calls, and how fast.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Calls in all.
    pub calls: u32,
    /// New calls per second.
    pub rate: u32,
}

impl Load {
    /// A few calls, one every 20 ms.
    pub const fn of(calls: u32) -> Self {
        Self { calls, rate: 50 }
    }
}

/// Places calls and waits until both sides have ended them.
///
/// # Panics
/// When a side does not end, or when SIPp itself finds that a call went otherwise than written.
#[track_caller]
pub fn exchange(scenario: &Scenario, caller: Party, callee: Party, load: Load) -> Counts {
    exchange_through(scenario, caller, callee, callee.address, load)
}

/// Like [`exchange`], with a proxy between the two: the caller sends to `hop`.
#[track_caller]
pub fn exchange_through(scenario: &Scenario, caller: Party, callee: Party, hop: SocketAddr, load: Load) -> Counts {
    let callee = Sipp::start(scenario, Side::Callee, callee, hop, load);
    let caller = Sipp::start(scenario, Side::Caller, caller, hop, load);
    let mut counts = caller.finish();
    counts.add(callee.finish());
    counts
}

/// Like [`exchange`], as fast as this machine may not manage: also says whether SIPp itself kept up. Where it did not,
/// its counts leave out what it sent to end the calls that failed.
///
/// # Panics
/// When a side does not end.
#[track_caller]
pub fn strain(scenario: &Scenario, caller: Party, callee: Party, load: Load) -> (Counts, bool) {
    let hop = callee.address;
    let callee = Sipp::start(scenario, Side::Callee, callee, hop, load);
    let (mut counts, caller) = Sipp::start(scenario, Side::Caller, caller, hop, load).result();
    // It waits for calls that will not come.
    let (received, callee) = if caller.success() { callee.result() } else { callee.interrupted() };
    counts.add(received);
    (counts, caller.success() && callee.success())
}

/// Waits until somebody listens on a UDP port.
///
/// # Panics
/// When nobody comes.
#[track_caller]
pub fn await_udp(namespace: &Namespace, port: u16) {
    eventually(&format!("a listener on UDP port {port}"), || namespace.hears_udp(port).then_some(()));
}

/// Waits until somebody listens on a TCP port.
///
/// # Panics
/// When nobody comes.
#[track_caller]
pub fn await_tcp(namespace: &Namespace, port: u16) {
    eventually(&format!("a listener on TCP port {port}"), || namespace.hears_tcp(port).then_some(()));
}

/// A running SIPp.
#[derive(Debug)]
pub struct Sipp {
    child: Child,
    folder: Folder,
    longest: Duration,
}

impl Sipp {
    /// Starts one side; a callee listens when this returns.
    ///
    /// # Panics
    /// When SIPp cannot be started.
    #[track_caller]
    pub fn start(scenario: &Scenario, side: Side, party: Party, hop: SocketAddr, load: Load) -> Self {
        let folder = Folder::new("sipp");
        let longest = LONGEST + Duration::from_secs((load.calls / load.rate).into());
        fs::write(folder.join("scenario.xml"), scenario.xml(side)).expect("the scenario is written");
        let log = fs::File::create(folder.join("log")).expect("a log");
        let mut command = party.namespace.command("sipp");
        command
            .current_dir(folder.path())
            .args([
                "-sf",
                "scenario.xml",
                "-i",
                &party.address.ip().to_string(),
                "-p",
                &party.address.port().to_string(),
            ])
            // A call on a connection that its peer closes after the last message has not failed.
            .args(["-t", scenario.transport().mode(), "-reconnect_close", "false", "-max_socket", "1000"])
            .args(["-m", &load.calls.to_string(), "-trace_counts", "-trace_err", "-nostdin", "-timeout_error"])
            .args(["-timeout", &format!("{}s", longest.as_secs())])
            .stdin(Stdio::null())
            .stderr(log.try_clone().expect("a log"))
            .stdout(log);
        if side == Side::Caller {
            let rate = load.rate.to_string();
            command.args(["-r", &rate, "-l", &load.calls.min(MOST_UP).to_string(), &hop.to_string()]);
        }
        let child = command.spawn().expect("sipp starts");
        let sipp = Self { child, folder, longest };
        if side == Side::Callee {
            match scenario.transport() {
                Transport::Udp => await_udp(party.namespace, party.address.port()),
                Transport::Tcp | Transport::TcpPerCall => await_tcp(party.namespace, party.address.port()),
            }
        }
        sipp
    }

    /// Its process, for a test that ends it early.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the end.
    ///
    /// # Panics
    /// When it does not come, or when a call failed; with SIPp's errors.
    #[track_caller]
    pub fn finish(mut self) -> Counts {
        let status = self.ended();
        assert!(status.success(), "sipp: {status}\n{}", self.errors());
        self.counts(status)
    }

    /// Waits for the end, however it comes.
    fn result(mut self) -> (Counts, ExitStatus) {
        let status = self.ended();
        (self.counts(status), status)
    }

    /// Ends it: SIPp takes SIGUSR1 for "no more calls, then quit".
    fn interrupted(self) -> (Counts, ExitStatus) {
        let id = libc::pid_t::try_from(self.id()).expect("a process id");
        // SAFETY: no pointers; the child has not been waited for, so the id is its own.
        unsafe { libc::kill(id, libc::SIGUSR1) };
        self.result()
    }

    #[track_caller]
    fn ended(&mut self) -> ExitStatus {
        let ended = within(self.longest, || self.child.try_wait().expect("our own child"));
        ended.unwrap_or_else(|| panic!("sipp does not end; see {}", self.folder.path().display()))
    }

    fn counts(&self, status: ExitStatus) -> Counts {
        let file = self.file_ending("_counts.csv");
        let text = file.and_then(|path| fs::read_to_string(path).ok());
        Counts::parse(&text.unwrap_or_else(|| panic!("sipp ({status}) has left no counts: {}", self.errors())))
    }

    fn errors(&self) -> String {
        let text = |path: Option<PathBuf>| path.and_then(|path| fs::read_to_string(path).ok()).unwrap_or_default();
        let errors = text(self.file_ending("_errors.log"));
        let all = if errors.is_empty() { text(Some(self.folder.join("log"))) } else { errors };
        // The first say what was wrong; there is one for each call.
        all.chars().take(MOST_ERRORS).collect()
    }

    fn file_ending(&self, ending: &str) -> Option<PathBuf> {
        let files = fs::read_dir(self.folder.path()).ok()?.flatten().map(|entry| entry.path());
        files.into_iter().find(|path: &PathBuf| is_named(path, ending))
    }
}

fn is_named(path: &Path, ending: &str) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(ending))
}

impl Drop for Sipp {
    fn drop(&mut self) {
        // Only where a test failed in between: a SIPp that has ended is not there to be killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
