/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The message: start line, Call-ID, tag of To, method of a response's CSeq, Expires of a SUBSCRIBE
 * (affinity/src/steer/scan.rs).
 */
#ifndef RINGSIDE_STEER_SCAN_H
#define RINGSIDE_STEER_SCAN_H

#include "hash.h"
#include "packet.h"

static long (*const loop)(__u32 times, void *step, void *context, __u64 flags) = (void *)BPF_FUNC_loop;

/* What the steps of a loop are given. */
struct loop_context {
	struct work *work;
};

/* The place behind the colon, if a name that ends at `at` is one. */
INLINE __u32 behind_colon(const struct work *work, __u32 at)
{
	__u32 blanks = leading_blanks(word_at(work, at));

	if (blanks > BLANKS || byte_at(work, at + blanks) != ':')
		return 0;
	return at + blanks + 1;
}

/* Notes a header field of which the line at `at` is the first. */
INLINE void note_field(struct work *work, __u32 at)
{
	struct message *message = &work->message;
	__u64 word = word_at(work, at);
	__u32 value;

	switch ((word & 0xff) | 0x20) {
	case 'c':
		/* The hyphen has no other case. */
		if (message->missing & FIELD_CALL_ID &&
		    (head(word, 7) | 0x20200020202020ULL) == TEXT7('c', 'a', 'l', 'l', '-', 'i', 'd')) {
			value = behind_colon(work, at + 7);
			goto call_id;
		}
		if (message->missing & FIELD_CSEQ && (head(word, 4) | 0x20202020ULL) == TEXT4('c', 's', 'e', 'q')) {
			message->cseq = behind_colon(work, at + 4);
			if (message->cseq)
				message->missing &= ~FIELD_CSEQ;
		}
		return;
	case 'e':
		if (message->missing & FIELD_EXPIRES &&
		    (head(word, 7) | 0x20202020202020ULL) == TEXT7('e', 'x', 'p', 'i', 'r', 'e', 's')) {
			message->expires = behind_colon(work, at + 7);
			if (message->expires)
				message->missing &= ~FIELD_EXPIRES;
		}
		return;
	case 'i':
		if (!(message->missing & FIELD_CALL_ID))
			return;
		value = behind_colon(work, at + 1);
call_id:
		if (value) {
			message->call_id = value;
			message->missing &= ~FIELD_CALL_ID;
			message->open = FIELD_CALL_ID;
		}
		return;
	case 't':
		if (!(message->missing & FIELD_TO))
			return;
		value = behind_colon(work, at + (((word >> 8 & 0xff) | 0x20) == 'o' ? 2 : 1));
		if (value) {
			message->to = value;
			message->missing &= ~FIELD_TO;
			message->open = FIELD_TO;
		}
		return;
	}
}

/* Whether the first line, which ends at `at`, ends as that of a request does. */
INLINE int is_request_line(const struct work *work, __u32 at)
{
	if (at && byte_at(work, at - 1) == '\r')
		at--;
	return at >= 8 && word_at(work, at - 8) == TEXT8(' ', 'S', 'I', 'P', '/', '2', '.', '0');
}

#define WORDS_A_STEP 8

/* Goes on to the next line end and looks at what begins there. */
static long scan_step(__u32 index, struct loop_context *context)
{
	struct work *work = context->work;
	struct message *message = &work->message;
	__u32 at = message->at, next;
	const __u8 *row = row_at(work, at);
	__u64 ends = 0;
	__u8 first;

	(void)index;
	UNROLL
	for (int i = 0; i < WORDS_A_STEP; i++) {
		ends = equal_to(word_of(row + i * 8), '\n');
		if (ends)
			break;
		at += 8;
	}
	message->at = at;
	if (at >= message->length)
		return 1;
	if (!ends)
		return 0;
	at += first_marked(ends);
	if (at >= message->length)
		return 1;
	next = at + 1;
	message->at = next;
	first = byte_at(work, next);
	if (!message->begun) {
		message->begun = 1;
		if (message->kind != RESPONSE && !is_request_line(work, at))
			return 1;
		message->is_sip = 1;
	}
	if (message->open == FIELD_TO)
		message->to_end = at;
	else if (message->open == FIELD_CALL_ID && next < message->length && (first == ' ' || first == '\t'))
		message->call_id = 0;
	message->open = 0;
	if (!message->missing || next >= message->length || first == '\r' || first == '\n')
		return 1;
	note_field(work, next);
	return 0;
}

