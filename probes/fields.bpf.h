/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What the readers of HTTP/2's frames (RFC 9113) and of their compressed fields (RFC 7541) share. */
#ifndef INFERWARD_FIELDS_BPF_H
#define INFERWARD_FIELDS_BPF_H

#include "requests.bpf.h"

enum walk_state {
	WALK_FIELD = 0,   /* one begins */
	WALK_INTEGER = 1, /* in its second byte or later */
	WALK_LENGTH = 2,  /* of a string: its first byte */
	WALK_STRING = 3,
	WALK_PASS = 4,    /* `left` bytes that say nothing here */
	WALK_PADDING = 5, /* its length */
	WALK_LOST = 6,    /* nothing of this direction can be read any more */
};

/* What an integer, a string or what is passed over is for. */
enum walk_then {
	THEN_INDEXED = 0,
	THEN_RESIZED = 1,
	THEN_NAMED = 2,
	THEN_NAME = 3,
	THEN_VALUE = 4,
	THEN_FIELDS = 5, /* they follow a priority */
};

enum walk_flag {
	WALK_INSERTS = 1, /* the field at hand becomes an entry */
	WALK_CODED = 2,   /* the string at hand is */
	WALK_ENDS = 4,    /* the block, with this frame */
	WALK_LAST = 8,    /* the stream, with this block */
	WALK_PATH = 16,   /* one was read */
	WALK_PUSHED = 32, /* no answer, but the promise of one */
};

enum field_kind {
	FIELD_OTHER = 0,
	FIELD_METHOD = 1,
	FIELD_PATH = 2,
	FIELD_STATUS = 3,
	FIELD_OUTCOME = 4, /* grpc-status */
};

enum asked_flag {
	ASKED_BEGUN = 1, /* its answer */
	ASKED_BODY = 2,  /* the client sent some */
};

extern int field_indexed(struct stream *stream, struct multiplex *all, __u32 way);
extern int field_named(struct multiplex *all, __u32 way);
extern int stream_ended(struct stream *stream, struct multiplex *all, __u32 number);
extern int field_done(struct stream *stream, struct multiplex *all, __u32 way);

static __always_inline struct multiplex *multiplex_of(struct __sk_buff *skb, __u64 flags)
{
	struct bpf_sock *sk = skb->sk;

	if (!sk)
		return NULL;
	sk = bpf_sk_fullsock(sk);
	return sk ? bpf_sk_storage_get(&multiplexes, sk, 0, flags) : NULL;
}

#endif
