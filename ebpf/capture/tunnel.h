/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Tunnels: GRE, and what is told by a UDP port: VXLAN, VXLAN-GPE, GENEVE, GTP-U, TZSP. Each step moves behind the
 * tunnel's header and answers the EtherType of what is inside, or a verdict.
 */
#ifndef RINGSIDE_CAPTURE_TUNNEL_H
#define RINGSIDE_CAPTURE_TUNNEL_H

#include "cursor.h"
#include "link.h"

/* What GRE says of its inside (RFC 2784 §2.1, RFC 7637, draft-foschiano-erspan). */
#define GRE_ETHERNET 0x6558      /* transparent Ethernet bridging; GENEVE says it too */
#define GRE_ERSPAN 0x88be        /* types I and II */
#define GRE_ERSPAN_III 0x22eb

#define GRE_CHECKSUM 0x8000
#define GRE_ROUTING 0x4000
#define GRE_KEY 0x2000
#define GRE_SEQUENCE 0x1000
#define GRE_VERSION 0x0007

/* A mirrored frame: 12 bytes, of which the last two say what it is and whether 8 more follow. */
INLINE __u32 behind_erspan_iii(const struct __sk_buff *skb, struct cursor *at)
{
	__u8 header[12];
	__u8 type;

	if (read(skb, at, header, sizeof(header)))
		return final(REFUSED_MALFORMED);
	type = (header[10] >> 2) & 0x1f;
	at->offset += sizeof(header) + (header[11] & 1 ? 8 : 0);
	if (type == 0)
		return behind_ethernet(skb, at);
	return type == 2 ? by_version(skb, at) : final(REFUSED_ETHERTYPE);
}

/* Version 0 without source routes (RFC 2784, RFC 2890). */
STEP __u32 behind_gre(const struct __sk_buff *skb, struct cursor *at)
{
	__be16 header[2];
	__u16 flags;
	__u16 inside;

	if (!at || read(skb, at, header, sizeof(header)))
		return final(REFUSED_MALFORMED);
	flags = host16(header[0]);
	inside = host16(header[1]);
	if (flags & (GRE_ROUTING | GRE_VERSION))
		return final(REFUSED_ETHERTYPE);
	at->offset += sizeof(header);
	at->offset += flags & GRE_CHECKSUM ? 4 : 0;
	at->offset += flags & GRE_KEY ? 4 : 0;
	at->offset += flags & GRE_SEQUENCE ? 4 : 0;
	if (inside == GRE_ERSPAN_III)
		return behind_erspan_iii(skb, at);
	/* Type I has no header of its own, and no sequence number, which type II always has. */
	if (inside == GRE_ERSPAN)
		at->offset += flags & GRE_SEQUENCE ? 8 : 0;
	return inside == GRE_ETHERNET || inside == GRE_ERSPAN ? behind_ethernet(skb, at) : inside;
}

/* RFC 7348 §5 sets bit 0x08; the group policy extension adds 0x80. The last byte is reserved. */
INLINE __u32 behind_vxlan(const struct __sk_buff *skb, struct cursor *at, const __u8 *header)
{
	if ((header[0] & 0x7f) != 0x08 || header[7])
		return final(REFUSED_PORT);
	at->offset += 8;
	return behind_ethernet(skb, at);
}

/* draft-ietf-nvo3-vxlan-gpe: bit 0x08, a network identifier; 0x04, a next protocol, without which there is Ethernet. */
INLINE __u32 behind_vxlan_gpe(const struct __sk_buff *skb, struct cursor *at, const __u8 *header)
{
	if ((header[0] & 0xf0) || !(header[0] & 0x0c) || header[7])
		return final(REFUSED_PORT);
	at->offset += 8;
	if (!(header[0] & 0x04) || header[3] == 3)
		return behind_ethernet(skb, at);
	if (header[3] == 1)
		return ETH_P_IP;
	if (header[3] == 2)
		return ETH_P_IPV6;
	return header[3] == 5 ? ETH_P_MPLS_UC : final(REFUSED_ETHERTYPE);
}

/* RFC 8926 §3.4: version 0, the length of the options in words, the EtherType of what is inside. */
INLINE __u32 behind_geneve(const struct __sk_buff *skb, struct cursor *at, const __u8 *header)
{
	__u16 inside = header[2] << 8 | header[3];

	if (header[0] >> 6 || (header[1] & 0x3f))
		return final(REFUSED_PORT);
	at->offset += 8 + (header[0] & 0x3f) * 4;
	return inside == GRE_ETHERNET ? behind_ethernet(skb, at) : inside;
}

/* TS 29.281 §5.1: version 1, protocol type GTP, message type 255. With any of three flags four bytes follow. */
INLINE __u32 behind_gtp_u(const struct __sk_buff *skb, struct cursor *at, const __u8 *header)
{
	__u8 next;

	if ((header[0] & 0xf8) != 0x30 || header[1] != 0xff)
		return final(REFUSED_PORT);
	at->offset += 8;
	if (!(header[0] & 0x07))
		return by_version(skb, at);
	at->offset += 4;
	if (load_relative(skb, at->offset - 1, &next, sizeof(next), at->base))
		return final(REFUSED_MALFORMED);
	if (!(header[0] & 0x04))
		return by_version(skb, at);
	/* An extension has its length in words at its front and the type of the next one at its end (§5.2.1). */
	UNROLL
	for (int i = 0; i < MAX_TUNNEL_OPTIONS; i++) {
		__u8 words;

		if (!next)
			return by_version(skb, at);
		if (read(skb, at, &words, sizeof(words)) || !words)
			return final(REFUSED_PORT);
		at->offset += words * 4;
		if (load_relative(skb, at->offset - 1, &next, sizeof(next), at->base))
			return final(REFUSED_PORT);
	}
	return next ? final(REFUSED_PORT) : by_version(skb, at);
}

/* Version 1, a packet (received or to be sent) of encapsulation Ethernet, tagged fields up to an end. */
INLINE __u32 behind_tzsp(const struct __sk_buff *skb, struct cursor *at, const __u8 *header)
{
	if (header[0] != 1 || header[1] > 1 || header[2] || header[3] != 1)
		return final(REFUSED_PORT);
	at->offset += 4;
	UNROLL
	for (int i = 0; i < MAX_TUNNEL_OPTIONS; i++) {
		__u8 field[2]; /* tag, length; tags 0 (padding) and 1 (end) have no length */

		if (read(skb, at, field, sizeof(field)))
			return final(REFUSED_PORT);
		at->offset += field[0] > 1 ? 2 + field[1] : 1;
		if (field[0] == 1)
			return behind_ethernet(skb, at);
	}
	return final(REFUSED_PORT);
}

/*
 * Moves behind the header of the tunnel that goes to a UDP `port`. A port alone says little: where there is no such
 * header, the datagram is one like any other (REFUSED_PORT).
 */
STEP __u32 behind_udp_tunnel(const struct __sk_buff *skb, struct cursor *at, __u32 port, __u32 is_vxlan)
{
	__u8 header[8];

	if (!at || read(skb, at, header, sizeof(header)))
		return final(REFUSED_PORT);
	/* Told first: who lists it knows. */
	if (is_vxlan)
		return behind_vxlan(skb, at, header);
	if (port == VXLAN_GPE_PORT)
		return behind_vxlan_gpe(skb, at, header);
	if (port == GENEVE_PORT)
		return behind_geneve(skb, at, header);
	if (port == GTP_U_PORT)
		return behind_gtp_u(skb, at, header);
	return port == TZSP_PORT ? behind_tzsp(skb, at, header) : final(REFUSED_PORT);
}

#endif
