/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What the kernel side and user space agree on: calls, certainties, records, counters.
 *
 * Mirrored by receiver-ebpf-sip/src/tls/record.rs, where a test reads this file and compares.
 */
#ifndef RINGSIDE_TLS_RECORDS_H
#define RINGSIDE_TLS_RECORDS_H

#include <linux/types.h>

/* What a probed function does: the cookie of its probe. Every TLS library's functions are one of these. */
enum call {
	CALL_READ = 1,            /* (object, buffer, size) -> bytes read, or not positive */
	CALL_READ_EX,             /* (object, buffer, size, *bytes read) -> 1 */
	CALL_WRITE,               /* (object, buffer, size) -> bytes written, or not positive */
	CALL_WRITE_EX,            /* (object, buffer, size, *bytes written) -> 1 */
	CALL_HANDSHAKE,           /* (object, ...): reads from the connection, gives no data */
	CALL_FREE,                /* (object): its address will be another connection's */
};

/* How the addresses of a connection are known. */
enum certainty {
	ADDRESS_UNKNOWN,          /* not yet */
	ADDRESS_LAST_RECEIVED,    /* the thread's last receive before it gave the object something to read */
	ADDRESS_CERTAIN,          /* the socket was read from inside a call on the object */
};

/* Whether a process is one of those asked for. */
enum decision {
	PROCESS_UNDECIDED,        /* user space was asked */
	PROCESS_WANTED,
	PROCESS_UNWANTED,
};

enum kind {
	BYTES_READ,               /* came from the peer */
	BYTES_WRITTEN,            /* went to the peer */
};

struct endpoints {
	__u8 local[16];           /* network order; IPv4 in the first four */
	__u8 remote[16];
	__u16 local_port;         /* host order */
	__u16 remote_port;
	__u16 family;             /* AF_INET, AF_INET6 */
	__u16 certainty;
};

/* One piece of a connection's clear text, in the ring buffer `records`. */
struct record {
	__u64 at;                 /* CLOCK_MONOTONIC, ns: when the call returned */
	__u64 connection;         /* one number per connection, never reused */
	__u64 process_start;      /* with `process`: one process, even if its id is reused */
	__u32 process;
	__u32 sequence;           /* place of the first byte in its direction; begins anywhere */
	__u32 length;
	__u8 kind;
	__u8 decision;
	__u8 opening;             /* 1: the first bytes of this direction there ever were */
	__u8 ended;               /* 1: the direction has ended here; there are no bytes */
	struct endpoints endpoints;
	__u8 bytes[];
};

_Static_assert(sizeof(struct endpoints) == 40, "mirrored in Rust");
_Static_assert(sizeof(struct record) == 80, "mirrored in Rust");

/* In the ring buffer `processes_seen`: a process whose libraries should be looked at, perhaps for the first time. */
struct sighting {
	__u64 process_start;
	__u32 process;
	__u32 unused;
};

/* Indexes into the per-CPU map `counts`. */
enum count {
	RECORDS_LOST,             /* no room in the ring buffer */
	BYTES_UNREADABLE,         /* a buffer could not be read */
	CALLS_LOST,               /* a function returned whose entry was not seen or has been forgotten */
	SIGHTINGS_LOST,           /* no room to tell of a process */
	ADDRESSES_CHANGED,        /* the last receive named another socket than the one before: it proves little here */
	COUNTS,
};

#define PIECE_SMALL 944            /* bytes of a record of 1 KiB */
#define PIECE_MEDIUM 4016          /* of 4 KiB */
#define PIECE_LARGE 16384          /* as much as a TLS record holds (RFC 8446 §5.1) */
#define MAX_PIECES 16              /* of one call */

#define RECORDS_SIZE (8 * 1024 * 1024)
#define SIGHTINGS_SIZE (64 * 1024)
#define MAX_THREADS 16384          /* threads in or near a call; the oldest are forgotten first */
#define MAX_CONNECTIONS 65536      /* likewise */
#define MAX_PROCESSES 16384        /* likewise */
#define PORT_WORDS 1024            /* 65,536 ports, 64 to a word: bit p % 64 of word p / 64 */

/* A process is told of at most so often. */
#define SIGHTING_PAUSE_NS 100000000ULL

#endif
