/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The few words of the BPF dialect that are needed here, so that building asks for clang and the
 * kernel's UAPI headers and nothing else (no libbpf).
 */
#ifndef RINGSIDE_CAPTURE_BPF_H
#define RINGSIDE_CAPTURE_BPF_H

#include <linux/bpf.h>
#include <linux/types.h>

#define SEC(name) __attribute__((section(name), used))
#define INLINE static inline __attribute__((always_inline))

/*
 * Without CAP_PERFMON the verifier also walks speculative paths, and a small rolled loop becomes "too
 * complex": every loop is laid out in full.
 */
#define UNROLL _Pragma("clang loop unroll(full)")

/* How libbpf and aya read a map definition out of BTF. */
#define map_number(name, value) int (*name)[value]
#define map_type(name, value) typeof(value) *name

/* Helpers by number, as the kernel's UAPI counts them. */
static void *(*const map_lookup)(void *map, const void *key) = (void *)BPF_FUNC_map_lookup_elem;
static long (*const map_update)(void *map, const void *key, const void *value, __u64 flags) =
	(void *)BPF_FUNC_map_update_elem;
static __u64 (*const monotonic_ns)(void) = (void *)BPF_FUNC_ktime_get_ns;
static long (*const load_relative)(const void *skb, __u32 offset, void *to, __u32 size, __u32 base) =
	(void *)BPF_FUNC_skb_load_bytes_relative;

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define host16(x) __builtin_bswap16(x)
#else
#define host16(x) (x)
#endif
#define network16(x) host16(x)

#endif
