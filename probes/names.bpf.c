/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* One EVENT_NAME per host name that a workload asks for: DNS to port 53, UDP and TCP.
 *
 * Called for each packet to port 53 of a socket that the workload opened itself: what it
 * answers to somebody who asks from port 53 is nobody's question. Of a TCP segment
 * the first MESSAGES_MAX questions are read; a question that is split elsewhere than
 * behind its length is not put together.
 */
#include "record.bpf.h"

#define UDP_PROTOCOL 17
#define DNS_HEADER_BYTES 12
#define DNS_LEAST_BYTES 6       /* of a question: one letter, the end, type and class */
#define DNS_NOT_A_QUESTION 0xf8 /* an answer's bit, and the kind of query; 0: a plain question */
#define MESSAGES_MAX 4
#define NAME_MASK 255

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

/* at: where the question's name begins. */
__noinline int question_note(struct __sk_buff *skb, __u32 workload, __u32 at)
{
	struct seen_key key = {.workload = workload, .kind = EVENT_NAME};
	struct name_event *event;
	char name[PATH_BYTES] = {};
	__u32 bytes = skb->len - at;

	if (skb->len < at + DNS_LEAST_BYTES)
		return 0;
	if (bytes > PATH_BYTES - 1)
		bytes = PATH_BYTES - 1;
	barrier_var(bytes);
	bytes &= NAME_MASK; /* for the verifier, which does not relate the two lengths above */
	if (bytes < DNS_LEAST_BYTES || bytes > PATH_BYTES - 1)
		return 0;
	if (bpf_skb_load_bytes(skb, at, name, bytes)) {
		loss_count(workload, LOSS_READ_FAULT);
		return 0;
	}
	bytes = name_fold(name, &key.first);
	if (!bytes || !seen_first(&key))
		return 0;
	event = record_reserve(workload);
	if (!event)
		return 0;
	record_header(&event->hdr, EVENT_NAME, (void *)bpf_get_current_task(), workload, ROLE_MAIN);
	event->bytes = bytes;
	__builtin_memcpy(event->name, name, sizeof(event->name));
	record_submit(&event->hdr, 1);
	return 0;
}

static __always_inline void message_note(struct __sk_buff *skb, __u32 workload, __u32 at)
{
	__u8 flags = 0;

	if (bpf_skb_load_bytes(skb, at + 2, &flags, 1) || flags & DNS_NOT_A_QUESTION)
		return;
	question_note(skb, workload, at + DNS_HEADER_BYTES);
}

/* at: where the segment's data begin. What is sent of a message by itself is its length,
 * if anything: `prefixed` says so to the next segment.
 */
static __always_inline void segment_note(struct __sk_buff *skb, struct socket_state *socket,
					 __u32 at)
{
	if (skb->len == at + 2) {
		socket->prefixed = 1;
		return;
	}
	if (socket->prefixed && skb->len > at) {
		socket->prefixed = 0;
		message_note(skb, socket->workload, at);
		return;
	}
	for (int i = 0; i < MESSAGES_MAX; i++) {
		__u16 length = 0;

		if (bpf_skb_load_bytes(skb, at, &length, 2) || !length)
			return;
		message_note(skb, socket->workload, at + 2);
		at += 2 + __builtin_bswap16(length);
	}
}

/* transport: where the header behind IP's begins. */
__noinline int names_asked(struct __sk_buff *skb, __u32 transport, __u32 protocol)
{
	struct bpf_sock *sk = skb->sk;
	struct socket_state *socket;
	__u8 length = 0;

	if (!sk)
		return 0;
	sk = bpf_sk_fullsock(sk);
	if (!sk)
		return 0;
	socket = bpf_sk_storage_get(&sockets, sk, 0, 0);
	if (!socket)
		return 0;
	if (protocol == UDP_PROTOCOL) {
		message_note(skb, socket->workload, transport + 8);
		return 0;
	}
	if (bpf_skb_load_bytes(skb, transport + 12, &length, 1))
		return 0;
	segment_note(skb, socket, transport + (length >> 4) * 4);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
