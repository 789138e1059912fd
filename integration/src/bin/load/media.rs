//! What a packet of voice costs the host, kernel and user space apart: refused where nobody wants media, passed by where no
//! call has it, heard where 10,000 calls do. With the capabilities that the package gives. Bursts as in `others`.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use integration::process::load_average;
use integration::ringside::{HTTP, Ringside};
use integration::wait::within;
use ladder::{Step, frame};
use testnet::{Cable, Injector};

/// Calls, each of two streams.
const CALLS: u32 = 10_000;
/// Packets of a burst.
const BURST: usize = 64;
/// Bursts of a round, of which the fifth percentile counts.
const BURSTS: usize = 4_000;
/// Between two of them: some 30,000 packets a second in all, which the reader keeps up with.
const PAUSE: Duration = Duration::from_millis(2);
const ROUNDS: usize = 7;

/// What is listened with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Listener {
    /// No processor of media.
    Without,
    /// One, and no calls.
    Idle,
    /// One, and the calls whose voice it is.
    Calls,
}

const LISTENERS: [(Listener, &str); 3] = [
    (Listener::Without, "refused: no `media` in the pipeline"),
    (Listener::Idle, "passed by: `media`, and no call has it"),
    (Listener::Calls, "heard: 20,000 streams of 10,000 calls"),
];

/// Whether everything was heard, and what it cost.
struct Round {
    path: i64,
    user: i64,
}

/// A table.
pub fn print() {
    println!("\nVoice, 172 bytes over UDP, {ROUNDS} rounds of {BURSTS} bursts of {BURST}\n");
    println!("| listening | on its way | on the reading thread |\n|---|---|---|");
    let mut rounds: [Vec<Round>; 3] = [Vec::new(), Vec::new(), Vec::new()];
    let mut bare = Vec::new();
    for _ in 0..ROUNDS {
        let alone = time(&Cable::new().expect("the gate has tried"));
        bare.push(alone);
        for ((listener, _), rounds) in LISTENERS.iter().zip(&mut rounds) {
            rounds.push(round(*listener, alone));
        }
    }
    println!("| nobody | {} ns | |", middle(bare));
    for ((_, name), rounds) in LISTENERS.iter().zip(&rounds) {
        let [path, user] =
            [|round: &Round| round.path, |round: &Round| round.user].map(|of| middle(rounds.iter().map(of).collect()));
        println!("| {name} | + {path} ns | {user} ns |");
    }
    println!("\nload {:.1}", load_average());
}

fn round(listener: Listener, alone: i64) -> Round {
    let cable = Cable::new().expect("the gate has tried");
    let (table, stage) = if listener == Listener::Without { ("", "") } else { ("[processors.media]\n", "\"media\", ") };
    let config = format!(
        "[receivers.ebpf_sip]\ninterfaces = [\"right\"]\n[processors.dialog]\n{table}[processors.enrich]\n\
         [exporters.prometheus]\nendpoint = \"{HTTP}\"\n[service.pipelines.metrics]\nreceivers = [\"ebpf_sip\"]\n\
         processors = [\"dialog\", {stage}\"enrich\"]\nexporters = [\"prometheus\"]\n"
    );
    let wrapper = ["setpriv", "--bounding-set=-all,+net_raw,+bpf"];
    let ringside = Ringside::start_with(&cable.right, &config, &wrapper);
    if listener == Listener::Calls {
        cable.left.run(|| {
            let injector = Injector::new("left").expect("the cable has two ends");
            (0..CALLS).for_each(|call| begin(call).iter().for_each(|frame| injector.send(frame)));
        });
        let up = || Some(()).filter(|()| ringside.scrape().count("sessions") == u64::from(CALLS));
        within(Duration::from_secs(30), up).expect("every call was seen");
    }
    let before = ringside.processor_time();
    let path = time(&cable) - alone;
    // What it read late belongs to it.
    std::thread::sleep(Duration::from_millis(400));
    let user = ringside.processor_time() - before;
    let packets = (BURSTS * BURST) as i64;
    if listener == Listener::Calls {
        let lost = ringside.scrape().count("media_drops_total");
        assert_eq!(lost, 0, "the reader did not keep up");
    }
    Round { path, user: user.as_nanos() as i64 / packets }
}

