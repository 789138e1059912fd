//! Voice of real peers: baresip's RTP and RTCP, plain and encrypted, SIPp's two ways of sending it, and a relay between two
//! legs of one call (Kamailio and rtpengine).

use std::fs;
use std::net::SocketAddr;
use std::process::{Child, Stdio};
use std::time::Duration;

use integration::baresip::{Line, Phone};
use integration::exposition::Exposition;
use integration::gate;
use integration::media::is_installed;
use integration::proxy::Proxy;
use integration::ringside::{HTTP, Ringside};
use integration::scratch::Folder;
use integration::sipp::await_udp;
use integration::wait::within;
use testnet::{Cable, Family, Namespace, skipped};

use crate::stage::cable;

fn hearing(interfaces: &str) -> String {
    format!(
        "[receivers.ebpf_sip]\ninterfaces = [{interfaces:?}]\nports = [5060, 5070]\n[processors.dialog]\n[processors.media]\n\
         jitter_buffer = \"1s\"\n\
         [processors.enrich]\n[exporters.prometheus]\nendpoint = \"{HTTP}\"\n[service.pipelines.metrics]\n\
         receivers = [\"ebpf_sip\"]\nprocessors = [\"dialog\", \"media\", \"enrich\"]\nexporters = [\"prometheus\"]\n"
    )
}

/// Says what is missing for `test`, if anything is.
fn lacks(test: &str, programs: &[&str]) -> bool {
    let missing: Vec<&str> = programs.iter().copied().filter(|program| !is_installed(program)).collect();
    if !missing.is_empty() {
        skipped(test, &format!("{} not installed", missing.join(", ")));
    }
    !missing.is_empty()
}

/// Sum of a metric over the series whose labels hold all of `labels`.
fn sum(scrape: &Exposition, selector: &str) -> f64 {
    scrape.value(selector).unwrap_or(0.0)
}

/// Two phones talk until reports have said how long a round trip takes: they come every five seconds, and one answers
/// another.
#[track_caller]
fn talk(test: &str, codec: &'static str, label: &str, encrypted: bool, family: Family) {
    let Some(_pass) = gate::shared(test) else { return };
    if lacks(test, &["baresip"]) {
        return;
    }
    let Cable { left, right } = &cable();
    let cable_ends = |port| match family {
        Family::V4 => (format!("10.20.0.1:{port}"), format!("10.20.0.2:{port}")),
        Family::V6 => (format!("[fd00:20::1]:{port}"), format!("[fd00:20::2]:{port}")),
    };
    let (caller, callee) = cable_ends(5060);
    let [caller, callee]: [SocketAddr; 2] = [caller, callee].map(|address| address.parse().expect("an address"));
    let ringside = Ringside::start_with(right, &hearing("right"), &[]);
    let line = |ports| Line { codec, encrypted, ports };
    let answering = Phone::answering(right, callee, line(40_000));
    let calling = Phone::calling(left, caller, line(30_000), &format!("sip:phone@{callee}"));
    let round_trips = |scrape: &Exposition| sum(scrape, "rtcp_rtt_seconds_count{part=\"total\"}");
    let received = |scrape: &Exposition, side| {
        sum(scrape, &format!("rtp_packets_total{{direction=\"{side}\",codec=\"{label}\"}}"))
    };
    // An interval of ten seconds is over, and reports have passed; what is encrypted is counted and not read.
    let heard = |scrape: &Exposition| {
        ["caller", "callee"].iter().all(|side| received(scrape, side) > 550.0)
            && sum(scrape, "rtcp_packets_total") >= 2.0
            && (encrypted || round_trips(scrape) > 0.0)
    };
    let heard = within(Duration::from_secs(90), || Some(ringside.scrape()).filter(|scrape| heard(scrape)));
    assert!(heard.is_some(), "no voice, or no reports:\n{}", answering.log());
    calling.hang_up();
    let scrape = ringside.reaches("sessions_ended_total{end=\"bye\"}", 1.0);
    for side in ["caller", "callee"] {
        let labels = format!("direction=\"{side}\",codec=\"{label}\"");
        assert_eq!(sum(&scrape, &format!("rtp_lost_total{{{labels}}}")), 0.0, "{side}");
        let (count, all) =
            (sum(&scrape, &format!("mos_lq_count{{{labels}}}")), sum(&scrape, &format!("mos_lq_sum{{{labels}}}")));
        assert!(count >= 1.0 && all / count > 4.0, "{side}: MOS {all} in {count} samples");
    }
    assert_eq!(round_trips(&scrape) > 0.0, !encrypted);
    scrape.assert([("media_faults_total", 0.0), ("media_errors_total", 0.0), ("media_drops_total", 0.0)]);
}

#[test]
fn phones_with_g711_and_reports() {
    talk("phones with G.711", "PCMU/8000/1", "PCMU", false, Family::V4);
}

#[test]
fn phones_with_opus_over_ipv6() {
    talk("phones with Opus", "opus/48000/2", "opus", false, Family::V6);
}

