//! Plays calls with media: SIP as text, RTP and RTCP as bytes, through the real parser, the dialog processor, this one and the
//! recorder.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use metrics::recorder::Recorder;
use metrics::{Family, Labels, Registry, Value, Visitor};
use pipeline::media::{MediaPacket, RtcpPacket, seen_at};
use pipeline::settings::Problems;
use pipeline::{CallRecord, CallsWanted, Facts, FrameBatch, MediaPorts, Processor, SipFrame};
use processor_dialog::Dialogs;
use processor_media::{Config, Media};
use wire::{Tap, Timestamp};

pub const ALICE: &str = "192.0.2.10:40010";
pub const BOB: &str = "198.51.100.20:50010";

/// What happens, put into order of time when it is played.
pub struct Scene {
    events: Vec<(u64, Event)>,
    config: Config,
    dialogs: processor_dialog::Config,
    dropped_at: Option<u64>,
    traced: bool,
}

#[derive(Clone)]
enum Event {
    Sip { from: SocketAddr, to: SocketAddr, text: String },
    Rtp(MediaPacket),
    Rtcp { from: SocketAddr, to: SocketAddr, bytes: Vec<u8> },
}

/// What came of it.
pub struct Played {
    pub metrics: BTreeMap<String, f64>,
    pub records: Vec<CallRecord>,
    pub ports: Arc<MediaPorts>,
    pub media: Media,
}

/// A stream that is sent.
#[derive(Clone, Copy)]
pub struct Rtp<'a> {
    pub from: &'a str,
    pub to: &'a str,
    pub ssrc: u32,
    pub payload_type: u8,
    /// Numbers of packets, 20 ms each.
    pub packets: (u16, u16),
    /// In milliseconds.
    pub at: u64,
    pub identification: u16,
    pub vlan: u16,
}

impl<'a> Rtp<'a> {
    pub fn new(at: u64, from: &'a str, to: &'a str, ssrc: u32, count: u16) -> Self {
        Self { from, to, ssrc, payload_type: 0, packets: (1000, 1000 + count), at, identification: 0, vlan: 0 }
    }
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap_or_else(|_| panic!("an address: {text}"))
}

/// A description of audio at an address, with further lines.
pub fn sdp(at: &str, more: &str) -> String {
    let at = address(at);
    let kind = if at.is_ipv6() { "IP6" } else { "IP4" };
    format!(
        "v=0\r\no=- 1 1 IN {kind} {0}\r\ns=-\r\nc=IN {kind} {0}\r\nt=0 0\r\nm=audio {1} RTP/AVP 0 101\r\n\
         a=rtpmap:101 telephone-event/8000\r\n{more}",
        at.ip(),
        at.port()
    )
}

/// One message of a call between two user agents; addresses are those of the hop.
#[derive(Clone, Copy)]
pub struct Sip<'a> {
    pub from: &'a str,
    pub to: &'a str,
    /// `INVITE`, `200`.
    pub what: &'a str,
    /// Method of the request a response answers, and its number.
    pub cseq: (u32, &'a str),
    pub call: &'a str,
    /// From and To tag, `-` for none.
    pub tags: (&'a str, &'a str),
    pub branch: &'a str,
    /// Vias below the top one.
    pub vias: &'a str,
    pub body: &'a str,
}

impl Default for Scene {
    fn default() -> Self {
        Self::with(Config::default())
    }
}

impl Scene {
    pub fn with(config: Config) -> Self {
        Self {
            events: Vec::new(),
            config,
            dialogs: processor_dialog::Config::default(),
            dropped_at: None,
            traced: false,
        }
    }

    /// Requests are over after so many milliseconds.
    pub fn transaction_timeout(&mut self, millis: u64) {
        self.dialogs.transaction_timeout = Some(std::time::Duration::from_millis(millis));
    }

    /// Somebody wants traces of single requests too.
    pub fn traced(&mut self) {
        self.traced = true;
    }

    /// Records of media packets are dropped then, in milliseconds.
    pub fn drop_at(&mut self, millis: u64) {
        self.dropped_at = Some(millis);
    }

    /// A message, at so many milliseconds.
    pub fn sip(&mut self, millis: u64, sip: Sip<'_>) {
        let Sip { from, to, what, cseq: (number, method), call, tags: (from_tag, to_tag), branch, vias, body } = sip;
        let start = match what.parse::<u16>() {
            Ok(status) => format!("SIP/2.0 {status} Reason"),
            Err(_) => format!("{what} sip:bob@198.51.100.20 SIP/2.0"),
        };
        let tag = |tag: &str| if tag == "-" { String::new() } else { format!(";tag={tag}") };
        let kind = if body.starts_with("VQ") { "application/vq-rtcpxr" } else { "application/sdp" };
        let kind = if body.is_empty() { String::new() } else { format!("Content-Type: {kind}\r\n") };
        let text = format!(
            "{start}\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bK{branch}\r\n{vias}From: <sip:alice@192.0.2.10>{}\r\n\
             To: <sip:bob@198.51.100.20>{}\r\nCall-ID: {call}\r\nCSeq: {number} {method}\r\n{kind}Content-Length: {}\r\n\r\n{body}",
            tag(from_tag),
            tag(to_tag),
            body.len()
        );
        self.events.push((millis, Event::Sip { from: address(from), to: address(to), text }));
    }

