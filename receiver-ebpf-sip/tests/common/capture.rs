//! The receiver under test, with what it brought.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use pipeline::event::NotRead;
use pipeline::media::MediaPacket;
use pipeline::{CaptureStatus, FrameBatch, MediaPorts, Receiver, Telemetry};
use receiver_ebpf_sip::{Config, EbpfSipReceiver, RingShape};

use testnet::{Namespace, skipped};

/// Longest wait for something that must happen; only a failing test waits so long.
const DEADLINE: Duration = Duration::from_secs(20);

/// Runs `body` on a thread of its own, which may enter a namespace, or says why that proves nothing here.
pub fn live(test: &str, body: impl FnOnce() + Send) {
    static REFUSED: OnceLock<Option<String>> = OnceLock::new();
    // Also the first use of aya in this process: it asks the kernel what it can do only once, and must
    // not ask on a thread that gave its capabilities away.
    match REFUSED.get_or_init(|| thread::spawn(refused).join().expect("it asserts nothing")) {
        Some(why) => skipped(test, why),
        None => thread::scope(|scope| {
            let alone = scope.spawn(body);
            alone.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        }),
    }
}

/// What this machine refuses of what live tests need.
fn refused() -> Option<String> {
    let namespace = match Namespace::new() {
        Ok(namespace) => namespace,
        Err(error) => return Some(format!("network namespaces are refused: {error}")),
    };
    namespace.enter();
    let mut receiver = EbpfSipReceiver::new(Config::default());
    match receiver.start() {
        Err(error) => Some(error.to_string()),
        Ok(()) if receiver.status().kind != "ebpf" => Some("bpf() is refused".to_owned()),
        Ok(()) => None,
    }
}

/// A started receiver and the messages it brought.
pub struct Tap {
    receiver: EbpfSipReceiver,
    batch: FrameBatch,
    messages: Vec<Seen>,
    /// Messages `until` has handed out.
    told: usize,
    drops: u64,
    duplicates: u64,
    not_read: [u64; NotRead::ALL.len()],
    elsewhere: u64,
    media: Vec<MediaPacket>,
    reports: Vec<Vec<u8>>,
    media_drops: u64,
}

/// A message that was seen.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The user part of its Request-URI.
    pub name: String,
    pub source: SocketAddr,
    pub length: usize,
}

impl Tap {
    /// Captures in the namespace of the calling thread, from now on.
    pub fn new(config: Config) -> Self {
        Self::with_ring(config, RingShape { blocks: 16, ..RingShape::default() })
    }

    pub fn with_ring(config: Config, shape: RingShape) -> Self {
        Self::of(EbpfSipReceiver::with_ring(config, shape))
    }

    /// The same, with media to where `ports` says.
    pub fn with_media(config: Config, ports: &Arc<MediaPorts>) -> Self {
        let mut receiver = EbpfSipReceiver::with_ring(config, RingShape { blocks: 64, ..RingShape::default() });
        receiver.want_media(ports);
        Self::of(receiver)
    }

    fn of(mut receiver: EbpfSipReceiver) -> Self {
        receiver.start().expect("capture can be started");
        Self {
            receiver,
            batch: FrameBatch::default(),
            messages: Vec::new(),
            told: 0,
            drops: 0,
            duplicates: 0,
            not_read: [0; NotRead::ALL.len()],
            elsewhere: 0,
            media: Vec::new(),
            reports: Vec::new(),
            media_drops: 0,
        }
    }

    /// Takes in what comes until `done`.
    pub fn wait_for(&mut self, mut done: impl FnMut(&Self) -> bool) {
        let begun = Instant::now();
        while !done(self) {
            assert!(begun.elapsed() < DEADLINE, "nothing more came: {:?} {:?}", self.names(), self.telemetry());
            self.receive();
        }
    }

