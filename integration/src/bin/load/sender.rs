//! Sending: a capture of answered calls, and noise that is no SIP, put onto a cable by tcpreplay; or the capture in one
//! burst.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use integration::scratch::Folder;
use integration::traffic::{Mix, Traffic};
use ladder::{Step, pcap};
use testnet::{Injector, Namespace};

/// How fast.
#[derive(Clone, Copy, Debug)]
pub enum Rate {
    /// Packets a second.
    Each(u64),
    /// As fast as it goes.
    Top,
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Each(rate) => write!(f, "{rate} packets/s"),
            Self::Top => f.write_str("top speed"),
        }
    }
}

/// Longest time of one rate, in seconds.
const SECONDS: u64 = 10;

/// A capture of 60,000 answered calls, 420,000 messages.
pub struct Capture {
    folder: Folder,
    /// What each message is: a method or a status, as a selector.
    kinds: Vec<u8>,
    selectors: Vec<String>,
}

/// What was sent.
pub struct Sent {
    pub packets: u64,
    /// All of them together, from the Ethernet header on.
    pub bytes: u64,
    /// By its own clock, reading the file not counted.
    pub took: Duration,
}

impl Capture {
    pub fn new() -> Self {
        Self::padded(0)
    }

    /// The same with so many bytes more in each message.
    pub fn padded(bytes: usize) -> Self {
        let folder = Folder::new("load");
        let traffic = Traffic {
            calls: 60_000,
            rate: 2_000,
            talk: Duration::from_secs(10),
            mix: Mix::Answered,
            ..Traffic::default()
        };
        let mut file = BufWriter::with_capacity(1 << 20, File::create(folder.join("calls.pcap")).expect("a capture"));
        file.write_all(&pcap::header()).expect("room for the capture");
        let (mut kinds, mut selectors) = (Vec::new(), Vec::<String>::new());
        let mut record = Vec::new();
        let made = traffic.each(|step, number| {
            let selector = selector(&step.bytes);
            let kind = selectors.iter().position(|known| *known == selector).unwrap_or_else(|| {
                selectors.push(selector);
                selectors.len() - 1
            });
            kinds.push(u8::try_from(kind).expect("there are few kinds of messages"));
            record.clear();
            let step = &Step { bytes: longer(&step.bytes, bytes), ..*step };
            pcap::push(&mut record, step, number as u16, Duration::from_secs(1_767_225_600));
            file.write_all(&record)
        });
        made.and_then(|_| file.flush()).expect("room for the capture");
        Self { folder, kinds, selectors }
    }

    /// Sends it, or as much of it as fits into the time.
    pub fn send(&self, from: &Namespace, rate: Rate) -> Sent {
        self.send_for(from, rate, SECONDS)
    }

    /// Sends as much of it as fits into so many seconds.
    pub fn send_for(&self, from: &Namespace, rate: Rate, seconds: u64) -> Sent {
        let all = self.kinds.len() as u64;
        let packets = match rate {
            Rate::Each(rate) => all.min(rate * seconds),
            Rate::Top => all,
        };
        let mut command = from.command("tcpreplay");
        // Read into memory before, so that no disk is waited for.
        command.args(["--preload-pcap", "--quiet", "--intf1=left", &format!("--limit={packets}")]);
        match rate {
            Rate::Each(rate) => command.arg(format!("--pps={rate}")),
            Rate::Top => command.arg("--topspeed"),
        };
        let output = command.arg(self.folder.join("calls.pcap")).output().expect("tcpreplay is installed");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "tcpreplay: {said}{}", String::from_utf8_lossy(&output.stderr));
        // "Actual: 420000 packets (183540000 bytes) sent in 4.20 seconds"
        let actual = said.lines().find_map(|line| line.strip_prefix("Actual: ")).expect("what it has done");
        let words: Vec<&str> = actual.split_whitespace().collect();
        let after =
            |word: &str| words.iter().skip_while(|other| **other != word).nth(1).and_then(|word| word.parse().ok());
        let packets = words[0].parse().expect("a number of packets");
        let bytes = words[2].trim_start_matches('(').parse().expect("a number of bytes");
        Sent { packets, bytes, took: Duration::from_secs_f64(after("in").expect("a number of seconds")) }
    }

    /// Sends all of it from memory, many packets to a system call: faster than tcpreplay, which takes one for each.
    pub fn burst(&self, from: &Namespace) -> Sent {
        let file = fs::read(self.folder.join("calls.pcap")).expect("the capture has been written");
        from.run(|| {
            let injector = Injector::new("left").expect("the cable has two ends");
            let start = Instant::now();
            let records = &file[pcap::header().len()..];
            injector.send_all(Records(records));
            let packets = self.kinds.len();
            let bytes = records.len() - packets * RECORD_HEADER;
            Sent { packets: packets as u64, bytes: bytes as u64, took: start.elapsed() }
        })
    }

    /// What `/metrics` must say of the first so many packets.
    pub fn expectations(&self, packets: u64) -> Vec<(String, f64)> {
        let mut counts = BTreeMap::<u8, f64>::new();
        for kind in &self.kinds[..packets as usize] {
            *counts.entry(*kind).or_default() += 1.0;
        }
        let mut expected = vec![
            ("packets_total".to_owned(), packets as f64),
            ("retransmissions_total".to_owned(), 0.0),
            ("unmatched_total".to_owned(), 0.0),
            ("parse_errors_total".to_owned(), 0.0),
        ];
        expected.extend(counts.into_iter().map(|(kind, count)| (self.selectors[usize::from(kind)].clone(), count)));
        expected
    }
}

