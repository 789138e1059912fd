/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Records of decisions, as long as somebody watches: no address, no number, no Call-ID. */
#ifndef RINGSIDE_STEER_EVENTS_H
#define RINGSIDE_STEER_EVENTS_H

#include "work.h"

INLINE void tell(const struct __sk_buff *skb, const struct work *work, __u32 service, __u32 backend, __u8 action, __u8 why,
		 __u8 rule)
{
	const struct settings *settings = current_settings();
	const struct message *message = &work->message;
	struct event *event;

	if (!settings || !(settings->flags & SETTING_WATCHED))
		return;
	event = ringbuf_reserve(&events, sizeof(*event), 0);
	if (!event) {
		count(EVENTS_LOST);
		return;
	}
	__builtin_memset(event, 0, sizeof(*event));
	event->at = work->now;
	event->hash = message->has_call_id ? message->hash : 0;
	event->device = skb->ifindex;
	event->service = service;
	event->backend = backend;
	event->status = message->status;
	event->kind = message->kind;
	event->action = action;
	event->why = why;
	event->rule = rule;
	ringbuf_submit(event, 0);
}

#endif
