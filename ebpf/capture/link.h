/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What may stand between Ethernet and IP: VLAN tags, VN-tags, E-tags, MPLS labels, PPPoE sessions. */
#ifndef RINGSIDE_CAPTURE_LINK_H
#define RINGSIDE_CAPTURE_LINK_H

#include "cursor.h"

/* Values that were in use before 802.1ad, which the kernel has no names for as tags. */
#define ETH_P_QINQ2 0x9200
#define ETH_P_VN_TAG 0x8926
#define ETH_P_E_TAG 0x893f       /* 802.1BR */
#ifndef ETH_P_SLOW
#define ETH_P_SLOW 0x8809
#endif

#define PPP_IPV4 0x0021
#define PPP_IPV6 0x0057
#define PPP_CONTROL 0x8000       /* from here on PPP negotiates and carries nothing (RFC 1661 §2) */

/* The tags that the kernel takes off what it receives. */
INLINE int is_vlan(__u16 ethertype)
{
	return ethertype == ETH_P_8021Q || ethertype == ETH_P_8021AD;
}

/* What keeps a network going and carries nothing. */
INLINE int is_housekeeping(__u16 ethertype)
{
	return ethertype == ETH_P_ARP || ethertype == ETH_P_LLDP || ethertype == ETH_P_PAE || ethertype == ETH_P_1588 ||
	       ethertype == ETH_P_SLOW || ethertype == ETH_P_LOOPBACK;
}

/*
 * Moves behind a tag of `size` bytes, the last two of which are the EtherType of what follows. By the end of the tag
 * the longest of them is read, so that one call does for all.
 */
INLINE __u32 behind_tag(const struct __sk_buff *skb, struct cursor *at, __u32 size)
{
	__be16 ethertype;

	at->offset += size;
	if (load_relative(skb, at->offset - sizeof(ethertype), &ethertype, sizeof(ethertype), at->base))
		return final(REFUSED_MALFORMED);
	return host16(ethertype);
}

INLINE __u32 behind_label(const struct __sk_buff *skb, struct cursor *at, __u16 ethertype)
{
	__u8 label[4]; /* bottom-of-stack is the lowest bit of the third byte (RFC 3032 §2.1) */

	if (read(skb, at, label, sizeof(label)))
		return final(REFUSED_MALFORMED);
	at->offset += sizeof(label);
	return label[2] & 1 ? by_version(skb, at) : ethertype;
}

/* RFC 2516 §4: six bytes, then PPP's protocol. */
INLINE __u32 behind_pppoe(const struct __sk_buff *skb, struct cursor *at)
{
	__u32 protocol = behind_tag(skb, at, 8);

	if (is_final(protocol))
		return protocol;
	if (protocol == PPP_IPV4)
		return ETH_P_IP;
	if (protocol == PPP_IPV6)
		return ETH_P_IPV6;
	return final(protocol >= PPP_CONTROL ? REFUSED_NOT_IP : REFUSED_ETHERTYPE);
}

/* Moves behind whatever stands before IP. Answers ETH_P_IP or ETH_P_IPV6, or a verdict. */
STEP __u32 untag(const struct __sk_buff *skb, struct cursor *at, __u32 ethertype)
{
	if (!at)
		return final(REFUSED_MALFORMED);
	UNROLL
	for (int i = 0; i < MAX_TAGS; i++) {
		if (ethertype == ETH_P_IP || ethertype == ETH_P_IPV6 || is_final(ethertype))
			return ethertype;
		if (is_vlan(ethertype) || ethertype == ETH_P_QINQ1 || ethertype == ETH_P_QINQ2)
			ethertype = behind_tag(skb, at, 4);
		else if (ethertype == ETH_P_MPLS_UC || ethertype == ETH_P_MPLS_MC)
			ethertype = behind_label(skb, at, ethertype);
		else if (ethertype == ETH_P_VN_TAG)
			ethertype = behind_tag(skb, at, 6);
		else if (ethertype == ETH_P_E_TAG)
			ethertype = behind_tag(skb, at, 8);
		else if (ethertype == ETH_P_PPP_SES)
			ethertype = behind_pppoe(skb, at);
		else
			return final(is_housekeeping(ethertype) ? REFUSED_NOT_IP : REFUSED_ETHERTYPE);
	}
	return ethertype == ETH_P_IP || ethertype == ETH_P_IPV6 ? ethertype : final(REFUSED_ETHERTYPE);
}

/* Moves behind an Ethernet header; answers the EtherType of what follows. */
INLINE __u32 behind_ethernet(const struct __sk_buff *skb, struct cursor *at)
{
	return behind_tag(skb, at, sizeof(struct ethhdr));
}

#endif
