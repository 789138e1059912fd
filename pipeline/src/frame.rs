//! SIP frames: the bytes of exactly one SIP message each, unparsed, with addresses and capture time.
//!
//! A receiver fills a [`FrameBatch`]; its buffer is reused, so that no frame owns memory.

use std::net::SocketAddr;
use std::ops::Range;

use wire::{Tap, Timestamp};

use crate::event::{Elsewhere, NotRead};
use crate::media::{MediaPacket, RtcpPacket};
use crate::refused::Newest;

/// How a message travelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// One message per datagram.
    Udp,
    /// Framed out of a byte stream by Content-Length.
    Tcp,
    /// As TCP, read in the clear inside a process.
    Tls,
    /// One message per WebSocket message (RFC 7118).
    Ws,
    /// As `Ws`, read in the clear inside a process.
    Wss,
}

impl Transport {
    /// The name in configuration, traces and call records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Ws => "ws",
            Self::Wss => "wss",
        }
    }
}

/// Where one SIP message lies in its batch, and how it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SipFrame {
    /// The message's bytes in [`FrameBatch::bytes`].
    pub range: Range<usize>,
    /// Time of the packet that carried the first byte: the time of a request (`t1`).
    pub first: Timestamp,
    /// Time of the packet that completed the message; never decreases from frame to frame.
    pub at: Timestamp,
    /// Nanoseconds to add to a capture time to get the time people are shown (0 unless the wall clock stepped).
    pub wall_offset: i64,
    /// Sender.
    pub source: SocketAddr,
    /// Recipient.
    pub destination: SocketAddr,
    /// How it travelled.
    pub transport: Transport,
    /// Where it was captured.
    pub tap: Tap,
    /// How many bytes the capture itself cut off the end of a datagram: 0 where it is whole, 1 where that is not known.
    pub missing: u32,
}

impl SipFrame {
    /// Whether the capture cut it.
    pub const fn is_cut(&self) -> bool {
        self.missing > 0
    }

    /// A datagram of another host, come in one packet and whole. Where its bytes lie, [`FrameBatch::push`] says.
    pub fn datagram(source: SocketAddr, destination: SocketAddr, at: Timestamp) -> Self {
        Self {
            range: 0..0,
            first: at,
            at,
            wall_offset: 0,
            source,
            destination,
            transport: Transport::Udp,
            tap: Tap::Between,
            missing: 0,
        }
    }
}

/// What one call of [`crate::Receiver::receive`] brought. Reused: [`FrameBatch::clear`] keeps the memory.
#[derive(Debug, Default)]
pub struct FrameBatch {
    /// The bytes of all frames, one after another.
    pub bytes: Vec<u8>,
    /// In order of [`SipFrame::at`].
    pub frames: Vec<SipFrame>,
    /// Packets of RTP, in order of [`MediaPacket::at`]; none unless a processor of media is in the pipeline.
    pub media: Vec<MediaPacket>,
    /// Datagrams of RTCP, in order of [`RtcpPacket::at`]; none unless a processor of media is in the pipeline.
    pub rtcp: Vec<RtcpPacket>,
    /// The capture clock after this batch: time of the last packet read, SIP or not, or the time that has
    /// passed without one. Never decreases; at or after every frame's `at`.
    pub now: Timestamp,
    /// What the receiver counted on the way and no frame shows.
    pub tally: Tally,
    /// The newest of what it counted as messages that cannot be read.
    pub refused: Newest,
}

impl FrameBatch {
    /// Empties the batch for the next round; the clock stays where it is.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.frames.clear();
        self.media.clear();
        self.rtcp.clear();
        self.tally = Tally::default();
        self.refused.clear();
    }

    /// Adds a message: its bytes, and how it came. The frame's place becomes that of the bytes.
    #[inline]
    pub fn push(&mut self, message: &[u8], frame: SipFrame) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(message);
        self.frames.push(SipFrame { range: start..self.bytes.len(), ..frame });
    }

    /// Adds a datagram of RTCP. Its place becomes that of the bytes.
    pub fn push_rtcp(&mut self, datagram: &[u8], packet: RtcpPacket) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(datagram);
        self.rtcp.push(RtcpPacket { range: start..self.bytes.len(), ..packet });
    }

    /// The bytes of one frame of this batch.
    pub fn message(&self, frame: &SipFrame) -> &[u8] {
        &self.bytes[frame.range.clone()]
    }
}

/// Counts of what was seen on a SIP port and is not a message, and of what was passed over (`sip-metrics.md` 1.1, 1.7,
/// 1.8, 4.1).
/// Every field is the increase since the last batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// STUN binding requests used as keep-alives.
    pub keepalives_stun: u64,
    /// Payloads of nothing but CR, LF, NUL; runs of CR/LF between stream messages.
    pub keepalives_crlf: u64,
    /// WebSocket pings.
    pub keepalives_ws_ping: u64,
    /// Payloads that are something else: RTP, DTLS, garbage.
    pub non_sip: u64,
    /// First lines that name SIP and are no start line: `parse_errors_total{reason="start_line"}`.
    pub start_line_errors: u64,
    /// Messages longer than the bound: `parse_errors_total{reason="too_large"}`.
    pub too_large: u64,
    /// Stream messages whose Content-Length cannot be used: `parse_errors_total{reason="content_length"}`.
    pub content_length_errors: u64,
    /// Payloads seen twice within the duplicate window.
    pub capture_duplicates: u64,
    /// TLS records on the wire, not decrypted.
    pub tls_records: u64,
    /// Places where a stream had to be entered anew.
    pub stream_resyncs: u64,
    /// Clock steps larger than a second.
    pub clock_steps: u64,
    /// Packets the kernel dropped before they were read.
    pub capture_drops: u64,
    /// Records of media packets that were lost before they were read.
    pub media_drops: u64,
    /// Datagrams given up in IP reassembly because the table was full.
    pub evicted_fragments: u64,
    /// Streams given up because the table was full.
    pub evicted_streams: u64,
    /// Messages of probes on ports that are not listed (`sip-metrics.md` 6.1).
    pub probe_messages: u64,
    /// Packets whose inside is not looked at, by [`NotRead::index`](crate::event::NotRead::index).
    pub not_read: [u32; NotRead::ALL.len()],
    /// Packets passed over that hold SIP, by [`Elsewhere::index`](crate::event::Elsewhere::index).
    pub sip_elsewhere: [u32; Elsewhere::ALL.len()],
}
