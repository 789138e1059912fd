//! The kinds of messages that are measured.

pub const INVITE: &str = "INVITE sip:+4930123456@sbc.example.net;user=phone SIP/2.0\r\n\
    Via: SIP/2.0/UDP 10.1.0.7:5060;branch=z9hG4bK-524287-1---a7d9f1;rport\r\n\
    Max-Forwards: 70\r\n\
    Contact: <sip:1001@10.1.0.7:5060>\r\n\
    To: <sip:+4930123456@sbc.example.net>\r\n\
    From: \"Alice\" <sip:1001@sbc.example.net>;tag=ab47e51c\r\n\
    Call-ID: 8f1d2c3b4a5968778695a4b3c2d1e0f1@10.1.0.7\r\n\
    CSeq: 1 INVITE\r\n\
    User-Agent: Yealink SIP-T46S 66.86.0.15\r\n\
    Content-Type: application/sdp\r\n\
    Content-Length: 112\r\n\r\n\
    v=0\r\no=- 1 1 IN IP4 10.1.0.7\r\ns=-\r\nc=IN IP4 10.1.0.7\r\nt=0 0\r\nm=audio 11784 RTP/AVP 8 101\r\na=rtpmap:8 PCMA/8000\r\n";

pub const OK: &str = "SIP/2.0 200 OK\r\n\
    Via: SIP/2.0/UDP 10.1.0.7:5060;branch=z9hG4bK-524287-1---a7d9f1;rport=5060;received=10.1.0.7\r\n\
    Record-Route: <sip:10.1.0.1;lr>\r\n\
    From: \"Alice\" <sip:1001@sbc.example.net>;tag=ab47e51c\r\n\
    To: <sip:+4930123456@sbc.example.net>;tag=as6c1e7b2f\r\n\
    Call-ID: 8f1d2c3b4a5968778695a4b3c2d1e0f1@10.1.0.7\r\n\
    CSeq: 1 INVITE\r\n\
    Server: Asterisk PBX 20.6.0\r\n\
    Allow: INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, SUBSCRIBE, NOTIFY, INFO, PUBLISH, MESSAGE\r\n\
    Supported: replaces, timer\r\n\
    Session-Expires: 1800;refresher=uas\r\n\
    Contact: <sip:+4930123456@10.1.0.9:5060>\r\n\
    Content-Length: 0\r\n\r\n";

pub const BYE: &str = "BYE sip:+4930123456@10.1.0.9:5060 SIP/2.0\r\n\
    Via: SIP/2.0/UDP 10.1.0.7:5060;branch=z9hG4bK-524287-1---b8e0;rport\r\n\
    Max-Forwards: 70\r\n\
    From: \"Alice\" <sip:1001@sbc.example.net>;tag=ab47e51c\r\n\
    To: <sip:+4930123456@sbc.example.net>;tag=as6c1e7b2f\r\n\
    Call-ID: 8f1d2c3b4a5968778695a4b3c2d1e0f1@10.1.0.7\r\n\
    CSeq: 2 BYE\r\n\
    Content-Length: 0\r\n\r\n";

pub const REGISTER: &str = "REGISTER sip:sbc.example.net SIP/2.0\r\n\
    Via: SIP/2.0/UDP 10.1.0.7:5060;branch=z9hG4bK-d8754z-c1;rport\r\n\
    Max-Forwards: 70\r\n\
    Contact: <sip:1001@10.1.0.7:5060;transport=udp>;expires=3600\r\n\
    To: <sip:1001@sbc.example.net>\r\n\
    From: <sip:1001@sbc.example.net>;tag=11e9\r\n\
    Call-ID: 3c26700857a87f84@10.1.0.7\r\n\
    CSeq: 1042 REGISTER\r\n\
    User-Agent: Grandstream GXP2170 1.0.11.16\r\n\
    Authorization: Digest username=\"1001\",realm=\"sbc.example.net\",nonce=\"5f1e9d2c\",uri=\"sip:sbc.example.net\",response=\"6629fae49393a05397450978507c4ef1\",algorithm=MD5,qop=auth,cnonce=\"0a4f113b\",nc=00000001\r\n\
    Expires: 3600\r\n\
    Content-Length: 0\r\n\r\n";

pub const COMPACT: &str = "INVITE sip:b@example.net SIP/2.0\r\n\
    v:SIP/2.0/UDP 10.1.0.7;branch=z9hG4bKx1\r\n\
    f:<sip:a@example.net>;tag=1\r\n\
    t:<sip:b@example.net>\r\n\
    i:1@10.1.0.7\r\n\
    CSeq:1 INVITE\r\n\
    m:<sip:a@10.1.0.7>\r\n\
    l:0\r\n\r\n";

/// A BYE that went through 20 hops.
pub fn many_vias() -> String {
    let hops: String = (0..19)
        .map(|hop| format!("Via: SIP/2.0/UDP 10.2.0.{hop}:5060;branch=z9hG4bK-{hop}-{hop};received=10.2.0.{hop}\r\n"))
        .collect();
    BYE.replacen("Max-Forwards", &format!("{hops}Max-Forwards"), 1)
}

/// All of them, by name.
pub fn all() -> [(&'static str, String); 6] {
    [
        ("invite", INVITE.to_owned()),
        ("200", OK.to_owned()),
        ("bye", BYE.to_owned()),
        ("register", REGISTER.to_owned()),
        ("compact", COMPACT.to_owned()),
        ("20_vias", many_vias()),
    ]
}
