/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Sockets: whether one is TCP on a SIP port, and its two ends. */
#ifndef RINGSIDE_TLS_SOCKETS_H
#define RINGSIDE_TLS_SOCKETS_H

#include "kernel.h"
#include "maps.h"

#define AF_INET 2
#define AF_INET6 10
#define IPPROTO_TCP 6

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

#endif
