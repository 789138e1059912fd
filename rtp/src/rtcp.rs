//! RTCP: what sources and receivers report of streams (RFC 3550 §6, RFC 3611 §4.7, RFC 5506; `sip-metrics.md` 5.4, 5.6).
//!
//! A datagram is read only when it is valid as a whole: by RFC 3550 A.2, or as RFC 5506 allows. Names of sources (SDES) are
//! passed over, never read.

/// Why a datagram is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum RtcpError {
    /// It is no RTCP, or its lengths or counts lie.
    #[error("lengths or counts contradict the datagram")]
    Compound,
    /// Only an extended report in it contradicts itself.
    #[error("an extended report contradicts itself")]
    Extended,
}

/// The packets of one datagram, whole and with lengths that hold.
#[derive(Clone, Copy, Debug)]
pub struct Compound<'a>(&'a [u8]);

/// One packet of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Report<'a> {
    /// From somebody who sends (§6.4.1).
    Sender {
        /// Who.
        ssrc: u32,
        /// The middle 32 bits of its NTP time.
        ntp: u32,
        /// What it received.
        blocks: Blocks<'a>,
    },
    /// From somebody who only receives (§6.4.2).
    Receiver {
        /// Who.
        ssrc: u32,
        /// What it received.
        blocks: Blocks<'a>,
    },
    /// How speech was (RFC 3611 §4.7).
    Voice(VoiceQuality),
}

/// Reception report blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blocks<'a>(&'a [u8]);

/// What was received of one source (§6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// The source.
    pub ssrc: u32,
    /// Lost since the last report, in 1/256.
    pub fraction_lost: u8,
    /// Jitter, in units of the clock.
    pub jitter: u32,
    /// The middle 32 bits of the NTP time of the last sender's report; 0 is none yet.
    pub last_sr: u32,
    /// Since that came, in 1/65,536 s.
    pub delay: u32,
}

/// A VoIP metrics report block; what is unavailable is `None`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VoiceQuality {
    /// The source reported about.
    pub ssrc: u32,
    /// Lost, in 1/256.
    pub loss: u8,
    /// Discarded, in 1/256.
    pub discard: u8,
    /// Missing within bursts, in 1/256.
    pub burst_density: u8,
    /// Missing within gaps, in 1/256.
    pub gap_density: u8,
    /// Mean length of bursts, in milliseconds.
    pub burst_ms: u16,
    /// Mean length of gaps, in milliseconds.
    pub gap_ms: u16,
    /// Round trip between the RTP interfaces, in milliseconds.
    pub round_trip_ms: u16,
    /// Delay within the end system, in milliseconds.
    pub end_system_ms: u16,
    /// Signal level, in dBm.
    pub signal: Option<i8>,
    /// Noise level, in dBm.
    pub noise: Option<i8>,
    /// Residual echo return loss, in dB.
    pub rerl: Option<u8>,
    /// Gmin.
    pub gmin: u8,
    /// R factor, 0 to 100.
    pub r_factor: Option<u8>,
    /// R factor of what lies beyond the RTP part, 0 to 100.
    pub external_r: Option<u8>,
    /// Opinion of listening quality, in tenths, 10 to 50.
    pub mos_lq: Option<u8>,
    /// Opinion of conversational quality, in tenths, 10 to 50.
    pub mos_cq: Option<u8>,
    /// Configuration of the receiver: concealment, jitter buffer.
    pub config: u8,
    /// Jitter buffer: nominal, maximum and absolute maximum delay, in milliseconds.
    pub buffer_ms: [u16; 3],
}

const SENDER: u8 = 200;
const RECEIVER: u8 = 201;
const EXTENDED: u8 = 207;
const BLOCK: usize = 24;
/// VoIP metrics (RFC 3611 §4.7), and their length in words.
const VOICE: u8 = 7;
const VOICE_WORDS: usize = 8;

impl<'a> Compound<'a> {
    /// Checks a datagram: versions, lengths that end with it, padding on the last packet only, counts that fit.
    pub fn read(datagram: &'a [u8]) -> Result<Self, RtcpError> {
        if datagram.is_empty() {
            return Err(RtcpError::Compound);
        }
        let mut rest = datagram;
        let mut extended = Ok(());
        while !rest.is_empty() {
            let (packet, behind) = split(rest).ok_or(RtcpError::Compound)?;
            let [flags, kind, ..] = *packet else { return Err(RtcpError::Compound) };
            let padded = flags & 0x20 != 0;
            if flags >> 6 != 2 || !(192..=223).contains(&kind) || padded && !behind.is_empty() {
                return Err(RtcpError::Compound);
            }
            let body = body(packet).ok_or(RtcpError::Compound)?;
            let blocks = usize::from(flags & 0x1F) * BLOCK;
            let least = match kind {
                SENDER => 24 + blocks,
                RECEIVER => 4 + blocks,
                EXTENDED => 4,
                _ => 0,
            };
            if body.len() < least {
                return Err(RtcpError::Compound);
            }
            if kind == EXTENDED && !extended_holds(&body[4..]) {
                extended = Err(RtcpError::Extended);
            }
            rest = behind;
        }
        extended.map(|()| Self(datagram))
    }

