// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Socket filter: which packets can hold SIP over UDP or TCP.
 *
 * In comes every packet that any interface of the network namespace sends or receives; kept ones are
 * copied by the kernel into user space's ring, whole. The program never changes, delays or drops a
 * packet of the host: its verdict concerns the copy alone.
 *
 * It decides and counts; user space parses. Headers are read relative to the network header, so that
 * devices without a link header (tun, tunnels) work like all others.
 */
#include <linux/if_packet.h>

#include "../bpf.h"
#include "headers.h"
#include "limits.h"
#include "maps.h"

#define WHOLE_PACKET 0xffffffffu

/* The kernel gives the loopback device this index in every network namespace. */
#define LOOPBACK_INDEX 1

#define SIP_PORT 1
#define WEBSOCKET_PORT 2

INLINE __u32 spoken_on(__be16 port)
{
	__u16 number = host16(port);
	const struct port_word *word = &ports[number / 64];
	__u32 bit = number % 64;

	return ((word->sip >> bit) & 1) * SIP_PORT | ((word->websocket >> bit) & 1) * WEBSOCKET_PORT;
}

/*
 * What is spoken on either port: SIP_PORT, WEBSOCKET_PORT, both or nothing. A function of its own, which the verifier
 * walks once for all callers: it follows each of the two places in the global once more for what the processor may
 * do ahead of the check.
 */
__attribute__((noinline)) __u32 spoken_between(__be16 source, __be16 destination)
{
	return spoken_on(source) | spoken_on(destination);
}

INLINE int is_wanted_interface(__u32 index)
{
	return settings.every_interface || map_lookup(&interfaces, &index);
}

INLINE int is_wanted_transport(__u64 transport)
{
	return (settings.transports & transport) != 0;
}

INLINE int is_kept(enum verdict verdict)
{
	return verdict <= KEPT_EARLY_FRAGMENT;
}

/* What a later piece may belong to: UDP, TCP, tunnels, and for IPv6 headers that stand before those. */
INLINE int may_carry_sip(__u8 protocol)
{
	return protocol == IPPROTO_UDP || protocol == IPPROTO_TCP || protocol == IPPROTO_IPIP || protocol == IPPROTO_IPV6 ||
	       protocol == IPPROTO_GRE || is_extension_header(protocol);
}

/*
 * A later piece shares the fate of its first. One that comes before its first, or whose first was seen
 * too long ago to be the same datagram's, is kept: the order of pieces is the network's business, and
 * user space drops what stays incomplete.
 */
INLINE enum verdict later_piece(const struct ip_layer *ip)
{
	const struct first_piece *first;

	if (!may_carry_sip(ip->protocol))
		return REFUSED_PROTOCOL;
	first = map_lookup(&fragments, &ip->key);
	if (!first || monotonic_ns() - first->seen_at > FRAGMENT_MEMORY_NS)
		return KEPT_EARLY_FRAGMENT;
	return first->kept ? KEPT_FRAGMENT : REFUSED_FRAGMENT;
}

/* Passes `verdict` on, remembering it for the later pieces if `ip` is the first of several. */
INLINE enum verdict remembered(const struct ip_layer *ip, enum verdict verdict)
{
	if (ip->piece == FIRST) {
		struct first_piece first = { .seen_at = monotonic_ns(), .kept = is_kept(verdict) };

		map_update(&fragments, &ip->key, &first, BPF_ANY);
	}
	return verdict;
}

/* Reads the IP header that `ethertype` announces. KEPT_DATAGRAM: go on behind it; else final. */
INLINE enum verdict read_ip(const struct __sk_buff *skb, struct cursor *at, __u16 ethertype, struct ip_layer *ip)
{
	int malformed;

	if (ethertype == ETH_P_IP)
		malformed = read_ipv4(skb, at, ip);
	else if (ethertype == ETH_P_IPV6)
		malformed = read_ipv6(skb, at, ip);
	else
		return REFUSED_NOT_IP;
	if (malformed)
		return REFUSED_MALFORMED;
	return ip->piece == LATER ? later_piece(ip) : KEPT_DATAGRAM;
}

