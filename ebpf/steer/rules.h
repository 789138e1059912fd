/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Rules and their limits: one look into a table that user space resolved (affinity/src/steer/rules.rs). */
#ifndef RINGSIDE_STEER_RULES_H
#define RINGSIDE_STEER_RULES_H

#include "scan.h"

INLINE struct service_counters *counters_of_service(__u32 service)
{
	return map_lookup(&service_counts, &service);
}

/* Whether a message is within a limit, which it uses up. Tokens are nanoseconds. */
INLINE int take_token(const struct bucket_key *key, __u64 cost, __u64 full, __u64 now)
{
	struct bucket *bucket = map_lookup(&buckets, key);
	__u64 tokens = full;
	int within;

	if (bucket) {
		__s64 since = elapsed(bucket->last, now);

		tokens = bucket->tokens + (since > 0 ? since : 0);
		if (tokens > full || tokens < bucket->tokens)
			tokens = full;
	}
	within = tokens >= cost;
	if (within)
		tokens -= cost;
	if (bucket) {
		bucket->tokens = tokens;
		bucket->last = now;
	} else {
		struct bucket new = { tokens, now };

		if (map_update(&buckets, key, &new, BPF_ANY))
			count(BUCKETS_FULL);
	}
	return within;
}

/* The class of a source among the networks that rules name. */
INLINE __u32 class_of(const struct packet *packet)
{
	struct class_key key = { .bits = 32 + 128, .family = network32(packet->is_v6 ? 6 : 4) };
	__u32 *class;

	__builtin_memcpy(key.address, packet->source, sizeof(key.address));
	class = map_lookup(&classes, &key);
	return class ? *class : 0;
}

#define URN_SERVICE_SOS_1 TEXT8('u', 'r', 'n', ':', 's', 'e', 'r', 'v')
#define URN_SERVICE_SOS_2 TEXT7('i', 'c', 'e', ':', 's', 'o', 's')
/* The colon has no other case. */
#define LOWER_1 0x2020202000202020ULL
#define LOWER_2 0x20202000202020ULL
#define LOWER_SCHEME 0x202020ULL

/* The end of a user in a URI. */
INLINE __u64 ends_of_user(__u64 word)
{
	return equal_to(word, '@') | equal_to(word, ':') | equal_to(word, ';') | equal_to(word, '?') | ends_of_word(word);
}

/* Whether the Request-URI of an INVITE calls for help (RFC 5031 §4.2), or one of the users that the service lists. */
STEP int calls_for_help(struct work *work, __u32 service, __u32 has_users)
{
	__u32 at = sizeof("INVITE ") - 1;
	struct user_key key = { .service = service };
	__u64 word, next, marks;

	if (!work)
		return 0;
	word = word_at(work, at);
	next = word_at(work, at + 8);
	if ((word | LOWER_1) == URN_SERVICE_SOS_1 && (head(next, 7) | LOWER_2) == URN_SERVICE_SOS_2) {
		__u8 end = next >> 56;

		return end == '.' || end == ' ' || end == ';';
	}
	if (!has_users)
		return 0;
	if ((head(word, 4) | LOWER_SCHEME) == TEXT4('s', 'i', 'p', ':') ||
	    (head(word, 4) | LOWER_SCHEME) == TEXT4('t', 'e', 'l', ':'))
		at += 4;
	else if ((head(word, 5) | 0x20202020ULL) == TEXT5('s', 'i', 'p', 's', ':'))
		at += 5;
	else
		return 0;
	word = word_at(work, at);
	next = word_at(work, at + 8);
	marks = ends_of_user(word);
	if (marks) {
		word = head(word, first_marked(marks));
		next = 0;
	} else {
		marks = ends_of_user(next);
		if (!marks)
			return 0;
		next = head(next, first_marked(marks));
	}
	if (!word)
		return 0;
	__builtin_memcpy(key.user, &word, 8);
	__builtin_memcpy(key.user + 8, &next, 8);
	return map_lookup(&users, &key) != 0;
}

/* Whether a message is an emergency call within the limit of those. */
INLINE int is_emergency(struct work *work, __u32 number, const struct service *service)
{
	struct bucket_key key = { .service = number, .rule = EMERGENCY_BUCKET };
	struct service_counters *counters;
	int within;

	if (!work->message.is_sip || work->message.kind != INVITE ||
	    !calls_for_help(work, number, service->flags & SERVICE_EMERGENCY_USERS))
		return 0;
	within = !(service->flags & SERVICE_EMERGENCY_LIMIT) ||
		 take_token(&key, service->emergency_cost, service->emergency_full, work->now);
	counters = counters_of_service(number);
	if (counters && within)
		counters->emergency++;
	else if (counters)
		counters->emergency_over++;
	return within;
}

/* The number of the rule that a message falls under in a table, 0 for none. */
INLINE __u32 rule_number(const struct work *work, __u32 table_number, __u32 class, __u32 marks)
{
	const struct rule_table *table = map_lookup(&rule_tables, &table_number);
	__u64 at = (work->message.kind * CLASSES + class) * MARKS + marks;

	return table ? table->number[masked(at, KINDS * CLASSES * MARKS)] : 0;
}

/* What a rule of a generation does: STEER, PASS or DROP. A function of its own: the verifier walks it once. */
STEP int apply_rule(struct work *work, __u32 service, __u32 generation, __u32 number, __u32 observes)
{
	__u32 index = rule_of(service, generation, number);
	struct service_counters *counters;
	struct rule *rule;
	__u64 at = number;
	int only_counts;

	hide(at);
	if (!work || !at || at >= RULES)
		return STEER;
	rule = map_lookup(&rules, &index);
	if (!rule || rule->then == THEN_STEER)
		return STEER;
	if (rule->then == THEN_PASS)
		return observes ? STEER : PASS;
	only_counts = observes;
	if (rule->then == THEN_LIMIT) {
		struct bucket_key key = { .service = service, .rule = number };

		if (rule->per_source) {
			key.address[0] = work->packet.source[0];
			key.address[1] = work->packet.source[1];
			/* Of IPv6 the first 64 bits. */
			if (!work->packet.is_v6) {
				key.address[2] = work->packet.source[2];
				key.address[3] = work->packet.source[3];
			}
		}
		if (take_token(&key, rule->cost, rule->full, work->now))
			return STEER;
		only_counts |= rule->only_counts;
	}
	counters = counters_of_service(service);
	if (counters && (rule->then == THEN_LIMIT || observes))
		counters->rules[at].limited++;
	if (only_counts)
		return STEER;
	if (counters)
		counters->rules[at].dropped++;
	return DROP;
}

#endif
