/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What user space tells the program, what the program remembers, and what it counts. */
#ifndef RINGSIDE_STEER_MAPS_H
#define RINGSIDE_STEER_MAPS_H

#include "../bpf.h"
#include "limits.h"

#define MAP(name, kind, entries, key_type, value_type)       \
	struct {                                             \
		map_number(type, kind);                      \
		map_number(max_entries, entries);            \
		map_type(key, key_type);                     \
		map_type(value, value_type);                 \
	} name SEC(".maps")

/* Written by user space. */
MAP(settings, BPF_MAP_TYPE_ARRAY, 1, __u32, struct settings);
MAP(heartbeat, BPF_MAP_TYPE_ARRAY, 1, __u32, __u64);
struct port_set {
	__u64 word[PORT_WORDS];
};
MAP(ports, BPF_MAP_TYPE_ARRAY, 1, __u32, struct port_set);
MAP(places, BPF_MAP_TYPE_HASH, PLACES, struct place_key, struct place);
MAP(services, BPF_MAP_TYPE_ARRAY, SERVICES, __u32, struct service);
MAP(backends, BPF_MAP_TYPE_ARRAY, BACKENDS, __u32, struct backend);
MAP(hops, BPF_MAP_TYPE_ARRAY, BACKENDS, __u32, struct hop);
MAP(slots, BPF_MAP_TYPE_ARRAY, SLOT_TABLES, __u32, struct slots);
MAP(devices, BPF_MAP_TYPE_HASH, DEVICES, __u32, __u32);
MAP(users, BPF_MAP_TYPE_HASH, EMERGENCY_USERS, struct user_key, __u32);
MAP(rule_tables, BPF_MAP_TYPE_ARRAY, SERVICES, __u32, struct rule_table);
MAP(rules, BPF_MAP_TYPE_ARRAY, SERVICES * RULES, __u32, struct rule);
struct {
	map_number(type, BPF_MAP_TYPE_LPM_TRIE);
	map_number(max_entries, CIDRS);
	map_number(map_flags, BPF_F_NO_PREALLOC);
	map_type(key, struct class_key);
	map_type(value, __u32);
} classes SEC(".maps");

/* Written by the program; user space says how large they are. */
MAP(dialogs, BPF_MAP_TYPE_HASH, 1, struct dialog_key, struct dialog);
MAP(flows, BPF_MAP_TYPE_LRU_HASH, 1, struct flow_key, struct flow);
MAP(fragments, BPF_MAP_TYPE_LRU_HASH, 1, struct fragment_key, struct fragment);
MAP(buckets, BPF_MAP_TYPE_LRU_HASH, 1, struct bucket_key, struct bucket);

/* Counted. */
MAP(general, BPF_MAP_TYPE_PERCPU_ARRAY, 1, __u32, struct general_counters);
MAP(service_counts, BPF_MAP_TYPE_PERCPU_ARRAY, SERVICES, __u32, struct service_counters);
MAP(backend_counts, BPF_MAP_TYPE_PERCPU_ARRAY, BACKENDS, __u32, struct backend_counters);
struct {
	map_number(type, BPF_MAP_TYPE_RINGBUF);
	map_number(max_entries, EVENTS_BYTES);
} events SEC(".maps");

/* The clock of tests, in place of the kernel's: only where user space says so before the program is loaded. */
MAP(clock, BPF_MAP_TYPE_ARRAY, 1, __u32, __u64);
const volatile __u32 clock_is_set = 0;

INLINE void count(enum general which)
{
	__u32 zero = 0;
	struct general_counters *counters = map_lookup(&general, &zero);

	if (counters)
		counters->count[which]++;
}

INLINE struct settings *current_settings(void)
{
	__u32 zero = 0;

	return map_lookup(&settings, &zero);
}

/* CLOCK_MONOTONIC, as coarse as the kernel's tick: differences are signed, since user space may be ahead of it. */
INLINE __u64 current_time(void)
{
	__u32 zero = 0;
	__u64 *set;

	if (!clock_is_set)
		return coarse_ns();
	set = map_lookup(&clock, &zero);
	return set ? *set : 0;
}

INLINE __s64 elapsed(__u64 then, __u64 now)
{
	return (__s64)(now - then);
}

/* Notes a last packet, not more often than once a second: most packets then write nothing. */
INLINE void note(__u64 *last, __u64 now)
{
	if (elapsed(*last, now) >= (__s64)SECOND)
		*last = now;
}

#endif
