/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What both sides read: bounds, and the layout of maps. User space mirrors it in steer/src/kernel/layout.rs, where a test
 * compares the numbers; the rules are those of affinity/src/steer. Addresses are sixteen bytes, IPv4 as IPv6 (RFC 4291
 * §2.5.5.2); addresses and ports are in network order, everything else in the host's.
 */
#ifndef RINGSIDE_STEER_LIMITS_H
#define RINGSIDE_STEER_LIMITS_H

#include <linux/types.h>

#define LAYOUT 2                  /* another number: maps of before cannot be taken over */

#define WINDOW 2048               /* bytes of a datagram that are looked at */
#define CALL_ID 128               /* bytes of a Call-ID that count */
#define BLANKS 7
#define CSEQ_DIGITS 10
#define EXPIRES_DIGITS 10
#define LONGEST_EXPIRES 31536000  /* s: a year */
#define EXTENSION_HEADERS 6

#define SERVICES 64
#define BACKENDS 1024
#define PLACES 8192
#define PORT_WORDS 1024           /* of 64 ports */
#define SLOTS 4093
#define RULES 33                  /* number 0 is none */
#define KINDS 16                  /* fifteen methods, responses */
#define CLASSES 64
#define MARKS 16
#define CIDRS 4096
#define DEVICES 1024
#define EMERGENCY_USERS 1024
#define EVENTS_BYTES 262144
#define NO_BACKEND 0xffff

#define SECOND 1000000000ULL
#define LINGER (64 * SECOND)
#define FLOW_IDLE (600 * SECOND)
#define FRAGMENT_LIFE (30 * SECOND)

/* In the order of sip::Method, then responses. */
enum kind {
	INVITE,
	ACK,
	BYE,
	CANCEL,
	OPTIONS,
	REGISTER,
	SUBSCRIBE,
	NOTIFY,
	PUBLISH,
	INFO,
	PRACK,
	UPDATE,
	MESSAGE,
	REFER,
	OTHER,
	RESPONSE,
};

enum action {
	STEER,
	PASS,
	DROP,
	OBSERVE,
	ACTIONS,
};

enum standard_path {
	BY_TCP,
	BY_RULE,
	BY_UNKNOWN_DIALOG,
	BY_EXISTING_ONLY,
	BY_HAIRPIN,
	BY_NO_BACKEND,
	BY_REMOTE,
	BY_FAILED,
	STANDARD_PATHS,
};

enum general {
	SEEN,
	TRANSLATED,
	FRAGMENTS_FOLLOWED,
	FRAGMENTS_EARLY,
	FRAGMENTS_FIRST,
	SUPER,
	BYPASS,
	SPOOFED,
	FLOWS,
	DIALOGS_FULL,
	FLOWS_FULL,
	FRAGMENTS_FULL,
	BUCKETS_FULL,
	UNREADABLE,
	NOT_REWRITTEN,
	NOT_REDIRECTED,
	EVENTS_LOST,
	GENERALS,
};

#define MARK_EMERGENCY 1
#define MARK_OVERLOAD 2
#define MARK_IN_DIALOG 4
#define MARK_NO_CALL_ID 8

#define SETTING_ACTIVE 1
#define SETTING_CLASSES 2         /* rules name networks */
#define SETTING_WATCHED 4
#define SETTING_DIRECT 8

struct settings {
	__u64 key[2];
	__u64 grace;              /* ns, as all times */
	__u64 dialog_idle;
	__u64 settle_until;       /* CLOCK_MONOTONIC */
	__u64 flags;
};

/* What stands at an address; with port 0, that the address is one of a service. */
struct place_key {
	__u32 address[4];
	__be16 port;
	__u16 zero;
};

#define PLACE_SERVICE 1
#define PLACE_BACKEND 2
#define PLACE_ADDRESS 3

struct place {
	__u16 what;
	__u16 number;
};

#define SERVICE_KNOWN 1
#define SERVICE_BY_SOURCE 2
#define SERVICE_EXISTING_ONLY 4
#define SERVICE_OVERLOAD 8
#define SERVICE_EMERGENCY_LIMIT 16
#define SERVICE_EMERGENCY_USERS 32

struct service {
	__u32 flags;
	__u16 generation;         /* 0 or 1: which of two tables of slots counts */
	__u16 rules_generation;   /* likewise of rules */
	__u64 emergency_cost;
	__u64 emergency_full;
};

/* Tables of a service: two generations, IPv4 and IPv6, all backends and those on this node. */
#define SLOT_TABLES (SERVICES * 8)
#define slot_table(service, generation, is_v6, is_local) \
	((service) * 8 + (generation) * 4 + (is_v6) * 2 + (is_local))

