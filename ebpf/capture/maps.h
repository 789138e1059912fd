/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* State of the capture program: what user space tells it, what it counts, what it remembers. */
#ifndef RINGSIDE_CAPTURE_MAPS_H
#define RINGSIDE_CAPTURE_MAPS_H

#include "bpf.h"
#include "limits.h"

/* The SIP ports, as sets of bits. */
struct {
	map_number(type, BPF_MAP_TYPE_ARRAY);
	map_number(max_entries, PORT_WORDS);
	map_type(key, __u32);
	map_type(value, struct port_word);
} ports SEC(".maps");

struct {
	map_number(type, BPF_MAP_TYPE_ARRAY);
	map_number(max_entries, 1);
	map_type(key, __u32);
	map_type(value, struct settings);
} settings SEC(".maps");

/* Indexes of the interfaces asked for by name, as far as they exist now. */
struct {
	map_number(type, BPF_MAP_TYPE_HASH);
	map_number(max_entries, MAX_INTERFACES);
	map_type(key, __u32);
	map_type(value, __u32);
} interfaces SEC(".maps");

/* Packets by verdict. */
struct {
	map_number(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	map_number(max_entries, VERDICTS);
	map_type(key, __u32);
	map_type(value, __u64);
} verdicts SEC(".maps");

/* Which datagram a fragment belongs to (RFC 791 §3.2, RFC 8200 §4.5). IPv4 addresses fill one word. */
struct fragment_key {
	__u32 source[4];
	__u32 destination[4];
	__u32 identification;
	__u32 protocol;           /* 0 for IPv6, where the later pieces need not repeat it */
};

/* What was decided for the first piece. */
struct first_piece {
	__u64 seen_at;            /* CLOCK_MONOTONIC, ns */
	__u64 kept;
};

struct {
	map_number(type, BPF_MAP_TYPE_LRU_HASH);
	map_number(max_entries, MAX_FRAGMENTED);
	map_type(key, struct fragment_key);
	map_type(value, struct first_piece);
} fragments SEC(".maps");

#endif