    /// A stream, from so many milliseconds on.
    pub fn rtp(&mut self, rtp: Rtp<'_>) {
        for number in rtp.packets.0..rtp.packets.1 {
            self.packet(rtp, number, 20 * u64::from(number - rtp.packets.0));
        }
    }

    /// One packet of a stream, so many milliseconds after its beginning.
    pub fn packet(&mut self, rtp: Rtp<'_>, number: u16, after: u64) {
        let mut header = [0x80, rtp.payload_type, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        header[2..4].copy_from_slice(&number.to_be_bytes());
        header[4..8].copy_from_slice(&(u32::from(number) * 160).to_be_bytes());
        header[8..].copy_from_slice(&rtp.ssrc.to_be_bytes());
        let millis = rtp.at + after;
        self.events.push((
            millis,
            Event::Rtp(MediaPacket {
                at: time(millis),
                source: address(rtp.from).into(),
                destination: address(rtp.to).into(),
                header,
                len: 172,
                identification: rtp.identification.wrapping_add(if rtp.identification == 0 { 0 } else { number }),
                seen_at: seen_at(1, rtp.vlan, Tap::Recipient),
            }),
        ));
    }

    /// A datagram of RTCP.
    pub fn rtcp(&mut self, millis: u64, from: &str, to: &str, bytes: &[u8]) {
        self.events.push((millis, Event::Rtcp { from: address(from), to: address(to), bytes: bytes.to_vec() }));
    }

    /// A call from alice to bob with these descriptions: INVITE at `from`, answered a second later, hung up at `to`.
    pub fn call(&mut self, call: &str, from: u64, to: u64, offer: &str, answer: &str) {
        self.answered(call, from, offer, answer);
        self.hang_up(call, to);
    }

    pub fn answered(&mut self, call: &str, from: u64, offer: &str, answer: &str) {
        let base = Sip { call, branch: &format!("{call}1"), ..leg() };
        self.sip(from, Sip { body: offer, ..base });
        self.sip(from + 100, Sip { what: "180", tags: ("a", "b"), ..reply(base) });
        self.sip(from + 1000, Sip { what: "200", tags: ("a", "b"), body: answer, ..reply(base) });
        let branch = format!("{call}2");
        self.sip(from + 1020, Sip { what: "ACK", cseq: (1, "ACK"), tags: ("a", "b"), branch: &branch, ..base });
    }

    pub fn hang_up(&mut self, call: &str, at: u64) {
        let branch = format!("{call}3");
        let bye = Sip { what: "BYE", cseq: (90, "BYE"), call, tags: ("a", "b"), branch: &branch, ..leg() };
        self.sip(at, bye);
        self.sip(at + 30, Sip { what: "200", ..reply(bye) });
    }

    /// A re-INVITE with its answer and ACK; without an answer it is refused (488).
    pub fn reinvite(&mut self, call: &str, at: u64, number: u32, offer: &str, answer: Option<&str>) {
        let branch = format!("{call}r{number}");
        let base = Sip { cseq: (number, "INVITE"), call, tags: ("a", "b"), branch: &branch, ..leg() };
        self.sip(at, Sip { body: offer, ..base });
        let what = if answer.is_some() { "200" } else { "488" };
        self.sip(at + 50, Sip { what, body: answer.unwrap_or(""), ..reply(base) });
        let own = format!("{call}k{number}");
        let branch = if answer.is_some() { own.as_str() } else { base.branch };
        self.sip(at + 60, Sip { what: "ACK", cseq: (number, "ACK"), branch, ..base });
    }

    /// The same scene once more.
    pub fn clone_of(&self) -> Self {
        let (events, config, dialogs) = (self.events.clone(), self.config.clone(), self.dialogs.clone());
        Self { events, config, dialogs, ..*self }
    }

    /// Plays everything, one event a batch or all in one, and lets the clock run on for so many milliseconds.
    #[track_caller]
    pub fn play(mut self, then: u64) -> Played {
        self.events.sort_by_key(|(at, _)| *at);
        let one_by_one = self.run(1, then);
        // When drops were, only the end of a batch says.
        if self.dropped_at.is_none() {
            let at_once = self.run(usize::MAX, then);
            let media = |played: &Played| played.records.iter().map(|record| record.media.clone()).collect::<Vec<_>>();
            assert_eq!(one_by_one.metrics, at_once.metrics, "batches make no difference");
            assert_eq!(media(&one_by_one), media(&at_once), "batches make no difference");
        }
        one_by_one
    }

    fn run(&self, batch_size: usize, then: u64) -> Played {
        let wanted = CallsWanted {
            instance: "tests".into(),
            requests: self.traced,
            pieces: false,
            number: None,
            watched: false,
        };
        let mut problems = Problems::default();
        let settings = self.config.clone().check(&mut problems).expect("sound");
        let ports = Arc::<MediaPorts>::default();
        let mut dialogs = Dialogs::new(self.dialogs.clone(), Some(wanted)).telling_media();
        let mut media = Media::one_of(1, settings, true, Some(Arc::clone(&ports)));
        let registry = Registry::new("x");
        let mut recorder = Recorder::new(registry.shard());
        let (mut facts, mut records) = (Facts::default(), Vec::new());
        let mut take = |batch: &FrameBatch, last: bool| {
            facts.clear();
            dialogs.process(batch, &mut facts);
            if last {
                dialogs.drain(&mut facts);
            }
            media.process(batch, &mut facts);
            recorder.record(batch, &facts);
            records.extend(facts.calls.iter().map(|call| CallRecord::clone(&call.record)));
        };
        for events in self.events.chunks(batch_size.min(self.events.len().max(1))) {
            let mut batch = FrameBatch::default();
            for (millis, event) in events {
                batch.now = time(*millis);
                match event {
                    Event::Sip { from, to, text } => {
                        batch.push(text.as_bytes(), SipFrame::datagram(*from, *to, time(*millis)));
                    }
                    Event::Rtp(packet) => batch.media.push(*packet),
                    Event::Rtcp { from, to, bytes } => {
                        let (source, destination) = ((*from).into(), (*to).into());
                        let (identification, seen_at) = (0, 0);
                        let at = time(*millis);
                        let packet = RtcpPacket { range: 0..0, at, source, destination, identification, seen_at };
                        batch.push_rtcp(bytes, packet);
                    }
                }
            }
            let in_batch = |at: u64| events.first().is_some_and(|(first, _)| *first <= at) && batch.now >= time(at);
            batch.tally.media_drops = u64::from(self.dropped_at.is_some_and(in_batch));
            take(&batch, false);
        }
        let last = self.events.last().map_or(0, |(at, _)| *at);
        let end = last + then;
        // Where nothing comes the clock goes on step by step.
        for at in (last..end).step_by(if batch_size == 1 { 500 } else { usize::MAX }).skip(1) {
            take(&FrameBatch { now: time(at), ..FrameBatch::default() }, false);
        }
        take(&FrameBatch { now: time(end), ..FrameBatch::default() }, false);
        let mut numbers = Numbers::default();
        registry.walk(&mut numbers);
        take(&FrameBatch { now: time(end), ..FrameBatch::default() }, true);
        Played { metrics: numbers.values, records, ports, media }
    }
}

impl Played {
    /// The value of a series by its name and labels besides `carrier` and `ua_type`; of a histogram its count. 0 where there
    /// is none.
    pub fn value(&self, series: &str) -> f64 {
        self.metrics.get(series).copied().unwrap_or_default()
    }

