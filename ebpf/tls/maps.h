/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* State of the TLS programs: what user space tells them, what they remember, what they hand over. */
#ifndef RINGSIDE_TLS_MAPS_H
#define RINGSIDE_TLS_MAPS_H

#include "../bpf.h"
#include "records.h"

/* The SIP ports, as a set of bits: of other connections nothing leaves the kernel. */
struct {
	map_number(type, BPF_MAP_TYPE_ARRAY);
	map_number(max_entries, PORT_WORDS);
	map_type(key, __u32);
	map_type(value, __u64);
} ports SEC(".maps");

/* One word: 1, processes have to be decided about. */
struct {
	map_number(type, BPF_MAP_TYPE_ARRAY);
	map_number(max_entries, 1);
	map_type(key, __u32);
	map_type(value, __u64);
} settings SEC(".maps");

struct process {
	__u64 start;              /* an id alone is reused */
	__u64 id;
};

struct judgement {
	__u64 decision;           /* enum decision; written by user space */
	__u64 told_at;            /* when user space was told of it */
};

struct {
	map_number(type, BPF_MAP_TYPE_LRU_HASH);
	map_number(max_entries, MAX_PROCESSES);
	map_type(key, struct process);
	map_type(value, struct judgement);
} processes SEC(".maps");

/* What a thread is doing. Only its own probes touch it. */
struct thread {
	__u64 process_start;      /* of another process: left behind by a thread that had the same id */
	__u64 call;               /* enum call it is in; 0: none */
	__u64 object;
	__u64 buffer;
	__u64 length_at;
	__u64 has_received;       /* `last` is not spent */
	struct endpoints last;    /* of its last TCP receive outside of a call */
};

struct {
	map_number(type, BPF_MAP_TYPE_LRU_HASH);
	map_number(max_entries, MAX_THREADS);
	map_type(key, __u64);
	map_type(value, struct thread);
} threads SEC(".maps");

/*
 * Which TLS object: an address in one process, or a place in memory that processes share, where each may see it at
 * an address of its own.
 */
struct object {
	__u64 memory;             /* start of the process, or device and inode of the shared memory */
	__u64 place;              /* address, or offset there */
	__u64 process;            /* id, or SHARED */
};

#define SHARED (~0ULL)

struct connection {
	__u64 number;             /* as in `struct record` */
	__u32 read;               /* sequence of the next byte read, and of the next one written */
	__u32 written;
	__u8 is_new_to_read;      /* the handshake was seen, and nothing read yet */
	__u8 is_new_to_write;
	__u16 unused;
	__u32 unused_too;
	struct endpoints endpoints;
};

struct {
	map_number(type, BPF_MAP_TYPE_LRU_HASH);
	map_number(max_entries, MAX_CONNECTIONS);
	map_type(key, struct object);
	map_type(value, struct connection);
} connections SEC(".maps");

struct {
	map_number(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	map_number(max_entries, COUNTS);
	map_type(key, __u32);
	map_type(value, __u64);
} counts SEC(".maps");

struct {
	map_number(type, BPF_MAP_TYPE_RINGBUF);
	map_number(max_entries, RECORDS_SIZE);
} records SEC(".maps");

struct {
	map_number(type, BPF_MAP_TYPE_RINGBUF);
	map_number(max_entries, SIGHTINGS_SIZE);
} processes_seen SEC(".maps");

INLINE void count(enum count which)
{
	__u32 index = which;
	__u64 *value = map_lookup(&counts, &index);

	if (value)
		__sync_fetch_and_add(value, 1); /* a probe may be preempted by another on its processor */
}

#endif
