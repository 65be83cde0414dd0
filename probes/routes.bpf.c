/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Requests counted by route and by client, and one EVENT_REQUEST for the first
 * request of each kind.
 *
 * Called where messages.bpf.c finds that a request's head or end was read.
 */
#include "requests.bpf.h"

#define PERIOD_SHIFT 35

static const struct route_counts no_counts = {};
static const struct client_counts no_client = {};

/* The route's counts, made if it is new. */
static __always_inline struct route_counts *counts_make(struct stream *stream, __u64 route,
							__u8 method)
{
	struct route_key key = {
		.route = route,
		.workload = stream->workload,
		.method = method,
		.peer = stream->peer,
	};
	struct route_counts *counts = bpf_map_lookup_elem(&routes, &key);

	if (counts)
		return counts;
	if (bpf_map_update_elem(&routes, &key, &no_counts, BPF_NOEXIST)) {
		key.route = ROUTE_OTHERS;
		bpf_map_update_elem(&routes, &key, &no_counts, BPF_NOEXIST);
	}
	counts = counts_of(stream, route, method);
	if (counts && key.route == route) {
		__builtin_memcpy(counts->method, stream->method, sizeof(counts->method));
		__builtin_memcpy(counts->path, stream->path, sizeof(counts->path));
	}
	return counts;
}

static __always_inline struct client_counts *client_make(struct stream *stream)
{
	struct client_key key = {.workload = stream->workload};
	struct client_counts *client = client_of(stream);

	if (client)
		return client;
	__builtin_memcpy(key.remote, stream->remote, sizeof(key.remote));
	bpf_map_update_elem(&clients, &key, &no_client, BPF_NOEXIST);
	client = client_of(stream);
	if (!client)
		loss_count(stream->workload, LOSS_ROUTES_FULL);
	return client;
}

/* How many different things a client asks for: a bit for each, forgotten with the period. */
__noinline int input_count(struct stream *stream, __u64 target, __u64 length)
{
	struct client_counts *client;
	__u64 period, input;

	if (!stream)
		return 0;
	client = client_of(stream);
	if (!client)
		return 0; /* counted by client_make() */
	period = stream->ways[WAY_IN].now_ns >> PERIOD_SHIFT;
	if (client->period != period) {
		client->period = period;
		__builtin_memset(client->inputs, 0, sizeof(client->inputs));
	}
	input = (target ^ length) * 0x9e3779b97f4a7c15ULL >> 56;
	client->inputs[input >> 6 & 3] |= 1ULL << (input & 63);
	return 0;
}

static __always_inline void asked_add(struct stream *stream, __u64 now_ns, __u8 method)
{
	struct asked *asked = &stream->asked[stream->in & (ASKED_MAX - 1)];

	if (stream->in - stream->out >= ASKED_MAX) {
		stream->deep++;
		return;
	}
	asked->time_ns = now_ns;
	asked->route = stream->route;
	asked->method = method;
	stream->in++;
}

/* A body follows: the first bytes of it become part of a sketch, where the operator wants one. */
static __always_inline void tap_begin(struct stream *stream, struct message *message)
{
	__u32 slot = stream->workload;
	struct workload_mode *mode = bpf_map_lookup_elem(&modes, &slot);

	message->tap_left = mode ? mode->tap_bytes : 0;
	message->tap_read = 0;
}

/* By route and client; told where it is the first of its kind. */
__noinline int request_count(struct __sk_buff *skb, struct stream *stream, __u32 method)
{
	struct client_counts *client;
	struct route_counts *counts;

	if (!stream)
		return 0;
	total_add(stream->workload, COUNT_REQUESTS, 1);
	client = client_make(stream);
	if (client)
		__sync_fetch_and_add(&client->requests, 1);
	input_count(stream, stream->target, stream->ways[WAY_IN].length);
	counts = counts_make(stream, stream->route, method);
	if (counts)
		__sync_fetch_and_add(&counts->requests, 1);
	return request_tell(skb, stream);
}

/* The head of a request was read. */
__noinline int request_begun(struct __sk_buff *skb, struct stream *stream)
{
	struct message *message, *out;
	__u8 method;

	if (!stream)
		return 0;
	message = &stream->ways[WAY_IN];
	out = &stream->ways[WAY_OUT];
	if (message->flags & PREFACE)
		return streams_begin(skb, stream);
	method = method_of(stream);
	if (out->state == AT_LOST && stream->in == stream->out)
		message_reset(out);
	asked_add(stream, message->now_ns, method);
	request_count(skb, stream, method);
	if (message->flags & CHUNKED) {
		tap_begin(stream, message);
		message->state = CHUNK_SIZE;
		message->number = 0;
	} else if (message->flags & HAS_LENGTH && message->length) {
		tap_begin(stream, message);
		message->state = AT_BODY;
		message->skip = message->length;
	} else {
		request_ended(stream);
	}
	return 0;
}

/* A request was read to its end. */
__noinline int request_ended(struct stream *stream)
{
	struct client_counts *client;
	struct route_counts *counts;
	struct message *message;

	if (!stream)
		return 0;
	message = &stream->ways[WAY_IN];
	counts = counts_of(stream, stream->route, method_of(stream));
	if (counts) {
		__sync_fetch_and_add(&counts->bytes_in, message->bytes);
	}
	client = client_of(stream);
	if (client)
		__sync_fetch_and_add(&client->bytes_in, message->bytes);
	if (stream->in != stream->out)
		stream->asked[(stream->in - 1) & (ASKED_MAX - 1)].time_ns = message->now_ns;
	message_reset(message);
	return 0;
}

/* Once per workload, role, method and route: what was asked for, without what follows '?'. */
__noinline int request_tell(struct __sk_buff *skb, struct stream *stream)
{
	struct bpf_sock *sk = skb->sk;
	struct socket_state *socket;
	struct request_event *event;
	struct seen_key key = {.kind = EVENT_REQUEST};

	if (!stream || !sk)
		return 0;
	sk = bpf_sk_fullsock(sk);
	socket = sk ? bpf_sk_storage_get(&sockets, sk, 0, 0) : NULL;
	if (!socket)
		return 0;
	key.first = stream->route;
	key.second = letters_of(stream);
	key.workload = stream->workload;
	key.role = stream->role;
	if (!seen_first(&key))
		return 0;
	event = record_reserve(stream->workload);
	if (!event)
		return 0;
	event->hdr.time_ns = stream->ways[WAY_IN].now_ns;
	event->hdr.start_ns = socket->start_ns;
	event->hdr.workload = stream->workload;
	event->hdr.pid = socket->pid;
	event->hdr.tid = socket->pid;
	event->hdr.cpu = bpf_get_smp_processor_id();
	event->hdr.kind = EVENT_REQUEST;
	event->hdr.role = stream->role;
	event->route = stream->route;
	event->family = stream->family;
	event->version = stream->ways[WAY_IN].flags & FRAMES ? 2 : 1;
	event->peer = stream->peer;
	event->bytes = stream->path_bytes;
	__builtin_memcpy(event->method, stream->method, sizeof(event->method));
	__builtin_memcpy(event->remote, stream->remote, sizeof(event->remote));
	__builtin_memcpy(event->path, stream->path, sizeof(event->path));
	record_submit(&event->hdr, 1);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
