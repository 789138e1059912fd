//! Looking ahead: what the next packets are about is found for all of them, so that memory is waited for once and not packet by
//! packet. With tens of thousands of streams each packet is about another one, which is in no cache.

use pipeline::MediaPacket;

use crate::state::State;

/// Packets that are looked up together.
pub const AHEAD: usize = 32;

/// What a packet is about, as long as nothing came or went since.
#[derive(Clone, Copy, Default)]
pub struct Found {
    /// The place it goes to.
    pub destination: Option<u32>,
    /// The key of its stream, where that place is known; and the stream.
    pub key: u64,
    pub stream: Option<u32>,
}

impl State {
    /// Finds what packets are about and loads it. Returns what [`State::changes`] then is.
    pub fn look_ahead(&self, packets: &[MediaPacket], found: &mut [Found; AHEAD]) -> [u32; 2] {
        for (found, packet) in found.iter_mut().zip(packets) {
            *found = Found { destination: self.places.find(&packet.destination), ..Found::default() };
        }
        for (found, packet) in found.iter_mut().zip(packets) {
            self.find_stream(found, packet);
        }
        for found in &found[..packets.len()] {
            if let (Some(stream), Some(destination)) = (found.stream, found.destination) {
                self.streams.prefetch(stream);
                self.places.prefetch(destination);
            }
        }
        self.changes()
    }

    /// What one packet is about.
    pub fn look_up(&self, packet: &MediaPacket) -> Found {
        let mut found = Found { destination: self.places.find(&packet.destination), ..Found::default() };
        self.find_stream(&mut found, packet);
        found
    }

    /// Numbers of which one differs once a place or a stream has come or gone.
    pub fn changes(&self) -> [u32; 2] {
        [self.places.changes(), self.streams.changes()]
    }

    #[inline]
    fn find_stream(&self, found: &mut Found, packet: &MediaPacket) {
        let Some(destination) = found.destination else { return };
        let [.., a, b, c, d] = packet.header;
        found.key = self.stream_key(&packet.source, destination, u32::from_be_bytes([a, b, c, d]));
        found.stream = self.streams.find(found.key);
    }
}