/* Whether a parameter `tag` begins at `at`. */
INLINE int is_tag(const struct work *work, __u32 at)
{
	__u32 blanks = leading_blanks(word_at(work, at));

	if (blanks > BLANKS)
		return 0;
	at += blanks;
	if ((head(word_at(work, at), 3) | 0x202020ULL) != TEXT3('t', 'a', 'g'))
		return 0;
	at += 3;
	blanks = leading_blanks(word_at(work, at));
	return blanks <= BLANKS && byte_at(work, at + blanks) == '=';
}

/* Goes on to the next `>`, which forgets a tag before it, or `;`, behind which one may stand. */
static long tag_step(__u32 index, struct loop_context *context)
{
	struct work *work = context->work;
	struct message *message = &work->message;
	__u32 at = message->at;
	const __u8 *row = row_at(work, at);
	__u64 marks = 0;

	(void)index;
	UNROLL
	for (int i = 0; i < WORDS_A_STEP; i++) {
		__u64 word = word_of(row + i * 8);

		marks = equal_to(word, '>') | equal_to(word, ';');
		if (marks || at >= message->to_end)
			break;
		at += 8;
	}
	if (!marks) {
		message->at = at;
		return at >= message->to_end;
	}
	at += first_marked(marks);
	if (at >= message->to_end)
		return 1;
	message->at = at + 1;
	if (byte_at(work, at) == '>')
		message->to_tag = 0;
	else if (is_tag(work, at + 1))
		message->to_tag = 1;
	/* Behind it there is no room for another one; but a `>` may still forget this one. */
	return !message->to_tag && at + sizeof(";tag=") - 1 >= message->to_end;
}

/* The method in the CSeq whose value begins at `at`; OTHER if that is malformed. */
STEP enum kind method_of_cseq(const struct work *work)
{
	__u32 at, blanks, digits = 0;
	struct method method;

	if (!work)
		return OTHER;
	at = work->message.cseq;
	blanks = leading_blanks(word_at(work, at));
	if (blanks > BLANKS)
		return OTHER;
	at += blanks;
	for (int i = 0; i < CSEQ_DIGITS; i++) {
		__u8 digit = byte_at(work, at + digits);

		if (digit < '0' || digit > '9')
			break;
		digits++;
	}
	at += digits;
	blanks = leading_blanks(word_at(work, at));
	if (!digits || !blanks || blanks > BLANKS)
		return OTHER;
	at += blanks;
	method = method_at(word_at(work, at), byte_at(work, at + 8));
	at += method.length;
	if (byte_at(work, at) > ' ' || at >= work->message.length)
		return OTHER;
	return method.kind;
}

INLINE int is_digit(__u8 byte)
{
	return byte >= '0' && byte <= '9';
}

/* How long the Expires whose value begins at `expires` has a dialog last, in s (RFC 3261 §20.19); 0 if it is malformed. */
STEP __u32 life_of_expires(const struct work *work)
{
	__u32 at, blanks, digits = 0;
	__u64 seconds = 0;

	if (!work)
		return 0;
	at = work->message.expires;
	blanks = leading_blanks(word_at(work, at));
	if (blanks > BLANKS)
		return 0;
	at += blanks;
	for (int i = 0; i < EXPIRES_DIGITS; i++) {
		__u8 digit = byte_at(work, at + digits);

		if (!is_digit(digit))
			break;
		seconds = seconds * 10 + (digit - '0');
		digits++;
	}
	if (!digits)
		return 0;
	if (seconds > LONGEST_EXPIRES)
		seconds = LONGEST_EXPIRES;
	return seconds + LINGER / SECOND;
}

