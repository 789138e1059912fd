// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * SIP over TLS in the clear: probes on the read and write functions of TLS libraries.
 *
 * In come calls of those functions in every process, and every TCP receive of the host; out go the bytes that
 * connections on SIP ports have read or written, with their addresses. Nothing of any other connection leaves the
 * kernel, no key is touched, and no process is changed or delayed beyond the probes themselves.
 *
 * A TLS object does not tell its socket: many programs hand it bytes from memory, and worker processes share
 * objects. So its addresses are learned from what the thread receives: from inside a call they are certain; else
 * the thread's last receive before it gives the object something to read is taken, once.
 */
#include "kernel.h"
#include "maps.h"
#include "records.h"

#define AF_INET 2
#define AF_INET6 10
#define IPPROTO_TCP 6
#define TCP_SYN_SENT 2
#define TCP_LISTEN 10
#define PAGE_SHIFT 12

INLINE int is_sip_port(__u16 port)
{
	__u32 index = port / 64;
	const __u64 *word = map_lookup(&ports, &index);

	return word && (*word >> (port % 64)) & 1;
}

INLINE int is_sip(const struct endpoints *endpoints)
{
	return is_sip_port(endpoints->local_port) || is_sip_port(endpoints->remote_port);
}

/* Ports and family of a TCP socket; 0 if it is none over IP. */
INLINE int read_ports(struct sock *sock, struct endpoints *endpoints)
{
	__u16 family = field(sock, __sk_common.skc_family);

	if ((family != AF_INET && family != AF_INET6) || field(sock, sk_protocol) != IPPROTO_TCP)
		return 0;
	endpoints->family = family;
	endpoints->local_port = field(sock, __sk_common.skc_num);
	endpoints->remote_port = network16(field(sock, __sk_common.skc_dport));
	return 1;
}

INLINE void read_addresses(struct sock *sock, struct endpoints *endpoints)
{
	if (endpoints->family == AF_INET) {
		*(__u32 *)endpoints->local = field(sock, __sk_common.skc_rcv_saddr);
		*(__u32 *)endpoints->remote = field(sock, __sk_common.skc_daddr);
	} else {
		*(struct in6_addr_bytes *)endpoints->local = field(sock, __sk_common.skc_v6_rcv_saddr);
		*(struct in6_addr_bytes *)endpoints->remote = field(sock, __sk_common.skc_v6_daddr);
	}
}

INLINE struct process this_process(void)
{
	struct task_struct *task = current_task();
	struct task_struct *leader = field(task, group_leader);
	struct process process = { .start = field(leader, start_time), .id = current_ids() >> 32 };

	return process;
}

/* Tells user space of the process at hand, now and then, so that it looks at its libraries and decides about it. */
INLINE enum decision sighted(const struct process *process)
{
	struct judgement *judgement = map_lookup(&processes, process);
	__u64 now = monotonic_ns();
	struct sighting *sighting;

	if (judgement && now - judgement->told_at < SIGHTING_PAUSE_NS)
		return judgement->decision;
	if (judgement) {
		judgement->told_at = now;
	} else {
		struct judgement first = { .decision = PROCESS_UNDECIDED, .told_at = now };

		map_update(&processes, process, &first, BPF_NOEXIST);
	}
	sighting = ring_reserve(&processes_seen, sizeof(*sighting), 0);
	if (!sighting) {
		count(SIGHTINGS_LOST);
	} else {
		sighting->process_start = process->start;
		sighting->process = process->id;
		sighting->unused = 0;
		ring_submit(sighting, 0);
	}
	return judgement ? judgement->decision : PROCESS_UNDECIDED;
}

INLINE enum decision decision_about(const struct process *process)
{
	__u32 zero = 0;
	const __u64 *is_filtered = map_lookup(&settings, &zero);
	const struct judgement *judgement;

	if (!is_filtered || !*is_filtered)
		return PROCESS_WANTED;
	judgement = map_lookup(&processes, process);
	if (judgement && judgement->decision != PROCESS_UNDECIDED)
		return judgement->decision;
	return sighted(process);
}

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

INLINE int reads(__u64 call)
{
	return call == CALL_READ || call == CALL_READ_EX || call == CALL_HANDSHAKE;
}

/* What is known of the thread at hand; 0 if nothing is. One that ended within a call may have left something else. */
INLINE struct thread *known_thread(const struct process *process)
{
	__u64 ids = current_ids();
	struct thread *thread = map_lookup(&threads, &ids);

	if (thread && thread->process_start != process->start) {
		thread->process_start = process->start;
		thread->call = 0;
		thread->has_received = 0;
	}
	return thread;
}

