/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What the kernel side and user space agree on: verdicts, map sizes, the settings record.
 *
 * Mirrored by receiver-ebpf-sip/src/program.rs, where a test reads this file and compares.
 */
#ifndef RINGSIDE_CAPTURE_LIMITS_H
#define RINGSIDE_CAPTURE_LIMITS_H

#include <linux/types.h>

/* What became of a packet: an index into the per-CPU map `verdicts`. Their sum is every packet seen. */
enum verdict {
	KEPT_DATAGRAM,            /* UDP, whole or its first piece, from or to a SIP port */
	KEPT_SEGMENT,             /* TCP, likewise, with a payload or SYN, FIN, RST */
	KEPT_FRAGMENT,            /* later piece of a datagram whose first piece was kept */
	KEPT_EARLY_FRAGMENT,      /* later piece that came before its first: user space will know */
	REFUSED_LOOPBACK_COPY,    /* outgoing on lo: the same packet comes in again at once */
	REFUSED_INTERFACE,        /* not one of the interfaces asked for */
	REFUSED_NOT_IP,           /* ARP, LLDP, ... */
	REFUSED_PROTOCOL,         /* IP, but no transport that is asked for, nor a tunnel that is looked into */
	REFUSED_PORT,             /* UDP or TCP, but no SIP port */
	REFUSED_EMPTY_SEGMENT,    /* TCP on a SIP port, but a bare acknowledgement */
	REFUSED_FRAGMENT,         /* later piece of a datagram whose first piece was refused */
	REFUSED_MALFORMED,        /* ends before its headers do, or names a version it is not */
	VERDICTS,
};

/* One record in the map `settings`, written by user space, at run time too. */
struct settings {
	__u64 every_interface;    /* 1: the map `interfaces` is not looked at */
	__u64 transports;         /* TRANSPORT_UDP, TRANSPORT_TCP */
};

_Static_assert(sizeof(struct settings) == 16, "user space writes it as two u64");

#define TRANSPORT_UDP 1
#define TRANSPORT_TCP 2

#define PORT_WORDS 1024            /* 65,536 ports, 64 to a word: bit p % 64 of word p / 64 */
#define MAX_INTERFACES 4096        /* entries of `interfaces` */
#define MAX_FRAGMENTED 16384       /* datagrams whose first piece is remembered; the oldest go first */
#define MAX_TAGS 4                 /* VLAN tags and MPLS labels in a row */
#define MAX_EXTENSION_HEADERS 6    /* IPv6 extension headers in a row */

/*
 * How long what was decided for a first piece holds for the later ones. Pieces of one datagram follow
 * each other within microseconds; an IPv4 identification comes round again after 65,536 datagrams.
 */
#define FRAGMENT_MEMORY_NS 2000000000ULL

#endif