/* The first bytes of the message: what it may be. Nonzero if it is none of SIP's. */
INLINE int read_start(struct work *work)
{
	struct message *message = &work->message;
	__u64 word = word_at(work, 0);
	struct method method;
	__u8 a, b, c;

	message->status = 0;
	if (word == TEXT8('S', 'I', 'P', '/', '2', '.', '0', ' ')) {
		a = byte_at(work, 8);
		b = byte_at(work, 9);
		c = byte_at(work, 10);
		if (a < '1' || a > '6' || !is_digit(b) || !is_digit(c) || byte_at(work, 11) != ' ')
			return -1;
		message->status = (a - '0') * 100 + (b - '0') * 10 + (c - '0');
		message->kind = RESPONSE;
		return 0;
	}
	a = byte_at(work, 0);
	if (a < 'A' || a > 'Z')
		return -1;
	method = method_at(word, byte_at(work, 8));
	message->kind = byte_at(work, method.length) == ' ' ? method.kind : OTHER;
	return 0;
}

/*
 * Scans the message of a packet, whose first `message.length` bytes have been copied. Afterwards `kind` is that of a rule:
 * OTHER where it is no SIP. A function of its own: the verifier walks it once.
 */
STEP int scan(struct work *work)
{
	struct loop_context context = { work };
	struct message *message;

	if (!work)
		return -1;
	message = &work->message;
	message->at = message->call_id = message->to = message->to_end = message->cseq = message->expires = 0;
	message->life = 0;
	message->is_sip = message->has_call_id = message->to_tag = message->open = message->begun = 0;
	message->cseq_method = OTHER;
	if (read_start(work)) {
		message->kind = OTHER;
		return 0;
	}
	message->missing = FIELD_CALL_ID | FIELD_TO | (message->kind == RESPONSE ? FIELD_CSEQ : 0) |
			   (message->kind == SUBSCRIBE ? FIELD_EXPIRES : 0);
	loop(WINDOW + WINDOW / 8, scan_step, &context, 0);
	if (!message->is_sip) {
		message->kind = OTHER;
		message->status = 0;
		return 0;
	}
	if (message->call_id)
		hash_call_id(work);
	if (message->to) {
		if (!message->to_end)
			message->to_end = message->length;
		message->at = message->to;
		loop(WINDOW + WINDOW / 8, tag_step, &context, 0);
	}
	if (message->cseq)
		message->cseq_method = method_of_cseq(work);
	if (message->expires)
		message->life = life_of_expires(work);
	return 0;
}

/* Copies the window of a packet aside: of a super-datagram that of its first message. Nonzero if it cannot be read. */
INLINE int copy_window(struct __sk_buff *skb, struct work *work)
{
	__u32 length = work->packet.payload, at = work->packet.udp + UDP_BYTES;

	if (skb->gso_size && length > skb->gso_size) {
		count(SUPER);
		length = skb->gso_size;
	}
	if (length > WINDOW)
		length = WINDOW;
	work->message.length = length;
	/* The helper takes 1 to WINDOW bytes, as the verifier sees here. */
	if (length && load_bytes(skb, at, work->bytes, masked(length - 1, WINDOW) + 1))
		return -1;
	for (int i = 0; i < BLANK_TAIL / 8; i++)
		*(__u64 *)&work->bytes[(length + i * 8) & (BYTES - 1)] = 0;
	return 0;
}

INLINE int is_in_dialog(const struct message *message)
{
	return message->is_sip && message->to_tag && message->kind != RESPONSE;
}

INLINE int is_initial_invite(const struct message *message)
{
	return message->is_sip && message->kind == INVITE && !message->to_tag;
}

#endif
