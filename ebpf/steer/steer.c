/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Steering: SIP dialogs kept on one backend. Two programs on each device, one for each direction, both for tc.
 *
 * What enters for a service gets the address of a backend; what leaves from a backend gets that of the service, and so
 * does what enters from one where packets go past the stack. What backends say is read to learn which dialogs they have.
 * Everything else passes untouched, and whatever fails passes as well: the standard path is always there.
 * affinity/src/steer/model.rs is the same in Rust.
 */
#include <linux/if_packet.h>
#include <linux/pkt_cls.h>

#include "services.h"

/* Goes on to the next program, or to the stack. */
#define GO_ON TC_ACT_UNSPEC

static long (*const change_type)(struct __sk_buff *skb, __u32 type) = (void *)BPF_FUNC_skb_change_type;
static long (*const redirect_peer)(__u32 device, __u64 flags) = (void *)BPF_FUNC_redirect_peer;
static long (*const redirect_neighbour)(__u32 device, void *next, int size, __u64 flags) =
	(void *)BPF_FUNC_redirect_neigh;

/* Goes where the packet is to go on. A redirection that fails later, in the kernel, is a packet lost. */
INLINE int send_on(struct __sk_buff *skb, struct work *work)
{
	__u32 device = work->hop.device;
	long done;

	if (work->hop.kind == HOP_STACK)
		return GO_ON;
	if (work->hop.kind == HOP_POD) {
		/* It may have been for the MAC of a bridge; the kernel itself says so from Linux 6.15 on. */
		if (skb->pkt_type != PACKET_HOST)
			change_type(skb, PACKET_HOST);
		done = redirect_peer(device, 0);
	} else if (work->next.nh_family) {
		done = redirect_neighbour(device, &work->next, sizeof(work->next), 0);
	} else {
		done = redirect_neighbour(device, 0, 0, 0);
	}
	if (done == TC_ACT_REDIRECT)
		return TC_ACT_REDIRECT;
	count(NOT_REDIRECTED);
	return GO_ON;
}

/* Whether what has a backend's address enters elsewhere than from a pod of this node, where the backend is in one whose device
 * we look at: what a pod sends through a device that is not ours is seen where it enters next. */
INLINE int is_spoofed(__u32 backend, __u32 device)
{
	const struct hop *hop = map_lookup(&hops, &backend);

	return hop && hop->kind == HOP_POD && (flags_of_device(hop->device) & DEVICE_OWN) &&
	       !(flags_of_device(device) & DEVICE_OWN);
}

/*
 * What a backend sends to a client that came past the stack goes back past it, by the way that the routing table knows: the
 * stack knows nothing of such a call, and might masquerade it. Once nothing is to go past it any more, that ends when the
 * client speaks by the stack, or FLOW_IDLE after the flow was noted last.
 */
STEP int give_back(struct __sk_buff *skb, struct work *work)
{
	const struct settings *settings = current_settings();
	struct place_key backend = {}, client = {};
	struct packet *packet;
	struct hop hop = {};
	struct flow *flow;
	__u32 device;

	if (!work || !settings)
		return 0;
	packet = &work->packet;
	flow = find_flow(packet->destination, packet->destination_port, packet->source, packet->source_port, work->now);
	if (!flow || !flow->is_direct)
		return 0;
	copy_address(backend.address, packet->source);
	backend.port = packet->source_port;
	copy_address(client.address, packet->destination);
	client.port = packet->destination_port;
	/* What was merged leaves in pieces. */
	work->asked_length = skb->gso_size ? 0 : packet->length;
	device = find_way(skb, work, &backend, &client, skb->ifindex);
	if (!device)
		return 0;
	hop.kind = flags_of_device(device) & DEVICE_POD ? HOP_POD : HOP_NEIGHBOUR;
	hop.device = device;
	if (settings->flags & SETTING_DIRECT)
		note(&flow->last, work->now);
	translate(skb, work, AT_INGRESS, flow, &hop, work->now);
	return 0;
}

SEC("classifier")
int steer_ingress(struct __sk_buff *skb)
{
	struct work *work = take_work(0);
	const struct place *source, *destination;
	struct service_counters *counters;
	struct packet *packet;
	enum frame frame;
	__u32 number;

	if (!work)
		return GO_ON;
	packet = &work->packet;
	frame = read_frame(skb, packet);
	if (frame == FRAME_OTHER)
		return GO_ON;
	work->hop.kind = HOP_STACK;
	work->next.nh_family = 0;
	if (frame == FRAME_LATER) {
		if (packet->hops >= 2)
			follow(skb, work, AT_INGRESS, current_time());
		return send_on(skb, work);
	}
	destination = is_port(packet->destination_port) ? find_place(packet->destination, packet->destination_port) : 0;
	if (frame == FRAME_TCP) {
		if (destination && destination->what == PLACE_SERVICE) {
			number = destination->number;
			counters = counters_of_service(number);
			if (counters)
				counters->passed[BY_TCP]++;
		}
		return GO_ON;
	}
	if (packet->hops < 2)
		return GO_ON;
	if (destination && destination->what == PLACE_SERVICE) {
		number = destination->number;
		work->now = current_time();
		return serve(skb, work, number) == DROP ? TC_ACT_SHOT : send_on(skb, work);
	}
	source = is_port(packet->source_port) ? find_place(packet->source, packet->source_port) : 0;
	if (source && source->what == PLACE_BACKEND) {
		number = source->number;
		if (is_spoofed(number, skb->ifindex)) {
			count(SPOOFED);
			return GO_ON;
		}
		work->now = current_time();
		hear(skb, work, number);
		give_back(skb, work);
		return send_on(skb, work);
	}
	if (destination && destination->what == PLACE_BACKEND) {
		count(SEEN);
		if (find_flow(packet->source, packet->source_port, packet->destination, packet->destination_port,
			      current_time()))
			count(BYPASS);
	}
	return GO_ON;
}

SEC("classifier")
int steer_egress(struct __sk_buff *skb)
{
	struct work *work = take_work(1);
	const struct place *source;
	struct hop stack = {};
	struct packet *packet;
	struct flow *flow;
	enum frame frame;
	__u64 now;

	if (!work)
		return GO_ON;
	packet = &work->packet;
	frame = read_frame(skb, packet);
	if (frame == FRAME_LATER) {
		follow(skb, work, AT_EGRESS, current_time());
		return GO_ON;
	}
	if (frame != FRAME_UDP || !is_port(packet->source_port))
		return GO_ON;
	source = find_place(packet->source, packet->source_port);
	if (!source || source->what != PLACE_BACKEND)
		return GO_ON;
	now = current_time();
	flow = find_flow(packet->destination, packet->destination_port, packet->source, packet->source_port, now);
	if (!flow)
		return GO_ON;
	note(&flow->last, now);
	translate(skb, work, AT_EGRESS, flow, &stack, now);
	return GO_ON;
}

char licence[] SEC("license") = "Dual BSD/GPL";
