/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Requests and answers of HTTP/2, each in a header block, and the streams they belong to.
 *
 * Called from frames.bpf.c and messages.bpf.c where a block was read to its end. A request whose
 * path could not be read is one of the workload's "HTTP/2 streams". An answer is counted at its
 * end, since gRPC says only there how it went.
 */
#include "fields.bpf.h"

#define GRPC_CODES 32 /* of which 17 are given out */
#define GRPC_UNKNOWN 2

/* The status of HTTP that google/rpc/code.proto gives each of gRPC's, but for UNIMPLEMENTED (12):
 * there is no such method, as 405 says, and the server does not fail.
 */
static const __u16 grpc_statuses[GRPC_CODES] = {200, 499, 500, 400, 504, 404, 409, 403, 429,
						400, 409, 400, 405, 500, 503, 500, 401};

static __always_inline __u16 status_of(__u32 code)
{
	__u16 status;

	if (code >= GRPC_CODES)
		code = GRPC_UNKNOWN;
	barrier_var(code);
	status = grpc_statuses[code & (GRPC_CODES - 1)];
	return status ? status : grpc_statuses[GRPC_UNKNOWN];
}

static __always_inline __u32 class_of_answer(const struct asked_stream *asked)
{
	__u32 class = asked->status / 100;

	if (!(asked->flags & ASKED_BEGUN))
		return ANSWER_NONE;
	if (class < ANSWER_INFORMATIONAL || class > ANSWER_SERVER_ERROR)
		return ANSWER_UNREAD;
	return class;
}

/* The answer of a stream ended, or will not come. */
__noinline int stream_ended(struct stream *stream, struct multiplex *all, __u32 number)
{
	struct asked_stream *asked;
	struct client_counts *client;
	struct route_counts *counts;
	__u32 class;

	if (!stream || !all)
		return 0;
	asked = &all->asked[number >> 1 & (STREAMS_MAX - 1)];
	if (!asked->number)
		return 0;
	class = class_of_answer(asked);
	barrier_var(class);
	class &= ANSWER_MAX - 1;
	counts = counts_of(stream, asked->route, asked->method);
	if (counts) {
		__sync_fetch_and_add(&counts->answers[class], 1);
		if (turned_away(asked->status))
			__sync_fetch_and_add(&counts->answers[ANSWER_DENIED], 1);
		__sync_fetch_and_add(&counts->answered, 1);
		__sync_fetch_and_add(&counts->busy_ns,
				     since(stream->ways[WAY_OUT].now_ns, asked->time_ns));
	}
	client = asked->status >= FIRST_ERROR ? client_of(stream) : NULL;
	if (client)
		__sync_fetch_and_add(&client->errors, 1);
	total_add(stream->workload, COUNT_ANSWERED, 1);
	asked->number = 0;
	stream->out++;
	return 0;
}

/* The connection ended, or could not be followed. */
__noinline int streams_given_up(struct __sk_buff *skb, struct stream *stream)
{
	struct multiplex *all = multiplex_of(skb, 0);

	if (!stream)
		return 0;
	if (all) {
		for (__u32 i = 0; i < STREAMS_MAX; i++)
			stream_ended(stream, all, i << 1);
	}
	/* What an object without this map began, it counted among the streams. */
	total_add(stream->workload, COUNT_ANSWERED, stream->in - stream->out);
	stream->out = stream->in;
	return 0;
}

static __always_inline void bytes_add(struct stream *stream, const struct asked_stream *asked,
				      __u64 bytes, __u32 way)
{
	struct route_counts *counts = counts_of(stream, asked->route, asked->method);

	if (counts)
		__sync_fetch_and_add(way == WAY_IN ? &counts->bytes_in : &counts->bytes_out, bytes);
}

/* A request, or what follows its body. */
static __always_inline void request_block(struct __sk_buff *skb, struct stream *stream,
					  struct multiplex *all, struct walk *walk, __u32 number)
{
	struct asked_stream *asked = &all->asked[number >> 1 & (STREAMS_MAX - 1)];
	__u8 method;

	if (!(number & 1) || number <= stream->highest) {
		if (asked->number && asked->number == number)
			bytes_add(stream, asked, walk->bytes, WAY_IN);
		return;
	}
	if (asked->number) { /* the one before in its place: how it ends is not followed */
		asked->flags |= ASKED_BEGUN;
		stream_ended(stream, all, number);
	}
	stream->highest = number;
	method = method_of(stream);
	if (walk->state == WALK_LOST || !(walk->flags & WALK_PATH) || !letters_of(stream)) {
		stream_clear(stream);
		method = METHOD_STREAM;
		stream->route = ROUTE_STREAMS;
		stream->target = number; /* as if always another thing */
	}
	asked->time_ns = stream->ways[WAY_IN].now_ns;
	asked->route = stream->route;
	asked->number = number;
	asked->status = 0;
	asked->method = method;
	asked->flags = 0;
	stream->in++;
	stream->ways[WAY_IN].length = 0;
	request_count(skb, stream, method);
	bytes_add(stream, asked, walk->bytes, WAY_IN);
}

/* The beginning of an answer, or what follows its body. */
static __always_inline void answer_block(struct stream *stream, struct multiplex *all,
					 struct walk *walk, __u32 number)
{
	struct asked_stream *asked = &all->asked[number >> 1 & (STREAMS_MAX - 1)];
	struct route_counts *counts;

	if (!number || asked->number != number)
		return;
	bytes_add(stream, asked, walk->bytes, WAY_OUT);
	if (walk->status / 100 == ANSWER_INFORMATIONAL && !(walk->flags & WALK_LAST))
		return; /* the answer itself is still to come */
	if (!(asked->flags & ASKED_BEGUN)) {
		__u64 wait_ns = since(stream->ways[WAY_OUT].now_ns, asked->time_ns);

		asked->flags |= ASKED_BEGUN;
		asked->status = walk->status;
		counts = counts_of(stream, asked->route, asked->method);
		if (counts)
			bucket_add(counts->waits, bucket_of(wait_ns >> WAIT_SHIFT, 1),
				   WAIT_BUCKETS - 1);
	}
	if (walk->outcome > 1)
		asked->status = status_of(walk->outcome - 1);
	if (walk->flags & WALK_LAST)
		stream_ended(stream, all, number);
}

/* A header block was read to its end, or cannot be read. */
__noinline int block_ended(struct __sk_buff *skb, struct stream *stream, __u32 way)
{
	struct multiplex *all = multiplex_of(skb, 0);
	struct message *message;
	struct walk *walk;
	__u32 number;

	if (!stream)
		return 0;
	way &= 1;
	message = &stream->ways[way];
	message->state = AT_FRAME;
	message->at = 0;
	if (!all)
		return 0;
	walk = &all->ways[way];
	if (walk->state != WALK_FIELD) {
		walk->state = WALK_LOST; /* also where a block ends within a field */
		stream_unread(stream);
	}
	number = walk->stream;
	walk->stream = 0;
	if (way == WAY_IN)
		request_block(skb, stream, all, walk, number);
	else if (!(walk->flags & WALK_PUSHED))
		answer_block(stream, all, walk, number);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
