//! A made-up capture of calls that are talked: seven messages each and their RTP, groups of calls at a time. For figures; the
//! calls of [`crate::traffic`] have no media.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::Duration;

use ladder::{Step, pcap};

/// Calls that are up at a time.
const AT_ONCE: u32 = 1_000;
/// Packets of RTP of a call in each direction, 20 ms apart.
const EACH_WAY: u32 = 47;
const PACE: Duration = Duration::from_millis(20);
/// From the beginning of a group of calls to that of the next.
const GROUP: Duration = Duration::from_millis(2_500);
/// From a call of a group to the next one.
const NEXT: Duration = Duration::from_millis(1);
/// 2026-01-01.
const EPOCH: Duration = Duration::from_secs(1_767_225_600);

/// What a capture holds.
#[derive(Clone, Copy, Debug)]
pub struct Held {
    /// Packets in all.
    pub packets: u64,
    /// Those of RTP.
    pub rtp: u64,
}

/// Writes a capture of so many calls.
///
/// # Errors
/// When it cannot be written.
pub fn write(calls: u32, out: &mut impl Write) -> io::Result<Held> {
    out.write_all(&pcap::header())?;
    let mut held = Held { packets: 0, rtp: 0 };
    let mut group: Vec<Step> = Vec::new();
    for first in (0..calls).step_by(AT_ONCE as usize) {
        group.clear();
        (first..calls.min(first + AT_ONCE)).for_each(|call| add(call, &mut group));
        group.sort_by_key(|step| step.at);
        let mut bytes = Vec::new();
        for (step, identification) in group.iter().zip((1..=u16::MAX).cycle()) {
            bytes.clear();
            pcap::push(&mut bytes, step, identification, EPOCH);
            out.write_all(&bytes)?;
            held.rtp += u64::from(step.bytes[0] >> 6 == 2);
        }
        held.packets += group.len() as u64;
    }
    Ok(held)
}

/// One call: four messages, the ACK, what is said, two messages.
fn add(call: u32, steps: &mut Vec<Step>) {
    let start = GROUP * (call / AT_ONCE) + NEXT * (call % AT_ONCE);
    let sip = [SocketAddr::from(([10, 8, 0, 1], 5060)), SocketAddr::from(([10, 8, 0, 2], 5060))];
    let media = [end(call, 0), end(call, 1)];
    let sdp = media.map(|media| {
        let (ip, port) = (media.ip(), media.port());
        format!("v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n")
    });
    let talked = PACE * (EACH_WAY + 2);
    let mut say = |millis: u64, more: Duration, from: usize, what: &str, cseq: (u32, &str), tag: &str, sdp: &str| {
        let start_line = match what.parse::<u16>() {
            Ok(status) => format!("SIP/2.0 {status} Whatever"),
            Err(_) => format!("{what} sip:b@example.com SIP/2.0"),
        };
        let branch = if what == "ACK" { "ack" } else { cseq.1 };
        let content = if sdp.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let (number, method, length) = (cseq.0, cseq.1, sdp.len());
        let text = format!(
            "{start_line}\r\nVia: SIP/2.0/UDP 10.8.0.1;branch=z9hG4bK-{call}-{branch}\r\nMax-Forwards: 70\r\n\
             From: <sip:a@example.com>;tag=f{call}\r\nTo: <sip:b@example.com>{tag}\r\nCall-ID: voice-{call}\r\n\
             CSeq: {number} {method}\r\nContact: <sip:a@10.8.0.1>\r\n{content}Content-Length: {length}\r\n\r\n{sdp}"
        );
        let at = start + Duration::from_millis(millis) + more;
        steps.push(Step { at, source: sip[from], destination: sip[1 - from], bytes: text.into_bytes() });
    };
    let (none, tag) = (Duration::ZERO, ";tag=t");
    say(0, none, 0, "INVITE", (1, "INVITE"), "", &sdp[0]);
    say(2, none, 1, "100", (1, "INVITE"), "", "");
    say(50, none, 1, "180", (1, "INVITE"), tag, "");
    say(300, none, 1, "200", (1, "INVITE"), tag, &sdp[1]);
    say(310, none, 0, "ACK", (1, "ACK"), tag, "");
    say(320, talked, 0, "BYE", (2, "BYE"), tag, "");
    say(330, talked, 1, "200", (2, "BYE"), tag, "");
    for number in 0..EACH_WAY {
        for side in [0, 1] {
            let sequence = (number as u16).to_be_bytes();
            let header = [&[0x80, 0][..], &sequence, &(number * 160).to_be_bytes(), &(2 * call + side).to_be_bytes()];
            let bytes = [&header.concat()[..], &[0x55; 160]].concat();
            let at = start + Duration::from_millis(320) + PACE * number;
            let (source, destination) = (media[side as usize], media[1 - side as usize]);
            steps.push(Step { at, source, destination, bytes });
        }
    }
}

/// Where a party speaks from: some 4,000 ports on each of a few addresses.
fn end(call: u32, party: u8) -> SocketAddr {
    let [.., high, low] = call.to_be_bytes();
    SocketAddr::from(([10, 9 + party, high >> 3, 1 + (high & 7)], 20_000 + 2 * u16::from(low)))
}