INLINE enum verdict judge_udp(const struct udphdr *udp)
{
	if (!(spoken_between(udp->source, udp->dest) & SIP_PORT))
		return REFUSED_PORT;
	return is_wanted_transport(TRANSPORT_UDP) ? KEPT_DATAGRAM : REFUSED_PROTOCOL;
}

/* Bytes of the packet before the place that offsets count from: an Ethernet header names what follows it. */
INLINE __u32 link_header(const struct __sk_buff *skb, const struct cursor *at)
{
	struct ethhdr ethernet;

	if (at->base == BPF_HDR_START_MAC)
		return 0;
	if (load_relative(skb, 0, &ethernet, sizeof(ethernet), BPF_HDR_START_MAC))
		return 0;
	return ethernet.h_proto == (__u16)skb->protocol ? sizeof(ethernet) : 0;
}

/*
 * Every segment on a SIP port is kept, wherever in a message it begins: user space puts streams together.
 * Only a bare acknowledgement says nothing; every second segment is one. It is told by the length of the packet:
 * with lengths carried along from the IP header the verifier finds too many ways. So an acknowledgement that
 * Ethernet padded is kept, and user space drops it.
 */
INLINE enum verdict judge_tcp(const struct __sk_buff *skb, const struct cursor *at)
{
	struct tcphdr tcp;
	__u32 headers;
	__u32 spoken;

	if (read(skb, at, &tcp, sizeof(tcp)))
		return REFUSED_MALFORMED;
	spoken = spoken_between(tcp.source, tcp.dest);
	if (!spoken)
		return REFUSED_PORT;
	if (!(spoken & WEBSOCKET_PORT) && !is_wanted_transport(TRANSPORT_TCP))
		return REFUSED_PROTOCOL;
	headers = at->offset + tcp.doff * 4;
	if (!tcp.syn && !tcp.fin && !tcp.rst && skb->len <= headers + link_header(skb, at))
		return REFUSED_EMPTY_SEGMENT;
	return KEPT_SEGMENT;
}

/* A packet found in a tunnel: UDP and TCP count, a second tunnel does not. */
INLINE enum verdict judge_inner(const struct __sk_buff *skb, struct cursor *at, __u16 ethertype)
{
	struct ip_layer ip = {};
	struct udphdr udp;
	enum verdict verdict = read_ip(skb, at, ethertype, &ip);

	if (verdict != KEPT_DATAGRAM)
		return verdict;
	if (ip.protocol == IPPROTO_TCP)
		return remembered(&ip, judge_tcp(skb, at));
	if (ip.protocol != IPPROTO_UDP)
		return remembered(&ip, REFUSED_PROTOCOL);
	if (read(skb, at, &udp, sizeof(udp)))
		return REFUSED_MALFORMED;
	return remembered(&ip, judge_udp(&udp));
}

/* What follows the outermost IP header. */
INLINE enum verdict judge_payload(const struct __sk_buff *skb, struct cursor *at, __u8 protocol)
{
	__u16 ethertype;

	if (protocol == IPPROTO_TCP)
		return judge_tcp(skb, at);
	if (protocol == IPPROTO_UDP) {
		enum verdict verdict;
		struct udphdr udp;

		if (read(skb, at, &udp, sizeof(udp)))
			return REFUSED_MALFORMED;
		verdict = judge_udp(&udp);
		if (verdict != REFUSED_PORT || udp.dest != network16(VXLAN_PORT))
			return verdict;
		at->offset += sizeof(udp);
		ethertype = skip_vxlan(skb, at);
	} else if (protocol == IPPROTO_IPIP) {
		ethertype = ETH_P_IP;
	} else if (protocol == IPPROTO_IPV6) {
		ethertype = ETH_P_IPV6;
	} else if (protocol == IPPROTO_GRE) {
		ethertype = skip_gre(skb, at);
	} else {
		return REFUSED_PROTOCOL;
	}
	return judge_inner(skb, at, ethertype);
}

