/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Media: datagrams to where media may go that look like RTP or RTCP. Of RTP the first 12 bytes and what its headers say
 * go to user space as a record, and never through the ring of SIP: whoever floods media loses media. RTCP is kept whole.
 */
#ifndef RINGSIDE_CAPTURE_MEDIA_H
#define RINGSIDE_CAPTURE_MEDIA_H

#include <linux/if_packet.h>
#include <linux/udp.h>

#include "cursor.h"
#include "ip.h"
#include "maps.h"

/* UDP header and the beginning of its payload. */
struct datagram_head {
	struct udphdr udp;
	__u8 payload[RTP_HEADER];
};

/* In memory that is there: see `refused_port`. */
static const __u32 only_entry = 0;

INLINE int is_in(const __u64 *words, __u16 bit)
{
	return (words[bit / 64] >> (bit % 64)) & 1;
}

/* Of four words in network byte order, of IPv4 the address alone. Mirrored by `pipeline::media::address_bit`. */
INLINE __u16 address_bit(const __u32 *address)
{
	__u32 folded = host32(address[0]) ^ host32(address[1]) ^ host32(address[2]) ^ host32(address[3]);

	return folded * 0x9e3779b1u >> 16;
}

/* Whether media may go to a port, the first question of all. */
INLINE const struct media_sets *sets_with_port(__be16 port)
{
	const struct media_sets *sets = map_lookup(&media_sets, &only_entry);

	return sets && is_in(sets->ports, host16(port)) ? sets : 0;
}

/* Version 2 (RFC 3550 §5.1). */
INLINE int looks_like_media(const __u8 *payload)
{
	return payload[0] >> 6 == 2;
}

/* Told by the second byte (RFC 5761 §4). */
INLINE int is_rtcp(const __u8 *payload)
{
	return payload[1] >= 192 && payload[1] <= 223;
}

/* Interface and direction, the VLAN over them: a packet seen at another is a copy. Bit 31 is `MEDIA_IS_IPV4`. */
INLINE __u32 seen_at(const struct __sk_buff *skb)
{
	__u32 place = skb->ifindex << 1 | (skb->pkt_type == PACKET_OUTGOING);
	__u32 vlan = skb->vlan_present ? skb->vlan_tci & 0xfff : 0;

	return (place ^ vlan << 18) & ~MEDIA_IS_IPV4;
}

/* Tells user space of a packet of RTP. */
INLINE enum verdict record_media(const struct __sk_buff *skb, const struct ip_layer *ip, const struct datagram_head *head)
{
	struct media_record *record = ringbuf_reserve(&media, sizeof(*record), 0);

	if (!record)
		return LOST_MEDIA;
	record->at = monotonic_ns();
	__builtin_memcpy(record->source, ip->key.source, sizeof(record->source));
	__builtin_memcpy(record->destination, ip->key.destination, sizeof(record->destination));
	record->source_port = head->udp.source;
	record->destination_port = head->udp.dest;
	__builtin_memcpy(record->header, head->payload, sizeof(record->header));
	record->len = host16(head->udp.len) - sizeof(head->udp);
	record->identification = ip->key.identification;
	record->seen_at = seen_at(skb) | (ip->is_v4 ? MEDIA_IS_IPV4 : 0);
	ringbuf_submit(record, BPF_RB_NO_WAKEUP);
	return RECORDED_MEDIA;
}

/* What a datagram between other ports is as media; REFUSED_PORT: none. `is_anywhere`: its port is one of `MEDIA_PORT`. */
INLINE enum verdict judge_media(const struct __sk_buff *skb, const struct cursor *at, const struct ip_layer *ip,
				__be16 port, int is_anywhere)
{
	const struct media_sets *sets;
	struct datagram_head head;

	if (!is_anywhere) {
		sets = sets_with_port(port);
		if (!sets || !is_in(sets->addresses, address_bit(ip->key.destination)))
			return REFUSED_PORT;
	}
	if (read(skb, at, &head, sizeof(head))) {
		/* A report without blocks is shorter than a header of RTP. */
		if (read(skb, at, &head, sizeof(head.udp) + 4) || !is_rtcp(head.payload))
			return REFUSED_PORT;
	}
	if (!looks_like_media(head.payload))
		return REFUSED_PORT;
	return is_rtcp(head.payload) ? KEPT_RTCP : record_media(skb, ip, &head);
}

#endif
