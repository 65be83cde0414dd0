/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The bytes of accepted TCP connections in their order, as packets bring them.
 *
 * Called from egress.bpf.c for each packet of a connection that a workload accepted. What comes
 * twice is read once; where a packet is missing a body is passed over, and a head is lost and
 * counted so. How much was read of a connection is kept in the socket's own storage, from the
 * first byte that a client sends.
 */
#include "requests.bpf.h"

#define STEPS_MAX 1024 /* of one packet: 64 KiB of heads, or 150 requests of HTTP/2 */
#define TCP_FIN 1
#define TCP_SYN 2
#define TCP_RST 4
#define IP_START 10 /* as far as either version's protocol */
#define IPV6_BYTES 40
#define TCP_BYTES 20

struct segment {
	__u32 at; /* of its data */
	__u32 bytes;
	__u32 number; /* of its first byte */
	__u8 flags;
	__u8 version;
};

static __always_inline int segment_read(struct __sk_buff *skb, struct segment *segment)
{
	__u32 transport;
	__u8 head[TCP_BYTES], protocol;

	if (bpf_skb_load_bytes(skb, 0, head, IP_START))
		return -1;
	segment->version = head[0] >> 4;
	transport = segment->version == 4 ? (head[0] & 15) * 4 : IPV6_BYTES;
	protocol = head[segment->version == 4 ? 9 : 6];
	if (protocol != TCP_PROTOCOL || bpf_skb_load_bytes(skb, transport, head, sizeof(head)))
		return -1;
	segment->number = bpf_ntohl(*(__u32 *)&head[4]);
	segment->flags = head[13];
	segment->at = transport + (head[12] >> 4) * 4;
	if (segment->flags & TCP_SYN || segment->at > skb->len)
		return -1;
	segment->bytes = skb->len - segment->at;
	return 0;
}

static __always_inline void client_read(struct __sk_buff *skb, struct stream *stream,
					const struct segment *segment)
{
	if (segment->version == 4) {
		stream->family = AF_INET_FAMILY;
		stream->remote[2] = V4_MAPPED_PREFIX;
		bpf_skb_load_bytes(skb, 12, &stream->remote[3], 4);
	} else {
		stream->family = AF_INET6_FAMILY;
		bpf_skb_load_bytes(skb, 8, stream->remote, 16);
	}
	stream->peer = class_of_v6(stream->remote);
}

