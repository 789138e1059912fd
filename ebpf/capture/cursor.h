/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * A place in a packet, reading from there, and what a step answers that goes over one header.
 *
 * A socket filter has no direct access to packet bytes: each step reads a header with one helper call and moves the
 * place behind it. The steps are functions of their own, not inlined and not static: the verifier walks each once,
 * whoever calls it, and so asks for pointers that may be null.
 */
#ifndef RINGSIDE_CAPTURE_CURSOR_H
#define RINGSIDE_CAPTURE_CURSOR_H

#include <linux/if_ether.h>

#include "../bpf.h"
#include "limits.h"

#define STEP __attribute__((noinline))

/* `offset` bytes behind the packet's MAC header or its network header. */
struct cursor {
	__u32 base;
	__u32 offset;
};

/* What a step answers: what stands behind the header it went over (an EtherType), or what is final, a verdict. */
#define FINAL 0x10000
#define final(verdict) (FINAL | (verdict))
#define is_final(answer) ((answer) >= FINAL)
#define verdict_of(answer) ((answer) & 0xffff)

/* Nonzero if the packet ends before `size` bytes. */
INLINE long read(const struct __sk_buff *skb, const struct cursor *at, void *to, __u32 size)
{
	return load_relative(skb, at->offset, to, size, at->base);
}

/* What has no EtherType of its own: IP is known by its version (RFC 4928 §3). */
INLINE __u32 by_version(const struct __sk_buff *skb, const struct cursor *at)
{
	__u8 first;

	if (read(skb, at, &first, sizeof(first)))
		return final(REFUSED_MALFORMED);
	if (first >> 4 == 4)
		return ETH_P_IP;
	if (first >> 4 == 6)
		return ETH_P_IPV6;
	return final(REFUSED_ETHERTYPE);
}

#endif