    /// Its reports in order.
    pub fn reports(&self) -> impl Iterator<Item = Report<'a>> + use<'a> {
        let mut rest = self.0;
        let mut voices = Voices(&[]);
        std::iter::from_fn(move || {
            loop {
                if let Some(voice) = voices.next() {
                    return Some(Report::Voice(voice));
                }
                let (packet, behind) = split(rest)?;
                rest = behind;
                let (body, blocks) = (body(packet)?, usize::from(packet[0] & 0x1F) * BLOCK);
                match packet[1] {
                    SENDER => {
                        let blocks = Blocks(&body[24..24 + blocks]);
                        return Some(Report::Sender { ssrc: word(body), ntp: word(&body[6..]), blocks });
                    }
                    RECEIVER => {
                        return Some(Report::Receiver { ssrc: word(body), blocks: Blocks(&body[4..4 + blocks]) });
                    }
                    EXTENDED => voices = Voices(&body[4..]),
                    _ => {}
                }
            }
        })
    }
}

impl Blocks<'_> {
    /// The blocks in order, 31 at most.
    pub fn iter(&self) -> impl Iterator<Item = Block> {
        self.0.chunks_exact(BLOCK).map(|block| Block {
            ssrc: word(block),
            fraction_lost: block[4],
            jitter: word(&block[12..]),
            last_sr: word(&block[16..]),
            delay: word(&block[20..]),
        })
    }
}

/// The blocks of an extended report.
struct Extended<'a>(&'a [u8]);

impl<'a> Iterator for Extended<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let [kind, _, high, low, rest @ ..] = self.0 else { return None };
        let (block, behind) = rest.split_at_checked(usize::from(u16::from_be_bytes([*high, *low])) * 4)?;
        self.0 = behind;
        Some((*kind, block))
    }
}

fn extended_holds(bytes: &[u8]) -> bool {
    let mut blocks = Extended(bytes);
    let voices_hold = blocks.by_ref().all(|(kind, block)| kind != VOICE || block.len() == VOICE_WORDS * 4);
    voices_hold && blocks.0.is_empty()
}

/// The VoIP metrics of an extended report that was checked.
struct Voices<'a>(&'a [u8]);

impl Iterator for Voices<'_> {
    type Item = VoiceQuality;

    fn next(&mut self) -> Option<VoiceQuality> {
        let mut blocks = Extended(self.0);
        let found = blocks.find_map(|(kind, block)| Some(block).filter(|_| kind == VOICE).and_then(voice));
        self.0 = blocks.0;
        found
    }
}

fn voice(block: &[u8]) -> Option<VoiceQuality> {
    let b: &[u8; VOICE_WORDS * 4] = block.try_into().ok()?;
    let short = |at: usize| u16::from_be_bytes([b[at], b[at + 1]]);
    let level = |byte: u8| (byte != 127).then_some(byte as i8);
    let within = |byte: u8, least: u8, most: u8| (least..=most).contains(&byte).then_some(byte);
    Some(VoiceQuality {
        ssrc: word(b),
        loss: b[4],
        discard: b[5],
        burst_density: b[6],
        gap_density: b[7],
        burst_ms: short(8),
        gap_ms: short(10),
        round_trip_ms: short(12),
        end_system_ms: short(14),
        signal: level(b[16]),
        noise: level(b[17]),
        rerl: (b[18] != 127).then_some(b[18]),
        gmin: b[19],
        r_factor: within(b[20], 0, 100),
        external_r: within(b[21], 0, 100),
        mos_lq: within(b[22], 10, 50),
        mos_cq: within(b[23], 10, 50),
        config: b[24],
        buffer_ms: [short(26), short(28), short(30)],
    })
}

/// The first packet, and what follows it; `None` where its length is not there.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let [_, _, high, low, ..] = *bytes else { return None };
    bytes.split_at_checked((usize::from(u16::from_be_bytes([high, low])) + 1) * 4)
}

/// What is behind the first word of a packet, without padding; `None` where that lies.
fn body(packet: &[u8]) -> Option<&[u8]> {
    let body = packet.get(4..)?;
    if packet[0] & 0x20 == 0 {
        return Some(body);
    }
    let padding = usize::from(*body.last()?);
    (padding > 0).then(|| body.get(..body.len().checked_sub(padding)?)).flatten()
}

fn word(bytes: &[u8]) -> u32 {
    u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

#[cfg(test)]
mod tests;