/* Made when a client's first bytes are seen. */
static __always_inline struct stream *stream_make(struct __sk_buff *skb, struct bpf_sock *sk,
						  struct socket_state *socket,
						  const struct segment *segment)
{
	struct stream *stream = bpf_sk_storage_get(&streams, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	struct bpf_tcp_sock *tcp = bpf_tcp_sock(sk);

	if (!stream) {
		loss_count(socket->workload, LOSS_SOCKET_STORAGE);
		return NULL;
	}
	if (tcp && !tcp->bytes_received)
		stream->flags |= WHOLE;
	client_read(skb, stream, segment);
	return stream;
}

/* What of a segment was not read yet. */
static __always_inline void segment_place(struct __sk_buff *skb, struct message *message,
					  struct segment *segment)
{
	__u32 end = segment->number + segment->bytes;
	__s32 ahead = segment->number - message->next;

	if (!(message->flags & STARTED)) {
		message->flags |= STARTED;
	} else if (ahead < 0) {
		if ((__s32)(end - message->next) <= 0) {
			segment->bytes = 0;
			return;
		}
		segment->at -= ahead;
		segment->bytes += ahead;
	} else if (ahead > 0) {
		message->tap_read = 0;
		if (message->skip > (__u32)ahead)
			message->skip -= ahead;
		else if (message->state < HEAD_DONE)
			message->state = AT_LOST;
		else
			message->skip = 0;
		message->bytes += ahead;
	}
	message->next = end;
}

/* Bytes that are no HTTP: on a connection that had been read so far, or from its start. */
static __always_inline void stream_check(struct __sk_buff *skb, struct stream *stream,
					 struct message *message, __u32 way)
{
	if (message->state == AT_PASSED && way == WAY_IN && !stream->in &&
	    stream->ways[WAY_OUT].state != AT_PASSED) {
		stream->ways[WAY_OUT].state = AT_PASSED;
		total_add(stream->workload, COUNT_TLS, 1);
	}
	if (message->state != AT_LOST)
		return;
	stream_unread(stream);
	if (message->flags & FRAMES)
		streams_given_up(skb, stream);
	else if (way == WAY_OUT)
		answers_given_up(stream);
}

/* Whether nobody asked for what is sent: it is counted, and not read. */
static __always_inline int unasked(struct stream *stream, struct message *message, __u32 bytes)
{
	if (message->state != MESSAGE_START || stream->in != stream->out || stream->deep)
		return 0;
	if (stream->flags & WHOLE && stream->ways[WAY_IN].state == MESSAGE_START)
		total_add(stream->workload, COUNT_UNASKED_BYTES, bytes);
	return 1;
}

/* One step on in a packet, and what it led to; returns how many bytes. A function of its own: the
 * verifier then looks at it once, and not for each step of a packet. What reads and tells blocks is
 * called from here, and not from what calls it for the rest: the kernel's stack is short.
 */
__noinline int segment_step(struct __sk_buff *skb, struct stream *stream, __u32 at, __u32 left,
			    __u32 way)
{
	struct message *message;
	int read;

	way &= 1;
	if (!stream)
		return 0;
	message = &stream->ways[way];
	if (way == WAY_OUT && unasked(stream, message, left))
		return left;
	read = message->state == FRAME_BLOCK ? block_step(skb, stream, at, left, way)
					     : message_step(skb, stream, at, left, way);
	if (read <= 0 || (__u32)read > left)
		return 0;
	if (message->state >= HEAD_DONE && message->state <= FRAME_DONE)
		message_happened(skb, stream, message->state, way);
	if (message->state == BLOCK_DONE)
		block_ended(skb, stream, way);
	return read;
}

static __always_inline void segment_pass(struct __sk_buff *skb, struct stream *stream,
					 struct segment *segment, __u32 way)
{
	struct message *message = &stream->ways[way & 1];
	int streamed = stream->flags & BEGUN;

	segment_place(skb, message, segment);
	if (!segment->bytes)
		return;
	if (message->state == AT_LOST && way == WAY_IN)
		message_reset(message); /* whoever is lost looks at each packet's beginning */
	for (int i = 0; i < STEPS_MAX; i++) {
		int read;

		if (!segment->bytes)
			break;
		read = segment_step(skb, stream, segment->at, segment->bytes, way);
		if (read <= 0 || (__u32)read > segment->bytes)
			break;
		segment->at += read;
		segment->bytes -= read;
	}
	if (segment->bytes)
		message->state = AT_LOST;
	if (streamed && way == WAY_OUT &&
	    (message->flags & CHUNKED || message->state == UNTIL_CLOSE))
		gap_count(stream);
	stream_check(skb, stream, message, way);
}

static __always_inline void stream_ends(struct __sk_buff *skb, struct stream *stream, __u8 flags,
					__u32 way)
{
	if (!(flags & TCP_RST) && (way == WAY_IN || !(flags & TCP_FIN)))
		return;
	if (stream->ways[WAY_OUT].state == UNTIL_CLOSE && !(flags & TCP_RST))
		answer_ended(stream);
	if (stream->ways[WAY_IN].flags & FRAMES)
		streams_given_up(skb, stream);
	else
		answers_given_up(stream);
	stream->ways[WAY_IN].state = AT_PASSED;
	stream->ways[WAY_OUT].state = AT_PASSED;
}

__noinline int request_packet(struct __sk_buff *skb, struct socket_state *socket, __u32 way)
{
	struct bpf_sock *sk = skb->sk;
	struct segment segment = {};
	struct stream *stream;

	if (!sk)
		return 0;
	sk = bpf_sk_fullsock(sk);
	if (!sk || !socket || segment_read(skb, &segment))
		return 0;
	stream = bpf_sk_storage_get(&streams, sk, 0, 0);
	if (!stream && way == WAY_IN && segment.bytes && sk->dst_port)
		stream = stream_make(skb, sk, socket, &segment);
	if (!stream)
		return 0;
	stream->workload = socket->workload;
	stream->role = socket->role;
	way &= 1;
	if (segment.bytes) {
		stream->ways[way].now_ns = bpf_ktime_get_ns();
		segment_pass(skb, stream, &segment, way);
	}
	if (segment.flags & (TCP_FIN | TCP_RST))
		stream_ends(skb, stream, segment.flags, way);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
