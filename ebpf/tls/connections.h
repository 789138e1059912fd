/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Connections: the one a TLS object stands for, in one process or several, and what is learned of its addresses. */
#ifndef RINGSIDE_TLS_CONNECTIONS_H
#define RINGSIDE_TLS_CONNECTIONS_H

#include "kernel.h"
#include "maps.h"

#define PAGE_SHIFT 12

/* Makes a key of memory that is shared; leaves it as it is where memory belongs to one process. */
static long note_shared(struct task_struct *task, struct vm_area_struct *area, struct object *object)
{
	struct super_block *filesystem;
	struct inode *inode;
	struct file *file;

	(void)task;
	if (!(field(area, vm_flags) & VM_SHARED))
		return 0;
	file = field(area, vm_file);
	inode = field(file, f_inode);
	filesystem = field(inode, i_sb);
	object->memory = (__u64)field(filesystem, s_dev) << 32 ^ field(inode, i_ino);
	object->place += (field(area, vm_pgoff) << PAGE_SHIFT) - field(area, vm_start);
	object->process = SHARED;
	return 0;
}

/* The connection of the TLS object at `address`; `object` becomes its key. */
INLINE struct connection *find_connection(const struct process *process, __u64 address, struct object *object)
{
	struct connection *connection;

	object->memory = process->start;
	object->place = address;
	object->process = process->id;
	connection = map_lookup(&connections, object);
	if (connection)
		return connection;
	find_area(current_task(), address, note_shared, object, 0);
	return object->process == SHARED ? map_lookup(&connections, object) : 0;
}

INLINE struct connection *connection_of(const struct process *process, __u64 address, int is_new)
{
	struct object object;
	struct connection *connection = find_connection(process, address, &object);

	if (connection)
		return connection;
	struct connection first = {
		.number = monotonic_ns() << 8 ^ random32(),
		.read = random32(),
		.written = random32(),
		.is_new_to_read = is_new,
		.is_new_to_write = is_new,
	};

	map_update(&connections, &object, &first, BPF_NOEXIST);
	return map_lookup(&connections, &object);
}

INLINE int same_endpoints(const struct endpoints *one, const struct endpoints *other)
{
	const __u64 *a = (const __u64 *)one, *b = (const __u64 *)other;

	return a[0] == b[0] && a[1] == b[1] && a[2] == b[2] && a[3] == b[3] && one->local_port == other->local_port &&
	       one->remote_port == other->remote_port && one->family == other->family;
}

/* A guess gives way to another, and both to what is certain. */
INLINE void learn(struct connection *connection, const struct endpoints *endpoints, enum certainty certainty)
{
	if (certainty < connection->endpoints.certainty)
		return;
	if (connection->endpoints.certainty == ADDRESS_LAST_RECEIVED && !same_endpoints(&connection->endpoints, endpoints))
		count(ADDRESSES_CHANGED);
	connection->endpoints = *endpoints;
	connection->endpoints.certainty = certainty;
}

#endif
