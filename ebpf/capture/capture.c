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
#include <linux/tcp.h>
#include <linux/udp.h>

#include "../bpf.h"
#include "cursor.h"
#include "ip.h"
#include "limits.h"
#include "link.h"
#include "maps.h"
#include "media.h"
#include "tunnel.h"

#define WHOLE_PACKET 0xffffffffu

/* The kernel gives the loopback device this index in every network namespace. */
#define LOOPBACK_INDEX 1

INLINE __u32 spoken_on(__be16 port)
{
	return ports[host16(port)];
}

/*
 * What is spoken on either port: bits of `limits.h`. A function of its own, which the verifier walks once for all
 * callers: it follows each of the two places in the global once more for what the processor may do ahead of the check.
 */
STEP __u32 spoken_between(__be16 source, __be16 destination)
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
	return verdict <= KEPT_RTCP;
}

/* The first four bytes of a start line, as they lie in memory. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define word(a, b, c, d) ((a) | (b) << 8 | (c) << 16 | (d) << 24)
#else
#define word(a, b, c, d) ((a) << 24 | (b) << 16 | (c) << 8 | (d))
#endif

/* Whether a payload on other ports begins as a SIP message does. User space looks at it again. */
STEP __u32 begins_as_sip(const struct __sk_buff *skb, __u32 base, __u32 offset)
{
	__u32 first;

	if (load_relative(skb, offset, &first, sizeof(first), base))
		return 0;
	switch (first) {
	case word('S', 'I', 'P', '/'):
	case word('I', 'N', 'V', 'I'):
	case word('A', 'C', 'K', ' '):
	case word('B', 'Y', 'E', ' '):
	case word('C', 'A', 'N', 'C'):
	case word('R', 'E', 'G', 'I'):
	case word('O', 'P', 'T', 'I'):
	case word('P', 'R', 'A', 'C'):
	case word('S', 'U', 'B', 'S'):
	case word('N', 'O', 'T', 'I'):
	case word('P', 'U', 'B', 'L'):
	case word('I', 'N', 'F', 'O'):
	case word('R', 'E', 'F', 'E'):
	case word('M', 'E', 'S', 'S'):
	case word('U', 'P', 'D', 'A'):
		return 1;
	default:
		return 0;
	}
}

INLINE enum verdict other_ports(const struct __sk_buff *skb, const struct cursor *at, __u32 header)
{
	return begins_as_sip(skb, at->base, at->offset + header) ? REFUSED_ELSEWHERE : REFUSED_PORT;
}

/* A SIP message begins with a letter. */
INLINE int is_letter(__u8 first)
{
	return first >= 'A' && first <= 'Z';
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
STEP __u32 judge_tcp(const struct __sk_buff *skb, const struct cursor *at)
{
	struct tcphdr tcp;
	__u32 headers;
	__u32 spoken;

	if (!at || read(skb, at, &tcp, sizeof(tcp)))
		return REFUSED_MALFORMED;
	spoken = spoken_between(tcp.source, tcp.dest);
	if (!(spoken & (SIP_PORT | WEBSOCKET_PORT)))
		return host32(tcp.seq) % LOOKED_INTO_EVERY ? REFUSED_PORT : other_ports(skb, at, tcp.doff * 4);
	if (!(spoken & WEBSOCKET_PORT) && !is_wanted_transport(TRANSPORT_TCP))
		return REFUSED_PROTOCOL;
	headers = at->offset + tcp.doff * 4;
	if (!tcp.syn && !tcp.fin && !tcp.rst && skb->len <= headers + link_header(skb, at))
		return REFUSED_EMPTY_SEGMENT;
	return KEPT_SEGMENT;
}

/* What is counted and not read, by its ports: data of L2TP, ESP that has to pass an address translator. */
INLINE enum verdict judge_unread(const struct __sk_buff *skb, const struct cursor *at, const struct udphdr *udp)
{
	__u8 first[8];

	if (read(skb, at, first, sizeof(first)))
		return REFUSED_PORT;
	if (udp->source == network16(L2TP_PORT) || udp->dest == network16(L2TP_PORT)) {
		/* T is 0: data, not control; the reserved bits are 0, the version is 2 or 3 (RFC 2661 §3.1). */
		return (first[1] == 2 || first[1] == 3) && !(first[0] & 0xb4) ? REFUSED_L2TP : REFUSED_PORT;
	}
	if (udp->source == network16(ESP_PORT) || udp->dest == network16(ESP_PORT)) {
		/* An index of 0 marks key exchange; a single byte keeps the way open (RFC 3948 §2). */
		return first[0] || first[1] || first[2] || first[3] ? REFUSED_ESP : REFUSED_PORT;
	}
	return REFUSED_PORT;
}

/* What a datagram begins with. */
struct datagram {
	struct udphdr ports;      /* of TCP: ports and sequence number */
	__u8 first;               /* of UDP: the payload begins with it */
};

/* Answers a verdict, or what is in the tunnel that goes to the port. */
STEP __u32 judge_udp(const struct __sk_buff *skb, struct cursor *at, const struct ip_layer *ip)
{
	struct datagram head = {};
	const struct udphdr *udp = &head.ports;
	__u32 spoken;
	__u32 inside = final(REFUSED_PORT);
	enum verdict media;

	/* One without a payload has its ports alone. */
	if (!at || !ip || (read(skb, at, &head, sizeof(head)) && read(skb, at, &head.ports, sizeof(head.ports))))
		return final(REFUSED_MALFORMED);
	spoken = spoken_between(udp->source, udp->dest);
	if (spoken & SIP_PORT)
		return final(is_wanted_transport(TRANSPORT_UDP) ? KEPT_DATAGRAM : REFUSED_PROTOCOL);
	if (settings.media) {
		media = judge_media(skb, at, ip, udp->dest, spoken_on(udp->dest) & MEDIA_PORT);
		if (media != REFUSED_PORT)
			return final(media);
	}
	if (!(spoken & TUNNEL_PORT))
		return final(is_letter(head.first) ? other_ports(skb, at, sizeof(head.ports)) : REFUSED_PORT);
	at->offset += sizeof(*udp);
	spoken = spoken_on(udp->dest);
	if (spoken & TUNNEL_PORT)
		inside = behind_udp_tunnel(skb, at, host16(udp->dest), spoken & VXLAN_PORT);
	return inside == final(REFUSED_PORT) ? final(judge_unread(skb, at, udp)) : inside;
}

/* What follows an IP header. Answers a verdict, or what is in a tunnel. */
INLINE __u32 behind_protocol(const struct __sk_buff *skb, struct cursor *at, const struct ip_layer *ip, __u32 protocol)
{
	switch (protocol) {
	case IPPROTO_UDP:
		return judge_udp(skb, at, ip);
	case IPPROTO_TCP:
		return final(judge_tcp(skb, at));
	case IPPROTO_IPIP:
		return ETH_P_IP;
	case IPPROTO_IPV6:
		return ETH_P_IPV6;
	case IPPROTO_GRE:
		return behind_gre(skb, at);
	case IPPROTO_ESP:
		return final(REFUSED_ESP);
	case IPPROTO_L2TP:
		return final(REFUSED_L2TP);
	case IPPROTO_SCTP:
		return final(REFUSED_SCTP);
	default:
		return final(REFUSED_PROTOCOL);
	}
}

/* What an ordinary packet begins with. The ports of TCP stand where those of UDP do. */
struct plain_v4 {
	struct iphdr ip;
	struct datagram payload;
};

struct plain_v6 {
	struct ipv6hdr ip;
	struct datagram payload;
};

INLINE int are_other_ports(const __u8 *protocol, const struct datagram *head)
{
	if (spoken_between(head->ports.source, head->ports.dest))
		return 0;
	/* Read only now: kept across the call they would lie on the stack, and see `refused_port` for what that costs. */
	REREAD;
	if (*protocol == IPPROTO_TCP)
		return host16(head->ports.check) % LOOKED_INTO_EVERY != 0;
	if (*protocol != IPPROTO_UDP || (settings.media && sets_with_port(head->ports.dest)))
		return 0;
	return !is_letter(head->first);
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
		return are_other_ports(&head.ip.protocol, &head.payload);
	}
	if (ethertype == ETH_P_IPV6) {
		struct plain_v6 head;

		if (load_relative(skb, 0, &head, sizeof(head), BPF_HDR_START_NET) || head.ip.version != 6)
			return 0;
		return are_other_ports(&head.ip.nexthdr, &head.payload);
	}
	return 0;
}