#define SLOTS_ROOM 4096           /* a power of 2 */

#define rule_table_of(service, generation) ((service) * 2 + (generation))
#define rule_of(service, generation, number) (rule_table_of(service, generation) * RULES + (number))

struct slots {
	__u16 backend[SLOTS_ROOM]; /* SLOTS of them */
};

#define BACKEND_KNOWN 1
#define BACKEND_LOCAL 2
#define BACKEND_V4 4
#define BACKEND_V6 8
#define BACKEND_DOWN 16

struct backend {
	__u32 address[2][4];      /* IPv4, IPv6 */
	__be16 port[2];
	__u16 service;
	__u16 flags;
};

#define DEVICE_OWN 1
#define DEVICE_POD 2             /* the other end of this pair is in a pod */
#define DEVICE_FLAGS 4           /* bits of them; above: the index of the bridge or bond that it is a port of, or 0 */

/* Where a packet goes on past the stack: into the pod behind a device, or out of it. */
#define HOP_STACK 0
#define HOP_POD 1
#define HOP_NEIGHBOUR 2

struct hop {
	__u32 device;
	__u16 kind;
	__u16 zero;
};

struct user_key {
	__u32 service;
	__u8 user[16];            /* filled up with 0 */
};

struct rule_table {
	__u8 number[KINDS * CLASSES * MARKS];
};

enum then {
	THEN_STEER,
	THEN_PASS,
	THEN_DROP,
	THEN_LIMIT,
};

#define UNSET 0xff

struct rule {
	__u64 cost;
	__u64 full;
	__u8 then;
	__u8 per_source;
	__u8 only_counts;
	__u8 priority;            /* UNSET: as it is */
	__u8 dscp;                /* likewise */
	__u8 zero[3];
};

struct class_key {
	__u32 bits;               /* of family and address */
	__be32 family;            /* 4 or 6 */
	__u32 address[4];
};

struct dialog_key {
	__u64 hash;
	__u32 service;
	__u32 zero;
};

struct dialog {
	__u64 last;
	__u64 ends;
	__u64 asked;
	__u16 backend;
	__u8 learned;
	__u8 answered;
	__u32 life;               /* s after an answer to SUBSCRIBE; 0: as long as calls */
};

struct flow_key {
	__u32 client[4];
	__u32 backend[4];
	__be16 client_port;
	__be16 backend_port;
};

/* Under which address of a service the client speaks to the backend, and whether past the stack. */
struct flow {
	__u64 last;
	__u32 service[4];
	__be16 port;
	__u16 is_direct;
	__u32 device;             /* by which the client's packets came that went past the stack */
};

struct fragment_key {
	__u32 source[4];
	__u32 destination[4];
	__u32 identification;
	__u32 egress;
};

/* The address that the later fragments get, for which end, and where they go. */
struct fragment {
	__u64 seen;
	__u32 address[4];
	__u32 device;
	__u16 hop;
	__u16 end;
};

#define EMERGENCY_BUCKET 255

struct bucket_key {
	__u32 address[4];
	__u16 service;
	__u16 rule;
};

struct bucket {
	__u64 tokens;
	__u64 last;
};

struct general_counters {
	__u64 count[GENERALS];
};

struct rule_counters {
	__u64 dropped;
	__u64 limited;
};

struct service_counters {
	__u64 packets[KINDS][ACTIONS];
	__u64 passed[STANDARD_PATHS];
	struct rule_counters rules[RULES];
	__u64 emergency;
	__u64 emergency_over;
	__u64 in_dialog_known;
	__u64 in_dialog_unknown;
};

#define FIRST_RESPONSE_BUCKETS 64

struct backend_counters {
	__u64 requests;
	__u64 invites;
	__u64 acks;
	__u64 new_dialogs;
	__u64 learned;
	__u64 sent;
	__u64 responses[6];
	__u64 unavailable;
	__u64 timeouts;
	__u64 first_response[FIRST_RESPONSE_BUCKETS];
	__u64 first_response_sum;
};

/* A decision, as long as somebody watches. */
struct event {
	__u64 at;
	__u64 hash;
	__u32 device;
	__u16 service;
	__u16 backend;            /* NO_BACKEND: none */
	__u16 status;             /* 0 of a request */
	__u8 kind;
	__u8 action;              /* UNSET: of a backend's message, nothing */
	__u8 why;                 /* UNSET: not the standard path */
	__u8 rule;
	__u8 zero[34];
};

#endif
