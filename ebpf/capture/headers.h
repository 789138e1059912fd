/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Walking a packet's headers: tags, IPv4, IPv6, tunnels. Each step reads one header with one helper
 * call (a socket filter has no direct access to packet bytes) and moves the cursor behind it.
 */
#ifndef RINGSIDE_CAPTURE_HEADERS_H
#define RINGSIDE_CAPTURE_HEADERS_H

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include "bpf.h"
#include "limits.h"
#include "maps.h"

#ifndef IPPROTO_MH
#define IPPROTO_MH 135
#endif

#define VXLAN_PORT 4789           /* RFC 7348 §5 */
#define GRE_PROTOCOL_TEB 0x6558   /* transparent Ethernet bridging */

/* A place in the packet: `offset` bytes behind its MAC header or its network header. */
struct cursor {
	__u32 base;
	__u32 offset;
};

/* Nonzero if the packet ends before `size` bytes. */
INLINE long read(const struct __sk_buff *skb, const struct cursor *at, void *to, __u32 size)
{
	return load_relative(skb, at->offset, to, size, at->base);
}

INLINE int is_vlan(__u16 ethertype)
{
	return ethertype == ETH_P_8021Q || ethertype == ETH_P_8021AD;
}

INLINE int is_mpls(__u16 ethertype)
{
	return ethertype == ETH_P_MPLS_UC || ethertype == ETH_P_MPLS_MC;
}

/* Behind the last MPLS label nothing names the protocol; the IP version does (RFC 4928 §3). */
INLINE __u16 ethertype_by_version(const struct __sk_buff *skb, const struct cursor *at)
{
	__u8 first;

	if (read(skb, at, &first, sizeof(first)))
		return 0;
	if (first >> 4 == 4)
		return ETH_P_IP;
	if (first >> 4 == 6)
		return ETH_P_IPV6;
	return 0;
}

/* Moves behind VLAN tags and MPLS labels; returns the ethertype of what follows, 0 if there is none. */
INLINE __u16 skip_tags(const struct __sk_buff *skb, struct cursor *at, __u16 ethertype)
{
	UNROLL
	for (int i = 0; i < MAX_TAGS; i++) {
		if (is_vlan(ethertype)) {
			__be16 tag[2]; /* tag control information, ethertype (802.1Q §9.3) */

			if (read(skb, at, tag, sizeof(tag)))
				return 0;
			at->offset += sizeof(tag);
			ethertype = host16(tag[1]);
		} else if (is_mpls(ethertype)) {
			__u8 label[4]; /* bottom-of-stack is the lowest bit of the third byte (RFC 3032 §2.1) */

			if (read(skb, at, label, sizeof(label)))
				return 0;
			at->offset += sizeof(label);
			if (label[2] & 1)
				ethertype = ethertype_by_version(skb, at);
		} else {
			break;
		}
	}
	return ethertype;
}

/* Moves behind an Ethernet header and its tags; returns the ethertype of what follows. */
INLINE __u16 skip_ethernet(const struct __sk_buff *skb, struct cursor *at)
{
	struct ethhdr ethernet;

	if (read(skb, at, &ethernet, sizeof(ethernet)))
		return 0;
	at->offset += sizeof(ethernet);
	return skip_tags(skb, at, host16(ethernet.h_proto));
}

enum piece {
	WHOLE,
	FIRST,                    /* holds the ports; more pieces follow */
	LATER,                    /* holds no header but IP's */
};

/* What an IP header says, of either version. */
struct ip_layer {
	struct fragment_key key;  /* its identification counts only when `piece` is not WHOLE */
	__u8 protocol;            /* of what follows the header; of a LATER piece: of the datagram, as far as told */
	__u8 piece;
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

/* Moves behind a GRE header, version 0 without source routes (RFC 2784, RFC 2890); returns the
 * ethertype of what it carries, 0 if that is not looked into. */
INLINE __u16 skip_gre(const struct __sk_buff *skb, struct cursor *at)
{
	__be16 header[2];
	__u16 flags;
	__u16 carried;

	if (read(skb, at, header, sizeof(header)))
		return 0;
	flags = host16(header[0]);
	carried = host16(header[1]);
	if (flags & 0x4fff) /* routing present, reserved bits, another version */
		return 0;
	at->offset += sizeof(header);
	at->offset += flags & 0x8000 ? 4 : 0; /* checksum */
	at->offset += flags & 0x2000 ? 4 : 0; /* key */
	at->offset += flags & 0x1000 ? 4 : 0; /* sequence number */
	if (carried == GRE_PROTOCOL_TEB)
		return skip_ethernet(skb, at);
	return skip_tags(skb, at, carried);
}

/* Moves behind a VXLAN header and the Ethernet header in it (RFC 7348 §5). */
INLINE __u16 skip_vxlan(const struct __sk_buff *skb, struct cursor *at)
{
	__u8 header[8];

	if (read(skb, at, header, sizeof(header)) || !(header[0] & 0x08)) /* I: the network id is valid */
		return 0;
	at->offset += sizeof(header);
	return skip_ethernet(skb, at);
}

#endif
