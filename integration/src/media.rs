//! Calls with media over a cable: what each party sends is scripted, packet by packet at its pace, and what the kernel drops
//! on the way is counted by it. So what was sent, lost and received is known exactly.

use std::net::{SocketAddr, UdpSocket};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use testnet::{Cable, Family, Namespace};

pub mod reports;

/// SIP on both sides of a cable, and of the callee on loopback.
const SIP: u16 = 5060;
/// SIP of the caller on loopback.
const CALLER_ON_LOOPBACK: u16 = 5070;

/// What one party sends of media in a call.
#[derive(Clone, Copy, Debug)]
pub struct Speech {
    /// How many packets, from the answer on.
    pub packets: u32,
    /// Between two of them.
    pub pace: Duration,
    /// By how much their time stamps differ.
    pub step: u32,
    /// Each so many'th is not sent, as if it were lost on the way; 0 for none.
    pub lost_each: u32,
}

impl Speech {
    /// So many packets of 20 ms of G.711.
    pub const fn of(packets: u32) -> Self {
        Self { packets, pace: Duration::from_millis(20), step: 160, lost_each: 0 }
    }

    /// A muted microphone with discontinuous transmission (RFC 7587 §3.1.3): a packet each 400 ms.
    pub const fn muted(packets: u32) -> Self {
        Self { packets, pace: Duration::from_millis(400), step: 19_200, lost_each: 0 }
    }

    fn lasts(&self) -> Duration {
        self.pace * self.packets
    }
}

/// A call to be made.
#[derive(Clone, Debug)]
pub struct Call {
    /// Tells it from others: its Call-ID, and its ports.
    pub number: u16,
    /// IPv4 or IPv6.
    pub family: Family,
    /// What the caller sends, and the callee.
    pub speech: [Speech; 2],
    /// Codec of both, as `rtpmap` says it behind payload type 0 or 96.
    pub codec: Codec,
    /// The address the caller's SDP names instead of its own: behind an address translator.
    pub caller_says: Option<&'static str>,
    /// The address the callee's SDP names instead of its own: media goes elsewhere.
    pub callee_says: Option<&'static str>,
    /// Nobody speaks for so long after the first half of what is said: the caller puts the call on hold and takes it up.
    pub hold: Option<Duration>,
    /// The call goes on for so long when all is said.
    pub silence: Duration,
    /// When all is said, both report by RTCP what they heard: a tenth lost.
    pub reports: bool,
}

/// What is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// G.711 µ-law, payload type 0.
    Pcmu,
    /// Opus with discontinuous transmission, payload type 96.
    OpusDtx,
}

impl Call {
    /// An ordinary call of so many packets each way.
    pub const fn of(number: u16, packets: u32) -> Self {
        Self {
            number,
            family: Family::V4,
            speech: [Speech::of(packets); 2],
            codec: Codec::Pcmu,
            caller_says: None,
            callee_says: None,
            hold: None,
            silence: Duration::from_millis(300),
            reports: false,
        }
    }

    /// Its Call-ID.
    pub fn call_id(&self) -> String {
        format!("media-{}", self.number)
    }

    /// Ports of the caller's media and the callee's.
    pub const fn ports(&self) -> [u16; 2] {
        [30_000 + 2 * self.number, 40_000 + 2 * self.number]
    }
}

/// Both ends of a cable, or two on loopback, ready to speak.
#[derive(Debug)]
pub struct Parties<'a> {
    /// Of the caller, and of the callee.
    namespaces: [&'a Namespace; 2],
    /// Of IPv4 and IPv6, those of the caller and of the callee.
    addresses: [[SocketAddr; 2]; 2],
    sip: [[UdpSocket; 2]; 2],
}

impl<'a> Parties<'a> {
    /// The caller is at the left.
    ///
    /// # Panics
    /// When something else is there already.
    pub fn new(cable: &'a Cable) -> Self {
        let addresses = [Family::V4, Family::V6].map(|family| {
            let (left, right) = cable.addresses(family, SIP);
            [left, right]
        });
        Self::at([&cable.left, &cable.right], addresses)
    }

    /// Both are on loopback.
    ///
    /// # Panics
    /// When something else is there already.
    pub fn on_loopback(namespace: &'a Namespace) -> Self {
        let addresses = [Family::V4, Family::V6]
            .map(|family| [CALLER_ON_LOOPBACK, SIP].map(|port| SocketAddr::new(family.loopback(), port)));
        Self::at([namespace; 2], addresses)
    }

