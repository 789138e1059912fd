/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What is known of the packet at hand: one record for each processor and direction, since the stack is small and cursors
 * on it make the verifier walk every loop anew.
 */
#ifndef RINGSIDE_STEER_WORK_H
#define RINGSIDE_STEER_WORK_H

#include "maps.h"

#define STEP __attribute__((noinline))

enum piece {
	WHOLE,
	FIRST,
	LATER,
};

struct packet {
	__u32 source[4];
	__u32 destination[4];
	__be16 source_port;
	__be16 destination_port;
	__be32 identification;
	__u32 udp;                /* where its header begins in the frame */
	__u32 payload;            /* bytes of it that are there */
	__u16 length;             /* of IP, its header included */
	__u16 ip_checksum;        /* IPv4 */
	__u8 ip_start[2];         /* the first two bytes of IP */
	__u8 is_v6;
	__u8 piece;
	__u8 is_tcp;
	__u8 hops;
};

#define FIELD_CALL_ID 1
#define FIELD_TO 2
#define FIELD_CSEQ 4
#define FIELD_EXPIRES 8

/* What a scan of the message found. Places in `bytes`; 0: not found. */
struct message {
	__u64 hash;               /* of its Call-ID */
	__u32 length;             /* bytes of the window */
	__u32 at;                 /* cursor of the loop that runs */
	__u32 call_id;
	__u32 to;
	__u32 to_end;
	__u32 cseq;
	__u32 expires;
	__u32 life;               /* s that a SUBSCRIBE with Expires asks a dialog to last, LINGER included; else 0 */
	__u16 status;             /* 0 of a request */
	__u8 is_sip;
	__u8 kind;
	__u8 cseq_method;
	__u8 has_call_id;
	__u8 to_tag;
	__u8 missing;             /* fields still looked for */
	__u8 open;                /* field whose line has not ended */
	__u8 begun;               /* the first line has ended */
};

#define BYTES 4096                /* a power of 2: an index is masked, not compared */
#define IN_A_ROW 128              /* bytes that are read from one place on */
#define BLANK_TAIL 32             /* bytes behind the window that are 0 */

struct work {
	__u64 now;
	struct packet packet;
	struct hop hop;           /* where the packet goes on */
	__u16 asked_length;       /* bytes of IP for which a way is looked up; 0: however many */
	struct bpf_redir_neigh next; /* the neighbour there; of family 0, the kernel finds it */
	struct message message;
	__u8 bytes[BYTES + IN_A_ROW];
};

MAP(works, BPF_MAP_TYPE_PERCPU_ARRAY, 2, __u32, struct work);

INLINE struct work *take_work(__u32 direction)
{
	return map_lookup(&works, &direction);
}

INLINE __u8 byte_at(const struct work *work, __u32 at)
{
	return work->bytes[at & (BYTES - 1)];
}

/* A place from which on IN_A_ROW bytes may be read: behind the window they mean nothing. */
INLINE const __u8 *row_at(const struct work *work, __u32 at)
{
	return &work->bytes[at & (BYTES - 1)];
}

INLINE __u64 word_of(const __u8 *bytes)
{
	__u64 word;

	/* The compiler would take eight loads, since it sees that the bytes are not aligned. */
	__asm__ volatile("%0 = *(u64 *)(%1 + 0)" : "=r"(word) : "r"(bytes));

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	word = __builtin_bswap64(word);
#endif
	return word;
}

INLINE __u64 word_at(const struct work *work, __u32 at)
{
	return word_of(row_at(work, at));
}

#endif
