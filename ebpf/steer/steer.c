/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Steering: SIP dialogs kept on one backend. Two programs on each device, one for each direction, both for tc.
 *
 * What enters for a service gets the address of a backend; what leaves from a backend gets that of the service. What
 * backends say is read to learn which dialogs they have. Everything else passes untouched, and whatever fails passes as
 * well: the standard path is always there. affinity/src/steer/model.rs is the same in Rust.
 */
#include <linux/pkt_cls.h>

#include "services.h"

/* Goes on to the next program, or to the stack. */
#define GO_ON TC_ACT_UNSPEC

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
	if (frame == FRAME_LATER) {
		if (packet->hops >= 2)
			follow(skb, packet, DESTINATION, current_time());
		return GO_ON;
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
		return serve(skb, work, number) == DROP ? TC_ACT_SHOT : GO_ON;
	}
	source = is_port(packet->source_port) ? find_place(packet->source, packet->source_port) : 0;
	if (source && source->what == PLACE_BACKEND) {
		number = source->number;
		work->now = current_time();
		hear(skb, work, number);
		return GO_ON;
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
	struct place_key service = {};
	struct packet *packet;
	struct flow *flow;
	enum frame frame;
	__u64 now;

	if (!work)
		return GO_ON;
	packet = &work->packet;
	frame = read_frame(skb, packet);
	if (frame == FRAME_LATER) {
		follow(skb, packet, SOURCE, current_time());
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
	copy_address(service.address, flow->service);
	service.port = flow->port;
	keep_fragment(packet, SOURCE, service.address, now);
	if (!change_endpoint(skb, packet, SOURCE, &service))
		count(TRANSLATED);
	return GO_ON;
}

char licence[] SEC("license") = "Dual BSD/GPL";