#[test]
fn phones_that_encrypt() {
    talk("phones with SRTP", "PCMA/8000/1", "PCMA", true, Family::V4);
}

/// Packets of G.711 in a capture, as SIPp replays them.
fn voice(packets: u16) -> Vec<u8> {
    let [from, to]: [SocketAddr; 2] = ["10.0.0.1:6000", "10.0.0.2:6000"].map(|address| address.parse().expect("one"));
    let step = |number: u16| {
        let header =
            [&[0x80, 0][..], &number.to_be_bytes(), &(u32::from(number) * 160).to_be_bytes(), &[9; 4]].concat();
        let at = Duration::from_millis(20) * number.into();
        ladder::Step { at, source: from, destination: to, bytes: [&header[..], &[0xff; 160]].concat() }
    };
    let steps: Vec<ladder::Step> = (0..packets).map(step).collect();
    ladder::pcap::write(&steps, Duration::from_secs(1_700_000_000))
}

/// Both scenarios of SIPp for a call in which `caller_does` what its caller does once it is answered.
fn scenarios(caller_does: &str) -> [String; 2] {
    const CALLER: &str = r#"<?xml version="1.0" encoding="UTF-8"?><scenario name="caller">
<send retrans="500"><![CDATA[
INVITE sip:callee@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch]
From: <sip:caller@[local_ip]>;tag=caller[call_number]
To: <sip:callee@[remote_ip]>
Call-ID: [call_id]
CSeq: 1 INVITE
Contact: <sip:caller@[local_ip]:[local_port]>
Max-Forwards: 70
Content-Type: application/sdp
Content-Length: [len]

v=0
o=- 1 1 IN IP[local_ip_type] [local_ip]
s=-
c=IN IP[media_ip_type] [media_ip]
t=0 0
m=audio [auto_media_port] RTP/AVP 0
a=rtpmap:0 PCMU/8000
]]></send>
<recv response="100" optional="true"/><recv response="180" optional="true"/><recv response="200" rtd="true"/>
<send><![CDATA[
ACK sip:callee@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch]
From: <sip:caller@[local_ip]>;tag=caller[call_number]
[last_To:]
Call-ID: [call_id]
CSeq: 1 ACK
Max-Forwards: 70
Content-Length: 0

]]></send>
<nop><action><exec @ACTION@/></action></nop>
<pause milliseconds="4600"/>
<send retrans="500"><![CDATA[
BYE sip:callee@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch]
From: <sip:caller@[local_ip]>;tag=caller[call_number]
[last_To:]
Call-ID: [call_id]
CSeq: 2 BYE
Max-Forwards: 70
Content-Length: 0

]]></send>
<recv response="200"/>
</scenario>"#;
    const CALLEE: &str = r#"<?xml version="1.0" encoding="UTF-8"?><scenario name="callee">
<recv request="INVITE"/>
<send><![CDATA[
SIP/2.0 200 OK
[last_Via:]
[last_From:]
[last_To:];tag=callee[call_number]
[last_Call-ID:]
[last_CSeq:]
Contact: <sip:[local_ip]:[local_port]>
Content-Type: application/sdp
Content-Length: [len]

v=0
o=- 1 1 IN IP[local_ip_type] [local_ip]
s=-
c=IN IP[media_ip_type] [media_ip]
t=0 0
m=audio [auto_media_port] RTP/AVP 0
a=rtpmap:0 PCMU/8000
]]></send>
<recv request="ACK"/><recv request="BYE"/>
<send><![CDATA[
SIP/2.0 200 OK
[last_Via:]
[last_From:]
[last_To:]
[last_Call-ID:]
[last_CSeq:]
Content-Length: 0

]]></send>
</scenario>"#;
    [CALLER.replace("@ACTION@", caller_does), CALLEE.to_owned()]
}

/// SIPp sends what `action` says; the number of packets is returned, with how the numbers came out.
#[track_caller]
fn sipp_sends(test: &str, action: &str, least: f64) {
    let Some(_pass) = gate::shared(test) else { return };
    let Cable { left, right } = &cable();
    let ringside = Ringside::start_with(right, &hearing("right"), &[]);
    let folder = Folder::new("sipp-media");
    let [caller, callee] = scenarios(action);
    for (name, text) in
        [("caller.xml", caller.into_bytes()), ("callee.xml", callee.into_bytes()), ("voice.pcap", voice(200))]
    {
        fs::write(folder.join(name), text).expect("the folder is ours");
    }
    // Raw G.711: four seconds of it.
    fs::write(folder.join("voice.raw"), [0xff; 32_000]).expect("the folder is ours");
    let start = |namespace: &Namespace, scenario: &str, own: &str, port: &str, further: &[&str]| -> Child {
        let log = fs::File::create(folder.join(&format!("{scenario}.log"))).expect("a log");
        namespace
            .command("sipp")
            .current_dir(folder.path())
            .args(["-sf", scenario, "-i", own, "-mi", own, "-p", "5060", "-m", "1", "-nostdin"])
            .args(["-mp", port, "-timeout", "30s", "-timeout_error"])
            .args(further)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .spawn()
            .expect("sipp starts")
    };
    let mut callee = start(right, "callee.xml", "10.20.0.2", "40000", &[]);
    await_udp(right, 5060);
    let mut caller = start(left, "caller.xml", "10.20.0.1", "30000", &["10.20.0.2:5060"]);
    for (name, child) in [("caller", &mut caller), ("callee", &mut callee)] {
        let ended = within(Duration::from_secs(40), || child.try_wait().expect("our own child"));
        let log = fs::read_to_string(folder.join(&format!("{name}.xml.log"))).unwrap_or_default();
        assert!(ended.is_some_and(|status| status.success()), "{name}: {ended:?} {log}");
    }
    let scrape = ringside.reaches("sessions_ended_total{end=\"bye\"}", 1.0);
    let labels = "direction=\"caller\",codec=\"PCMU\"";
    let received = sum(&scrape, &format!("rtp_packets_total{{{labels}}}"));
    assert!(received >= least && received <= 240.0, "{received} packets");
    assert_eq!(sum(&scrape, &format!("rtp_lost_total{{{labels}}}")), 0.0);
    assert_eq!(sum(&scrape, &format!("mos_lq_count{{{labels}}}")), 1.0);
}

