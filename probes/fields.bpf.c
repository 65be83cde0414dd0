/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The compressed fields of HTTP/2's header blocks (RFC 7541), byte by byte.
 *
 * Every field is walked, so that the entries of the connection's dynamic table are numbered as
 * they are made; an index tells how many came since. Of the fields themselves a path, a method, a
 * status and gRPC's own are read, and the last few that became entries are kept: entries.bpf.c.
 * An entry that is gone from the table, for want of room or by its size being changed, is not
 * asked for any more: neither needs to be followed.
 */
#include "fields.bpf.h"

/* By row and half a byte: the row that follows, the letter, and HUFFMAN_ flags. Written by the
 * loader, of probes/huffman.py.
 */
const volatile __u32 huffman[HUFFMAN_ROWS * 16] = {};

#define HUFFMAN_LETTER 0x10000 /* there is one */
#define HUFFMAN_END 0x20000    /* a string may end here: less than a byte, all ones */
#define HUFFMAN_WRONG 0x40000
#define SHIFT_MAX 28 /* of an integer below 2^32 */
#define NAME_METHOD 0x3a6d6574686f64ULL
#define NAME_PATH 0x3a70617468ULL
#define NAME_STATUS 0x3a737461747573ULL
#define NAME_OUTCOME_FIRST 0x677270ULL /* "grp" and "c-status" */
#define NAME_OUTCOME_LAST 0x632d737461747573ULL

static __always_inline void integer_begin(struct walk *walk, __u32 value, __u32 most, __u8 then)
{
	walk->then = then;
	walk->number = value;
	walk->shift = 0;
	walk->state = WALK_INTEGER;
	if (value < most)
		walk->shift = SHIFT_MAX + 7; /* it ends with its first byte */
}

static __always_inline void field_begin(struct walk *walk, __u8 byte)
{
	walk->flags &= ~(WALK_INSERTS | WALK_CODED);
	walk->kind = FIELD_OTHER;
	walk->value = 0;
	walk->letters = 0;
	if (byte & 0x80) {
		integer_begin(walk, byte & 0x7f, 0x7f, THEN_INDEXED);
	} else if (byte & 0x40) {
		walk->flags |= WALK_INSERTS;
		integer_begin(walk, byte & 0x3f, 0x3f, THEN_NAMED);
	} else if (byte & 0x20) {
		integer_begin(walk, byte & 0x1f, 0x1f, THEN_RESIZED);
	} else {
		integer_begin(walk, byte & 0x0f, 0x0f, THEN_NAMED);
	}
}

/* Returns whether the integer is whole. */
static __always_inline int integer_add(struct walk *walk, __u8 byte)
{
	__u64 sum;

	if (walk->shift > SHIFT_MAX) {
		walk->state = WALK_LOST;
		return 0;
	}
	sum = walk->number + ((__u64)(byte & 0x7f) << (walk->shift & 31));
	if (sum >> 32)
		walk->state = WALK_LOST;
	walk->number = sum;
	walk->shift += 7;
	return !(byte & 0x80) && walk->state != WALK_LOST;
}

static __always_inline void name_end(struct walk *walk, __u32 way)
{
	walk->kind = FIELD_OTHER;
	if (way == WAY_IN && !walk->name[1] && walk->name[0] == NAME_PATH)
		walk->kind = FIELD_PATH;
	else if (way == WAY_IN && !walk->name[1] && walk->name[0] == NAME_METHOD)
		walk->kind = FIELD_METHOD;
	else if (way == WAY_OUT && !walk->name[1] && walk->name[0] == NAME_STATUS)
		walk->kind = FIELD_STATUS;
	else if (way == WAY_OUT && walk->name[1] == NAME_OUTCOME_FIRST &&
		 walk->name[0] == NAME_OUTCOME_LAST)
		walk->kind = FIELD_OUTCOME;
	walk->then = THEN_VALUE;
	walk->state = WALK_LENGTH;
}

static __always_inline void string_end(struct stream *stream, struct multiplex *all,
				       struct walk *walk, __u32 way)
{
	if (walk->then == THEN_FIELDS)
		walk->state = WALK_FIELD;
	else if (walk->flags & WALK_CODED && !walk->strict)
		walk->state = WALK_LOST;
	else if (walk->then == THEN_NAME)
		name_end(walk, way);
	else
		field_done(stream, all, way);
}

static __always_inline void string_begin(struct stream *stream, struct multiplex *all,
					 struct walk *walk, __u32 way)
{
	walk->left = walk->number;
	walk->coded = 0;
	walk->strict = 1;
	if (walk->then == THEN_NAME) {
		walk->name[0] = 0;
		walk->name[1] = 0;
	}
	if (walk->then == THEN_VALUE && walk->kind == FIELD_PATH && walk->flags & WALK_PATH) {
		walk->state = WALK_LOST; /* two paths: no server acts on that */
		return;
	}
	walk->state =
		walk->then == THEN_VALUE && walk->kind == FIELD_OTHER ? WALK_PASS : WALK_STRING;
	if (!walk->left)
		string_end(stream, all, walk, way);
}

static __always_inline void integer_end(struct stream *stream, struct multiplex *all,
					struct walk *walk, __u32 way)
{
	switch (walk->then) {
	case THEN_INDEXED:
		walk->state = WALK_FIELD;
		field_indexed(stream, all, way);
		break;
	case THEN_RESIZED:
		walk->state = WALK_FIELD;
		break;
	case THEN_NAMED:
		walk->state = WALK_LENGTH;
		walk->then = walk->number ? THEN_VALUE : THEN_NAME;
		if (walk->number)
			field_named(all, way);
		break;
	default:
		string_begin(stream, all, walk, way);
	}
}