INLINE struct thread *this_thread(const struct process *process)
{
	struct thread *thread = known_thread(process);
	struct thread idle = { .process_start = process->start };
	__u64 ids = current_ids();

	if (thread)
		return thread;
	map_update(&threads, &ids, &idle, BPF_NOEXIST);
	return map_lookup(&threads, &ids);
}

/* The fixed part of a record. */
INLINE void describe(struct record *record, const struct process *process, struct connection *connection, __u64 at)
{
	record->at = at;
	record->connection = connection->number;
	record->process_start = process->start;
	record->process = process->id;
	record->endpoints = connection->endpoints;
}

/* Tells that a direction of a connection has ended, and where: another process may go on with the same one. */
INLINE void tell_end(const struct process *process, struct connection *connection, enum kind kind)
{
	struct record *record = ring_reserve(&records, sizeof(*record), 0);

	if (!record) {
		count(RECORDS_LOST);
		return;
	}
	describe(record, process, connection, monotonic_ns());
	record->kind = kind;
	record->decision = decision_about(process);
	record->sequence = kind == BYTES_READ ? connection->read : connection->written;
	record->length = 0;
	record->opening = 0;
	record->ended = 1;
	ring_submit(record, BPF_RB_NO_WAKEUP);
}

/* The object is no more: whoever gets its address is another connection. */
INLINE void forget(const struct process *process, __u64 address)
{
	struct object object;
	struct connection *connection = find_connection(process, address, &object);

	if (!connection)
		return;
	if (connection->endpoints.certainty != ADDRESS_UNKNOWN && is_sip(&connection->endpoints)) {
		tell_end(process, connection, BYTES_READ);
		tell_end(process, connection, BYTES_WRITTEN);
	}
	map_delete(&connections, &object);
}

SEC("uprobe")
int enter(struct registers *registers)
{
	__u64 call = attach_cookie(registers);
	__u64 object = argument1(registers);
	struct process process = this_process();
	struct connection *connection;
	struct thread *thread;

	if (call == CALL_FREE) {
		forget(&process, object);
		return 0;
	}
	thread = this_thread(&process);
	if (!thread)
		return 0;
	thread->call = call;
	thread->object = object;
	thread->buffer = argument2(registers);
	thread->length_at = argument4(registers);
	if (!reads(call))
		return 0;
	connection = connection_of(&process, object, call == CALL_HANDSHAKE);
	if (connection && thread->has_received) {
		thread->has_received = 0;
		learn(connection, &thread->last, ADDRESS_LAST_RECEIVED);
	}
	return 0;
}

/* Bytes of one call, on their way to user space. */
struct transfer {
	struct process process;
	struct connection *connection;
	__u64 at;
	__u64 from;               /* where those begin that are not handed over yet */
	__u64 length;             /* and how many they are */
	__u8 kind;
	__u8 decision;
};

/* Hands over the next `length` bytes in a record with room for `room`, which is a constant. */
INLINE void hand_over(const struct transfer *transfer, __u64 length, __u64 room)
{
	struct connection *connection = transfer->connection;
	int is_read = transfer->kind == BYTES_READ;
	struct record *record = ring_reserve(&records, sizeof(*record) + room, 0);

	if (!record) {
		count(RECORDS_LOST);
		return;
	}
	describe(record, &transfer->process, connection, transfer->at);
	record->kind = transfer->kind;
	record->decision = transfer->decision;
	record->sequence = is_read ? connection->read : connection->written;
	record->opening = is_read ? connection->is_new_to_read : connection->is_new_to_write;
	record->ended = 0;
	record->length = length;
	if (read_user(record->bytes, length, (void *)transfer->from)) {
		count(BYTES_UNREADABLE);
		ring_discard(record, BPF_RB_NO_WAKEUP);
		return;
	}
	ring_submit(record, BPF_RB_NO_WAKEUP);
}

/* Moves on by `length` bytes, handed over or lost: what is lost shows as a hole. */
INLINE void pass(struct transfer *transfer, __u64 length)
{
	struct connection *connection = transfer->connection;

	if (transfer->kind == BYTES_READ) {
		connection->read += length;
		connection->is_new_to_read = 0;
	} else {
		connection->written += length;
		connection->is_new_to_write = 0;
	}
	transfer->from += length;
	transfer->length -= length;
}