#[test]
fn sipp_streams_from_a_file() {
    sipp_sends("SIPp, rtp_stream", "rtp_stream=\"voice.raw,1,0\"", 150.0);
}

#[test]
fn sipp_replays_a_capture() {
    sipp_sends("SIPp, play_pcap_audio", "play_pcap_audio=\"voice.pcap\"", 150.0);
}

/// Relays calls to port 5070 of its own host, and their media through the relay at port 2223.
const PROXY: &str = r#"
debug=1
log_stderror=yes
children=2
auto_aliases=no
disable_tcp=yes
listen=udp:10.20.0.2:5060
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "rtpengine.so"
modparam("rtpengine", "rtpengine_sock", "udp:127.0.0.1:2223")
request_route {
    if (is_method("INVITE")) { record_route(); }
    if (has_totag()) {
        if (is_method("BYE")) { rtpengine_delete(); }
        if (loose_route()) { t_relay(); exit; }
        if (is_method("ACK") && t_check_trans()) { t_relay(); exit; }
        exit;
    }
    if (is_method("INVITE")) { rtpengine_offer("replace-origin replace-session-connection ICE=remove"); }
    t_on_reply("ANSWER");
    $du = "sip:10.20.0.3:5070";
    t_relay();
}
onreply_route[ANSWER] {
    if (has_body("application/sdp")) { rtpengine_answer("replace-origin replace-session-connection ICE=remove"); }
}
"#;

/// A running relay of media, ended when dropped.
struct Relay(Child);

impl Relay {
    fn start(namespace: &Namespace, folder: &Folder) -> Self {
        let log = fs::File::create(folder.join("relay")).expect("a log");
        let child = namespace
            .command("rtpengine")
            .args(["--interface=10.20.0.2", "--listen-ng=127.0.0.1:2223", "--table=-1", "--foreground", "--log-stderr"])
            .args(["--port-min=50000", "--port-max=50100", "--config-file=none", "--pidfile"])
            .arg(folder.join("pid"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .spawn()
            .expect("rtpengine starts");
        await_udp(namespace, 2223);
        Self(child)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_relay_between_two_legs_is_one_call_without_a_fault() {
    let test = "Kamailio and rtpengine";
    let Some(_pass) = gate::shared(test) else { return };
    if lacks(test, &["baresip", "rtpengine", "kamailio"]) {
        return;
    }
    let Cable { left, right } = &cable();
    right.ip("addr add 10.20.0.3/24 dev right");
    let folder = Folder::new("relay");
    let ringside = Ringside::start_with(right, &hearing("any"), &[]);
    let _relay = Relay::start(right, &folder);
    let _proxy = Proxy::run(right, PROXY);
    await_udp(right, 5060);
    let line = |ports| Line { codec: "PCMU/8000/1", encrypted: false, ports };
    let _callee = Phone::answering(right, "10.20.0.3:5070".parse().expect("an address"), line(40_000));
    let calling =
        Phone::calling(left, "10.20.0.1:5060".parse().expect("an address"), line(30_000), "sip:phone@10.20.0.2:5060");
    // Two legs: each side's packets twice.
    let voice = ["caller", "callee"].map(|side| format!("rtp_packets_total{{direction=\"{side}\",codec=\"PCMU\"}}"));
    let heard = |scrape: &Exposition| voice.iter().all(|selector| sum(scrape, selector) >= 400.0);
    let heard = within(Duration::from_secs(60), || Some(ringside.scrape()).filter(|scrape| heard(scrape)));
    assert!(heard.is_some(), "no voice:\n{}", ringside.log());
    calling.hang_up();
    let scrape = ringside.reaches("sessions_ended_total{end=\"bye\"}", 1.0);
    scrape.assert([("session_attempts_total", 1.0), ("media_faults_total", 0.0), ("rtp_lost_total", 0.0)]);
}
