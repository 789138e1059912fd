//! Messages as packets: what a plain host would have sent, without a link layer, tunnels, or anything else below SIP that was there.
//!
//! A message that came in several packets goes in two at least, the last at the time it was whole and the others at the time of
//! its first byte, so that delays stay what they were. One that the capture cut is one packet that was cut, as long as it was. Streams begin with a SYN; WebSocket messages are one frame each, not
//! masked (RFC 6455 §5.2); what came over TLS is in the clear. Datagrams that the kernel had merged are merged again where a
//! reader would take them for copies of each other.

use std::borrow::Cow;

use pipeline::{FrameBatch, SipFrame, Transport};
use wire::{Encoder, Timestamp};

/// Makes the packets of messages. Keeps where each stream stands.
#[derive(Debug, Default)]
pub struct Packets {
    encoder: Encoder,
    /// Of the message at hand, one after another, and where each ends.
    made: (Vec<u8>, Vec<usize>),
}

impl Packets {
    /// The packets of a message that came as `frame` says: each goes to `put` with its time, and with the length that it had
    /// before it was cut. `false`: it is longer than a datagram takes, and has none.
    pub fn put(&mut self, frame: &SipFrame, message: &[u8], mut put: impl FnMut(Timestamp, &[u8], u32)) -> bool {
        let Self { encoder, made: (bytes, ends) } = self;
        if frame.is_cut() && frame.transport == Transport::Udp {
            let put = |packet: &[u8], original_len| put(frame.at, packet, original_len);
            return encoder.cut_datagram([frame.source, frame.destination], message, frame.missing, put);
        }
        bytes.clear();
        ends.clear();
        let mut keep = |packet: &[u8]| {
            bytes.extend_from_slice(packet);
            ends.push(bytes.len());
        };
        let between = [frame.source, frame.destination];
        let cut = frame.first != frame.at;
        match frame.transport {
            Transport::Udp if !encoder.datagram(between, message, cut, &mut keep) => return false,
            Transport::Udp => {}
            Transport::Tcp | Transport::Tls => encoder.segments(between, frame.first, message, [cut, true], &mut keep),
            Transport::Ws | Transport::Wss => {
                // Without a SYN: no handshake of HTTP stands before the first frame.
                let framed = [&websocket_header(message.len())[..], message].concat();
                encoder.segments(between, frame.first, &framed, [cut, false], &mut keep);
            }
        }
        let mut start = 0;
        for (index, &end) in ends.iter().enumerate() {
            let at = if index + 1 < ends.len() { frame.first } else { frame.at };
            put(at, &bytes[start..end], (end - start) as u32);
            start = end;
        }
        true
    }
}

/// What a batch holds: each message with its frame, and how many it is.
pub fn messages(batch: &FrameBatch) -> impl Iterator<Item = (&SipFrame, Cow<'_, [u8]>, u64)> {
    let is_copy = |one: &SipFrame, next: &SipFrame| {
        let of = |frame: &SipFrame| (frame.source, frame.destination, frame.transport, frame.first, frame.at);
        one.transport == Transport::Udp
            && !one.is_cut()
            && of(one) == of(next)
            && batch.message(one) == batch.message(next)
    };
    batch.frames.chunk_by(is_copy).map(|frames| match frames {
        [frame] => (frame, batch.message(frame).into(), 1),
        _ => {
            let all: Vec<u8> = frames.iter().flat_map(|frame| batch.message(frame)).copied().collect();
            (&frames[0], all.into(), frames.len() as u64)
        }
    })
}

/// What stands before a text message of one frame.
pub(crate) fn websocket_header(len: usize) -> Vec<u8> {
    /// The last frame, of text.
    const TEXT: u8 = 0x81;
    match u16::try_from(len) {
        Ok(len @ ..=125) => vec![TEXT, len as u8],
        Ok(len) => [&[TEXT, 126][..], &len.to_be_bytes()].concat(),
        Err(_) => [&[TEXT, 127][..], &(len as u64).to_be_bytes()].concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(transport: Transport, first: u64, len: usize) -> Vec<u64> {
        let at = Timestamp::from_nanos;
        let [source, destination] = ["192.0.2.1:5060", "192.0.2.2:5060"].map(|text| text.parse().expect("an address"));
        let frame = SipFrame { first: at(first), transport, ..SipFrame::datagram(source, destination, at(9)) };
        let mut times = Vec::new();
        assert!(Packets::default().put(&frame, &vec![b'x'; len], |at, _, _| times.push(at.as_nanos())));
        times
    }

    #[test]
    fn what_came_in_pieces_goes_in_pieces() {
        assert_eq!(times(Transport::Udp, 9, 500), [9]);
        assert_eq!(times(Transport::Udp, 4, 500), [4, 9]);
        assert_eq!(times(Transport::Udp, 9, 2000), [9, 9]);
        assert_eq!(times(Transport::Tcp, 4, 500), [4, 4, 9], "its SYN, and two segments");
        assert_eq!(times(Transport::Ws, 4, 500), [4, 9]);
    }

    #[test]
    fn what_the_capture_cut_is_cut_again_and_says_how_long_it_was() {
        for (ends, headers) in
            [(["192.0.2.1:5060", "192.0.2.2:5060"], 28), (["[2001:db8::1]:5060", "[2001:db8::2]:5060"], 48)]
        {
            let [source, destination] = ends.map(|text| text.parse().expect("an address"));
            let frame = SipFrame { missing: 1900, ..SipFrame::datagram(source, destination, Timestamp::from_nanos(9)) };
            let mut made = Vec::new();
            let put = |at: Timestamp, packet: &[u8], len| made.push((at.as_nanos(), packet.to_vec(), len));
            assert!(Packets::default().put(&frame, &[b'x'; 200], put));
            let [(9, packet, len)] = &made[..] else { panic!("{made:?}") };
            assert_eq!((packet.len(), *len), (headers + 200, headers as u32 + 2100));
            let link = wire::Link::RawIp;
            let packet =
                wire::Packet { at: frame.at, link, interface: 0, bytes: packet, original_len: *len, tap: frame.tap };
            let mut decoder = wire::Decoder::default();
            let wire::Decoded::Datagram(read) = decoder.decode(&packet) else { panic!("it is one") };
            assert_eq!((read.payload, read.missing), (&[b'x'; 200][..], 1900));
        }
    }

    #[test]
    fn the_header_of_a_frame_has_the_length_in_as_many_bytes_as_it_needs() {
        assert_eq!(websocket_header(125), [0x81, 125]);
        assert_eq!(websocket_header(126), [0x81, 126, 0, 126]);
        assert_eq!(websocket_header(65_536), [0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
    }
}
