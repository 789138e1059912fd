/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Frames: Ethernet, IPv4 or IPv6 with what may stand before UDP, and nothing else (affinity/src/steer/packet.rs). */
#ifndef RINGSIDE_STEER_PACKET_H
#define RINGSIDE_STEER_PACKET_H

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>

#include "work.h"

#define IP_AT sizeof(struct ethhdr)
#define UDP_BYTES sizeof(struct udphdr)

static long (*const load_bytes)(const void *skb, __u32 offset, void *to, __u32 size) = (void *)BPF_FUNC_skb_load_bytes;

enum frame {
	FRAME_OTHER,
	FRAME_TCP,
	FRAME_UDP,
	FRAME_LATER,
};

INLINE int is_mapped(const __u32 *address)
{
	return !address[0] && !address[1] && address[2] == network32(0xffff);
}

/* What stands behind IP, which ends at `end`: its ports, and its length if it is UDP. */
INLINE enum frame read_ports(struct packet *packet, const struct udphdr *header, __u32 protocol, __u32 at, __u32 end)
{
	__u32 said = host16(header->len);

	packet->source_port = header->source;
	packet->destination_port = header->dest;
	packet->udp = at;
	if (protocol == IPPROTO_TCP)
		return FRAME_TCP;
	if (said < UDP_BYTES)
		return FRAME_OTHER;
	if (at + said > end) {
		/* A first fragment holds less than it says. */
		if (packet->piece == WHOLE)
			return FRAME_OTHER;
		said = end - at;
	}
	packet->payload = said - UDP_BYTES;
	return FRAME_UDP;
}

INLINE enum frame read_transport(struct __sk_buff *skb, struct packet *packet, __u32 protocol, __u32 at, __u32 end)
{
	struct udphdr header;

	if (at + UDP_BYTES > end || load_bytes(skb, at, &header, sizeof(header)))
		return FRAME_OTHER;
	return read_ports(packet, &header, protocol, at, end);
}

/* Where IPv4 ends (RFC 791 §3.1), which holds UDP, TCP, or a piece of UDP; 0: nothing to look at. */
INLINE __u32 read_ipv4_header(struct packet *packet, const struct iphdr *header, __u32 frame_length)
{
	__u32 length = header->ihl * 4, end = IP_AT + host16(header->tot_len);
	__u16 fragment = host16(header->frag_off);

	if (header->version != 4 || length < sizeof(*header) || end < IP_AT + length || end > frame_length)
		return 0;
	packet->piece = fragment & 0x1fff ? LATER : fragment & 0x2000 ? FIRST : WHOLE;
	if (header->protocol != IPPROTO_UDP && (header->protocol != IPPROTO_TCP || packet->piece != WHOLE))
		return 0;
	packet->source[0] = packet->source[1] = 0;
	packet->source[2] = network32(0xffff);
	packet->source[3] = header->saddr;
	packet->destination[0] = packet->destination[1] = 0;
	packet->destination[2] = network32(0xffff);
	packet->destination[3] = header->daddr;
	packet->identification = header->id;
	packet->ip_checksum = header->check;
	packet->ip_start[0] = *(const __u8 *)header;
	packet->ip_start[1] = header->tos;
	packet->length = end - IP_AT;
	packet->is_v6 = 0;
	packet->hops = header->ttl;
	return end;
}

INLINE enum frame read_ipv4(struct __sk_buff *skb, struct packet *packet)
{
	struct iphdr header;
	__u32 end;

	if (load_bytes(skb, IP_AT, &header, sizeof(header)))
		return FRAME_OTHER;
	end = read_ipv4_header(packet, &header, skb->len);
	if (!end)
		return FRAME_OTHER;
	if (packet->piece == LATER)
		return FRAME_LATER;
	return read_transport(skb, packet, header.protocol, IP_AT + header.ihl * 4, end);
}

/* Where IPv6 ends (RFC 8200 §3); 0: nothing to look at. */
INLINE __u32 read_ipv6_header(struct packet *packet, const struct ipv6hdr *header, __u32 frame_length)
{
	__u32 end = IP_AT + sizeof(*header) + host16(header->payload_len);

	if (header->version != 6 || end > frame_length)
		return 0;
	__builtin_memcpy(packet->source, &header->saddr, sizeof(packet->source));
	__builtin_memcpy(packet->destination, &header->daddr, sizeof(packet->destination));
	if (is_mapped(packet->source) || is_mapped(packet->destination))
		return 0;
	packet->piece = WHOLE;
	packet->ip_start[0] = ((const __u8 *)header)[0];
	packet->ip_start[1] = ((const __u8 *)header)[1];
	packet->length = end - IP_AT;
	packet->is_v6 = 1;
	packet->hops = header->hop_limit;
	return end;
}

