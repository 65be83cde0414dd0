/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Answers counted by route: class of status, time to the first byte, sizes, gaps within a
 * streamed one.
 *
 * Called where messages.bpf.c finds that an answer's head or end was sent. An answer belongs to
 * the oldest request of its connection that was not answered to its end (RFC 9112, 9.3.2).
 */
#include "requests.bpf.h"

#define STATUS_SWITCHING 101
#define STATUS_NO_CONTENT 204
#define STATUS_NOT_MODIFIED 304

/* Which bucket a value belongs to: one for each power of two, or with `fine` four. */
__noinline int bucket_of(__u64 value, __u32 fine)
{
	__u32 power = 0, last = fine ? WAIT_BUCKETS - 1 : GAP_BUCKETS - 1, bucket;
	__u64 rest = value;

	for (__u32 step = 32; step; step >>= 1) {
		if (rest >> step) {
			rest >>= step;
			power += step;
		}
	}
	if (!fine)
		return power < last ? power : last;
	bucket = power * 4 + (power >= 2 ? (value >> (power - 2)) & 3 : 0);
	return bucket < last ? bucket : last;
}

/* What follows an answer's head (RFC 9112, 6.3). */
static __always_inline void answer_body(struct stream *stream, struct message *message, __u8 method)
{
	if (message->status == STATUS_SWITCHING ||
	    (method == METHOD_CONNECT && message->status / 100 == ANSWER_SUCCESS)) {
		message->state = AT_PASSED;
		stream->ways[WAY_IN].state = AT_PASSED;
	} else if (method == METHOD_HEAD || message->status == STATUS_NO_CONTENT ||
		   message->status == STATUS_NOT_MODIFIED) {
		answer_ended(stream);
	} else if (message->flags & CHUNKED) {
		message->state = CHUNK_SIZE;
		message->number = 0;
	} else if (!(message->flags & HAS_LENGTH)) {
		message->state = UNTIL_CLOSE;
	} else if (message->length) {
		message->state = AT_BODY;
		message->skip = message->length;
	} else {
		answer_ended(stream);
	}
}

/* The head of an answer was sent. */
__noinline int answer_begun(struct stream *stream)
{
	struct client_counts *client;
	struct route_counts *counts;
	struct message *message;
	struct asked *asked;
	__u32 class;

	if (!stream)
		return 0;
	message = &stream->ways[WAY_OUT];
	class = message->status / 100;
	if (class == ANSWER_INFORMATIONAL && message->status != STATUS_SWITCHING) {
		message_reset(message); /* the answer itself is still to come */
		return 0;
	}
	if (class < ANSWER_INFORMATIONAL || class > ANSWER_SERVER_ERROR)
		class = ANSWER_UNREAD;
	barrier_var(class);
	class &= ANSWER_MAX - 1; /* for the verifier: what was compared is not what it sees used */
	asked = &stream->asked[stream->out & (ASKED_MAX - 1)];
	counts = counts_of(stream, asked->route, asked->method);
	if (counts) {
		__u64 wait_ns = since(message->began_ns, asked->time_ns);

		__sync_fetch_and_add(&counts->answers[class], 1);
		if (turned_away(message->status))
			__sync_fetch_and_add(&counts->answers[ANSWER_DENIED], 1);
		bucket_add(counts->waits, bucket_of(wait_ns >> WAIT_SHIFT, 1), WAIT_BUCKETS - 1);
	}
	client = message->status >= FIRST_ERROR ? client_of(stream) : NULL;
	if (client)
		__sync_fetch_and_add(&client->errors, 1);
	stream->flags |= BEGUN;
	stream->last_ns = message->now_ns;
	answer_body(stream, message, asked->method);
	return 0;
}

/* An answer was sent to its end. */
__noinline int answer_ended(struct stream *stream)
{
	struct route_counts *counts;
	struct message *message;
	struct asked *asked;

	if (!stream)
		return 0;
	message = &stream->ways[WAY_OUT];
	asked = &stream->asked[stream->out & (ASKED_MAX - 1)];
	counts = counts_of(stream, asked->route, asked->method);
	if (counts) {
		__sync_fetch_and_add(&counts->answered, 1);
		__sync_fetch_and_add(&counts->bytes_out, message->bytes);
		__sync_fetch_and_add(&counts->busy_ns, since(message->now_ns, asked->time_ns));
	}
	total_add(stream->workload, COUNT_ANSWERED, 1);
	if (stream->in != stream->out)
		stream->out++;
	else if (stream->deep)
		stream->deep--;
	stream->flags &= ~BEGUN;
	message_reset(message);
	return 0;
}

/* The connection ended, or could not be followed: nothing under way on it is answered any more. */
__noinline int answers_given_up(struct stream *stream)
{
	struct route_counts *counts;
	struct asked *asked;
	__u32 left;

	if (!stream)
		return 0;
	left = stream->in - stream->out + stream->deep;
	total_add(stream->workload, COUNT_ANSWERED, left);
	stream->deep = 0;
	for (int i = 0; i < ASKED_MAX; i++) {
		if (stream->in == stream->out)
			break;
		asked = &stream->asked[stream->out & (ASKED_MAX - 1)];
		counts = counts_of(stream, asked->route, asked->method);
		if (counts) {
			__sync_fetch_and_add(&counts->answered, 1);
			if (!(stream->flags & BEGUN))
				__sync_fetch_and_add(&counts->answers[ANSWER_NONE], 1);
		}
		stream->flags &= ~BEGUN;
		stream->out++;
		barrier();
	}
	return 0;
}

/* A packet of a streamed answer was sent. */
__noinline int gap_count(struct stream *stream)
{
	struct route_counts *counts;
	struct asked *asked;
	__u64 now_ns;

	if (!stream)
		return 0;
	asked = &stream->asked[stream->out & (ASKED_MAX - 1)];
	now_ns = stream->ways[WAY_OUT].now_ns;
	counts = counts_of(stream, asked->route, asked->method);
	if (counts)
		bucket_add(counts->gaps, bucket_of(since(now_ns, stream->last_ns) >> WAIT_SHIFT, 0),
			   GAP_BUCKETS - 1);
	stream->last_ns = now_ns;
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
