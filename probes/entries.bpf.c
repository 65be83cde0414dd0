/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Fields of HTTP/2 that are read, and the entries of its dynamic tables that hold some (RFC 7541,
 * 2.3): each by the number of its insertion.
 *
 * Called from fields.bpf.c where a field was walked to its end, or an index was read.
 */
#include "fields.bpf.h"

#define STATIC_LAST 61 /* RFC 7541, appendix A */
#define STATIC_GET 2
#define STATIC_POST 3
#define STATIC_ROOT 4
#define STATIC_INDEX 5
#define STATIC_STATUS 8
#define STATIC_STATUS_LAST 14
#define PLACE_SHIFT 3

/* Of 16 bytes it would be in a section of its own: messages.bpf.h. */
static const __u16 statuses[9] = {200, 204, 206, 304, 400, 404, 500};

static __always_inline __u8 static_kind(__u32 index, __u32 way)
{
	if (way == WAY_OUT)
		return index >= STATIC_STATUS && index <= STATIC_STATUS_LAST ? FIELD_STATUS
									     : FIELD_OTHER;
	if (index == STATIC_GET || index == STATIC_POST)
		return FIELD_METHOD;
	return index == STATIC_ROOT || index == STATIC_INDEX ? FIELD_PATH : FIELD_OTHER;
}

/* The number of the entry that an index means, or 0. */
static __always_inline __u32 entry_number(const struct walk *walk, __u32 index)
{
	__u32 back = index - STATIC_LAST - 1;

	return back < walk->inserted ? walk->inserted - back : 0;
}

/* A field's value is known, whether it was written out or is an entry's. */
static __always_inline void value_take(struct stream *stream, struct walk *walk, __u8 kind,
				       __u64 value)
{
	if (kind == FIELD_METHOD)
		*(__u64 *)stream->method = value;
	else if (kind == FIELD_STATUS)
		walk->status = value;
	else if (kind == FIELD_OUTCOME)
		walk->outcome = value < 0xffff ? value + 1 : 0xffff;
	else if (kind == FIELD_PATH)
		walk->flags |= WALK_PATH;
}

static __always_inline void path_take(struct stream *stream, struct walk *walk,
				      const struct kept_path *kept)
{
	if (walk->flags & WALK_PATH) {
		walk->state = WALK_LOST;
		return;
	}
	walk->flags |= WALK_PATH;
	stream->route = kept->route;
	stream->target = kept->target;
	stream->path_bytes = kept->bytes;
	__builtin_memcpy(stream->path, kept->path, sizeof(stream->path));
}

static __always_inline void static_path(struct stream *stream, struct walk *walk, __u32 index)
{
	static const char file[] = "/index.html";
	__u32 bytes = index == STATIC_ROOT ? 1 : sizeof(file) - 1;

	if (walk->flags & WALK_PATH) {
		walk->state = WALK_LOST;
		return;
	}
	walk->flags |= WALK_PATH;
	for (__u32 i = 0; i < sizeof(file) - 1; i++) {
		if (i < bytes)
			path_letter(stream, file[i]);
	}
	path_end(stream);
}

static __always_inline void static_take(struct stream *stream, struct walk *walk, __u32 index,
					__u32 way)
{
	__u8 kind = static_kind(index, way);

	if (kind == FIELD_PATH)
		static_path(stream, walk, index);
	else if (kind == FIELD_METHOD)
		value_take(stream, walk, kind,
			   index == STATIC_GET ? LETTERS('G', 'E', 'T', 0, 0, 0, 0)
					       : LETTERS('P', 'O', 'S', 'T', 0, 0, 0));
	else if (kind == FIELD_STATUS)
		value_take(stream, walk, kind, statuses[(index - STATIC_STATUS) & 7]);
}

/* A field is an index: the whole of it stands in one of the tables. */
__noinline int field_indexed(struct stream *stream, struct multiplex *all, __u32 way)
{
	struct walk *walk;
	__u32 number;
	__u8 place, at;

	way &= 1;
	if (!stream || !all)
		return 0;
	walk = &all->ways[way];
	if (walk->number <= STATIC_LAST) {
		if (!walk->number)
			walk->state = WALK_LOST;
		static_take(stream, walk, walk->number, way);
		return 0;
	}
	number = entry_number(walk, walk->number);
	if (!number) {
		walk->state = WALK_LOST;
		return 0;
	}
	place = walk->places[number & (ENTRIES_MAX - 1)];
	at = place >> PLACE_SHIFT & (FIELDS_KEPT - 1);
	place &= (1 << PLACE_SHIFT) - 1;
	if (place == FIELD_PATH && all->paths[at].number == number)
		path_take(stream, walk, &all->paths[at]);
	else if (place && all->fields[way][at].number == number)
		value_take(stream, walk, place, all->fields[way][at].value);
	return 0;
}

/* An index gave a field's name. */
__noinline int field_named(struct multiplex *all, __u32 way)
{
	struct walk *walk;
	__u32 number;

	way &= 1;
	if (!all)
		return 0;
	walk = &all->ways[way];
	if (walk->number <= STATIC_LAST) {
		walk->kind = static_kind(walk->number, way);
		return 0;
	}
	number = entry_number(walk, walk->number);
	if (number)
		walk->kind = walk->places[number & (ENTRIES_MAX - 1)] & ((1 << PLACE_SHIFT) - 1);
	else
		walk->state = WALK_LOST;
	return 0;
}

static __always_inline void entry_keep(struct stream *stream, struct multiplex *all,
				       struct walk *walk, __u32 way)
{
	__u8 at = walk->kept & (FIELDS_KEPT - 1);

	walk->inserted++;
	walk->places[walk->inserted & (ENTRIES_MAX - 1)] = walk->kind ? walk->kind | at << 3 : 0;
	if (!walk->kind)
		return;
	walk->kept++;
	all->fields[way][at].number = 0;
	if (walk->kind == FIELD_PATH) {
		struct kept_path *path = &all->paths[at];

		path->number = walk->inserted;
		path->route = stream->route;
		path->target = stream->target;
		path->bytes = stream->path_bytes;
		__builtin_memcpy(path->path, stream->path, sizeof(path->path));
	} else {
		all->fields[way][at].number = walk->inserted;
		all->fields[way][at].value = walk->value;
	}
}

/* A field was walked to its end. */
__noinline int field_done(struct stream *stream, struct multiplex *all, __u32 way)
{
	struct walk *walk;

	way &= 1;
	if (!stream || !all)
		return 0;
	walk = &all->ways[way];
	walk->state = WALK_FIELD;
	if (walk->kind == FIELD_PATH)
		path_end(stream);
	value_take(stream, walk, walk->kind, walk->value);
	if (walk->flags & WALK_INSERTS)
		entry_keep(stream, all, walk, way);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
