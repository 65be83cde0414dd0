/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What the bodies of requests consist of, as counts of salted hashes and nothing else: for drift.
 *
 * Off unless an operator names the workload. Called from messages.bpf.c for what a packet brings
 * of a body, as long as `tap_bytes` are not read; each three bytes in a row raise one of 256
 * counters of their route. The bytes lie in the connection's storage while a packet is read, and are
 * cleared behind it. How packets are cut is of no matter. HTTP/1 alone; what is compressed or
 * encrypted has no 3-grams that say anything.
 *
 * The hash is no cryptographic one: one for each byte of a body has to cost a nanosecond. Whoever
 * has no salt is kept from knowing what a counter stands for; who has it can ask whether a text that he
 * guessed would have raised it.
 */
#include "requests.bpf.h"

#define GRAM_BYTES 3
#define PIECES_MAX (TAP_BYTES / READ_BYTES + 1)

static const struct sketch no_sketch = {};

static __always_inline __u8 gram_hash(const __u64 salt[2], __u32 gram)
{
	__u64 hash = (gram ^ salt[0]) * (salt[1] | 1);

	hash ^= hash >> 32;
	hash *= salt[0] | 1;
	return hash >> 56;
}

static __always_inline struct sketch *sketch_of(struct stream *stream)
{
	struct route_key key = {
		.route = stream->route,
		.workload = stream->workload,
		.method = method_of(stream),
		.peer = stream->peer,
	};
	struct sketch *sketch = bpf_map_lookup_elem(&sketches, &key);

	if (sketch)
		return sketch;
	bpf_map_update_elem(&sketches, &key, &no_sketch, BPF_NOEXIST);
	return bpf_map_lookup_elem(&sketches, &key);
}

/* Some bytes, READ_BYTES at most; returns how many. */
__noinline int piece_sketch(struct __sk_buff *skb, struct stream *stream, struct sketch *sketch,
			    __u32 at, __u32 bytes)
{
	struct workload_mode *mode;
	struct message *message;
	__u32 gram, slot, i;

	if (!stream || !sketch || !bytes)
		return 0;
	slot = stream->workload;
	mode = bpf_map_lookup_elem(&modes, &slot);
	if (!mode)
		return 0;
	message = &stream->ways[WAY_IN];
	bytes = piece_bytes(bytes);
	if (bpf_skb_load_bytes(skb, at, stream->bytes[WAY_IN], bytes))
		return 0;
	gram = message->tap_last;
	for (i = 0; i < READ_BYTES; i++) {
		if (i >= bytes)
			break;
		gram = (gram << 8 | stream->bytes[WAY_IN][i]) & 0xffffff;
		message->tap_read++;
		if (message->tap_read >= GRAM_BYTES)
			__sync_fetch_and_add(&sketch->counts[gram_hash(mode->salt, gram)], 1);
	}
	message->tap_last = gram & 0xffff;
	message->tap_left -= bytes;
	__builtin_memset(stream->bytes[WAY_IN], 0, READ_BYTES);
	return bytes;
}

/* What a packet brings of a request's body; `skip` is still to be lowered by it. */
__noinline int body_sketch(struct __sk_buff *skb, struct stream *stream, __u32 at, __u32 bytes)
{
	struct message *message;
	struct sketch *sketch;
	__u64 content;

	if (!stream)
		return 0;
	message = &stream->ways[WAY_IN];
	content = message->skip;
	if (message->flags & CHUNKED) /* its CR LF is none of it */
		content = content > 2 ? content - 2 : 0;
	if (bytes > content)
		bytes = content;
	if (bytes > message->tap_left)
		bytes = message->tap_left;
	if (!bytes)
		return 0;
	sketch = sketch_of(stream);
	if (!sketch) {
		message->tap_left = 0;
		total_add(stream->workload, COUNT_UNSKETCHED, 1);
		return 0;
	}
	if (!(message->flags & SKETCHED)) {
		message->flags |= SKETCHED;
		__sync_fetch_and_add(&sketch->requests, 1);
	}
	for (int i = 0; i < PIECES_MAX; i++) {
		int read = piece_sketch(skb, stream, sketch, at, bytes);

		if (read <= 0 || (__u32)read > bytes)
			break;
		at += read;
		bytes -= read;
	}
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
