/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* HTTP/1 byte by byte, as far as a message's bounds, a request's line and an answer's status go
 * (RFC 9112); of HTTP/2 the heads of frames, fields.bpf.c having what lies in them.
 *
 * Bodies are passed over by their length, and read by sketches.bpf.c alone, where an operator wants
 * that. Of a head nothing is kept but the method,
 * the path before '?', the status, and what the two headers say that give a body's bounds.
 */
#include "messages.bpf.h"

#define HEAD_MAX 16384 /* bytes of a head: servers take less */

/* On in a head, a chunk's size or a frame's head; returns how many bytes. */
static __always_inline __u32 head_read(struct __sk_buff *skb, struct stream *stream, __u32 at,
				       __u32 left, __u32 way)
{
	struct message *message = &stream->ways[way];
	__u32 bytes, read = 0;

	if (!left)
		return 0;
	bytes = piece_bytes(left);
	if (bpf_skb_load_bytes(skb, at, stream->bytes[way], bytes)) {
		loss_count(stream->workload, LOSS_READ_FAULT);
		message->state = AT_LOST;
		return 0;
	}
	for (read = 0; read < READ_BYTES; read++) {
		if (read >= bytes || message->state >= HEAD_DONE || message->skip)
			break;
		byte_read(stream, message, stream->bytes[way][read], way);
		/* From memory again: else the verifier would follow each state from each byte. */
		barrier();
	}
	message->bytes += read;
	if (message->bytes > HEAD_MAX && message->state < CHUNK_SIZE)
		message->state = AT_LOST;
	return read;
}

/* One step on in the bytes of a packet: part of a body, or of a head; returns how many bytes. */
__noinline int message_step(struct __sk_buff *skb, struct stream *stream, __u32 at, __u32 left,
			    __u32 way)
{
	struct message *message;

	way &= 1;
	if (!stream)
		return 0;
	message = &stream->ways[way];
	if (message->skip) {
		if (left > message->skip)
			left = message->skip;
		if (message->tap_left)
			body_sketch(skb, stream, at, left);
		message->skip -= left;
		message->bytes += left;
		if (!message->skip && !(message->flags & (CHUNKED | FRAMES)))
			message->state = MESSAGE_DONE;
		return left;
	}
	if (message->state >= HEAD_DONE) {
		message->bytes += left;
		return left;
	}
	return head_read(skb, stream, at, left, way);
}

/* What a step led to. */
__noinline int message_happened(struct __sk_buff *skb, struct stream *stream, __u32 state,
				__u32 way)
{
	if (!stream)
		return 0;
	if (state == HEAD_DONE)
		return way == WAY_IN ? request_begun(skb, stream) : answer_begun(stream);
	if (state == MESSAGE_DONE)
		return way == WAY_IN ? request_ended(stream) : answer_ended(stream);
	return frame_read(skb, stream, way);
}

/* A letter of a path that HTTP/2 carries: it makes the same route as HTTP/1's. */
__noinline int path_letter(struct stream *stream, __u32 letter)
{
	if (!stream)
		return 0;
	if (letter == '.')
		stream->part_flags |= PART_DOTTED;
	target_add(stream, &stream->ways[WAY_IN], letter);
	return 0;
}

__noinline int path_end(struct stream *stream)
{
	if (!stream)
		return 0;
	if (!stream->ways[WAY_IN].at)
		part_close(stream);
	stream->ways[WAY_IN].at = 0;
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
