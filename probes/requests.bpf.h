/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What the readers of HTTP on accepted connections share. Their words are those of RFC 9112
 * (HTTP/1.1) and RFC 9113 (HTTP/2).
 */
#ifndef INFERWARD_REQUESTS_BPF_H
#define INFERWARD_REQUESTS_BPF_H

#include "classes.bpf.h"

#define WAIT_SHIFT 10 /* 1,024 ns */
#define FIRST_ERROR 400
#define FRAME_BYTES 9 /* of the head of a frame of HTTP/2 */

enum way {
	WAY_IN = 0,
	WAY_OUT = 1,
};

/* Where in a message the next byte lies. Those from HEAD_DONE on are not read byte by byte. */
enum message_state {
	MESSAGE_START = 0,
	AT_METHOD = 1,
	AT_TARGET = 2,
	AT_VERSION = 3,
	AT_STATUS = 4,
	LINE_START = 5, /* of a header, or the empty line */
	AT_NAME = 6,
	AT_VALUE = 7, /* that says nothing here */
	VALUE_LENGTH = 8,
	VALUE_CODING = 9,
	CHUNK_SIZE = 10,
	CHUNK_REST = 11,    /* of the line that gives a chunk's size */
	TRAILER_START = 12, /* a line behind the last chunk, or the empty one */
	AT_TRAILER = 13,
	AT_FRAME = 14,    /* the head of a frame of HTTP/2 */
	FRAME_BLOCK = 15, /* fields of a header block: fields.bpf.c */
	AT_BODY = 16,     /* of a known length */
	HEAD_DONE = 17,
	MESSAGE_DONE = 18,
	FRAME_DONE = 19,
	BLOCK_DONE = 20,
	UNTIL_CLOSE = 21, /* a body without a length */
	AT_PASSED = 22,   /* another protocol than HTTP, by agreement, or TLS */
	AT_LOST = 23,     /* no HTTP, or it could not be followed */
};

enum message_flag {
	HAS_LENGTH = 1,
	CHUNKED = 2,
	PREFACE = 4, /* of HTTP/2 */
	FRAMES = 8,
	STARTED = 16,  /* the sequence number is known */
	SKETCHED = 32, /* counted among its route's sketched requests */
};

enum stream_flag {
	WHOLE = 1,  /* seen from its first byte on */
	BEGUN = 2,  /* the answer at hand */
	UNREAD = 4, /* counted so */
};

/* A connection's storage is handed on, and not looked up in each: that costs more than what most
 * of them do. A global function may be given no storage at all, as far as the verifier knows.
 */
extern int message_step(struct __sk_buff *skb, struct stream *stream, __u32 at, __u32 left,
			__u32 way);
extern int message_happened(struct __sk_buff *skb, struct stream *stream, __u32 state, __u32 way);
extern int frame_read(struct __sk_buff *skb, struct stream *stream, __u32 way);
extern int segment_step(struct __sk_buff *skb, struct stream *stream, __u32 at, __u32 left,
			__u32 way);
extern int block_step(struct __sk_buff *skb, struct stream *stream, __u32 at, __u32 left,
		      __u32 way);
extern int block_ended(struct __sk_buff *skb, struct stream *stream, __u32 way);
extern int streams_begin(struct __sk_buff *skb, struct stream *stream);
extern int streams_given_up(struct __sk_buff *skb, struct stream *stream);
extern int path_letter(struct stream *stream, __u32 letter);
extern int path_end(struct stream *stream);
extern int request_count(struct __sk_buff *skb, struct stream *stream, __u32 method);
extern int input_count(struct stream *stream, __u64 target, __u64 length);
extern int request_begun(struct __sk_buff *skb, struct stream *stream);
extern int request_ended(struct stream *stream);
extern int body_sketch(struct __sk_buff *skb, struct stream *stream, __u32 at, __u32 bytes);
extern int piece_sketch(struct __sk_buff *skb, struct stream *stream, struct sketch *sketch,
			__u32 at, __u32 bytes);
extern int answer_begun(struct stream *stream);
extern int answer_ended(struct stream *stream);
extern int answers_given_up(struct stream *stream);
extern int request_tell(struct __sk_buff *skb, struct stream *stream);
extern int gap_count(struct stream *stream);
extern int bucket_of(__u64 value, __u32 fine);