    /// Every series about faults.
    pub fn faults(&self) -> Vec<&str> {
        self.metrics.keys().filter_map(|name| name.strip_prefix("media_faults_total")).collect()
    }

    /// The number held in a table.
    pub fn held(&self, table: &str) -> f64 {
        let mut numbers = Vec::new();
        self.media.telemetry(&mut numbers);
        let of = |number: &&pipeline::Telemetry| number.labels == [("table", table.to_owned())];
        numbers.iter().find(of).expect("it is told").value
    }
}

/// A leg from alice to bob.
pub fn leg() -> Sip<'static> {
    Sip {
        from: "192.0.2.10:5060",
        to: "198.51.100.20:5060",
        what: "INVITE",
        cseq: (1, "INVITE"),
        call: "c",
        tags: ("a", "-"),
        branch: "x",
        vias: "",
        body: "",
    }
}

/// The way back.
pub fn reply(sip: Sip<'_>) -> Sip<'_> {
    Sip { from: sip.to, to: sip.from, ..sip }
}

fn time(millis: u64) -> Timestamp {
    Timestamp::from_nanos(1_767_225_600_000_000_000 + millis * 1_000_000)
}

/// Values by name, with labels besides `carrier` and `ua_type`; those that are 0 left out.
#[derive(Default)]
struct Numbers {
    name: &'static str,
    values: BTreeMap<String, f64>,
}

impl Visitor for Numbers {
    fn family(&mut self, family: &'static Family) {
        self.name = family.name;
    }

    fn series(&mut self, labels: &Labels<'_>, value: &Value<'_>) {
        let further: Vec<String> = labels.further.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let value = match value {
            Value::Counter(value) => *value as f64,
            Value::Gauge(value) => *value as f64,
            Value::Real(value) => *value,
            Value::Ratio(value) => value.unwrap_or_default(),
            Value::Histogram(histogram) => histogram.count() as f64,
        };
        if value != 0.0 {
            let labels = if further.is_empty() { String::new() } else { format!("{{{}}}", further.join(",")) };
            self.values.insert(format!("{}{labels}", self.name), value);
        }
    }
}
