/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* One change of a name or an attribute, on its way from a call's arguments to its records. */
#ifndef INFERWARD_CHANGES_BPF_H
#define INFERWARD_CHANGES_BPF_H

#include "path.bpf.h"

#define WORKING_DIRECTORY -100 /* AT_FDCWD, include/uapi/linux/fcntl.h */
#define REMOVE_DIRECTORY 0x200 /* AT_REMOVEDIR */
/* Of fallocate(2): to punch a hole, to take a range out or put one in, to write zeros. */
#define EMPTYING_MODES (0x02 | 0x08 | 0x10 | 0x20 | 0x80)
#define GIVEN_BYTES 4096 /* PATH_MAX */

/* Whether it takes away what a file holds; else it makes room alone. */
static __always_inline int allocation_empties(__u32 mode)
{
	return (mode & EMPTYING_MODES) != 0;
}

struct change_name {
	__u64 text; /* where the name lies; 0: the descriptor itself is meant */
	__s32 directory;
	__u32 operation; /* change_operation; 0: no such name */
};

struct change {
	struct change_name names[2];
	__u64 time_ns;
	__u64 hash;
	__u64 ino;
	__u32 dev;
	__u32 generation;
	__u32 call;
	__u32 detail;
	__u32 flags; /* event_flag: FLAG_RING where the names lie in the kernel's memory */
	__u32 path_flags;
	__u32 grave;  /* has an allowance of its own */
	__u32 joined; /* one of its names is counted: the other is, too */
	char path[PATH_BYTES];
	char given[GIVEN_BYTES];
};

/* Tracing programs run with preemption off: a CPU's change is not interrupted by another. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct change);
} changes __weak SEC(".maps");

static __always_inline struct change *change_current(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&changes, &zero);
}

static __always_inline void change_name_set(struct change_name *name, __u32 operation,
					    __s32 directory, __u64 text)
{
	name->operation = operation;
	name->directory = directory;
	name->text = text;
}

/* Eight bytes as a word compares them: the first lowest. */
#define WORD(a, b, c, d, e, f, g, h)                                                             \
	((__u64)(a) | (__u64)(b) << 8 | (__u64)(c) << 16 | (__u64)(d) << 24 | (__u64)(e) << 32 | \
	 (__u64)(f) << 40 | (__u64)(g) << 48 | (__u64)(h) << 56)
#define LOW_BYTES(count) ((1ULL << 8 * (count)) - 1)

/* The class of an extended attribute by its name's first sixteen bytes. */
static __always_inline __u32 xattr_class_of(const __u64 name[2])
{
	if (name[0] == WORD('s', 'e', 'c', 'u', 'r', 'i', 't', 'y'))
		return name[1] == WORD('.', 'c', 'a', 'p', 'a', 'b', 'i', 'l') ? XATTR_CAPABILITY
									       : XATTR_SECURITY;
	if (name[0] == WORD('t', 'r', 'u', 's', 't', 'e', 'd', '.'))
		return XATTR_TRUSTED;
	return (name[0] & LOW_BYTES(7)) == WORD('s', 'y', 's', 't', 'e', 'm', '.', 0) ? XATTR_SYSTEM
										      : XATTR_OTHER;
}

/* Counts and tells the change that this CPU's slot holds. */
extern int change_tell(void);

#endif
