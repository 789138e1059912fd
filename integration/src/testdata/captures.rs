//! The captures: one line for each kind, with what must be counted.
//!
//! Nearly all hold the same call, so that one exposition is right for all of them but for what the wrapping itself
//! counts.

use serde_json::{Map, Value, json};

use super::call::{Family, Packet, call, datagrams, each, frames};
use super::{file, pieces, tcp, websocket, wrap};

/// The capture that the others are held against.
pub(super) const REFERENCE: &str = "link-ethernet-ipv4.pcap";

/// What the call counts.
const CALL: [(&str, u64); 13] = [
    ("packets_total", 7),
    ("invite_total", 1),
    ("ack_total", 1),
    ("bye_total", 1),
    ("100_total", 1),
    ("180_total", 1),
    ("200_total", 2),
    ("session_attempts_total", 1),
    ("session_outcomes_total{outcome=\"answered\"}", 1),
    ("sessions_ended_total{end=\"bye\"}", 1),
    ("parse_errors_total", 0),
    ("retransmissions_total", 0),
    ("dialogs", 0),
];

/// [`CALL`] as it stands in `expected.json`.
pub(super) fn of_the_call() -> Value {
    counts(&CALL)
}

fn counts(counts: &[(&str, u64)]) -> Value {
    Value::Object(counts.iter().map(|(selector, count)| ((*selector).to_owned(), json!(count))).collect())
}

/// One capture.
pub(super) struct Capture {
    pub name: String,
    pub bytes: Vec<u8>,
    kind: Kind,
}

impl Capture {
    /// As it stands in `expected.json`.
    pub fn expected(&self) -> Value {
        let Kind { about, holds_call, counted, options, says, .. } = self.kind;
        let mut value = Map::new();
        value.insert("about".to_owned(), json!(about));
        value.insert("call".to_owned(), json!(holds_call));
        value.insert("counts".to_owned(), counts(counted));
        if !options.is_empty() {
            value.insert("options".to_owned(), json!(options));
        }
        if !says.is_empty() {
            value.insert("says".to_owned(), json!(says));
        }
        Value::Object(value)
    }
}

/// How a capture is made.
#[derive(Clone, Copy)]
enum Make {
    /// The call, each IP packet behind something of this link type.
    Link(u32, fn(&[u8]) -> Vec<u8>),
    /// Ethernet frames, in a file as most programs write it.
    Frames(fn(Family) -> Vec<Packet>),
    /// The call on Ethernet, in a file of its own.
    File(fn(&[Packet]) -> Vec<u8>),
}

/// A kind of capture; a file for each version of IP.
#[derive(Clone, Copy)]
struct Kind {
    /// How the names of its files begin.
    name: &'static str,
    /// How they end.
    extension: &'static str,
    about: &'static str,
    make: Make,
    families: &'static [Family],
    /// It holds the call: its exposition is that of [`REFERENCE`], but for what is in `counted`.
    holds_call: bool,
    counted: &'static [(&'static str, u64)],
    /// Arguments of `ringside replay`.
    options: &'static [&'static str],
    /// What an operator is told.
    says: &'static str,
}

const fn kind(name: &'static str, about: &'static str, make: Make) -> Kind {
    Kind {
        name,
        extension: "pcap",
        about,
        make,
        families: Family::BOTH,
        holds_call: true,
        counted: &[],
        options: &[],
        says: "",
    }
}

const fn link(name: &'static str, about: &'static str, number: u32, wrap: fn(&[u8]) -> Vec<u8>) -> Kind {
    kind(name, about, Make::Link(number, wrap))
}

const fn packets(name: &'static str, about: &'static str, make: fn(Family) -> Vec<Packet>) -> Kind {
    kind(name, about, Make::Frames(make))
}

/// The container does not ask for the version of IP.
const fn form(
    name: &'static str,
    extension: &'static str,
    about: &'static str,
    make: fn(&[Packet]) -> Vec<u8>,
) -> Kind {
    Kind { extension, families: Family::V4_ONLY, ..kind(name, about, Make::File(make)) }
}

impl Kind {
    const fn only(self, families: &'static [Family]) -> Self {
        Self { families, ..self }
    }

    /// These are other than in the reference.
    const fn counting(self, counted: &'static [(&'static str, u64)]) -> Self {
        Self { counted, ..self }
    }

    /// It does not hold the call as it was; these counts are all that is compared.
    const fn instead(self, counted: &'static [(&'static str, u64)]) -> Self {
        Self { counted, holds_call: false, ..self }
    }

    const fn saying(self, says: &'static str) -> Self {
        Self { says, ..self }
    }

    const fn with(self, options: &'static [&'static str]) -> Self {
        Self { options, ..self }
    }
}

