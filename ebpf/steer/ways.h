/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The way to a client past the stack: that of the node's routing table, rules of routing included, whatever device the
 * client's packets came by. Who forges a client's address gets nothing that is for the client.
 */
#ifndef RINGSIDE_STEER_WAYS_H
#define RINGSIDE_STEER_WAYS_H

#include "rewrite.h"

static long (*const look_up_route)(void *skb, struct bpf_fib_lookup *params, int size, __u32 flags) =
	(void *)BPF_FUNC_fib_lookup;

#define FAMILY_V4 2               /* AF_INET, AF_INET6 */
#define FAMILY_V6 10

/* What is known of a device. */
INLINE __u32 flags_of_device(__u32 device)
{
	const __u32 *flags = map_lookup(&devices, &device);

	return flags ? *flags : 0;
}

/* The device by which the stack takes what enters by `device`: of a port the bridge or bond, else itself. Rules name that one. */
INLINE __u32 input_of(__u32 device)
{
	__u32 above = flags_of_device(device) >> DEVICE_FLAGS;

	return above ? above : device;
}

/* DSCP of the packet where a lookup wants it: rules of routing may go by it. */
INLINE void set_traffic_class(struct bpf_fib_lookup *params, const struct packet *packet)
{
	if (packet->is_v6)
		params->flowinfo = network32((packet->ip_start[0] & 0xf) << 24 | (packet->ip_start[1] & 0xf0) << 16);
	else
		params->tos = packet->ip_start[1];
}

/*
 * By which device a packet of the family at hand leaves that enters by `device` and has `work->asked_length` bytes;
 * `work->next`: to which neighbour there. 0: it takes the stack, because no route leads there, the node itself is meant,
 * nothing is forwarded, or it is longer than the route takes. A function of its own: the verifier walks it once.
 */
STEP __u32 find_way(struct __sk_buff *skb, struct work *work, const struct place_key *from, const struct place_key *to,
		    __u32 device)
{
	struct bpf_fib_lookup params = { .l4_protocol = IPPROTO_UDP };
	long found;

	if (!work || !from || !to)
		return 0;
	work->next.nh_family = 0;
	params.ifindex = input_of(device);
	params.tot_len = work->asked_length;
	params.sport = from->port;
	params.dport = to->port;
	set_traffic_class(&params, &work->packet);
	if (work->packet.is_v6) {
		params.family = FAMILY_V6;
		__builtin_memcpy(params.ipv6_src, from->address, sizeof(params.ipv6_src));
		__builtin_memcpy(params.ipv6_dst, to->address, sizeof(params.ipv6_dst));
	} else {
		params.family = FAMILY_V4;
		params.ipv4_src = from->address[3];
		params.ipv4_dst = to->address[3];
	}
	found = look_up_route(skb, &params, sizeof(params), 0);
	/* A neighbour that is not known yet is asked for when the packet goes there. */
	if (found != BPF_FIB_LKUP_RET_SUCCESS && found != BPF_FIB_LKUP_RET_NO_NEIGH)
		return 0;
	work->next.nh_family = params.family;
	__builtin_memcpy(work->next.ipv6_nh, params.ipv6_dst, sizeof(work->next.ipv6_nh));
	return params.ifindex;
}

#endif
