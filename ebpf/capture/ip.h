/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* IPv4 and IPv6 headers, and what is known of the datagrams whose pieces pass. */
#ifndef RINGSIDE_CAPTURE_IP_H
#define RINGSIDE_CAPTURE_IP_H

#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

#include "cursor.h"
#include "maps.h"

#ifndef IPPROTO_MH
#define IPPROTO_MH 135
#endif
#ifndef IPPROTO_L2TP
#define IPPROTO_L2TP 115
#endif

enum piece {
	WHOLE,
	FIRST,                    /* holds the ports; more pieces follow */
	LATER,                    /* holds no header but IP's */
};

/* What an IP header says, of either version. */
struct ip_layer {
	struct fragment_key key;  /* its identification counts only when `piece` is not WHOLE */
	__u32 protocol;           /* of what follows the header; of a LATER piece: of the datagram, as far as told */
	__u16 piece;
	__u16 is_v4;
};

INLINE enum piece piece_of(__u16 offset, __u16 more)
{
	return offset ? LATER : more ? FIRST : WHOLE;
}

/* RFC 791 §3.1. Nonzero if malformed. */
INLINE int read_ipv4(const struct __sk_buff *skb, struct cursor *at, struct ip_layer *ip)
{
	struct iphdr header;
	__u16 fragment;

	if (read(skb, at, &header, sizeof(header)) || header.version != 4 || header.ihl < 5)
		return -1;
	at->offset += header.ihl * 4;
	fragment = host16(header.frag_off);
	ip->protocol = header.protocol;
	ip->piece = piece_of(fragment & 0x1fff, fragment & 0x2000);
	ip->key.source[0] = header.saddr;
	ip->key.destination[0] = header.daddr;
	ip->key.identification = header.id;
	ip->key.protocol = header.protocol;
	ip->is_v4 = 1;
	return 0;
}

INLINE int is_extension_header(__u8 protocol)
{
	return protocol == IPPROTO_HOPOPTS || protocol == IPPROTO_ROUTING || protocol == IPPROTO_FRAGMENT ||
	       protocol == IPPROTO_DSTOPTS || protocol == IPPROTO_AH;
}

/* RFC 8200 §3, §4. Nonzero if malformed. */
INLINE int read_ipv6(const struct __sk_buff *skb, struct cursor *at, struct ip_layer *ip)
{
	struct ipv6hdr header;

	if (read(skb, at, &header, sizeof(header)) || header.version != 6)
		return -1;
	at->offset += sizeof(header);
	ip->protocol = header.nexthdr;
	ip->piece = WHOLE;
	__builtin_memcpy(ip->key.source, &header.saddr, sizeof(ip->key.source));
	__builtin_memcpy(ip->key.destination, &header.daddr, sizeof(ip->key.destination));

	UNROLL
	for (int i = 0; i < MAX_EXTENSION_HEADERS; i++) {
		/* The first eight bytes every extension header has; the last two fields are the fragment's. */
		struct {
			__u8 next;
			__u8 length;
			__be16 fragment;
			__be32 identification;
		} extension;

		if (!is_extension_header(ip->protocol))
			break;
		if (read(skb, at, &extension, sizeof(extension)))
			return -1;
		if (ip->protocol == IPPROTO_FRAGMENT) {
			__u16 fragment = host16(extension.fragment);

			ip->key.identification = extension.identification;
			ip->piece = piece_of(fragment & 0xfff8, fragment & 1);
			at->offset += sizeof(extension);
		} else if (ip->protocol == IPPROTO_AH) {
			at->offset += (extension.length + 2) * 4; /* RFC 4302 §2.2 */
		} else {
			at->offset += (extension.length + 1) * 8;
		}
		ip->protocol = extension.next;
		if (ip->piece == LATER)
			break;
	}
	return 0;
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

/* Moves behind the IP header that `ethertype` announces. Answers the protocol behind it, or a verdict. */
STEP __u32 behind_ip(const struct __sk_buff *skb, struct cursor *at, __u32 ethertype, struct ip_layer *ip)
{
	if (!at || !ip)
		return final(REFUSED_MALFORMED);
	if (ethertype == ETH_P_IP ? read_ipv4(skb, at, ip) : read_ipv6(skb, at, ip))
		return final(REFUSED_MALFORMED);
	return ip->piece == LATER ? final(later_piece(ip)) : ip->protocol;
}

/* What was decided holds for the later pieces, if `ip` is the first of several. */
INLINE void remember(const struct ip_layer *ip, int kept)
{
	if (ip->piece == FIRST) {
		struct first_piece first = { .seen_at = monotonic_ns(), .kept = kept };

		map_update(&fragments, &ip->key, &first, BPF_ANY);
	}
}

#endif