/// Of a ping whose fragments overlap, IPv4 keeps the first copy of each byte, and IPv6 drops all (RFC 5722).
const OVERLAPPING: Kind =
    packets("fragments-overlapping", "the call, then a ping whose fragments overlap", pieces::fragments_overlapping);

const WS_PORTS: &[&str] = &["--set", "receivers.pcap.ws_ports=[8080]"];

const VXLAN_PORTS: &[&str] = &["--set", "receivers.pcap.vxlan_ports=[5555]"];

const ETHERTYPE: &[(&str, u64)] =
    &[("packets_total", 0), ("not_read_total{why=\"ethertype\"}", 7), ("sip_elsewhere_total{why=\"wrapping\"}", 7)];

const ETHERTYPE_SAID: &str = "SIP in packets that are not read: ethertype (7 packets)";

const ESP: &[(&str, u64)] =
    &[("packets_total", 0), ("not_read_total{why=\"esp\"}", 7), ("sip_elsewhere_total{why=\"wrapping\"}", 7)];

const ESP_SAID: &str = "SIP in packets that are not read: esp (7 packets)";

/// Something else than SIP, once, where a message may begin; nothing is lost.
const FOREIGN: &[(&str, u64)] = &[("non_sip_total", 1), ("stream_resync_total", 0)];

const CUT: &str = "the file is cut within a packet or a header; the 6 packets before that are used";

/// Without the answer to the BYE the session is over all the same.
const WITHOUT_LAST: &[(&str, u64)] =
    &[("packets_total", 6), ("200_total", 1), ("bye_total", 1), ("session_outcomes_total{outcome=\"answered\"}", 1)];

