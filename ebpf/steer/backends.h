/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What backends say: which dialogs they have, how far those are (affinity/src/steer/model/hearing.rs). */
#ifndef RINGSIDE_STEER_BACKENDS_H
#define RINGSIDE_STEER_BACKENDS_H

#include "dialogs.h"
#include "events.h"

INLINE struct backend_counters *counters_of_backend(__u32 backend)
{
	return map_lookup(&backend_counts, &backend);
}

/* Four buckets for each doubling, in units of 2^20 ns (affinity/src/steer/counters.rs). */
INLINE __u32 first_response_bucket(__u64 delay)
{
	__u64 units = delay >> 20, rest = units;
	__u32 exponent = 0, bucket;

	if (units < 4)
		return units;
	UNROLL
	for (int bits = 32; bits; bits >>= 1) {
		if (rest >> bits) {
			rest >>= bits;
			exponent += bits;
		}
	}
	bucket = (exponent - 1) * 4 + (units >> (exponent - 2) & 3);
	return bucket < FIRST_RESPONSE_BUCKETS ? bucket : FIRST_RESPONSE_BUCKETS - 1;
}

INLINE void count_first_response(struct backend_counters *counters, __s64 delay)
{
	__u64 time = delay > 0 ? delay : 0;
	__u32 bucket = first_response_bucket(time);

	counters->first_response[masked(bucket, FIRST_RESPONSE_BUCKETS)]++;
	counters->first_response_sum += time;
}

/* A dialog that a backend speaks of and nobody knew, or an INVITE in mode observe that waited for that. */
INLINE struct dialog *learn_dialog(const struct work *work, __u32 service, __u32 backend, const struct dialog *asked)
{
	const struct message *message = &work->message;
	__u32 about = message->kind == RESPONSE ? message->cseq_method : message->kind;
	struct dialog new = {
		.last = work->now,
		.backend = backend,
		.learned = 1,
		/* Whether it was answered before is not known; what is refused within it must not end it. */
		.answered = !is_initial_invite(message),
	};

	if (asked) {
		new.last = asked->last;
		new.answered = asked->answered;
		new.asked = asked->asked;
		new.ends = asked->ends;
	} else if (makes_no_dialog(about)) {
		new.ends = work->now + LINGER;
	} else if (message->status >= 300) {
		/* Refused: that it has such a dialog it has not said. */
		new.ends = work->now + LINGER;
		new.asked = work->now;
	}
	if (keep_dialog(service, message->hash, &new))
		return 0;
	return find_dialog(service, message->hash, work->now);
}

/* A response to a request that makes a dialog. */
INLINE void hear_answer(struct dialog *dialog, const struct message *message, struct backend_counters *counters, __u64 now)
{
	int is_invite = message->cseq_method == INVITE, was_asked = dialog->asked != 0;

	if (is_invite && was_asked && !dialog->answered)
		count_first_response(counters, elapsed(dialog->asked, now));
	if (message->status >= 300) {
		/* What is refused within a dialog does not end it. */
		if (!dialog->answered && (is_invite || was_asked)) {
			dialog->asked = 0;
			dialog->ends = now + LINGER;
		}
		return;
	}
	/* A provisional response takes what begins, but no request within a dialog that nobody knew. */
	if (message->status < 200) {
		if (was_asked && !dialog->answered)
			take_dialog(dialog, now);
		return;
	}
	dialog->answered = 1;
	if (is_invite && dialog->life) {
		/* A call under the Call-ID of a subscription. */
		dialog->life = 0;
		was_asked = 1;
	}
	if (was_asked || (dialog->life && message->cseq_method == SUBSCRIBE))
		take_dialog(dialog, now);
}

INLINE void hear_of_dialog(struct work *work, __u32 service, __u32 number, struct backend_counters *counters)
{
	const struct message *message = &work->message;
	struct dialog *dialog = find_dialog(service, message->hash, work->now);
	__u64 now = work->now;

	if (!dialog || dialog->backend == NO_BACKEND) {
		/* It says that the dialog is not its own. */
		if (message->status == 481)
			return;
		dialog = learn_dialog(work, service, number, dialog);
		if (!dialog)
			return;
		counters->learned++;
	}
	if (dialog->backend != number)
		return;
	note(&dialog->last, now);
	if (message->kind != RESPONSE) {
		if (message->kind == BYE)
			dialog->ends = now + LINGER;
		else if (dialog->asked)
			take_dialog(dialog, now);
		return;
	}
	if (makes_dialog(message->cseq_method))
		hear_answer(dialog, message, counters, now);
	else if (dialog->asked && message->status >= 200 && message->status < 300 && stays_within(message->cseq_method))
		/* It has a dialog that it was not known to have. */
		take_dialog(dialog, now);
}

/* A datagram from a backend. */
STEP int hear(struct __sk_buff *skb, struct work *work, __u32 number)
{
	const struct backend *backend = map_lookup(&backends, &number);
	struct backend_counters *counters;
	const struct service *service;
	const struct message *message;
	__u32 of_service;

	count(SEEN);
	if (!work || !backend || !(backend->flags & BACKEND_KNOWN))
		return 0;
	if (copy_window(skb, work)) {
		count(UNREADABLE);
		return 0;
	}
	scan(work);
	message = &work->message;
	if (!message->is_sip)
		return 0;
	of_service = backend->service;
	tell(skb, work, of_service, number, UNSET, UNSET, 0);
	counters = counters_of_backend(number);
	if (!counters)
		return 0;
	if (message->kind == RESPONSE) {
		__u64 class = message->status / 100 - 1;

		hide(class);
		if (class < 6)
			counters->responses[class]++;
		if (message->cseq_method == INVITE && message->status == 503)
			counters->unavailable++;
		if (message->cseq_method == INVITE && message->status == 408)
			counters->timeouts++;
	} else {
		counters->sent++;
	}
	service = map_lookup(&services, &of_service);
	if (service && service->flags & SERVICE_KNOWN && !(service->flags & SERVICE_BY_SOURCE) && message->has_call_id)
		hear_of_dialog(work, of_service, number, counters);
	return 0;
}

#endif
