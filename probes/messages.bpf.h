/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* One byte of a message's head, by where in the message it lies.
 *
 * Everything is kept in the connection's storage, and read from there for each byte: the
 * verifier then follows one way through a message, not one for each state.
 */
#ifndef INFERWARD_MESSAGES_BPF_H
#define INFERWARD_MESSAGES_BPF_H

#include "requests.bpf.h"

/* Set before load, at random: nobody outside can make two paths look like one. */
const volatile __u64 route_factor = 0x9e3779b97f4a7c15ULL;

#define NAME_FACTOR 0x100000001b3ULL
#define NAME_LENGTH 0xf77af6b0e5ff785aULL /* "content-length", by that factor */
#define NAME_CODING 0xfbc8332406e4152dULL /* "transfer-encoding" */
#define CODING_MASK 0xffffffffffffffULL
#define CODING_CHUNKED 0x6368756e6b6564ULL /* the seven letters of "chunked" */
#define LONG_PART 32
#define HEX_PART 12
#define VERSION_PART 3
#define TLS_HANDSHAKE 0x16

enum part_flag {
	PART_DIGITS = 1,
	PART_AFTER_DIGIT = 2,
	PART_NOT_HEX = 4,
	PART_VERSION = 8, /* begins with v */
	PART_DOTTED = 16, /* of HTTP/2 alone: a service's name in its package, as gRPC has it */
};

static __always_inline __u64 mixed(__u64 hash, __u64 value)
{
	hash = (hash ^ value) * route_factor;
	return hash ^ hash >> 32;
}

static __always_inline int is_digit(__u8 byte)
{
	return (__u8)(byte - '0') < 10;
}

static __always_inline int is_hex(__u8 byte)
{
	return is_digit(byte) || (__u8)((byte | 32) - 'a') < 6 || byte == '-';
}

/* A part of the path ends: what names one thing of many is told apart from what names a kind.
 * collectors/routes.py writes the same for people.
 */
static __always_inline void part_close(struct stream *stream)
{
	__u64 hash = stream->normal;
	__u8 flags = stream->part_flags;

	if (flags & PART_VERSION && stream->part_bytes <= VERSION_PART)
		hash = stream->literal;
	if ((stream->part_bytes > LONG_PART &&
	     (flags & (PART_DIGITS | PART_DOTTED)) != PART_DOTTED) ||
	    (stream->part_bytes >= HEX_PART &&
	     (flags & (PART_DIGITS | PART_NOT_HEX)) == PART_DIGITS))
		hash = '*';
	stream->route = mixed(stream->route, hash);
	stream->literal = 0;
	stream->normal = 0;
	stream->part_bytes = 0;
	stream->part_flags = 0;
}

static __always_inline void part_add(struct stream *stream, __u8 byte)
{
	__u8 flags = stream->part_flags;

	if (is_digit(byte)) {
		if (!(flags & PART_AFTER_DIGIT))
			stream->normal = mixed(stream->normal, '0');
		flags |= PART_DIGITS | PART_AFTER_DIGIT;
	} else {
		stream->normal = mixed(stream->normal, byte);
		flags &= ~PART_AFTER_DIGIT;
		if (byte == 'v' && !stream->part_bytes)
			flags |= PART_VERSION;
	}
	if (!is_hex(byte))
		flags |= PART_NOT_HEX;
	stream->literal = mixed(stream->literal, byte);
	stream->part_flags = flags;
	if (stream->part_bytes <= LONG_PART)
		stream->part_bytes++;
}

static __always_inline void start_read(struct stream *stream, struct message *message, __u8 byte,
				       __u32 way)
{
	message->began_ns = message->now_ns;
	if (way == WAY_OUT) {
		message->state = byte == 'H' ? AT_STATUS : AT_LOST;
		message->at = 1;
		message->status = 0;
		return;
	}
	if (byte == '\r' ||
	    byte == '\n') /* RFC 9112, 2.2: before a request line they are nothing */
		return;
	if (byte == TLS_HANDSHAKE && stream->flags & WHOLE) {
		message->state = AT_PASSED;
		return;
	}
	message->state = (__u8)(byte - 'A') < 26 ? AT_METHOD : AT_LOST;
	stream_clear(stream);
	stream->method[0] = byte;
	message->at = 1;
}

static __always_inline void method_read(struct stream *stream, struct message *message, __u8 byte)
{
	if (byte == ' ') {
		message->state = AT_TARGET;
		message->at = 0;
	} else if (((__u8)((byte | 32) - 'a') < 26 || byte == '-' || byte == '_') &&
		   message->at < 2 * sizeof(stream->method)) {
		if (message->at < sizeof(stream->method))
			stream->method[message->at & 7] = byte;
		message->at++;
	} else {
		message->state = AT_LOST;
	}
}

/* `at`: 0 in the path, 1 behind '?'. */
static __always_inline void target_add(struct stream *stream, struct message *message, __u8 byte)
{
	stream->target = mixed(stream->target, byte);
	if (message->at)
		return;
	if (byte == '?' || byte == '#') {
		part_close(stream);
		message->at = 1;
		return;
	}
	if (stream->path_bytes < ROUTE_BYTES)
		stream->path[stream->path_bytes & (ROUTE_BYTES - 1)] = byte;
	stream->path_bytes++;
	if (byte == '/')
		part_close(stream);
	else
		part_add(stream, byte);
}

static __always_inline void target_read(struct stream *stream, struct message *message, __u8 byte)
{
	if (byte == ' ') {
		if (!message->at)
			part_close(stream);
		message->state = AT_VERSION;
		message->at = 0;
		return;
	}
	if (byte < ' ') {
		message->state = AT_LOST;
		return;
	}
	target_add(stream, message, byte);
}