    /// The names of the next `count` messages.
    pub fn until(&mut self, count: usize) -> Vec<String> {
        let all = self.told + count;
        self.wait_for(|tap| tap.messages.len() >= all);
        let names = self.names().split_off(self.told);
        self.told = self.messages.len();
        names
    }

    pub fn messages(&self) -> &[Seen] {
        &self.messages
    }

    pub fn kind(&self) -> &'static str {
        self.receiver.status().kind
    }

    pub fn status(&self) -> CaptureStatus {
        self.receiver.status()
    }

    pub fn reconfigure(&mut self, config: Config) -> Vec<&'static str> {
        self.receiver.reconfigure(Box::new(config))
    }

    /// Packets the kernel dropped before they were read.
    pub fn drops(&self) -> u64 {
        self.drops
    }

    pub fn duplicates(&self) -> u64 {
        self.duplicates
    }

    /// Packets whose inside is not looked at, by [`NotRead::index`].
    pub fn not_read(&self) -> [u64; NotRead::ALL.len()] {
        self.not_read
    }

    /// Packets of RTP.
    pub fn media(&self) -> &[MediaPacket] {
        &self.media
    }

    /// Datagrams of RTCP.
    pub fn reports(&self) -> &[Vec<u8>] {
        &self.reports
    }

    /// Records of media that were lost.
    pub fn media_drops(&self) -> u64 {
        self.media_drops
    }

    /// Packets with SIP that is passed over, as far as user space saw them.
    pub fn elsewhere(&self) -> u64 {
        self.elsewhere
    }

    /// Packets the kernel decided this of.
    pub fn verdict(&self, name: &str) -> u64 {
        self.verdicts().iter().filter(|(verdict, _)| verdict == name).map(|(_, count)| count).sum()
    }

    /// Packets the kernel's filter kept.
    pub fn kept(&self) -> u64 {
        let verdicts = self.verdicts();
        verdicts.iter().filter(|(name, _)| name.starts_with("kept_")).map(|(_, count)| count).sum()
    }

    /// Packets by verdict, those not zero.
    pub fn verdicts(&self) -> Vec<(String, u64)> {
        let telemetry = self.telemetry().into_iter();
        let verdicts = telemetry.filter(|one| one.name == "otelcol_receiver_filtered_packets" && one.value > 0.0);
        verdicts.map(|one| (one.labels[0].1.clone(), one.value as u64)).collect()
    }

    /// The sum of a metric of `/internal/metrics`.
    pub fn value(&self, name: &str) -> f64 {
        self.telemetry().iter().filter(|one| one.name == name).map(|one| one.value).sum()
    }

    fn telemetry(&self) -> Vec<Telemetry> {
        let mut out = Vec::new();
        self.receiver.telemetry(&mut out);
        out
    }

    fn names(&self) -> Vec<String> {
        self.messages.iter().map(|seen| seen.name.clone()).collect()
    }

    fn receive(&mut self) {
        self.receiver.receive(&mut self.batch, Duration::from_millis(50)).expect("capture goes on");
        self.drops += self.batch.tally.capture_drops;
        self.duplicates += self.batch.tally.capture_duplicates;
        for (all, new) in self.not_read.iter_mut().zip(self.batch.tally.not_read) {
            *all += u64::from(new);
        }
        self.elsewhere += self.batch.tally.sip_elsewhere.iter().map(|count| u64::from(*count)).sum::<u64>();
        self.media_drops += self.batch.tally.media_drops;
        self.media.extend_from_slice(&self.batch.media);
        self.reports.extend(self.batch.rtcp.iter().map(|report| self.batch.bytes[report.range.clone()].to_vec()));
        for frame in &self.batch.frames {
            let bytes = self.batch.message(frame);
            let text = String::from_utf8_lossy(bytes);
            let name = text.split("sip:").nth(1).and_then(|rest| rest.split('@').next()).unwrap_or_default();
            self.messages.push(Seen { name: name.to_owned(), source: frame.source, length: bytes.len() });
        }
    }
}
