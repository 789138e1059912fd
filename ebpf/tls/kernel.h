/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The few fields of the kernel that are looked at, found through its BTF wherever they lie, and the registers of a
 * function call.
 */
#ifndef RINGSIDE_TLS_KERNEL_H
#define RINGSIDE_TLS_KERNEL_H

#include "../bpf.h"

/* No packing, no order: each access is relocated to where the running kernel keeps the field. */
#define RELOCATED __attribute__((preserve_access_index))

struct in6_addr_bytes {
	__u8 bytes[16];
};

struct sock_common {
	__u32 skc_daddr;
	__u32 skc_rcv_saddr;
	__u16 skc_dport;
	__u16 skc_num;
	__u16 skc_family;
	struct in6_addr_bytes skc_v6_daddr;
	struct in6_addr_bytes skc_v6_rcv_saddr;
} RELOCATED;

struct sock {
	struct sock_common __sk_common;
	__u16 sk_protocol;
} RELOCATED;

struct task_struct {
	struct task_struct *group_leader;
	__u64 start_time;
} RELOCATED;

struct super_block {
	__u32 s_dev;
} RELOCATED;

struct inode {
	unsigned long i_ino;
	struct super_block *i_sb;
} RELOCATED;

struct file {
	struct inode *f_inode;
} RELOCATED;

struct vm_area_struct {
	unsigned long vm_start;
	unsigned long vm_flags;
	unsigned long vm_pgoff;
	struct file *vm_file;
} RELOCATED;

#define VM_SHARED 0x8

static long (*const read_kernel)(void *to, __u32 size, const void *from) = (void *)BPF_FUNC_probe_read_kernel;
static long (*const read_user)(void *to, __u32 size, const void *from) = (void *)BPF_FUNC_probe_read_user;
static __u64 (*const current_ids)(void) = (void *)BPF_FUNC_get_current_pid_tgid;
static struct task_struct *(*const current_task)(void) = (void *)BPF_FUNC_get_current_task_btf;
static __u64 (*const attach_cookie)(void *context) = (void *)BPF_FUNC_get_attach_cookie;
static __u32 (*const random32)(void) = (void *)BPF_FUNC_get_prandom_u32;
static long (*const find_area)(struct task_struct *task, __u64 address, void *callback, void *context, __u64 flags) =
	(void *)BPF_FUNC_find_vma;
static long (*const loop)(__u32 times, void *callback, void *context, __u64 flags) = (void *)BPF_FUNC_loop;
static void *(*const ring_reserve)(void *ring, __u64 size, __u64 flags) = (void *)BPF_FUNC_ringbuf_reserve;
static void (*const ring_submit)(void *data, __u64 flags) = (void *)BPF_FUNC_ringbuf_submit;
static void (*const ring_discard)(void *data, __u64 flags) = (void *)BPF_FUNC_ringbuf_discard;

/* A field of a kernel structure; what cannot be read, the helper fills with zeroes. */
#define field(pointer, name)                                                                               \
	({                                                                                                 \
		typeof((pointer)->name) value;                                                             \
		read_kernel(&value, sizeof(value), __builtin_preserve_access_index(&(pointer)->name));     \
		value;                                                                                     \
	})

/* The kernel's struct pt_regs, which the headers for user space show under other names. */
#if defined(RINGSIDE_ARCH_x86_64)

struct registers {
	__u64 r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di;
};

#define argument1(registers) ((registers)->di)
#define argument2(registers) ((registers)->si)
#define argument4(registers) ((registers)->cx)
#define result(registers) ((registers)->ax)

#elif defined(RINGSIDE_ARCH_aarch64)

struct registers {
	__u64 x[31];
};

#define argument1(registers) ((registers)->x[0])
#define argument2(registers) ((registers)->x[1])
#define argument4(registers) ((registers)->x[3])
#define result(registers) ((registers)->x[0])

#else
#error "how a function gets its arguments is not known for this architecture"
#endif

#endif
