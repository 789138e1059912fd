/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Text eight bytes at a time. A word's first byte is its lowest: the bytes are swapped where the host is big-endian. */
#ifndef RINGSIDE_STEER_WORDS_H
#define RINGSIDE_STEER_WORDS_H

#include "../bpf.h"
#include "limits.h"

#define ONES 0x0101010101010101ULL
#define HIGHS (ONES << 7)
#define LOWS (~HIGHS)
#define repeat(byte) (ONES * (__u8)(byte))

#define TEXT8(a, b, c, d, e, f, g, h)                                                                       \
	((__u64)(a) | (__u64)(b) << 8 | (__u64)(c) << 16 | (__u64)(d) << 24 | (__u64)(e) << 32 |           \
	 (__u64)(f) << 40 | (__u64)(g) << 48 | (__u64)(h) << 56)
#define TEXT7(a, b, c, d, e, f, g) TEXT8(a, b, c, d, e, f, g, 0)
#define TEXT6(a, b, c, d, e, f) TEXT8(a, b, c, d, e, f, 0, 0)
#define TEXT5(a, b, c, d, e) TEXT8(a, b, c, d, e, 0, 0, 0)
#define TEXT4(a, b, c, d) TEXT8(a, b, c, d, 0, 0, 0, 0)
#define TEXT3(a, b, c) TEXT8(a, b, c, 0, 0, 0, 0, 0)
#define TEXT2(a, b) TEXT8(a, b, 0, 0, 0, 0, 0, 0)

/* The first so many bytes of a word. */
#define head(word, bytes) ((word) & ((1ULL << (bytes) * 8) - 1))

/* The high bit of each byte that is 0; above the first of those perhaps of others too. */
INLINE __u64 zeros(__u64 word)
{
	return (word - ONES) & ~word & HIGHS;
}

#define equal_to(word, byte) zeros((word) ^ repeat(byte))

/* Likewise of each byte that is a blank, a line end or a control character. */
INLINE __u64 ends_of_word(__u64 word)
{
	return (word - repeat(' ' + 1)) & ~word & HIGHS;
}

/* The place of the first byte that is marked, 0 to 7. */
INLINE __u32 first_marked(__u64 marks)
{
	marks &= -marks;
	return (__u32)((((marks - 1) & ONES) * ONES) >> 56) - 1;
}

/* The high bit of each byte that is 0, of no others. */
INLINE __u64 exact_zeros(__u64 word)
{
	return ~(((word & LOWS) + LOWS) | word | LOWS);
}

/* How many blanks a word begins with, up to 8. */
INLINE __u32 leading_blanks(__u64 word)
{
	__u64 others = ~(exact_zeros(word ^ repeat(' ')) | exact_zeros(word ^ repeat('\t'))) & HIGHS;

	return others ? first_marked(others) : 8;
}

/* A method and how long its name is. */
struct method {
	__u32 kind;
	__u32 length;
};

/* The registered method that a text begins with, OTHER of length 0 if none. */
INLINE struct method method_at(__u64 word, __u8 ninth)
{
	if (head(word, 6) == TEXT6('I', 'N', 'V', 'I', 'T', 'E'))
		return (struct method){ INVITE, 6 };
	if (head(word, 3) == TEXT3('A', 'C', 'K'))
		return (struct method){ ACK, 3 };
	if (head(word, 3) == TEXT3('B', 'Y', 'E'))
		return (struct method){ BYE, 3 };
	if (head(word, 6) == TEXT6('C', 'A', 'N', 'C', 'E', 'L'))
		return (struct method){ CANCEL, 6 };
	if (head(word, 7) == TEXT7('O', 'P', 'T', 'I', 'O', 'N', 'S'))
		return (struct method){ OPTIONS, 7 };
	if (word == TEXT8('R', 'E', 'G', 'I', 'S', 'T', 'E', 'R'))
		return (struct method){ REGISTER, 8 };
	if (word == TEXT8('S', 'U', 'B', 'S', 'C', 'R', 'I', 'B') && ninth == 'E')
		return (struct method){ SUBSCRIBE, 9 };
	if (head(word, 6) == TEXT6('N', 'O', 'T', 'I', 'F', 'Y'))
		return (struct method){ NOTIFY, 6 };
	if (head(word, 7) == TEXT7('P', 'U', 'B', 'L', 'I', 'S', 'H'))
		return (struct method){ PUBLISH, 7 };
	if (head(word, 4) == TEXT4('I', 'N', 'F', 'O'))
		return (struct method){ INFO, 4 };
	if (head(word, 5) == TEXT5('P', 'R', 'A', 'C', 'K'))
		return (struct method){ PRACK, 5 };
	if (head(word, 6) == TEXT6('U', 'P', 'D', 'A', 'T', 'E'))
		return (struct method){ UPDATE, 6 };
	if (head(word, 7) == TEXT7('M', 'E', 'S', 'S', 'A', 'G', 'E'))
		return (struct method){ MESSAGE, 7 };
	if (head(word, 5) == TEXT5('R', 'E', 'F', 'E', 'R'))
		return (struct method){ REFER, 5 };
	return (struct method){ OTHER, 0 };
}

#endif