/* What an ordinary packet begins with. The ports of TCP stand where those of UDP do. */
struct plain_v4 {
	struct iphdr ip;
	struct udphdr ports;
};

struct plain_v6 {
	struct ipv6hdr ip;
	struct udphdr ports;
};

INLINE int are_other_ports(__u8 protocol, const struct udphdr *ports)
{
	return (protocol == IPPROTO_UDP || protocol == IPPROTO_TCP) && ports->dest != network16(VXLAN_PORT) &&
	       !spoken_between(ports->source, ports->dest);
}

/*
 * Whether a packet is refused at a glance: UDP or TCP behind a plain IP header (no tag, option or fragment), and no
 * port that matters. So is media, and nearly all that a host is busy with besides SIP. Both headers are fetched
 * together, and nothing else is looked at before.
 */
INLINE int is_between_other_ports(const struct __sk_buff *skb, __u16 ethertype)
{
	if (ethertype == ETH_P_IP) {
		struct plain_v4 head;

		if (load_relative(skb, 0, &head, sizeof(head), BPF_HDR_START_NET))
			return 0;
		/* A fragment has an offset, or more to come (RFC 791 §3.1). */
		if (head.ip.version != 4 || head.ip.ihl != 5 || (head.ip.frag_off & network16(0x3fff)))
			return 0;
		return are_other_ports(head.ip.protocol, &head.ports);
	}
	if (ethertype == ETH_P_IPV6) {
		struct plain_v6 head;

		if (load_relative(skb, 0, &head, sizeof(head), BPF_HDR_START_NET) || head.ip.version != 6)
			return 0;
		return are_other_ports(head.ip.nexthdr, &head.ports);
	}
	return 0;
}

/* Whatever a packet is wrapped in, header by header. */
INLINE enum verdict judge(const struct __sk_buff *skb, __u16 ethertype)
{
	struct cursor at = { .base = BPF_HDR_START_NET };
	struct ip_layer ip = {};
	enum verdict verdict;

	/*
	 * The kernel takes the outermost tag off what it receives and points the network header at the next
	 * tag; on what it sends, the network header may lie behind all tags. The MAC header is right in both.
	 */
	if (is_vlan(ethertype)) {
		at.base = BPF_HDR_START_MAC;
		at.offset = sizeof(struct ethhdr);
	}
	ethertype = skip_tags(skb, &at, ethertype);
	verdict = read_ip(skb, &at, ethertype, &ip);
	if (verdict != KEPT_DATAGRAM)
		return verdict;
	return remembered(&ip, judge_payload(skb, &at, ip.protocol));
}

INLINE void count(const __u32 *verdict)
{
	__u64 *packets = map_lookup(&verdicts, verdict);

	if (packets)
		*packets += 1; /* per CPU: no other writer */
}

/*
 * The key for most packets of most hosts, in memory that is there: without CAP_PERFMON the processor waits after a
 * store to the stack.
 */
static const __u32 refused_port = REFUSED_PORT;

SEC("socket")
int capture(struct __sk_buff *skb)
{
	__u16 ethertype = host16((__u16)skb->protocol);
	enum verdict verdict;
	__u32 index;

	if (skb->ifindex == LOOPBACK_INDEX && skb->pkt_type == PACKET_OUTGOING) {
		verdict = REFUSED_LOOPBACK_COPY;
	} else if (is_between_other_ports(skb, ethertype)) {
		count(&refused_port);
		return 0;
	} else if (!is_wanted_interface(skb->ifindex)) {
		verdict = REFUSED_INTERFACE;
	} else {
		verdict = judge(skb, ethertype);
	}
	index = verdict;
	count(&index);
	return is_kept(verdict) ? WHOLE_PACKET : 0;
}

/* The kernel's own words for a program under either licence. */
char licence[] SEC("license") = "Dual BSD/GPL";