#define LETTERS(a, b, c, d, e, f, g)                                                             \
	((__u64)(a) | (__u64)(b) << 8 | (__u64)(c) << 16 | (__u64)(d) << 24 | (__u64)(e) << 32 | \
	 (__u64)(f) << 40 | (__u64)(g) << 48)

static __always_inline __u64 letters_of(const struct stream *stream)
{
	return *(const __u64 *)stream->method;
}

static __always_inline __u8 method_of(const struct stream *stream)
{
	switch (letters_of(stream)) {
	case LETTERS('G', 'E', 'T', 0, 0, 0, 0):
		return METHOD_GET;
	case LETTERS('H', 'E', 'A', 'D', 0, 0, 0):
		return METHOD_HEAD;
	case LETTERS('P', 'O', 'S', 'T', 0, 0, 0):
		return METHOD_POST;
	case LETTERS('P', 'U', 'T', 0, 0, 0, 0):
		return METHOD_PUT;
	case LETTERS('D', 'E', 'L', 'E', 'T', 'E', 0):
		return METHOD_DELETE;
	case LETTERS('P', 'A', 'T', 'C', 'H', 0, 0):
		return METHOD_PATCH;
	case LETTERS('O', 'P', 'T', 'I', 'O', 'N', 'S'):
		return METHOD_OPTIONS;
	case LETTERS('C', 'O', 'N', 'N', 'E', 'C', 'T'):
		return METHOD_CONNECT;
	}
	return METHOD_OTHER;
}

static __always_inline __u64 since(__u64 now_ns, __u64 then_ns)
{
	return now_ns > then_ns ? now_ns - then_ns : 0;
}

/* Nobody acted on such a request: no right to, no such thing, not in this way. */
static __always_inline int turned_away(__u32 status)
{
	return status == 401 || (status >= 403 && status <= 405);
}

static __always_inline void bucket_add(__u32 *buckets, __u32 bucket, __u32 last)
{
	if (bucket <= last)
		__sync_fetch_and_add(&buckets[bucket], 1);
}

/* How many bytes to read at once, for the verifiers: that of 6.1 does not learn from "not 0". */
static __always_inline __u32 piece_bytes(__u32 left)
{
	__u32 bytes = left < READ_BYTES ? left : READ_BYTES;

	bytes--;
	barrier_var(bytes);
	bytes &= READ_BYTES - 1;
	bytes++;
	barrier_var(bytes); /* else a loop over them would have no bound but this one */
	return bytes;
}

/* Ready for the next message of this direction. */
static __always_inline void message_reset(struct message *message)
{
	message->state = MESSAGE_START;
	message->flags &= STARTED;
	message->skip = 0;
	message->length = 0;
	message->bytes = 0;
	message->at = 0;
}

/* Ready for the next request's method and path. */
static __always_inline void stream_clear(struct stream *stream)
{
	__builtin_memset(stream->method, 0, sizeof(stream->method));
	__builtin_memset(stream->path, 0, sizeof(stream->path));
	stream->route = 0;
	stream->target = 0;
	stream->literal = 0;
	stream->normal = 0;
	stream->part_bytes = 0;
	stream->part_flags = 0;
	stream->path_bytes = 0;
}

static __always_inline void stream_unread(struct stream *stream)
{
	if (stream->flags & UNREAD)
		return;
	stream->flags |= UNREAD;
	total_add(stream->workload, COUNT_UNREAD, 1);
}

/* Counts by route; those of a route that finds no room go to the workload's others. */
static __always_inline struct route_counts *counts_of(struct stream *stream, __u64 route,
						      __u8 method)
{
	struct route_key key = {
		.route = route,
		.workload = stream->workload,
		.method = method,
		.peer = stream->peer,
	};
	struct route_counts *counts = bpf_map_lookup_elem(&routes, &key);

	if (!counts) {
		key.route = ROUTE_OTHERS;
		counts = bpf_map_lookup_elem(&routes, &key);
	}
	if (!counts)
		loss_count(stream->workload, LOSS_ROUTES_FULL);
	return counts;
}

static __always_inline struct client_counts *client_of(struct stream *stream)
{
	struct client_key key = {.workload = stream->workload};

	__builtin_memcpy(key.remote, stream->remote, sizeof(key.remote));
	return bpf_map_lookup_elem(&clients, &key);
}

#endif
