/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* HTTP/2 by its frames (RFC 9113): streams begun and ended, and their bytes.
 *
 * Method and path are compressed against what the connection said before (RFC 7541) and are not
 * read: all streams of a workload from one class of address are one route. Of an answer the status
 * is read where it is one of the seven that the compression has a byte for.
 */
#include "requests.bpf.h"

#define FRAME_DATA 0
#define FRAME_HEADERS 1
#define FRAME_RESET 3
#define END_STREAM 1
#define PADDED_OR_PRIORITY 0x28
#define STATUS_200 0x88 /* RFC 7541, appendix A: 200, 204, 206, 304, 400, 404, 500 */
#define STATUS_304 0x8b
#define STATUS_400 0x8c
#define STATUS_500 0x8e

static __always_inline void stream_ended(struct stream *stream, struct route_counts *counts)
{
	if (stream->in == stream->out)
		return;
	stream->out++;
	total_add(stream->workload, COUNT_ANSWERED, 1);
	if (counts)
		__sync_fetch_and_add(&counts->answered, 1);
}

/* The head of a frame was read. */
__noinline int frame_read(struct __sk_buff *skb, struct stream *stream, __u32 way)
{
	struct route_counts *counts;
	struct message *message;
	__u32 number;
	__u8 kind, flags;

	if (!stream)
		return 0;
	way &= 1;
	message = &stream->ways[way];
	number = message->number & 0x7fffffff;
	flags = message->number >> 32;
	kind = message->number >> 40;
	message->state = AT_FRAME;
	message->at = 0;
	message->skip = message->length;
	if (way == WAY_IN && kind == FRAME_HEADERS && number > stream->highest) {
		stream->highest = number;
		stream->in++;
		stream->target =
			number; /* what it asks for is not known: as if always another thing */
		request_count(skb, stream, METHOD_STREAM);
	}
	counts = counts_of(stream, ROUTE_STREAMS, METHOD_STREAM);
	if (counts)
		__sync_fetch_and_add(way == WAY_IN ? &counts->bytes_in : &counts->bytes_out,
				     message->length + 9);
	if (kind == FRAME_RESET ||
	    (way == WAY_OUT && flags & END_STREAM && (kind == FRAME_DATA || kind == FRAME_HEADERS)))
		stream_ended(stream, counts);
	if (way == WAY_OUT && kind == FRAME_HEADERS && message->length &&
	    !(flags & PADDED_OR_PRIORITY)) {
		message->state = FRAME_STATUS;
		message->skip = 0;
	}
	return 0;
}

/* The first byte of an answer's headers, or of what follows its body. */
__noinline int frame_status(struct stream *stream)
{
	struct route_counts *counts;
	struct message *message;
	__u32 class = ANSWER_SUCCESS;

	if (!stream)
		return 0;
	message = &stream->ways[WAY_OUT];
	message->state = AT_FRAME;
	message->skip = message->length - 1;
	if (message->status < STATUS_200 || message->status > STATUS_500)
		return 0;
	if (message->status == STATUS_304)
		class = ANSWER_REDIRECTION;
	else if (message->status == STATUS_500)
		class = ANSWER_SERVER_ERROR;
	else if (message->status >= STATUS_400)
		class = ANSWER_CLIENT_ERROR;
	counts = counts_of(stream, ROUTE_STREAMS, METHOD_STREAM);
	if (counts)
		__sync_fetch_and_add(&counts->answers[class], 1);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
