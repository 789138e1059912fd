use super::*;

const OFFER: &str = "v=0\r\no=alice 1 1 IN IP4 10.0.0.9\r\ns=secret\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n\
    a=group:BUNDLE a v\r\na=sendonly\r\n\
    m=audio 40010/2 RTP/SAVPF 111 0 101\r\na=mid:a\r\na=rtpmap:111 OPUS/48000/2\r\na=rtpmap:101 telephone-event/8000\r\n\
    a=fmtp:111 minptime=10; UseDTX=1\r\na=ptime:20\r\na=rtcp:53020 IN IP4 192.0.2.11\r\na=rtcp-mux\r\n\
    a=candidate:1 1 UDP 2130706431 192.0.2.12 40010 typ host\r\n\
    a=candidate:1 2 udp 2130706430 192.0.2.12 40011 typ host\r\n\
    a=candidate:2 1 TCP 1 192.0.2.12 9 typ host tcptype active\r\n\
    a=candidate:3 1 udp 1 0a1b.local 40010 typ host\r\n\
    m=video 0 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP6 2001:db8::1\r\na=mid:v\r\na=bundle-only\r\na=recvonly\r\n\
    m=image 0 udptl t38\r\n";

fn sdp(text: &str) -> Sdp<'_> {
    Sdp::read(text.as_bytes(), false).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn an_offer_is_read() {
    let sdp = sdp(OFFER);
    let [audio, video, image] = sdp.media().collect::<Vec<_>>().try_into().unwrap_or_else(|_| panic!("three media"));
    assert_eq!((audio.kind, audio.port, audio.pairs), (Kind::Audio, 40010, 2));
    assert_eq!(audio.address(), Some("192.0.2.10".parse().expect("an address")));
    assert_eq!(audio.direction(), Direction::SendOnly);
    assert!(audio.is_rtp() && audio.is_secure() && audio.has_rtcp_mux() && audio.is_bundled() && !audio.is_refused());
    assert_eq!(audio.payload_types().collect::<Vec<_>>(), [111, 0, 101]);
    assert_eq!(audio.mapping(111), Some(Mapping { name: b"OPUS", clock: 48000 }));
    assert_eq!(audio.mapping(0), None);
    assert_eq!(audio.format_parameter(111, b"usedtx"), Some(&b"1"[..]));
    assert_eq!(audio.format_parameter(111, b"stereo"), None);
    assert_eq!(audio.ptime(), Some(20));
    assert_eq!(audio.rtcp(), Some((53020, Some("192.0.2.11".parse().expect("an address")))));
    let candidates = audio.candidates().map(|one| (one.component, one.address.to_string())).collect::<Vec<_>>();
    assert_eq!(candidates, [(1, "192.0.2.12:40010".to_owned()), (2, "192.0.2.12:40011".to_owned())]);
    assert_eq!((video.kind, video.direction()), (Kind::Video, Direction::ReceiveOnly));
    assert_eq!(video.address(), Some("2001:db8::1".parse().expect("an address")));
    assert!(!video.is_refused() && video.is_bundled());
    assert!(image.is_refused() && !image.is_rtp() && image.kind == Kind::Other && !image.is_bundled());
}

#[test]
fn an_unspecified_address_is_hold_in_the_old_style() {
    let direction = |address: &str| {
        let text = format!("v=0\nc=IN {address}\nm=audio 9 RTP/AVP 0\n");
        sdp(&text).media().next().expect("a medium").direction()
    };
    assert_eq!(direction("IP4 0.0.0.0"), Direction::SendOnly);
    assert_eq!(direction("IP6 ::"), Direction::SendOnly);
    assert_eq!(direction("IP4 192.0.2.1/127"), Direction::SendReceive);
}

#[test]
fn what_is_no_description_is_told_by_why() {
    let error = |text: &str| Sdp::read(text.as_bytes(), false).err();
    assert_eq!(error(""), Some(SdpError::Version));
    assert_eq!(error("m=audio 1 RTP/AVP 0"), Some(SdpError::Version));
    assert_eq!(error("v=1\n"), Some(SdpError::Version));
    for media in ["", "audio", "audio x RTP/AVP 0", "audio 65536 RTP/AVP 0", "audio 1 RTP/AVP", "audio 1/x RTP/AVP 0"] {
        assert_eq!(error(&format!("v=0\nm={media}\n")), Some(SdpError::Media), "{media}");
    }
    let long = format!("v=0\n{}", "a=x\n".repeat(MAX_SDP / 4));
    assert_eq!(error(&long), Some(SdpError::TooLarge));
}

#[test]
fn media_beyond_the_bound_are_told_and_not_read() {
    let many = |count| format!("v=0\n{}", "m=audio 1 RTP/AVP 0\n".repeat(count));
    let (all, more) = (many(MAX_MEDIA), many(MAX_MEDIA + 1));
    assert!(sdp(&all).media().count() == MAX_MEDIA && !sdp(&all).has_more_media());
    assert!(sdp(&more).media().count() == MAX_MEDIA && sdp(&more).has_more_media());
    let candidates =
        format!("v=0\nm=audio 1 RTP/AVP 0\n{}", "a=candidate:1 1 udp 1 192.0.2.1 5 typ host\n".repeat(150));
    assert_eq!(sdp(&candidates).media().next().expect("a medium").candidates().count(), 100);
}

#[test]
fn the_last_line_of_a_packet_that_was_cut_is_not_believed() {
    let text = "v=0\nc=IN IP4 192.0.2.10\nm=audio 4001";
    assert!(Sdp::read(text.as_bytes(), true).is_ok_and(|sdp| sdp.media().next().is_none()));
    assert_eq!(Sdp::read(text.as_bytes(), false).err(), Some(SdpError::Media));
}

#[test]
fn every_prefix_is_read_or_refused() {
    for end in 0..=OFFER.len() {
        for cut in [false, true] {
            if let Ok(sdp) = Sdp::read(&OFFER.as_bytes()[..end], cut) {
                assert!(sdp.media().count() <= 3);
            }
        }
    }
}