/* Whatever a packet is wrapped in, header by header. */
INLINE enum verdict judge(const struct __sk_buff *skb, __u16 ethertype)
{
	struct cursor at = { .base = BPF_HDR_START_NET };
	struct ip_layer layers[MAX_TUNNELS + 1] = {};
	enum verdict verdict;
	__u32 found = ethertype;

	/*
	 * The kernel takes the outermost tag off what it receives and points the network header at the next
	 * tag; on what it sends, the network header may lie behind all tags. The MAC header is right in both.
	 */
	if (is_vlan(ethertype)) {
		at.base = BPF_HDR_START_MAC;
		at.offset = sizeof(struct ethhdr);
	}
	UNROLL
	for (int depth = 0; depth <= MAX_TUNNELS; depth++) {
		found = untag(skb, &at, found);
		if (is_final(found))
			break;
		found = behind_ip(skb, &at, found, &layers[depth]);
		if (is_final(found))
			break;
		found = behind_protocol(skb, &at, &layers[depth], found);
		if (is_final(found))
			break;
	}
	verdict = is_final(found) ? verdict_of(found) : REFUSED_NESTED;
	UNROLL
	for (int depth = 0; depth <= MAX_TUNNELS; depth++)
		remember(&layers[depth], is_kept(verdict));
	return verdict;
}

/* Whether it is time to keep a sample of what is refused for `verdict`. */
INLINE int is_sample(enum verdict verdict)
{
	__u32 index = verdict;
	const __u64 *packets;
	__u64 *last;
	__u64 now;

	if (verdict < REFUSED_ELSEWHERE)
		return 0;
	/* Mostly the count alone says no: a look at the clock costs as much as all else that is done for such a packet. */
	packets = map_lookup(&verdicts, &index);
	if (!packets || *packets % SAMPLED_OF)
		return 0;
	last = map_lookup(&sampled, &index);
	if (!last)
		return 0;
	now = coarse_ns();
	if (now - *last < SAMPLE_EVERY_NS)
		return 0;
	*last = now; /* per CPU: no other writer */
	return 1;
}

INLINE void count(const __u32 *verdict)
{
	__u64 *packets = map_lookup(&verdicts, verdict);

	if (packets)
		*packets += 1; /* likewise */
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
		if (is_sample(verdict))
			verdict = KEPT_SAMPLE;
	}
	index = verdict;
	count(&index);
	return is_kept(verdict) ? WHOLE_PACKET : 0;
}

/* The kernel's own words for a program under either licence. */
char licence[] SEC("license") = "Dual BSD/GPL";