/* The first eight bytes of an extension header; the last two fields are a fragment header's. */
struct extension {
	__u8 next;
	__u8 length;
	__be16 fragment;
	__be32 identification;
};

/* RFC 8200 §4. */
INLINE enum frame read_ipv6(struct __sk_buff *skb, struct packet *packet)
{
	struct ipv6hdr header;
	__u32 at = IP_AT + sizeof(header), end;
	__u8 next;

	if (load_bytes(skb, IP_AT, &header, sizeof(header)))
		return FRAME_OTHER;
	end = read_ipv6_header(packet, &header, skb->len);
	if (!end)
		return FRAME_OTHER;
	next = header.nexthdr;
	UNROLL
	for (int i = 0; i < EXTENSION_HEADERS; i++) {
		struct extension extension;

		if (next != IPPROTO_HOPOPTS && next != IPPROTO_ROUTING && next != IPPROTO_FRAGMENT &&
		    next != IPPROTO_DSTOPTS)
			break;
		if (at + sizeof(extension) > end || load_bytes(skb, at, &extension, sizeof(extension)))
			return FRAME_OTHER;
		if (next == IPPROTO_FRAGMENT) {
			__u16 fragment = host16(extension.fragment);

			if (packet->piece != WHOLE)
				return FRAME_OTHER;
			packet->identification = extension.identification;
			packet->piece = fragment & 0xfff8 ? LATER : fragment & 1 ? FIRST : WHOLE;
			if (packet->piece == LATER)
				return FRAME_LATER;
			at += sizeof(extension);
		} else {
			/* Segments left: the destination is not the last one. */
			if (next == IPPROTO_ROUTING && host16(extension.fragment) & 0xff)
				return FRAME_OTHER;
			at += (extension.length + 1) * 8;
		}
		next = extension.next;
	}
	if (next != IPPROTO_UDP && (next != IPPROTO_TCP || packet->piece != WHOLE))
		return FRAME_OTHER;
	return read_transport(skb, packet, next, at, end);
}

/*
 * Reads the headers of a frame: where they are where nothing stands between, as in nearly every frame, else copied. A
 * function of its own: the verifier walks it once.
 */
STEP enum frame read_frame(struct __sk_buff *skb, struct packet *packet)
{
	const void *data = (const void *)(long)skb->data, *data_end = (const void *)(long)skb->data_end;
	const struct ethhdr *ethernet = data;
	const struct ipv6hdr *v6 = data + IP_AT;
	const struct iphdr *v4 = data + IP_AT;
	__be16 protocol;
	__u32 end;

	if (!packet)
		return FRAME_OTHER;
	if (data + IP_AT + sizeof(*v4) + UDP_BYTES <= data_end && ethernet->h_proto == network16(ETH_P_IP) &&
	    v4->ihl == 5) {
		end = read_ipv4_header(packet, v4, skb->len);
		if (!end)
			return FRAME_OTHER;
		if (packet->piece == LATER)
			return FRAME_LATER;
		if (end < IP_AT + sizeof(*v4) + UDP_BYTES)
			return FRAME_OTHER;
		return read_ports(packet, (const void *)(v4 + 1), v4->protocol, IP_AT + sizeof(*v4), end);
	}
	if (data + IP_AT + sizeof(*v6) + UDP_BYTES <= data_end && ethernet->h_proto == network16(ETH_P_IPV6) &&
	    v6->nexthdr == IPPROTO_UDP) {
		end = read_ipv6_header(packet, v6, skb->len);
		if (end < IP_AT + sizeof(*v6) + UDP_BYTES)
			return FRAME_OTHER;
		return read_ports(packet, (const void *)(v6 + 1), IPPROTO_UDP, IP_AT + sizeof(*v6), end);
	}
	if (load_bytes(skb, IP_AT - sizeof(protocol), &protocol, sizeof(protocol)))
		return FRAME_OTHER;
	if (protocol == network16(ETH_P_IP))
		return read_ipv4(skb, packet);
	if (protocol == network16(ETH_P_IPV6))
		return read_ipv6(skb, packet);
	return FRAME_OTHER;
}

#endif
