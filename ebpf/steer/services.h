/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Messages to services: rules, the backend of the dialog, Maglev (affinity/src/steer/model/serving.rs). */
#ifndef RINGSIDE_STEER_SERVICES_H
#define RINGSIDE_STEER_SERVICES_H

#include "backends.h"
#include "flows.h"
#include "rules.h"

/* What is asked and decided about a message to a service. */
struct choice {
	__u32 service;
	__u32 known;              /* the backend of its dialog, or NO_BACKEND */
	__u32 device;             /* it came by */
	__u32 is_older;           /* it belongs to something older */
	__u32 backend;
	struct place_key address; /* of the backend */
};

#define CHOSEN -1

/* The address of a backend of the service that takes messages, in the family of the packet. */
INLINE int is_usable(const struct backend *backend, const struct packet *packet, struct choice *choice)
{
	__u32 family = packet->is_v6 ? BACKEND_V6 : BACKEND_V4;

	if (!backend || (backend->flags & (BACKEND_KNOWN | BACKEND_DOWN | family)) != (BACKEND_KNOWN | family) ||
	    backend->service != choice->service)
		return 0;
	if (packet->is_v6) {
		copy_address(choice->address.address, backend->address[1]);
		choice->address.port = backend->port[1];
	} else {
		copy_address(choice->address.address, backend->address[0]);
		choice->address.port = backend->port[0];
	}
	return 1;
}

/* Chooses a backend: CHOSEN, or why the message takes the standard path. */
STEP int choose(struct work *work, struct choice *choice)
{
	const struct settings *settings = current_settings();
	const struct message *message;
	const struct backend *backend;
	const struct service *service;
	const struct slots *table;
	__u64 *beat, hash;
	__u32 zero = 0, at, number, is_local;

	if (!work || !choice || !settings)
		return BY_FAILED;
	message = &work->message;
	/* A dialog that is known stays, unless its backend is down. */
	if (choice->known != NO_BACKEND) {
		number = choice->known;
		backend = map_lookup(&backends, &number);
		if (is_usable(backend, &work->packet, choice)) {
			choice->backend = number;
			/* On another node only for this node's own pods. */
			return backend->flags & BACKEND_LOCAL || flags_of_device(choice->device) & DEVICE_OWN ?
				       CHOSEN :
				       BY_REMOTE;
		}
	}
	number = choice->service;
	service = map_lookup(&services, &number);
	beat = map_lookup(&heartbeat, &zero);
	if (!service || !beat)
		return BY_FAILED;
	if (service->flags & SERVICE_EXISTING_ONLY || !*beat || elapsed(*beat, work->now) > (__s64)settings->grace)
		return BY_EXISTING_ONLY;
	if (choice->is_older && message->has_call_id && choice->known == NO_BACKEND &&
	    elapsed(settings->settle_until, work->now) < 0)
		return BY_UNKNOWN_DIALOG;
	if (service->flags & SERVICE_BY_SOURCE)
		hash = hash_source(&work->packet, 0);
	else if (message->has_call_id)
		hash = message->hash;
	else
		hash = hash_source(&work->packet, 1);
	is_local = !(flags_of_device(choice->device) & DEVICE_OWN);
	at = slot_table(number, service->generation & 1, work->packet.is_v6 & 1, is_local);
	table = map_lookup(&slots, &at);
	if (!table)
		return BY_FAILED;
	number = table->backend[masked(hash % SLOTS, SLOTS_ROOM)];
	backend = map_lookup(&backends, &number);
	if (!is_usable(backend, &work->packet, choice))
		return BY_NO_BACKEND;
	choice->backend = number;
	return CHOSEN;
}

/* A message in mode observe: an INVITE waits for a backend to be heard of, a dialog that is known goes on. */
INLINE void observe(const struct work *work, __u32 service, struct dialog *dialog)
{
	const struct message *message = &work->message;
	struct dialog asked = {
		.last = work->now,
		.ends = work->now + LINGER,
		.asked = work->now,
		.backend = NO_BACKEND,
	};

	if (dialog)
		continue_dialog(dialog, message, work->now);
	else if (is_initial_invite(message))
		keep_dialog(service, message->hash, &asked);
}

/* Remembers a dialog that was steered. */
INLINE void keep(const struct work *work, __u32 service, __u32 backend, struct dialog *dialog,
		 struct backend_counters *counters)
{
	const struct message *message = &work->message;
	struct dialog new = {
		.last = work->now,
		.ends = work->now + LINGER,
		.asked = work->now,
		.backend = backend,
		.answered = message->to_tag,
		.life = message->life,
	};

	if (dialog && dialog->backend == backend) {
		continue_dialog(dialog, message, work->now);
		return;
	}
	if (!makes_dialog(message->kind))
		return;
	if (!keep_dialog(service, message->hash, &new))
		counters->new_dialogs++;
}

INLINE int act(struct __sk_buff *skb, const struct work *work, __u32 service, __u32 backend, enum action action, int why,
	       __u32 rule)
{
	struct service_counters *counters = counters_of_service(service);

	if (counters) {
		counters->packets[masked(work->message.kind, KINDS)][masked(action, ACTIONS)]++;
		if (why >= 0)
			counters->passed[masked(why, STANDARD_PATHS)]++;
	}
	tell(skb, work, service, backend, action, why < 0 ? UNSET : why, rule);
	return action;
}