/* One piece, no longer than a TLS record. Called in a loop that the verifier walks once; 1 ends it. */
static long next_piece(__u32 index, struct transfer *transfer)
{
	__u64 length = transfer->length;

	(void)index;
	if (length == 0)
		return 1;
	/* The verifier has to see the bound of each size. */
	if (length <= PIECE_SMALL) {
		hand_over(transfer, length, PIECE_SMALL);
	} else if (length <= PIECE_MEDIUM) {
		hand_over(transfer, length, PIECE_MEDIUM);
	} else {
		if (length > PIECE_LARGE)
			length = PIECE_LARGE;
		hand_over(transfer, length, PIECE_LARGE);
	}
	pass(transfer, length);
	return 0;
}

/* Bytes that a call has read or written, by its result. */
INLINE __u64 transferred(const struct thread *thread, __u64 call, __s32 result)
{
	__u64 length = 0;

	if (result <= 0)
		return 0;
	if (call == CALL_READ || call == CALL_WRITE)
		return result;
	read_user(&length, sizeof(length), (void *)thread->length_at);
	return length;
}

SEC("uretprobe")
int leave(struct registers *registers)
{
	struct transfer transfer = { .process = this_process() };
	struct thread *thread = known_thread(&transfer.process);
	__u64 call = attach_cookie(registers);
	__u64 length;

	/* A handshake may be a call within another one, which then comes back a second time. */
	if (call == CALL_HANDSHAKE) {
		if (thread)
			thread->call = 0;
		return 0;
	}
	if (!thread || thread->call != call) {
		count(CALLS_LOST);
		return 0;
	}
	thread->call = 0;
	length = transferred(thread, call, result(registers));
	if (length == 0)
		return 0;
	transfer.connection = connection_of(&transfer.process, thread->object, 0);
	if (!transfer.connection)
		return 0;
	if (transfer.connection->endpoints.certainty != ADDRESS_UNKNOWN && !is_sip(&transfer.connection->endpoints))
		return 0;
	transfer.decision = decision_about(&transfer.process);
	if (transfer.decision == PROCESS_UNWANTED)
		return 0;
	transfer.at = monotonic_ns();
	transfer.kind = reads(call) ? BYTES_READ : BYTES_WRITTEN;
	transfer.from = thread->buffer;
	transfer.length = length;
	loop(MAX_PIECES, next_piece, &transfer, 0);
	pass(&transfer, transfer.length);
	return 0;
}

/* A thread has received something: from inside a call that tells the object's socket, else it may come to that. */
INLINE int received(struct sock *sock)
{
	struct process process = this_process();
	struct thread *thread = known_thread(&process);
	struct endpoints endpoints = {};
	struct connection *connection;

	if (!read_ports(sock, &endpoints))
		return 0;
	if (!thread) {
		/* Not one that was seen to speak TLS: of interest only if it speaks SIP. */
		if (!is_sip(&endpoints))
			return 0;
		sighted(&process);
		thread = this_thread(&process);
		if (!thread)
			return 0;
	}
	read_addresses(sock, &endpoints);
	if (!thread->call) {
		thread->last = endpoints;
		thread->has_received = 1;
		return 0;
	}
	connection = connection_of(&process, thread->object, 0);
	if (connection)
		learn(connection, &endpoints, ADDRESS_CERTAIN);
	return 0;
}

/* (struct sock *, int result, int flags), since Linux 6.3. */
SEC("raw_tracepoint/sock_recv_length")
int received_length(__u64 *arguments)
{
	return (__s32)arguments[1] > 0 ? received((struct sock *)arguments[0]) : 0;
}

/* (struct sock *): called by whoever takes bytes from a TCP socket, before Linux 6.3 too. */
SEC("raw_tracepoint/tcp_rcv_space_adjust")
int received_bytes(__u64 *arguments)
{
	return received((struct sock *)arguments[0]);
}

/* (struct sock *, int old state, int new state): who will speak SIP over TCP listens or connects first. */
SEC("raw_tracepoint/inet_sock_set_state")
int state_changed(__u64 *arguments)
{
	struct sock *sock = (struct sock *)arguments[0];
	struct endpoints endpoints = {};
	__s32 state = arguments[2];
	struct process process;

	if (state != TCP_LISTEN && state != TCP_SYN_SENT)
		return 0;
	if (!read_ports(sock, &endpoints) || !is_sip(&endpoints))
		return 0;
	process = this_process();
	sighted(&process);
	return 0;
}

/* The kernel's own words for a program under either licence. */
char licence[] SEC("license") = "Dual BSD/GPL";