/// Bytes before each packet of a capture file.
const RECORD_HEADER: usize = 16;

/// A message with a header field of so many bytes behind its first line; none for 0.
fn longer(message: &[u8], bytes: usize) -> Vec<u8> {
    const NAME: &[u8] = b"X-Padding: ";
    const END: &[u8] = b"\r\n";
    let Some(filler) = bytes.checked_sub(NAME.len() + END.len()) else { return message.to_vec() };
    let first_line = message.windows(2).position(|two| two == END).expect("a message has lines") + END.len();
    let (first_line, rest) = message.split_at(first_line);
    [first_line, NAME, &vec![b'x'; filler], END, rest].concat()
}

/// The packets of a capture file that was written here.
struct Records<'a>(&'a [u8]);

impl<'a> Iterator for Records<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_first_chunk::<RECORD_HEADER>()?;
        // Seconds, their fraction, the length captured, the length on the wire.
        let length = u32::from_le_bytes(head[8..12].try_into().expect("four bytes"));
        let (packet, rest) = rest.split_at(length as usize);
        self.0 = rest;
        Some(packet)
    }
}

fn selector(message: &[u8]) -> String {
    let mut words = message.split(|byte| *byte == b' ').map(|word| String::from_utf8_lossy(word));
    let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    match &*first {
        "SIP/2.0" => format!("responses_total{{code=\"{second}\"}}"),
        method => format!("requests_total{{method=\"{method}\"}}"),
    }
}

/// Voice packets between ports nobody looks at, 50,000 a second.
pub struct Noise(Folder);

/// Ends with its end.
pub struct Sending(Child);

impl Noise {
    pub fn new() -> Self {
        let folder = Folder::new("noise");
        let packet = |number: u64| Step {
            at: Duration::from_micros(20 * number),
            source: ([10, 9, 0, 1], 20_000 + 2 * (number % 100) as u16).into(),
            destination: ([10, 9, 0, 2], 30_000 + 2 * (number % 100) as u16).into(),
            // RTP's version, then 20 ms of G.711.
            bytes: [&[0x80, 0x08][..], &[0x55; 170]].concat(),
        };
        let steps: Vec<Step> = (0..10_000).map(packet).collect();
        fs::write(folder.join("noise.pcap"), pcap::write(&steps, Duration::ZERO)).expect("room for the capture");
        Self(folder)
    }

    /// Sends until what it returns is dropped.
    pub fn start(&self, from: &Namespace) -> Sending {
        let mut command = from.command("tcpreplay");
        command.args(["--preload-pcap", "--quiet", "--intf1=left", "--loop=0", "--pps=50000"]);
        command.arg(self.0.join("noise.pcap")).stdout(Stdio::null()).stderr(Stdio::null());
        Sending(command.spawn().expect("tcpreplay is installed"))
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
