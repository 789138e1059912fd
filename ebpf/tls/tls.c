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
#include "connections.h"
#include "kernel.h"
#include "maps.h"
#include "processes.h"
#include "records.h"
#include "sockets.h"

#define TCP_SYN_SENT 2
#define TCP_LISTEN 10

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
