/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* SipHash-1-3 under the key of the cluster (affinity/src/hash.rs): of a Call-ID, of a source. */
#ifndef RINGSIDE_STEER_HASH_H
#define RINGSIDE_STEER_HASH_H

#include "words.h"
#include "work.h"

struct siphash {
	__u64 a, b, c, d;
};

#define rotated(word, bits) ((word) << (bits) | (word) >> (64 - (bits)))

INLINE void siphash_round(struct siphash *state)
{
	state->a += state->b;
	state->b = rotated(state->b, 13) ^ state->a;
	state->a = rotated(state->a, 32);
	state->c += state->d;
	state->d = rotated(state->d, 16) ^ state->c;
	state->a += state->d;
	state->d = rotated(state->d, 21) ^ state->a;
	state->c += state->b;
	state->b = rotated(state->b, 17) ^ state->c;
	state->c = rotated(state->c, 32);
}

INLINE struct siphash siphash_start(const struct settings *settings)
{
	return (struct siphash){
		settings->key[0] ^ 0x736f6d6570736575ULL,
		settings->key[1] ^ 0x646f72616e646f6dULL,
		settings->key[0] ^ 0x6c7967656e657261ULL,
		settings->key[1] ^ 0x7465646279746573ULL,
	};
}

INLINE void siphash_word(struct siphash *state, __u64 word)
{
	state->d ^= word;
	siphash_round(state);
	state->a ^= word;
}

/* `tail`: the bytes that fill no word, fewer than eight. */
INLINE __u64 siphash_end(struct siphash *state, __u64 tail, __u32 length)
{
	siphash_word(state, (__u64)length << 56 | tail);
	state->c ^= 0xff;
	siphash_round(state);
	siphash_round(state);
	siphash_round(state);
	return state->a ^ state->b ^ state->c ^ state->d;
}

/* The hash of the word in the value at `message.call_id`, if its end is in sight and it is not empty. */
STEP int hash_call_id(struct work *work)
{
	struct settings *settings = current_settings();
	struct siphash state;
	const __u8 *row;
	__u32 at, blanks, length = 0;
	__u64 tail = 0;

	if (!work || !settings)
		return 0;
	state = siphash_start(settings);
	at = work->message.call_id;
	blanks = leading_blanks(word_at(work, at));
	if (blanks > BLANKS)
		return 0;
	at += blanks;
	row = row_at(work, at);
	UNROLL
	for (int i = 0; i < CALL_ID / 8; i++) {
		__u64 word = word_of(row + i * 8);
		__u64 ends = ends_of_word(word);

		if (ends) {
			__u32 rest = first_marked(ends);

			tail = head(word, rest);
			length += rest;
			/* What is behind the window is 0. */
			if (at + length >= work->message.length)
				return 0;
			break;
		}
		siphash_word(&state, word);
		length += 8;
	}
	if (!length)
		return 0;
	work->message.hash = siphash_end(&state, tail, length);
	work->message.has_call_id = 1;
	return 1;
}

/* The hash of a source address, and of its port too. */
STEP __u64 hash_source(const struct packet *packet, int with_port)
{
	struct settings *settings = current_settings();
	struct siphash state;
	__u64 word;

	if (!packet || !settings)
		return 0;
	state = siphash_start(settings);
	for (int i = 0; i < 4; i += 2) {
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
		word = __builtin_bswap64((__u64)packet->source[i] << 32 | packet->source[i + 1]);
#else
		word = (__u64)packet->source[i + 1] << 32 | packet->source[i];
#endif
		siphash_word(&state, word);
	}
	if (!with_port)
		return siphash_end(&state, 0, 16);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	return siphash_end(&state, __builtin_bswap16(packet->source_port), 18);
#else
	return siphash_end(&state, packet->source_port, 18);
#endif
}

#endif
