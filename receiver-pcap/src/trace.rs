//! Which packets carried which messages: captures in, each message with the numbers of its packets out.
//!
//! Packets are numbered from 0 on in the order of their merged captures, so that a second reading of the same files finds
//! them again. A message over UDP has one packet, or its fragments; one over TCP or a WebSocket every segment since the
//! message before it on its way, so that those out of order, repeated, and the one two messages share are there; before the
//! first message of a connection also its SYN.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use intake::Intake;
use pipeline::{FrameBatch, ReceiverError, SipFrame, Transport};
use wire::{Decoded, Decoder, Packet, Timestamp};

use crate::config::Config;
use crate::merge::Merge;
use crate::report::Report;

/// Packets of captures as they stand there.
pub struct Packets {
    merge: Merge,
    next: u64,
}

/// One packet.
#[derive(Clone, Copy, Debug)]
pub struct Numbered<'a> {
    /// Its place among all.
    pub number: u64,
    /// What it is.
    pub packet: Packet<'a>,
    /// The same with all that stands before it, as its file has it.
    pub whole: Packet<'a>,
    /// The link type as its file calls it.
    pub link_type: u16,
}

impl Packets {
    /// Opens captures.
    ///
    /// # Errors
    /// Says which file is none, or cannot be read.
    pub fn open(paths: &[PathBuf]) -> Result<Self, ReceiverError> {
        Ok(Self { merge: Merge::new(paths, false, Arc::<Report>::default())?, next: 0 })
    }

    /// The next packet; `None` behind the last.
    ///
    /// # Errors
    /// Says which file cannot be read on.
    pub fn read(&mut self) -> Result<Option<Numbered<'_>>, ReceiverError> {
        if !self.merge.advance()? {
            return Ok(None);
        }
        let number = self.next;
        self.next += 1;
        let link_type = self.merge.link_type().unwrap_or_default();
        let packets = self.merge.packet().zip(self.merge.whole_packet());
        Ok(packets.map(|(packet, whole)| Numbered { number, packet, whole, link_type }))
    }
}

/// Messages, with the packets of each.
pub struct Messages {
    packets: Packets,
    intake: Intake,
    decoder: Decoder,
    batch: FrameBatch,
    /// Segments since the last message, of each direction of a connection.
    segments: HashMap<(SocketAddr, SocketAddr), VecDeque<u64>>,
    /// Fragments that may be part of a datagram to come.
    fragments: VecDeque<(Timestamp, u64)>,
}

/// What came with a packet.
pub struct Came<'a> {
    /// Its place among all.
    pub number: u64,
    /// Sender and recipient, if it is a datagram.
    pub datagram: Option<(SocketAddr, SocketAddr)>,
    /// When it was captured.
    pub at: Timestamp,
    /// The messages that it completed, each with the numbers of its packets.
    pub messages: Vec<(SipFrame, Vec<u64>)>,
    /// Their bytes.
    pub batch: &'a FrameBatch,
}

impl Messages {
    /// Opens the captures that `config` names, read as the receiver reads them.
    ///
    /// # Errors
    /// Says which file is none, or cannot be read.
    pub fn open(config: &Config) -> Result<Self, ReceiverError> {
        let mut decoder = Decoder::default();
        decoder.set_vxlan_ports(&config.vxlan_ports);
        Ok(Self {
            packets: Packets::open(&config.files)?,
            intake: Intake::new(config.intake()),
            decoder,
            batch: FrameBatch::default(),
            segments: HashMap::new(),
            fragments: VecDeque::new(),
        })
    }

    /// Reads a packet; `None` behind the last.
    ///
    /// # Errors
    /// Says which file cannot be read on.
    pub fn read(&mut self) -> Result<Option<Came<'_>>, ReceiverError> {
        let Self { packets, intake, decoder, batch, segments, fragments } = self;
        let Some(Numbered { number, packet, .. }) = packets.read()? else { return Ok(None) };
        batch.clear();
        intake.packet(&packet, batch);
        let (mut datagram, mut put_together) = (None, None);
        match decoder.decode(&packet) {
            Decoded::Datagram(found) => {
                datagram = Some((found.source, found.destination));
                // What was put together of fragments does not lie in the packet.
                let within = packet.bytes.as_ptr_range().contains(&found.payload.as_ptr());
                put_together = (!within && !found.payload.is_empty()).then_some(found.first);
            }
            Decoded::Segment(found) if !found.payload.is_empty() || found.flags & SYN != 0 => {
                remember(segments.entry((found.source, found.destination)).or_default(), number);
                if segments.len() > MAX_STREAMS {
                    // Whoever opens so many says little on each; what is lost is how their next message began.
                    segments.clear();
                }
            }
            Decoded::Held => {
                fragments.push_back((packet.at, number));
                if fragments.len() > MAX_REMEMBERED {
                    fragments.pop_front();
                }
            }
            Decoded::Segment(_) | Decoded::Skipped(_) => {}
        }
        let of = |frame: &SipFrame| match frame.transport {
            Transport::Udp => {
                let since = |(at, _): &&(Timestamp, u64)| put_together.is_some_and(|first| *at >= first);
                fragments.iter().filter(since).map(|(_, number)| *number).chain([number]).collect()
            }
            _ => {
                let known = segments.get(&(frame.source, frame.destination));
                known.map_or_else(|| vec![number], |known| known.iter().copied().collect::<Vec<u64>>())
            }
        };
        let messages: Vec<_> = batch.frames.iter().map(|frame| (frame.clone(), of(frame))).collect();
        for (frame, _) in messages.iter().filter(|(frame, _)| frame.transport != Transport::Udp) {
            // The segment that ends one message may begin the next.
            segments.insert((frame.source, frame.destination), [number].into());
        }
        Ok(Some(Came { number, datagram, at: packet.at, messages, batch }))
    }
}

fn remember(list: &mut VecDeque<u64>, number: u64) {
    list.push_back(number);
    if list.len() > MAX_REMEMBERED {
        list.pop_front();
    }
}

const SYN: u8 = 0b10;
/// Most packets that may belong to one message: as many segments as the longest message has bytes would be hostile.
const MAX_REMEMBERED: usize = 4096;
/// Most directions of connections that are followed.
const MAX_STREAMS: usize = 65_536;