/* Of 8, 16 or 32 bytes it would be in a section of its own that the linker does not know. */
static const char version_wanted[12] = "HTTP/1.1";

/* That, and of HTTP/2's preface "HTTP/2.0". */
static __always_inline int version_fits(__u8 byte, __u32 at)
{
	if (at == 5)
		return byte == '1' || byte == '2';
	if (at == 7)
		return is_digit(byte);
	return byte == (__u8)version_wanted[at & 7];
}

static __always_inline void version_read(struct message *message, __u8 byte)
{
	__u32 at = message->at;

	if (at >= 8) {
		if (byte == '\n')
			message->state = LINE_START;
		else if (byte != '\r' || at > 8)
			message->state = AT_LOST;
	} else if (!version_fits(byte, at)) {
		message->state = AT_LOST;
	} else if (at == 5 && byte == '2') {
		message->flags |= PREFACE;
	}
	message->at = at + 1;
}

static __always_inline void status_read(struct message *message, __u8 byte)
{
	__u32 at = message->at;

	if (at < 8) {
		if (!version_fits(byte, at))
			message->state = AT_LOST;
	} else if (at >= 9 && at < 12) {
		if (!is_digit(byte))
			message->state = AT_LOST;
		message->status = message->status * 10 + (byte - '0');
	} else if (byte == '\n') {
		message->state = LINE_START;
	}
	if (at < 12)
		message->at = at + 1;
}

static __always_inline void line_start_read(struct message *message, __u8 byte)
{
	if (byte == '\n') {
		message->state = HEAD_DONE;
	} else if (byte != '\r') {
		message->state = AT_NAME;
		message->name = byte | 32;
	}
}

static __always_inline void name_read(struct message *message, __u8 byte)
{
	if (byte == '\n') { /* no header, or the rest of one that was folded */
		message->state = LINE_START;
		return;
	}
	if (byte != ':') {
		if ((__u8)(byte - 'A') < 26)
			byte |= 32;
		message->name = message->name * NAME_FACTOR + byte;
		return;
	}
	message->state = AT_VALUE;
	message->number = 0;
	if (message->name == NAME_LENGTH) {
		message->state = VALUE_LENGTH;
		message->length = 0;
		message->flags |= HAS_LENGTH;
	} else if (message->name == NAME_CODING) {
		message->state = VALUE_CODING;
	}
}

static __always_inline void coding_read(struct message *message, __u8 byte)
{
	if (byte == '\n') {
		message->state = LINE_START;
		return;
	}
	message->number = (message->number << 8 | (byte | 32)) & CODING_MASK;
	if (message->number == CODING_CHUNKED)
		message->flags |= CHUNKED;
}

static __always_inline void chunk_size_read(struct message *message, __u8 byte)
{
	if (byte == '\n') {
		message->state = message->number ? CHUNK_SIZE : TRAILER_START;
		message->skip = message->number ? message->number + 2 : 0; /* and its CR LF */
		message->number = 0;
	} else if (is_digit(byte)) {
		message->number = message->number << 4 | (byte - '0');
	} else if ((__u8)((byte | 32) - 'a') < 6) {
		message->number = message->number << 4 | ((byte | 32) - 'a' + 10);
	} else if (byte == ';' || byte == ' ' || byte == '\t') {
		message->state = CHUNK_REST;
	} else if (byte != '\r') {
		message->state = AT_LOST;
	}
}

/* Length, kind, flags and number of a frame, in the order of the network (RFC 9113, 4.1). */
static __always_inline void frame_head_read(struct message *message, __u8 byte)
{
	if (!message->at) {
		message->number = 0;
		message->length = 0;
	}
	if (message->at < 3)
		message->length = message->length << 8 | byte;
	else
		message->number = message->number << 8 | byte;
	message->at++;
	if (message->at == FRAME_BYTES)
		message->state = FRAME_DONE;
}

static __always_inline void byte_read(struct stream *stream, struct message *message, __u8 byte,
				      __u32 way)
{
	switch (message->state) {
	case MESSAGE_START:
		start_read(stream, message, byte, way);
		break;
	case AT_METHOD:
		method_read(stream, message, byte);
		break;
	case AT_TARGET:
		target_read(stream, message, byte);
		break;
	case AT_VERSION:
		version_read(message, byte);
		break;
	case AT_STATUS:
		status_read(message, byte);
		break;
	case LINE_START:
		line_start_read(message, byte);
		break;
	case AT_NAME:
		name_read(message, byte);
		break;
	case AT_VALUE:
		if (byte == '\n')
			message->state = LINE_START;
		break;
	case VALUE_LENGTH:
		if (byte == '\n')
			message->state = LINE_START;
		else if (is_digit(byte))
			message->length = message->length * 10 + (byte - '0');
		break;
	case VALUE_CODING:
		coding_read(message, byte);
		break;
	case CHUNK_SIZE:
		chunk_size_read(message, byte);
		break;
	case CHUNK_REST:
		if (byte == '\n')
			chunk_size_read(message, byte);
		break;
	case TRAILER_START:
		if (byte == '\n')
			message->state = MESSAGE_DONE;
		else if (byte != '\r')
			message->state = AT_TRAILER;
		break;
	case AT_TRAILER:
		if (byte == '\n')
			message->state = TRAILER_START;
		break;
	case AT_FRAME:
		frame_head_read(message, byte);
		break;
	}
}

#endif