    fn at(namespaces: [&'a Namespace; 2], addresses: [[SocketAddr; 2]; 2]) -> Self {
        let sip = addresses.map(|[caller, callee]| [bound(namespaces[0], caller), bound(namespaces[1], callee)]);
        Self { namespaces, addresses, sip }
    }

    /// Makes a call; returns when it is over.
    ///
    /// # Panics
    /// When the network fails.
    pub fn call(&self, call: &Call) {
        let own = self.addresses(call.family);
        let media = [0, 1].map(|side| SocketAddr::new(own[side].ip(), call.ports()[side]));
        let says = [call.caller_says, call.callee_says];
        let sdp = [0, 1].map(|side| {
            let ip = says[side].map_or(own[side].ip(), |ip| ip.parse().expect("an address"));
            call.sdp(SocketAddr::new(ip, call.ports()[side]))
        });
        let [invite, ok] = [&sdp[0], &sdp[1]].map(|sdp| format!("{sdp}a=sendrecv\r\n"));
        self.say(call, 0, "INVITE", 1, &invite);
        self.say(call, 1, "180 INVITE", 1, "");
        self.say(call, 1, "200 INVITE", 1, &ok);
        self.say(call, 0, "ACK", 1, "");
        thread::scope(|scope| {
            let talk = |side: usize| {
                let socket = bound(self.namespaces[side], media[side]);
                move || talk(&socket, media[1 - side], call, side)
            };
            let talks = [0, 1].map(talk);
            for talk in talks {
                scope.spawn(talk);
            }
            if let Some(hold) = call.hold {
                let said = call.speech[0].lasts() / 2;
                thread::sleep(said);
                self.renegotiate(call, 2, &sdp, "sendonly", "recvonly");
                thread::sleep(hold);
                self.renegotiate(call, 3, &sdp, "sendrecv", "sendrecv");
            }
        });
        if call.reports {
            self.report(call, media);
        }
        thread::sleep(call.silence);
        self.say(call, 0, "BYE", 9, "");
        self.say(call, 1, "200 BYE", 9, "");
    }

    fn renegotiate(&self, call: &Call, cseq: u32, sdp: &[String; 2], offer: &str, answer: &str) {
        self.say(call, 0, "INVITE", cseq, &format!("{}a={offer}\r\n", sdp[0]));
        self.say(call, 1, "200 INVITE", cseq, &format!("{}a={answer}\r\n", sdp[1]));
        self.say(call, 0, "ACK", cseq, "");
    }

    /// Each tells the other when it sent, and what it heard; so there are round trips from here to both.
    fn report(&self, call: &Call, media: [SocketAddr; 2]) {
        let rtcp = media.map(|media| SocketAddr::new(media.ip(), media.port() + 1));
        let sockets = [0, 1].map(|side| bound(self.namespaces[side], rtcp[side]));
        let [caller, callee] = [0, 1].map(|side| u32::from_be_bytes(call.ssrc(side)));
        let said = [
            (0, reports::sender(caller, 1)),
            (1, [reports::sender(callee, 2), reports::receiver(callee, caller, 26, 40, 1)].concat()),
            (0, [reports::receiver(caller, callee, 26, 40, 2), reports::voip_metrics(caller, callee)].concat()),
        ];
        for (side, bytes) in said {
            sockets[side].send_to(&bytes, rtcp[1 - side]).expect("the network takes it");
            // A round trip of nothing is none.
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// The caller's telephone reports how a call was, and is thanked for it.
    ///
    /// # Panics
    /// When the network fails.
    pub fn publish(&self, call: &Call, body: &str) {
        let [own, server] = self.addresses(call.family);
        let (call_id, length) = (call.call_id(), body.len());
        let header = format!(
            "Via: SIP/2.0/UDP {own};branch=z9hG4bK-{call_id}-report\r\nFrom: <sip:alice@example.com>;tag=report\r\n\
             To: <sip:collector@example.com>\r\nCall-ID: report-of-{call_id}\r\nCSeq: 1 PUBLISH\r\n"
        );
        let request = format!(
            "PUBLISH sip:collector@example.com SIP/2.0\r\n{header}Max-Forwards: 70\r\nEvent: vq-rtcpxr\r\n\
             Content-Type: application/vq-rtcpxr\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        let response = format!("SIP/2.0 200 OK\r\n{header}Content-Length: 0\r\n\r\n");
        let [caller, callee] = &self.sip[usize::from(call.family == Family::V6)];
        for (socket, text, to) in [(caller, request, server), (callee, response, own)] {
            socket.send_to(text.as_bytes(), to).expect("the network takes it");
            thread::sleep(Duration::from_millis(2));
        }
    }

    fn addresses(&self, family: Family) -> [SocketAddr; 2] {
        self.addresses[usize::from(family == Family::V6)]
    }

    /// Sends one message: a method, or a status and a method.
    fn say(&self, call: &Call, side: usize, what: &str, cseq: u32, sdp: &str) {
        let own = self.addresses(call.family);
        let (start, method) = match what.split_once(' ') {
            Some((status, method)) => (format!("SIP/2.0 {status} Whatever"), method),
            None => (format!("{what} sip:bob@{} SIP/2.0", own[1]), what),
        };
        let to_tag = if method == "INVITE" && cseq == 1 && side == 0 { "" } else { ";tag=callee" };
        let branch = if what == "ACK" { "ack" } else { "tx" };
        let (number, call_id) = (call.number, call.call_id());
        let content = if sdp.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let text = format!(
            "{start}\r\nVia: SIP/2.0/UDP {};branch=z9hG4bK-{number}-{branch}-{cseq}-{method}\r\nMax-Forwards: 70\r\n\
             From: <sip:alice@example.com>;tag=caller\r\nTo: <sip:bob@example.com>{to_tag}\r\nCall-ID: {call_id}\r\n\
             CSeq: {cseq} {method}\r\nContact: <sip:{}>\r\n{content}Content-Length: {}\r\n\r\n{sdp}",
            own[0],
            own[side],
            sdp.len()
        );
        let sockets = &self.sip[usize::from(call.family == Family::V6)];
        sockets[side].send_to(text.as_bytes(), own[1 - side]).expect("the cable takes it");
        // Messages of one call are in their order on the wire; a moment between them is what networks have.
        thread::sleep(Duration::from_millis(2));
    }
}

impl Call {
    /// Names the stream of a side.
    fn ssrc(&self, side: usize) -> [u8; 4] {
        let [high, low] = self.number.to_be_bytes();
        [1, high, low, side as u8]
    }

    fn sdp(&self, media: SocketAddr) -> String {
        let kind = if media.is_ipv4() { "IP4" } else { "IP6" };
        let (payload_type, attributes) = match self.codec {
            Codec::Pcmu => (0, "a=rtpmap:0 PCMU/8000\r\na=ptime:20\r\n"),
            Codec::OpusDtx => (96, "a=rtpmap:96 opus/48000/2\r\na=fmtp:96 usedtx=1\r\n"),
        };
        let (ip, port) = (media.ip(), media.port());
        format!(
            "v=0\r\no=- 1 1 IN {kind} {ip}\r\ns=-\r\nc=IN {kind} {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP {payload_type}\r\n{attributes}"
        )
    }
}

fn bound(namespace: &Namespace, address: SocketAddr) -> UdpSocket {
    namespace.run(|| UdpSocket::bind(address).unwrap_or_else(|error| panic!("{address}: {error}")))
}

/// Sends what one side says, each packet when it is its turn.
fn talk(socket: &UdpSocket, to: SocketAddr, call: &Call, side: usize) {
    let Speech { packets, pace, step, lost_each } = call.speech[side];
    let payload_type = if call.codec == Codec::Pcmu { 0 } else { 96 };
    let begun = Instant::now();
    let pause = call.hold.unwrap_or_default();
    for number in 0..packets {
        let held = if number >= packets / 2 { pause } else { Duration::ZERO };
        let turn = begun + pace * number + held;
        thread::sleep(turn.saturating_duration_since(Instant::now()));
        if lost_each > 0 && number % lost_each == lost_each - 1 {
            continue;
        }
        let sequence = u16::try_from(number).expect("a short call");
        let stamp = number * step;
        let mut packet = vec![0x80, payload_type];
        packet.extend(sequence.to_be_bytes());
        packet.extend(stamp.to_be_bytes());
        packet.extend(call.ssrc(side));
        packet.resize(12 + 160, 0xff);
        // Nobody may be there, and a filter may refuse it: what becomes of it is what is looked at.
        let _ = socket.send_to(&packet, to);
    }
}

/// What the kernel drops of datagrams that leave by a device to a range of ports, and how many it did.
#[derive(Debug)]
pub struct Loss<'a> {
    namespace: &'a Namespace,
}

impl<'a> Loss<'a> {
    /// Drops what `which` says, in the words of nftables: `numgen inc mod 10 0` is each tenth, `numgen random mod 100 < 2`
    /// two in a hundred by chance.
    ///
    /// # Errors
    /// Where this machine has no such filter: why.
    pub fn new(namespace: &'a Namespace, device: &str, ports: [u16; 2], which: &str) -> Result<Self, String> {
        let [first, last] = ports;
        let rules = format!(
            "table netdev loss {{\n chain out {{\n  type filter hook egress device {device} priority 0;\n  \
             udp dport {first}-{last} {which} counter drop\n }}\n}}\n"
        );
        let file = crate::scratch::Folder::new("nft");
        let path = file.join("rules");
        std::fs::write(&path, rules).expect("a file of rules");
        nft(namespace, &["-f", &path.to_string_lossy()]).map_err(|error| format!("nftables: {error}"))?;
        Ok(Self { namespace })
    }

    /// Packets dropped so far.
    ///
    /// # Panics
    /// When the filter is gone.
    pub fn dropped(&self) -> u64 {
        let rules = nft(self.namespace, &["list", "table", "netdev", "loss"]).expect("the filter is there");
        let mut words = rules.split_whitespace().skip_while(|word| *word != "counter").skip(2);
        words.next().and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("no counter in {rules}"))
    }
}

fn nft(namespace: &Namespace, arguments: &[&str]) -> Result<String, String> {
    let output = namespace.command("nft").args(arguments).output().map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether a program is installed.
pub fn is_installed(program: &str) -> bool {
    Command::new("which").arg(program).output().is_ok_and(|output| output.status.success())
}
