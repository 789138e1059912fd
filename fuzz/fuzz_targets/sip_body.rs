//! Bodies, whole and as a part of another: `sip::Sdp` and `sip::vq_report` on any bytes.
#![no_main]

#[path = "../../sip/tests/invariants/bodies.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|body: &[u8]| {
    bodies::check(body);
    let head = b"INVITE sip:a SIP/2.0\r\nVia: SIP/2.0/UDP h\r\nFrom: <sip:a@b>;tag=1\r\nTo: x\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n\
        Content-Type: multipart/mixed;boundary=x\r\n\r\n";
    let message = [head, body].concat();
    let message = sip::parse(&message, sip::Framing::WebSocket);
    if let Some(part) = message.ok().and_then(|message| message.body_part(b"application/sdp")) {
        assert!(part.len() < body.len());
        bodies::check(part);
    }
});