/* A letter of a name, or of a value that says something. */
__noinline int letter_read(struct stream *stream, struct walk *walk, __u32 letter)
{
	if (!stream || !walk)
		return 0;
	if (walk->then == THEN_NAME) {
		walk->name[1] = walk->name[1] << 8 | walk->name[0] >> 56;
		walk->name[0] = walk->name[0] << 8 | letter;
		return 0;
	}
	if (walk->kind == FIELD_PATH) {
		if (letter <= ' ')
			walk->state = WALK_LOST;
		return path_letter(stream, letter);
	}
	if (walk->kind == FIELD_METHOD) {
		if (walk->letters < sizeof(stream->method))
			walk->value |= (__u64)letter << (walk->letters++ & 7) * 8;
		return 0;
	}
	if ((__u8)(letter - '0') > 9 || walk->value > 0xffff)
		walk->state = WALK_LOST;
	walk->value = walk->value * 10 + (letter - '0');
	return 0;
}

static __always_inline void string_read(struct stream *stream, struct multiplex *all,
					struct walk *walk, __u8 byte, __u32 way)
{
	walk->left--;
	if (!(walk->flags & WALK_CODED)) {
		letter_read(stream, walk, byte);
	} else {
		for (int half = 4; half >= 0; half -= 4) {
			__u32 row = walk->coded * 16 + (byte >> half & 15);
			__u32 next;

			barrier_var(
				row); /* the verifier of 6.1 bounds no "or", and wants the mask */
			next = huffman[row & (HUFFMAN_ROWS * 16 - 1)];
			walk->coded = next;
			walk->strict = !!(next & HUFFMAN_END);
			if (next & HUFFMAN_WRONG)
				walk->state = WALK_LOST;
			if (next & HUFFMAN_LETTER)
				letter_read(stream, walk, next >> 8 & 0xff);
		}
	}
	if (!walk->left && walk->state == WALK_STRING)
		string_end(stream, all, walk, way);
}

static __always_inline void padding_read(struct walk *walk, __u8 byte)
{
	walk->padding = byte;
	walk->state = walk->left ? WALK_PASS : WALK_FIELD;
	if (walk->left + byte > walk->fragment)
		walk->state = WALK_LOST;
	else
		walk->fragment -= byte;
}

static __always_inline void walk_byte(struct stream *stream, struct multiplex *all,
				      struct walk *walk, __u8 byte, __u32 way)
{
	switch (walk->state) {
	case WALK_FIELD:
		field_begin(walk, byte);
		break;
	case WALK_LENGTH:
		walk->flags &= ~WALK_CODED;
		if (byte & 0x80)
			walk->flags |= WALK_CODED;
		integer_begin(walk, byte & 0x7f, 0x7f, walk->then);
		break;
	case WALK_INTEGER:
		if (integer_add(walk, byte))
			integer_end(stream, all, walk, way);
		return;
	case WALK_STRING:
		string_read(stream, all, walk, byte, way);
		return;
	case WALK_PADDING:
		padding_read(walk, byte);
		return;
	}
	if (walk->state == WALK_INTEGER && walk->shift > SHIFT_MAX)
		integer_end(stream, all, walk, way);
}

/* On in a block; returns how many bytes were read. */
__noinline int fields_read(struct __sk_buff *skb, struct stream *stream, struct multiplex *all,
			   __u32 at, __u32 left_and_way)
{
	__u32 way = left_and_way & 1, left = left_and_way >> 1, bytes, read;
	struct walk *walk;

	if (!stream || !all || !left)
		return 0;
	walk = &all->ways[way];
	bytes = piece_bytes(left);
	if (bpf_skb_load_bytes(skb, at, stream->bytes[way], bytes)) {
		loss_count(stream->workload, LOSS_READ_FAULT);
		walk->state = WALK_LOST;
		return 0;
	}
	for (read = 0; read < READ_BYTES; read++) {
		if (read >= bytes || !walk->fragment || walk->state == WALK_PASS ||
		    walk->state == WALK_LOST)
			break;
		barrier_var(
			walk); /* else each field's place is kept on the stack, which is short */
		walk->fragment--;
		walk_byte(stream, all, walk, stream->bytes[way][read], way);
		barrier(); /* as in messages.bpf.c */
	}
	return read;
}

/* What of a block is passed over, as one. */
static __always_inline __u32 fields_pass(struct stream *stream, struct multiplex *all, __u32 left,
					 __u32 way)
{
	struct walk *walk = &all->ways[way];

	if (left > walk->left)
		left = walk->left;
	walk->left -= left;
	walk->fragment -= left;
	walk->strict = 1; /* nobody looked */
	if (!walk->left)
		string_end(stream, all, walk, way);
	return left;
}

/* One step on in a header block; returns how many bytes. */
__noinline int block_step(struct __sk_buff *skb, struct stream *stream, __u32 at, __u32 left,
			  __u32 way)
{
	struct multiplex *all = multiplex_of(skb, 0);
	struct message *message;
	struct walk *walk;
	__u32 read;

	way &= 1;
	if (!stream)
		return 0;
	message = &stream->ways[way];
	if (!all) {
		message->state = AT_LOST; /* the block began under an object that had no such map */
		return 0;
	}
	walk = &all->ways[way];
	if (left > walk->fragment)
		left = walk->fragment;
	if (walk->state == WALK_PASS)
		read = fields_pass(stream, all, left, way);
	else
		read = fields_read(skb, stream, all, at, left << 1 | way);
	if (walk->state == WALK_LOST) {
		message->skip = (__u64)walk->fragment + walk->padding;
		message->state = BLOCK_DONE;
	} else if (!walk->fragment) {
		message->skip = walk->padding;
		message->state = walk->flags & WALK_ENDS ? BLOCK_DONE : AT_FRAME;
	}
	return read;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
