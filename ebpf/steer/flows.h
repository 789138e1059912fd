/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Under which address of a service a client speaks to a backend, and what later fragments get. */
#ifndef RINGSIDE_STEER_FLOWS_H
#define RINGSIDE_STEER_FLOWS_H

#include "ways.h"

INLINE int same_address(const __u32 *one, const __u32 *other)
{
	return !((one[0] ^ other[0]) | (one[1] ^ other[1]) | (one[2] ^ other[2]) | (one[3] ^ other[3]));
}

INLINE void copy_address(__u32 *to, const __u32 *from)
{
	to[0] = from[0];
	to[1] = from[1];
	to[2] = from[2];
	to[3] = from[3];
}

/* What stands at an address and port; null: nothing. */
INLINE const struct place *find_place(const __u32 *address, __be16 port)
{
	struct place_key key = { .port = port };

	copy_address(key.address, address);
	return map_lookup(&places, &key);
}

/* Whether anything stands at a port, whatever the address: what is not for us ends here. */
INLINE int is_port(__be16 port)
{
	__u32 zero = 0, number = host16(port);
	const struct port_set *set = map_lookup(&ports, &zero);

	return set && set->word[masked(number >> 6, PORT_WORDS)] >> (number & 63) & 1;
}

INLINE struct flow *find_flow(const __u32 *client, __be16 client_port, const __u32 *backend, __be16 backend_port, __u64 now)
{
	struct flow_key key = { .client_port = client_port, .backend_port = backend_port };
	struct flow *flow;

	copy_address(key.client, client);
	copy_address(key.backend, backend);
	flow = map_lookup(&flows, &key);
	return flow && elapsed(flow->last, now) < (__s64)FLOW_IDLE ? flow : 0;
}

/*
 * Remembers that the sender of a packet speaks to a backend under the packet's destination, past the stack by a device, or by
 * the stack: device 0. `flow`: what was remembered. Nonzero if it failed.
 */
INLINE int keep_flow(const struct packet *packet, const struct place_key *backend, struct flow *flow, __u32 device,
		     __u64 now)
{
	struct flow_key key = { .client_port = packet->source_port, .backend_port = backend->port };
	struct flow new = {
		.last = now,
		.port = packet->destination_port,
		.is_direct = device != 0,
		.device = device,
	};

	if (flow && flow->port == new.port && !flow->is_direct == !device && flow->device == device &&
	    same_address(flow->service, packet->destination)) {
		note(&flow->last, now);
		return 0;
	}
	copy_address(key.client, packet->source);
	copy_address(key.backend, backend->address);
	copy_address(new.service, packet->destination);
	if (map_update(&flows, &key, &new, BPF_ANY)) {
		count(FLOWS_FULL);
		return -1;
	}
	count(FLOWS);
	return 0;
}

enum side {
	AT_INGRESS,
	AT_EGRESS,
};

/* Remembers for the later fragments of a packet, if it is a first one, what they get. Nonzero if it failed. */
INLINE int keep_fragment(const struct packet *packet, enum side side, enum end end, const __u32 *address,
			 const struct hop *hop, __u64 now)
{
	struct fragment_key key = { .identification = packet->identification, .egress = side == AT_EGRESS };
	struct fragment fragment = { .seen = now, .device = hop->device, .hop = hop->kind, .end = end };

	if (packet->piece != FIRST)
		return 0;
	copy_address(key.source, packet->source);
	copy_address(key.destination, packet->destination);
	copy_address(fragment.address, address);
	if (map_update(&fragments, &key, &fragment, BPF_ANY)) {
		count(FRAGMENTS_FULL);
		return -1;
	}
	count(FRAGMENTS_FIRST);
	return 0;
}

/* The neighbour of a device to which a later fragment goes, where the routing table sends its first one there. */
INLINE void find_neighbour(struct __sk_buff *skb, struct work *work, __u32 device)
{
	struct place_key from = {}, to = {};

	copy_address(from.address, work->packet.source);
	copy_address(to.address, work->packet.destination);
	work->asked_length = 0;
	if (find_way(skb, work, &from, &to, skb->ifindex) != device)
		work->next.nh_family = 0;
}

/* Later fragments follow their first one. */
INLINE void follow(struct __sk_buff *skb, struct work *work, enum side side, __u64 now)
{
	struct packet *packet = &work->packet;
	struct fragment_key key = { .identification = packet->identification, .egress = side == AT_EGRESS };
	struct fragment *fragment;
	enum end end;

	copy_address(key.source, packet->source);
	copy_address(key.destination, packet->destination);
	fragment = map_lookup(&fragments, &key);
	if (!fragment || elapsed(fragment->seen, now) >= (__s64)FRAGMENT_LIFE) {
		if (side == AT_INGRESS && find_place(packet->destination, 0))
			count(FRAGMENTS_EARLY);
		return;
	}
	end = fragment->end;
	if (change_address(skb, packet, end, end == SOURCE ? packet->source : packet->destination, fragment->address,
			   fragment->hop != HOP_STACK)) {
		count(NOT_REWRITTEN);
		return;
	}
	count(FRAGMENTS_FOLLOWED);
	work->hop.device = fragment->device;
	work->hop.kind = fragment->hop;
	if (end == SOURCE && fragment->hop == HOP_NEIGHBOUR)
		find_neighbour(skb, work, fragment->device);
}

/* A message of a backend gets the address under which its client knows it. */
INLINE void translate(struct __sk_buff *skb, struct work *work, enum side side, const struct flow *flow,
		      const struct hop *hop, __u64 now)
{
	struct packet *packet = &work->packet;
	struct place_key service = { .port = flow->port };

	copy_address(service.address, flow->service);
	keep_fragment(packet, side, SOURCE, service.address, hop, now);
	if (change_endpoint(skb, packet, SOURCE, &service, hop->kind != HOP_STACK))
		return;
	count(TRANSLATED);
	work->hop = *hop;
}

#endif
