/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* HTTP/2 by its frames (RFC 9113): whose bytes they are, where header blocks lie in them, and when
 * a stream ends.
 *
 * A header block is read by fields.bpf.c, and what it came to is counted by blocks.bpf.c.
 */
#include "fields.bpf.h"

#define FRAME_DATA 0
#define FRAME_HEADERS 1
#define FRAME_RESET 3
#define FRAME_PROMISE 5
#define FRAME_CONTINUATION 9
#define END_STREAM 1
#define END_HEADERS 4
#define PADDED 8
#define PRIORITY 0x20
#define PRIORITY_BYTES 5
#define PROMISED_BYTES 4
#define PREFACE_REST 6 /* "SM\r\n\r\n" */

struct frame {
	__u32 number; /* of its stream */
	__u32 length;
	__u8 kind;
	__u8 flags;
};

/* What the connection compresses against is not known, or was not understood. */
static __always_inline void walk_lose(struct stream *stream, struct walk *walk)
{
	walk->state = WALK_LOST;
	walk->stream = 0;
	stream_unread(stream);
}

/* Of a connection whose beginning was read by an object without this map: its streams are counted,
 * and not read.
 */
static __always_inline struct multiplex *multiplex_join(struct __sk_buff *skb,
							struct stream *stream)
{
	struct multiplex *all = multiplex_of(skb, BPF_SK_STORAGE_GET_F_CREATE);

	if (!all) {
		loss_count(stream->workload, LOSS_SOCKET_STORAGE);
		stream->ways[WAY_IN].state = AT_PASSED;
		stream->ways[WAY_OUT].state = AT_PASSED;
		return NULL;
	}
	walk_lose(stream, &all->ways[WAY_IN]);
	walk_lose(stream, &all->ways[WAY_OUT]);
	return all;
}

/* A client's preface was read: no request, but HTTP/2 from here on. */
__noinline int streams_begin(struct __sk_buff *skb, struct stream *stream)
{
	struct message *in, *out;

	if (!stream)
		return 0;
	in = &stream->ways[WAY_IN];
	out = &stream->ways[WAY_OUT];
	message_reset(in);
	in->state = AT_FRAME;
	in->flags |= FRAMES;
	in->skip = PREFACE_REST;
	message_reset(out);
	out->state = AT_FRAME;
	out->flags |= FRAMES;
	if (!multiplex_of(skb, BPF_SK_STORAGE_GET_F_CREATE))
		multiplex_join(skb, stream);
	return 0;
}

static __always_inline struct asked_stream *asked_of(struct multiplex *all, __u32 number)
{
	struct asked_stream *asked = &all->asked[number >> 1 & (STREAMS_MAX - 1)];

	return number && asked->number == number ? asked : NULL;
}

/* A part of a block begins. Returns whether it ends at once, being empty. */
static __always_inline int block_begin(struct message *message, struct walk *walk,
				       const struct frame *frame)
{
	__u32 prefix = 0;

	walk->padding = 0;
	walk->fragment = frame->length;
	walk->bytes += frame->length + FRAME_BYTES;
	if (frame->kind != FRAME_CONTINUATION) {
		walk->flags = 0;
		if (frame->kind == FRAME_PROMISE) {
			prefix = PROMISED_BYTES;
			walk->flags |= WALK_PUSHED;
		} else if (frame->flags & PRIORITY) {
			prefix = PRIORITY_BYTES;
		}
		if (frame->kind == FRAME_HEADERS && frame->flags & END_STREAM)
			walk->flags |= WALK_LAST;
		walk->left = prefix;
		walk->then = THEN_FIELDS;
		if (walk->state != WALK_LOST)
			walk->state = prefix ? WALK_PASS : WALK_FIELD;
		if (frame->flags & PADDED && walk->state != WALK_LOST) {
			walk->state = WALK_PADDING;
			prefix++;
		}
		if (prefix > frame->length)
			walk->state = WALK_LOST;
	}
	walk->flags &= ~WALK_ENDS;
	if (frame->flags & END_HEADERS)
		walk->flags |= WALK_ENDS;
	if (walk->state == WALK_LOST)
		return 1;
	if (!frame->length)
		return walk->flags & WALK_ENDS;
	message->skip = 0;
	message->state = FRAME_BLOCK;
	return 0;
}

static __always_inline void block_open(struct stream *stream, struct walk *walk, __u32 number,
				       __u32 way)
{
	walk->stream = number;
	walk->status = 0;
	walk->outcome = 0;
	walk->bytes = 0;
	if (way == WAY_IN)
		stream_clear(stream);
}

/* A frame of a stream that is no part of a block. */
static __always_inline void frame_count(struct stream *stream, struct multiplex *all,
					const struct frame *frame, __u32 way)
{
	struct asked_stream *asked = asked_of(all, frame->number);
	struct route_counts *counts;

	if (!asked)
		return; /* of the connection, or of a stream that ended */
	counts = counts_of(stream, asked->route, asked->method);
	if (counts)
		__sync_fetch_and_add(way == WAY_IN ? &counts->bytes_in : &counts->bytes_out,
				     frame->length + FRAME_BYTES);
	if (way == WAY_IN && frame->kind == FRAME_DATA) {
		asked->time_ns = stream->ways[WAY_IN].now_ns;
		if (!(asked->flags & ASKED_BODY) && frame->length)
			input_count(stream, asked->route, frame->length);
		asked->flags |= ASKED_BODY;
	}
	if (frame->kind == FRAME_RESET ||
	    (way == WAY_OUT && frame->kind == FRAME_DATA && frame->flags & END_STREAM))
		stream_ended(stream, all, frame->number);
}

/* The head of a frame was read. */
__noinline int frame_read(struct __sk_buff *skb, struct stream *stream, __u32 way)
{
	struct multiplex *all = multiplex_of(skb, 0);
	struct message *message;
	struct frame frame;
	struct walk *walk;

	if (!stream)
		return 0;
	way &= 1;
	message = &stream->ways[way];
	frame.number = message->number & 0x7fffffff;
	frame.length = message->length;
	frame.flags = message->number >> 32;
	frame.kind = message->number >> 40;
	message->state = AT_FRAME;
	message->at = 0;
	message->skip = message->length;
	if (!all)
		all = multiplex_join(skb, stream);
	if (!all)
		return 0;
	walk = &all->ways[way];
	if (walk->stream ? frame.kind != FRAME_CONTINUATION || frame.number != walk->stream
			 : frame.kind == FRAME_CONTINUATION && walk->state != WALK_LOST)
		walk_lose(stream, walk);
	if (frame.kind == FRAME_HEADERS || frame.kind == FRAME_PROMISE)
		block_open(stream, walk, frame.number, way);
	else if (frame.kind != FRAME_CONTINUATION || !walk->stream) {
		frame_count(stream, all, &frame, way);
		return 0;
	}
	if (block_begin(message, walk, &frame))
		message->state = BLOCK_DONE;
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