/// Nanoseconds that a packet takes from one end of the cable to the other.
fn time(cable: &Cable) -> i64 {
    cable.left.run(|| {
        let injector = Injector::new("left").expect("the cable has two ends");
        let streams = 2 * CALLS;
        let mut frames: Vec<Vec<u8>> = (0..streams).map(voice).collect();
        let mut number: u32 = 0;
        let mut bursts: Vec<Duration> = (0..BURSTS)
            .map(|_| {
                let first = number as usize % frames.len();
                let burst: Vec<usize> = (0..BURST).map(|offset| (first + offset) % frames.len()).collect();
                for &stream in &burst {
                    renumber(&mut frames[stream], (number / streams) as u16);
                }
                number += BURST as u32;
                let start = Instant::now();
                injector.send_all(burst.iter().map(|&stream| &frames[stream][..]));
                let taken = start.elapsed();
                std::thread::sleep(PAUSE);
                taken
            })
            .collect();
        bursts.sort_unstable();
        bursts[BURSTS / 20].as_nanos() as i64 / BURST as i64
    })
}

fn middle(mut values: Vec<i64>) -> i64 {
    values.sort_unstable();
    values[values.len() / 2]
}

/// Where the party of a stream speaks from: the caller's are even.
fn end(stream: u32) -> SocketAddr {
    let (call, party) = (stream / 2, stream % 2);
    let [.., high, low] = call.to_be_bytes();
    // Some 4,000 ports on each of a few addresses.
    SocketAddr::from(([10, 9 + party as u8, high >> 3, 1 + (high & 7)], 20_000 + 2 * u16::from(low)))
}

/// A packet of G.711 of a stream; see [`renumber`].
fn voice(stream: u32) -> Vec<u8> {
    let bytes = [&[0x80, 0, 0, 0, 0, 0, 0, 0][..], &stream.to_be_bytes(), &[0x55; 160]].concat();
    let step = Step { at: Duration::ZERO, source: end(stream), destination: end(stream ^ 1), bytes };
    frame::ethernet(&frame::datagram(&step, 0))
}

/// Ethernet, IPv4 and UDP headers stand before it.
const RTP: usize = 14 + 20 + 8;

fn renumber(frame: &mut [u8], number: u16) {
    frame[RTP + 2..RTP + 4].copy_from_slice(&number.to_be_bytes());
    frame[RTP + 4..RTP + 8].copy_from_slice(&(u32::from(number) * 160).to_be_bytes());
}

/// A call is answered.
fn begin(call: u32) -> [Vec<u8>; 3] {
    let sip = [SocketAddr::from(([10, 8, 0, 1], 5060)), SocketAddr::from(([10, 8, 0, 2], 5060))];
    let sdp = |party: u32| {
        let media = end(2 * call + party);
        let (ip, port) = (media.ip(), media.port());
        format!("v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n")
    };
    let message = |start: &str, branch: &str, tag: &str, method: &str, sdp: &str| {
        let kind = if sdp.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        format!(
            "{start}\r\nVia: SIP/2.0/UDP 10.8.0.1;branch=z9hG4bK-{branch}-{call}\r\nFrom: <sip:a@example.com>;tag=f{call}\r\n\
             To: <sip:b@example.com>{tag}\r\nCall-ID: load-{call}\r\nCSeq: 1 {method}\r\nContact: <sip:a@10.8.0.1>\r\n\
             {kind}Content-Length: {}\r\n\r\n{sdp}",
            sdp.len()
        )
    };
    let framed = |from: usize, text: String| {
        let step = Step { at: Duration::ZERO, source: sip[from], destination: sip[1 - from], bytes: text.into_bytes() };
        frame::ethernet(&frame::datagram(&step, call as u16))
    };
    [
        framed(0, message("INVITE sip:b@example.com SIP/2.0", "i", "", "INVITE", &sdp(0))),
        framed(1, message("SIP/2.0 200 OK", "i", ";tag=t", "INVITE", &sdp(1))),
        framed(0, message("ACK sip:b@10.8.0.2 SIP/2.0", "a", ";tag=t", "ACK", "")),
    ]
}