#[rustfmt::skip]
const KINDS: &[Kind] = &[
    link("link-ethernet", "Ethernet II", file::ETHERNET, ladder::frame::ethernet),
    link("link-ethernet-fcs", "Ethernet, a frame check sequence announced in the upper bits", 0x5400_0001, ladder::frame::ethernet),
    link("link-null-little", "BSD loopback, family in little endian", 0, wrap::null_little),
    link("link-null-big", "BSD loopback, family in big endian", 0, wrap::null_big),
    link("link-loop", "OpenBSD loopback", 108, wrap::null_big),
    link("link-raw", "raw IP", 101, wrap::bare),
    link("link-raw-12", "raw IP under the number of most systems", 12, wrap::bare),
    link("link-raw-14", "raw IP under the number of OpenBSD", 14, wrap::bare),
    link("link-raw-only", "raw IPv4", 228, wrap::bare).only(Family::V4_ONLY),
    link("link-raw-only", "raw IPv6", 229, wrap::bare).only(Family::V6_ONLY),
    link("link-cooked", "Linux cooked capture, version 1", 113, wrap::cooked),
    link("link-cooked-vlan", "the same with a VLAN tag", 113, wrap::cooked_vlan),
    link("link-cooked2", "Linux cooked capture, version 2", 276, wrap::cooked2),
    link("link-unknown", "a link type that is not read: IEEE 802.11", 105, wrap::bare)
        .only(Family::V4_ONLY).instead(&[("packets_total", 0)]).saying("link type 105 (7) is not read"),

    link("tag-8100", "IEEE 802.1Q", file::ETHERNET, wrap::vlan_8100),
    link("tag-88a8", "IEEE 802.1ad", file::ETHERNET, wrap::vlan_88a8),
    link("tag-9100", "a tag of before IEEE 802.1ad", file::ETHERNET, wrap::vlan_9100),
    link("tag-9200", "another one", file::ETHERNET, wrap::vlan_9200),
    link("tag-qinq", "a tag in a tag", file::ETHERNET, wrap::qinq),
    link("tag-four", "four tags of three kinds", file::ETHERNET, wrap::four_tags),
    link("tag-vn", "a VN-tag round a VLAN tag", file::ETHERNET, wrap::vn_tag),
    link("tag-e", "an E-tag", file::ETHERNET, wrap::e_tag),
    link("mpls", "one MPLS label", file::ETHERNET, wrap::mpls),
    link("mpls-stack", "three MPLS labels, multicast", file::ETHERNET, wrap::mpls_stack),
    link("pppoe", "a PPPoE session", file::ETHERNET, wrap::pppoe),
    link("pppoe-vlan", "a PPPoE session in a VLAN", file::ETHERNET, wrap::pppoe_vlan),

    link("tunnel-ip", "IP in IP of the same version", file::ETHERNET, wrap::ip_in_same),
    link("tunnel-ip-other", "IP in IP of the other version", file::ETHERNET, wrap::ip_in_other),
    link("tunnel-gre", "GRE", file::ETHERNET, wrap::gre),
    link("tunnel-gre-options", "GRE with checksum, key and sequence number, across the other version", file::ETHERNET, wrap::gre_options),
    link("tunnel-gre-bridged", "GRE with a tagged Ethernet frame in it", file::ETHERNET, wrap::gre_bridged),
    link("tunnel-vxlan", "VXLAN", file::ETHERNET, wrap::vxlan),
    link("tunnel-vxlan-policy", "VXLAN with a group policy, across the other version", file::ETHERNET, wrap::vxlan_policy),
    link("tunnel-vxlan-linux", "VXLAN to port 8472", file::ETHERNET, wrap::vxlan_linux),
    link("tunnel-vxlan-port", "VXLAN to a port that is told", file::ETHERNET, wrap::vxlan_elsewhere).with(VXLAN_PORTS),
    link("tunnel-vxlan-gpe", "VXLAN-GPE with a tagged Ethernet frame", file::ETHERNET, wrap::vxlan_gpe),
    link("tunnel-vxlan-gpe-ip", "VXLAN-GPE with an IP packet, across the other version", file::ETHERNET, wrap::vxlan_gpe_ip),
    link("tunnel-geneve", "GENEVE with an Ethernet frame", file::ETHERNET, wrap::geneve),
    link("tunnel-geneve-options", "GENEVE with options and an IP packet, across the other version", file::ETHERNET, wrap::geneve_options),
    link("tunnel-gtp", "GTP-U", file::ETHERNET, wrap::gtp),
    link("tunnel-gtp-extensions", "GTP-U with extension headers, across the other version", file::ETHERNET, wrap::gtp_extensions),
    link("tunnel-tzsp", "TZSP", file::ETHERNET, wrap::tzsp),
    link("tunnel-erspan-1", "ERSPAN, type I", file::ETHERNET, wrap::erspan_1),
    link("tunnel-erspan-2", "ERSPAN, type II, a tagged frame, across the other version", file::ETHERNET, wrap::erspan_2),
    link("tunnel-erspan-3", "ERSPAN, type III", file::ETHERNET, wrap::erspan_3),
    link("tunnel-erspan-3-ip", "ERSPAN, type III, with a subheader and an IP packet, across the other version", file::ETHERNET, wrap::erspan_3_ip),
    link("tunnel-two-vxlan", "VXLAN in VXLAN of the other version", file::ETHERNET, wrap::vxlan_in_vxlan),
    link("tunnel-two-gre", "GRE in IP in IP", file::ETHERNET, wrap::gre_in_ip),

    link("unread-three-tunnels", "a tunnel within two others", file::ETHERNET, wrap::three_tunnels)
        .instead(&[("packets_total", 0), ("not_read_total{why=\"nested\"}", 7), ("sip_elsewhere_total{why=\"wrapping\"}", 7)])
        .saying("SIP in packets that are not read: nested (7 packets)"),
    link("unread-pseudowire", "an MPLS pseudowire", file::ETHERNET, wrap::pseudowire).instead(ETHERTYPE).saying(ETHERTYPE_SAID),
    link("unread-backbone", "a provider backbone bridge", file::ETHERNET, wrap::backbone).instead(ETHERTYPE).saying(ETHERTYPE_SAID),
    link("unread-snap", "IEEE 802.3 with LLC and SNAP", file::ETHERNET, wrap::snap).instead(ETHERTYPE).saying(ETHERTYPE_SAID),
    link("unread-esp", "ESP that is not encrypted", file::ETHERNET, wrap::esp).instead(ESP).saying(ESP_SAID),
    link("unread-esp-udp", "the same over UDP", file::ETHERNET, wrap::esp_over_udp).instead(ESP).saying(ESP_SAID),
    link("unread-l2tp", "L2TP", file::ETHERNET, wrap::l2tp)
        .instead(&[("packets_total", 0), ("not_read_total{why=\"l2tp\"}", 7), ("sip_elsewhere_total{why=\"wrapping\"}", 7)])
        .saying("SIP in packets that are not read: l2tp (7 packets)"),
    link("unread-sctp", "SCTP", file::ETHERNET, wrap::sctp)
        .instead(&[("packets_total", 0), ("not_read_total{why=\"sctp\"}", 7), ("sip_elsewhere_total{why=\"wrapping\"}", 7)])
        .saying("SIP in packets that are not read: sctp (7 packets)"),

    packets("line-ends-lf", "headers with bare LF", pieces::line_feeds),
    packets("line-ends-crcrlf", "headers with two CR before each LF", pieces::double_returns),
    packets("merged", "datagrams merged by the kernel: six pings in one", pieces::merged)
        .instead(&[("packets_total", pieces::MERGED as u64), ("options_total", pieces::MERGED as u64), ("anomalies_total", 0)]),
    packets("merged-not", "a ping with another behind it that is longer, which is surplus", pieces::surplus)
        .instead(&[("packets_total", 1), ("options_total", 1), ("anomalies_total{kind=\"trailing_bytes\"}", 1)]),

    packets("padding", "bytes behind the IP packet that are no part of it", pieces::padded),
    packets("options", "IPv4 with options", pieces::ipv4_options).only(Family::V4_ONLY),
    packets("options", "IPv6 with extension headers, and a fragment header of a whole packet", pieces::ipv6_extensions).only(Family::V6_ONLY),
    packets("fragments", "each message in fragments", pieces::fragments),
    packets("fragments-reversed", "the last fragment first", pieces::fragments_reversed),
    packets("fragments-twice", "every fragment twice: copies of the capture", pieces::fragments_twice)
        .counting(&[("capture_duplicates_total", 7)]),
    packets("fragments-vxlan", "fragments inside a tunnel, the last one first", pieces::fragments_in_vxlan),
    OVERLAPPING.only(Family::V4_ONLY).instead(&[("packets_total", 8), ("options_total", 1), ("invite_total", 1)]),
    OVERLAPPING.only(Family::V6_ONLY).counting(&[("options_total", 0)]),
    packets("cut-bodies", "the capture cut the packets within the bodies", pieces::cut_in_bodies)
        .counting(&[("anomalies_total{kind=\"snaplen\"}", 2)]),
    packets("cut-headers", "the capture cut the packets within the headers", pieces::cut_in_headers)
        .instead(&[("packets_total", 0), ("parse_errors_total{reason=\"missing_header\"}", 7)]),

    packets("tcp", "TCP, a message in each segment", tcp::whole),
    packets("tcp-running", "TCP, the connection was there before", tcp::running),
    packets("tcp-wrapping", "TCP, sequence numbers pass 2^32 within a message", tcp::wrapping),
    packets("tcp-small", "TCP, 16 bytes in a segment", tcp::small).only(Family::V4_ONLY),
    packets("tcp-reversed", "TCP, the segments of each message come last one first", tcp::reversed),
    packets("tcp-repeated", "TCP, every segment twice", tcp::repeated),
    packets("tcp-overlapping", "TCP, segments overlap and the second copy is wrong", tcp::overlapping),
    packets("tcp-keepalives", "TCP, keep-alives of line ends between the messages, one of them cut in two", tcp::keepalives)
        .counting(&[("keepalives_total{type=\"crlf\"}", 6)]),
    packets("tcp-nul", "TCP, four NUL bytes between the messages", tcp::nul).counting(&[("keepalives_total{type=\"crlf\"}", 6)]),
    packets("tcp-stun", "TCP, STUN between the messages", tcp::stun).counting(&[("keepalives_total{type=\"stun\"}", 6)]),
    packets("tcp-proxy-1", "TCP, a PROXY header of version 1 before the first message", tcp::proxy_1).counting(FOREIGN),
    packets("tcp-proxy-2", "TCP, a PROXY header of version 2 before the first message", tcp::proxy_2).counting(FOREIGN),
    packets("tcp-spaces", "TCP, spaces before the first message", tcp::spaces).counting(FOREIGN),
    packets("tcp-greeting", "TCP, a greeting in a segment of its own, and the rest of it before the first message", tcp::greeting).counting(FOREIGN),
    packets("tcp-line-ends", "TCP, headers with two CR before each LF", tcp::double_returns),
    packets("tcp-joined", "TCP, six pings in three segments", tcp::joined)
        .instead(&[("packets_total", tcp::JOINED as u64), ("options_total", tcp::JOINED as u64), ("stream_resync_total", 0), ("parse_errors_total", 0)]),
    packets("tcp-cut-everywhere", "TCP, a ping in each connection, cut in two at every place", tcp::cut_everywhere)
        .only(Family::V4_ONLY)
        .instead(&[("packets_total", tcp::PLACES as u64), ("options_total", tcp::PLACES as u64), ("stream_resync_total", 0), ("parse_errors_total", 0), ("non_sip_total", 0)]),

    packets("websocket", "WebSocket, a text frame for each message", websocket::text).with(WS_PORTS),
    packets("websocket-binary", "WebSocket, binary frames in segments of eleven bytes", websocket::binary_in_small_segments)
        .only(Family::V4_ONLY).with(WS_PORTS),
    packets("websocket-fragmented", "WebSocket, each message in three frames with a ping between them", websocket::fragmented)
        .with(WS_PORTS).counting(&[("keepalives_total{type=\"ws_ping\"}", 7)]),

    form("form-pcap-big", "pcap", "big endian", file::pcap_big),
    form("form-pcap-nanoseconds", "pcap", "nanoseconds", file::pcap_nanoseconds),
    form("form-pcap-big-nanoseconds", "pcap", "big endian, nanoseconds", file::pcap_big_nanoseconds),
    form("form-pcapng", "pcapng", "little endian, a section of unknown length", file::pcapng_little),
    form("form-pcapng-big", "pcapng", "big endian", file::pcapng_big),
    form("form-pcapng-milliseconds", "pcapng", "time in milliseconds", file::pcapng_milliseconds),
    form("form-pcapng-nanoseconds", "pcapng", "time in nanoseconds, big endian", file::pcapng_nanoseconds),
    form("form-pcapng-binary", "pcapng", "time in units of 2^-10 s", file::pcapng_binary),
    form("form-pcapng-offset", "pcapng", "time with an offset", file::pcapng_offset),
    form("form-pcapng-options", "pcapng", "options of every kind", file::pcapng_options),
    form("form-pcapng-interfaces", "pcapng", "three interfaces with different units and link types", file::pcapng_interfaces),
    form("form-pcapng-sections", "pcapng", "two sections of known length and different byte order", file::pcapng_sections),
    form("form-pcapng-obsolete", "pcapng", "obsolete packet blocks", file::pcapng_obsolete),
    form("form-pcapng-simple", "pcapng", "simple packet blocks, which have no time", file::pcapng_simple)
        .instead(&[("packets_total", 7), ("invite_total", 1), ("bye_total", 1), ("200_total", 2)]),
    form("form-gzip", "pcap.gz", "gzip of a pcap", file::gzip_pcap),
    form("form-gzip-pcapng", "pcapng.gz", "gzip of a pcapng in two members", file::gzip_pcapng),
    form("damaged-cut", "pcap", "cut within the last packet", file::cut).instead(WITHOUT_LAST).saying(CUT),
    form("damaged-cut", "pcapng", "cut within the last packet", file::pcapng_cut).instead(WITHOUT_LAST).saying(CUT),
    form("damaged-cut", "pcap.gz", "the compressed data is cut", file::gzip_cut)
        .instead(WITHOUT_LAST).saying("the compressed data is cut or damaged; the 6 packets before that are used"),
    form("damaged-garbage", "pcap", "something else behind the last packet", file::garbage)
        .saying("longer than 256 KiB, so what follows cannot be trusted; the 7 packets before that are used"),
    form("damaged-garbage", "pcapng", "something else behind the last block", file::pcapng_garbage)
        .saying("a block contradicts itself, so what follows cannot be trusted; the 7 packets before that are used"),
];

/// All of them.
pub(super) fn all() -> Vec<Capture> {
    let of_kind = |kind: &Kind| {
        let kind = *kind;
        kind.families.iter().map(move |family| made(kind, *family)).collect::<Vec<_>>()
    };
    KINDS.iter().flat_map(of_kind).collect()
}

fn made(kind: Kind, family: Family) -> Capture {
    let (version, bytes) = match kind.make {
        Make::Link(number, wrap) => (Some(family), file::of_link(number, &each(&datagrams(&call(family)), wrap))),
        Make::Frames(make) => (Some(family), file::usual(&make(family))),
        Make::File(make) => (None, make(&frames(&call(family)))),
    };
    let version = version.map_or_else(String::new, |family| format!("-{}", family.name()));
    Capture { name: format!("{}{version}.{}", kind.name, kind.extension), bytes, kind }
}