/* Sets what a rule asks for besides. */
INLINE void mark_packet(struct __sk_buff *skb, struct packet *packet, __u32 service, __u32 generation, __u32 number)
{
	__u32 index = rule_of(service, generation, number);
	const struct rule *rule;

	if (!number || number >= RULES)
		return;
	rule = map_lookup(&rules, &index);
	if (!rule)
		return;
	if (rule->priority != UNSET)
		skb->priority = rule->priority;
	if (rule->dscp != UNSET && change_dscp(skb, packet, rule->dscp))
		count(NOT_REWRITTEN);
}

/*
 * Whether what would go back to the sender of a packet leaves by the device that the packet came by, or by the bridge or bond
 * of that, as far as the routing table tells. A packet of which that does not hold may be forged, or come by another way than it is answered: the stack
 * decides about it, and replies too go as it says. Asked when a flow begins or its packets come by another device.
 */
INLINE int comes_by_its_way(struct __sk_buff *skb, struct work *work, const struct place_key *backend,
			    const struct flow *flow, __u32 device_of_backend)
{
	struct place_key client = { .port = work->packet.source_port };
	__u32 device;

	if (flow && flow->is_direct && flow->device == skb->ifindex)
		return 1;
	copy_address(client.address, work->packet.source);
	/* How long what goes back is, nobody knows yet. */
	work->asked_length = 0;
	device = find_way(skb, work, backend, &client, device_of_backend);
	/* That was about the way back. */
	work->next.nh_family = 0;
	return device && (device == skb->ifindex || device == input_of(skb->ifindex));
}

/* A message to a service: the action. */
STEP int serve(struct __sk_buff *skb, struct work *work, __u32 number)
{
	const struct service *service = map_lookup(&services, &number);
	const struct settings *settings = current_settings();
	struct choice choice = { .service = number, .known = NO_BACKEND, .backend = NO_BACKEND };
	struct backend_counters *backend_counters;
	struct service_counters *counters;
	__u32 marks, generation, rule, observes, by_call_id, is_doubtful = 0;
	struct hop *target, hop = {};
	struct flow *flow;
	struct dialog *dialog = 0;
	struct message *message;
	int answer;

	count(SEEN);
	if (!work || !settings || !service || !(service->flags & SERVICE_KNOWN))
		return PASS;
	observes = !(settings->flags & SETTING_ACTIVE);
	message = &work->message;
	if (copy_window(skb, work)) {
		count(UNREADABLE);
		return PASS;
	}
	scan(work);
	marks = (is_emergency(work, number, service) ? MARK_EMERGENCY : 0) |
		(service->flags & SERVICE_OVERLOAD ? MARK_OVERLOAD : 0) |
		(is_in_dialog(message) ? MARK_IN_DIALOG : 0) | (message->has_call_id ? 0 : MARK_NO_CALL_ID);
	/* Table and rules of one generation, whatever user space writes meanwhile. */
	generation = service->rules_generation & 1;
	rule = rule_number(work, rule_table_of(number, generation),
			   settings->flags & SETTING_CLASSES ? class_of(&work->packet) : 0, marks);
	answer = rule ? apply_rule(work, number, generation, rule, observes) : STEER;
	if (answer != STEER)
		return act(skb, work, number, NO_BACKEND, answer, answer == PASS ? BY_RULE : -1, rule);

	by_call_id = message->has_call_id && !(service->flags & SERVICE_BY_SOURCE);
	if (by_call_id) {
		dialog = find_dialog(number, message->hash, work->now);
		if (dialog)
			choice.known = dialog->backend;
		counters = counters_of_service(number);
		if (counters && marks & MARK_IN_DIALOG) {
			if (choice.known != NO_BACKEND)
				counters->in_dialog_known++;
			else
				counters->in_dialog_unknown++;
		}
	}
	if (observes) {
		if (by_call_id)
			observe(work, number, dialog);
		return act(skb, work, number, choice.known, OBSERVE, -1, rule);
	}

	choice.device = skb->ifindex;
	choice.is_older = marks & MARK_IN_DIALOG || message->kind == RESPONSE;
	answer = choose(work, &choice);
	if (answer != CHOSEN)
		return act(skb, work, number, choice.backend, PASS, answer, rule);
	if (same_address(choice.address.address, work->packet.source))
		return act(skb, work, number, choice.backend, PASS, BY_HAIRPIN, rule);
	flow = find_flow(work->packet.source, work->packet.source_port, choice.address.address, choice.address.port,
			 work->now);
	target = settings->flags & SETTING_DIRECT ? map_lookup(&hops, &choice.backend) : 0;
	if (target && target->kind != HOP_STACK) {
		if (comes_by_its_way(skb, work, &choice.address, flow, target->device))
			hop = *target;
		else if (flow && flow->is_direct)
			is_doubtful = 1;
	}
	if ((!is_doubtful && keep_flow(&work->packet, &choice.address, flow, hop.kind != HOP_STACK ? choice.device : 0,
				       work->now)) ||
	    keep_fragment(&work->packet, AT_INGRESS, DESTINATION, choice.address.address, &hop, work->now) ||
	    change_endpoint(skb, &work->packet, DESTINATION, &choice.address, hop.kind != HOP_STACK))
		return act(skb, work, number, choice.backend, PASS, BY_FAILED, rule);
	work->hop = hop;
	mark_packet(skb, &work->packet, number, generation, rule);

	backend_counters = counters_of_backend(choice.backend);
	if (!backend_counters)
		return STEER;
	if (by_call_id)
		keep(work, number, choice.backend, dialog, backend_counters);
	if (message->is_sip && message->kind != RESPONSE) {
		backend_counters->requests++;
		if (is_initial_invite(message))
			backend_counters->invites++;
		if (message->kind == ACK)
			backend_counters->acks++;
	}
	return act(skb, work, number, choice.backend, STEER, -1, rule);
}

#endif
