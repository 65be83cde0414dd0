/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* IP bytes in and out per workload, by who opened the connection; and the cut.
 *
 * Packets have no "current": the socket's own storage says whose it is. It is set
 * when a member makes or connects a socket, and cloned from a listener to what it
 * accepts. For sockets that were there before us see adopt.bpf.c.
 */
#include "record.bpf.h"
#include <bpf/bpf_endian.h>

#define PASS 1
#define DROP 0

#define TCP_PROTOCOL 6
#define UDP_PROTOCOL 17
#define DNS_PORT 53
#define DNS_HEADER_BYTES 12
#define DNS_LEAST_BYTES 6 /* of a question: one letter, the end, type and class */
#define DNS_ANSWER_BIT 0x80
#define NAME_MASK 255

SEC("cgroup/sock_create")
int on_sock_create(struct bpf_sock *sk)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;
	struct member *member = bpf_map_lookup_elem(&members, &tgid);
	struct socket_state *socket;

	if (!member)
		return PASS;
	socket = bpf_sk_storage_get(&sockets, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!socket) {
		loss_count(member->workload, LOSS_SOCKET_STORAGE);
		return PASS;
	}
	socket->workload = member->workload;
	return PASS;
}

static __always_inline struct socket_state *packet_socket(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;

	if (!sk)
		return NULL;
	sk = bpf_sk_fullsock(sk);
	if (!sk)
		return NULL;
	return bpf_sk_storage_get(&sockets, sk, 0, 0);
}

/* Where the question's name begins, from the IP header on; 0 if this is no question. */
static __always_inline __u32 question_offset(struct __sk_buff *skb, __u8 *protocol)
{
	__u8 first = 0, length = 0, answer = 0;
	__u32 at = 40;
	__u16 port = 0;

	bpf_skb_load_bytes(skb, 0, &first, 1);
	if (first >> 4 == 4) {
		at = (first & 15) * 4;
		bpf_skb_load_bytes(skb, 9, protocol, 1);
	} else {
		bpf_skb_load_bytes(skb, 6, protocol, 1);
	}
	if (*protocol != UDP_PROTOCOL && *protocol != TCP_PROTOCOL)
		return 0;
	bpf_skb_load_bytes(skb, at + 2, &port, 2);
	if (port != bpf_htons(DNS_PORT))
		return 0;
	if (*protocol == UDP_PROTOCOL) {
		at += 8;
	} else {
		bpf_skb_load_bytes(skb, at + 12, &length, 1);
		at += (length >> 4) * 4 + 2; /* the message's own length comes first */
	}
	if (bpf_skb_load_bytes(skb, at + 2, &answer, 1) || answer & DNS_ANSWER_BIT)
		return 0;
	return at + DNS_HEADER_BYTES;
}

/* Lower case, up to the end of the name, and nothing behind it. Returns its bytes.
 * Without branches: the verifier would follow two ways from each of its letters.
 */
static __always_inline __u32 name_fold(char *name, __u64 *hash)
{
	__u32 bytes = 0, ended = 0;

	for (int i = 0; i < PATH_BYTES; i++) {
		__u32 letter = (__u8)name[i], place = letter - 'A';

		ended |= (letter - 1) >> 31;
		letter |= (~place & (place - 26)) >> 31 << 5;
		barrier_var(ended);
		letter &= ended - 1;
		name[i] = letter;
		bytes += 1 - ended;
		*hash = *hash * 31 + letter;
	}
	return bytes;
}

static __always_inline void question_note(struct __sk_buff *skb, __u32 workload, __u32 at)
{
	struct seen_key key = {.workload = workload, .kind = EVENT_NAME};
	struct name_event *event;
	char name[PATH_BYTES] = {};
	__u32 bytes = skb->len - at;

	if (skb->len < at + DNS_LEAST_BYTES)
		return;
	if (bytes > PATH_BYTES - 1)
		bytes = PATH_BYTES - 1;
	barrier_var(bytes);
	bytes &= NAME_MASK; /* for the verifier, which does not relate the two lengths above */
	if (bytes < DNS_LEAST_BYTES || bytes > PATH_BYTES - 1)
		return;
	if (bpf_skb_load_bytes(skb, at, name, bytes)) {
		loss_count(workload, LOSS_READ_FAULT);
		return;
	}
	bytes = name_fold(name, &key.first);
	if (!bytes || !seen_first(&key))
		return;
	event = record_reserve(workload);
	if (!event)
		return;
	record_header(&event->hdr, EVENT_NAME, (void *)bpf_get_current_task(), workload, ROLE_MAIN);
	event->bytes = bytes;
	__builtin_memcpy(event->name, name, sizeof(event->name));
	record_submit(&event->hdr, 1);
}

SEC("cgroup_skb/egress")
int on_egress(struct __sk_buff *skb)
{
	struct socket_state *socket = packet_socket(skb);
	__u8 protocol = 0;
	__u32 question;

	if (!socket || !socket->workload)
		return PASS;
	question = question_offset(skb, &protocol);
	if (question)
		question_note(skb, socket->workload, question);
	if (socket->origin == SOCKET_INITIATED) {
		if (containment_level(socket->workload) >= CONTAIN_NETWORK) {
			total_add(socket->workload, COUNT_DENIED, 1);
			return DROP;
		}
		total_add(socket->workload, COUNT_SENT_INITIATED, skb->len);
	} else {
		total_add(socket->workload, COUNT_SENT_ACCEPTED, skb->len);
	}
	return PASS;
}

SEC("cgroup_skb/ingress")
int on_ingress(struct __sk_buff *skb)
{
	struct socket_state *socket = packet_socket(skb);

	if (socket && socket->workload)
		total_add(socket->workload, COUNT_RECEIVED, skb->len);
	return PASS;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
