/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Changing a packet: one address and port, DSCP, and the checksums with them (RFC 1624, affinity/src/steer/rewrite.rs).
 *
 * Only by helpers: a program that writes to packets itself makes the kernel copy the head of every packet that a tap looks
 * at, also of those it leaves alone.
 */
#ifndef RINGSIDE_STEER_REWRITE_H
#define RINGSIDE_STEER_REWRITE_H

#include "packet.h"

static long (*const store_bytes)(void *skb, __u32 offset, const void *from, __u32 size, __u64 flags) =
	(void *)BPF_FUNC_skb_store_bytes;
static long (*const replace_l4_checksum)(void *skb, __u32 offset, __u64 from, __u64 to, __u64 flags) =
	(void *)BPF_FUNC_l4_csum_replace;
static __s64 (*const checksum_difference)(const void *from, __u32 from_size, const void *to, __u32 to_size, __u32 seed) =
	(void *)BPF_FUNC_csum_diff;
static __s64 (*const update_checksum)(void *skb, __u32 sum) = (void *)BPF_FUNC_csum_update;

enum end {
	SOURCE,
	DESTINATION,
};

/* RFC 1624 §3, equation 3; the byte order means nothing to it. */
INLINE __u16 changed_checksum(__u16 sum, __u32 changes)
{
	__u32 folded = (__u16)~sum + changes;

	folded = (folded & 0xffff) + (folded >> 16);
	folded = (folded & 0xffff) + (folded >> 16);
	return ~folded;
}

INLINE __u32 change_of_word(__u16 old, __u16 new)
{
	return (__u16)~old + (__u32)new;
}

/* The checksum of UDP; 0 says that there is none, and stays. Nonzero if it failed. */
INLINE long change_udp(struct __sk_buff *skb, const struct packet *packet, const __u32 *old, const __u32 *new,
		       __be16 old_port, __be16 new_port)
{
	__u32 at = packet->udp + __builtin_offsetof(struct udphdr, check);
	long failed;

	if (!packet->is_v6) {
		failed = replace_l4_checksum(skb, at, old[3], new[3], BPF_F_PSEUDO_HDR | BPF_F_MARK_MANGLED_0 | 4);
	} else {
		__s64 difference = checksum_difference(old, 16, new, 16, 0);
		/*
		 * Where the device summed up the whole packet, the change of the address in IPv6's header and of the
		 * checksum cancel out; the helper would add it once more (corrected in Linux 6.16 by a flag that older
		 * ones refuse). Elsewhere a packet without checksum yet has that of the pseudo header only.
		 */
		__u64 pseudo = update_checksum(skb, 0) < 0 ? BPF_F_PSEUDO_HDR : 0;

		if (difference < 0)
			return -1;
		failed = replace_l4_checksum(skb, at, 0, (__u32)difference, pseudo | BPF_F_MARK_MANGLED_0);
	}
	if (!failed && old_port != new_port)
		failed = replace_l4_checksum(skb, at, old_port, new_port, BPF_F_MARK_MANGLED_0 | 2);
	return failed;
}

/*
 * The address in IP's header, and its checksum; past the stack also TTL or hop limit (RFC 1812 §5.3.1, RFC 8200 §3), which
 * is 2 or more. Nonzero if it failed.
 */
INLINE long change_address(struct __sk_buff *skb, struct packet *packet, enum end end, const __u32 *old,
			   const __u32 *new, int is_direct)
{
	__u8 hops = packet->hops - (is_direct ? 1 : 0);

	if (!packet->is_v6) {
		struct {
			__u8 hops;
			__u8 protocol;
			__u16 checksum;
			__u32 ends[2];
		} __attribute__((packed)) fields = { .hops = hops, .protocol = IPPROTO_UDP };
		__u32 changes = change_of_word(old[3], new[3]) + change_of_word(old[3] >> 16, new[3] >> 16);

		/* Of the word that begins with it one is taken. */
		if (is_direct)
			changes += change_of_word(network16(0x100), 0);
		packet->ip_checksum = changed_checksum(packet->ip_checksum, changes);
		fields.checksum = packet->ip_checksum;
		fields.ends[0] = end == SOURCE ? new[3] : packet->source[3];
		fields.ends[1] = end == SOURCE ? packet->destination[3] : new[3];
		return store_bytes(skb, IP_AT + __builtin_offsetof(struct iphdr, ttl), &fields, sizeof(fields), 0);
	}
	if (is_direct &&
	    store_bytes(skb, IP_AT + __builtin_offsetof(struct ipv6hdr, hop_limit), &hops, sizeof(hops), 0))
		return -1;
	return store_bytes(skb, IP_AT + __builtin_offsetof(struct ipv6hdr, saddr) + (end == SOURCE ? 0 : 16), new, 16, 0);
}

/* Changes one end of a datagram. A function of its own: the verifier walks it once. Nonzero if it failed. */
STEP int change_endpoint(struct __sk_buff *skb, struct packet *packet, enum end end, const struct place_key *new,
			 int is_direct)
{
	const __u32 *old;
	__be16 old_port;
	__u32 port;

	if (!packet || !new)
		return -1;
	old = end == SOURCE ? packet->source : packet->destination;
	old_port = end == SOURCE ? packet->source_port : packet->destination_port;
	port = packet->udp + (end == SOURCE ? 0 : 2);
	if (change_udp(skb, packet, old, new->address, old_port, new->port) ||
	    change_address(skb, packet, end, old, new->address, is_direct) ||
	    (old_port != new->port && store_bytes(skb, port, &new->port, sizeof(new->port), 0))) {
		count(NOT_REWRITTEN);
		return -1;
	}
	return 0;
}

/* Sets DSCP and leaves ECN as it is (RFC 2474 §3, RFC 3168 §5). Nonzero if it failed. */
INLINE long change_dscp(struct __sk_buff *skb, struct packet *packet, __u8 dscp)
{
	__u8 start[2] = { packet->ip_start[0], packet->ip_start[1] };
	__u16 old, new;

	if (packet->is_v6) {
		start[0] = (start[0] & 0xf0) | dscp >> 2;
		start[1] = (start[1] & 0x3f) | dscp << 6;
		return store_bytes(skb, IP_AT, start, sizeof(start), 0);
	}
	__builtin_memcpy(&old, start, sizeof(old));
	start[1] = (start[1] & 3) | dscp << 2;
	__builtin_memcpy(&new, start, sizeof(new));
	packet->ip_checksum = changed_checksum(packet->ip_checksum, change_of_word(old, new));
	return store_bytes(skb, IP_AT, start, sizeof(start), 0) ||
	       store_bytes(skb, IP_AT + __builtin_offsetof(struct iphdr, check), &packet->ip_checksum, 2, 0);
}

#endif
