/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What is kept of a connection of HTTP/2, in the kernel alone: fields.bpf.c and blocks.bpf.c. */
#ifndef INFERWARD_MULTIPLEX_BPF_H
#define INFERWARD_MULTIPLEX_BPF_H

#include "events.h"

struct walk {           /* how far the header blocks of one direction were read */
	__u64 name[2];  /* last 16 letters of a field's name; the latest is the lowest byte */
	__u64 value;    /* of the field at hand: a method's letters, or a number */
	__u64 bytes;    /* of the block's frames */
	__u32 number;   /* an integer, being read */
	__u32 left;     /* of the string at hand */
	__u32 fragment; /* of the frame's fields */
	__u32 stream;   /* whose block is open; 0: none is */
	__u32 inserted; /* entries so far: each has the number of its insertion, from 1 */
	__u32 kept;     /* of those */
	__u16 status;
	__u16 outcome; /* grpc-status + 1; 0: not told */
	__u8 state;    /* walk_state, in fields.bpf.h */
	__u8 then;     /* walk_then: what an integer or a string is for */
	__u8 shift;    /* of the next seven bits of an integer */
	__u8 kind;     /* field_kind */
	__u8 flags;    /* walk_flag */
	__u8 coded;    /* row of `huffman` */
	__u8 letters;  /* of a value */
	__u8 padding;
	__u8 strict; /* the bits since the last letter could be a string's end */
	__u8 reserved[3];
	__u8 places[ENTRIES_MAX]; /* by an entry's number: field_kind, and where it is kept */
};

struct kept_field {   /* an entry of a dynamic table */
	__u64 value;  /* as of a walk */
	__u32 number; /* of its insertion */
	__u32 reserved;
};

struct kept_path {
	__u64 route;
	__u64 target;
	__u32 number;
	__u32 bytes;
	char path[ROUTE_BYTES];
};

struct asked_stream {  /* a stream whose answer has not ended */
	__u64 time_ns; /* of its latest frame from the client */
	__u64 route;
	__u32 number; /* 0: none */
	__u16 status;
	__u8 method; /* http_method */
	__u8 flags;  /* asked_flag, in fields.bpf.h */
};

struct multiplex { /* what a connection of HTTP/2 has beside a struct stream */
	struct walk ways[2];
	struct kept_field fields[2][FIELDS_KEPT];
	struct kept_path paths[FIELDS_KEPT]; /* that a client sent */
	struct asked_stream asked[STREAMS_MAX];
};

#endif
