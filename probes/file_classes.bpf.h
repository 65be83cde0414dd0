/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Bytes by what the file behind a descriptor is: what file_classes.bpf.c offers the others. */
#ifndef INFERWARD_FILE_CLASSES_BPF_H
#define INFERWARD_FILE_CLASSES_BPF_H

#include "compat.bpf.h"
#include "path.bpf.h"
#include "subjects.bpf.h"

#define FMODE_READ_BIT 0x1
#define FMODE_WRITE_BIT 0x2

#define FILE_TYPE_MASK 0170000
#define FILE_TYPE_FIFO 0010000
#define FILE_TYPE_CHARACTER 0020000
#define FILE_TYPE_DIRECTORY 0040000
#define FILE_TYPE_BLOCK 0060000
#define FILE_TYPE_REGULAR 0100000
#define FILE_TYPE_SOCKET 0140000

struct file_facts {
	struct file_key key;
	__u32 mode;  /* of the file: its type and permissions */
	__u32 fmode; /* of this opening of it: FMODE_* */
};

/* What fd_known() answers. */
enum fd_knowledge {
	FD_CLOSED = 0, /* by another thread, meanwhile */
	FD_KNOWN = 1,
	FD_HELD = 2, /* and a workload holds the file as its own */
};

/* Of the file that fd_known() was asked for last, on this CPU. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct file_facts);
} facts_read_last __weak SEC(".maps");

static __always_inline struct file_facts *facts_last(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&facts_read_last, &zero);
}

/* How a file was opened, as event flags. */
static __always_inline __u16 access_flags(__u32 fmode)
{
	__u16 flags = 0;

	if (fmode & FMODE_READ_BIT)
		flags |= FLAG_READ;
	if (fmode & FMODE_WRITE_BIT)
		flags |= FLAG_WRITE;
	if (fmode & FMODE_CREATED_BIT)
		flags |= FLAG_CREATED;
	return flags;
}

static __always_inline void class_add(__u32 workload, __u32 class, enum file_direction direction,
				      __u64 bytes)
{
	__u32 row = (workload & (MAX_WORKLOADS - 1)) * FILE_CLASS_MAX + class;
	__u32 slot = row * FILE_DIRECTION_MAX + direction;
	__u64 *count = bpf_map_lookup_elem(&file_bytes, &slot);

	if (count)
		*count += bytes;
}

/* All of file_classes.bpf.c, where the one use of a kernel function is: bpftool 7.1 cannot link two. */
extern int fd_moved(__u32 workload, __u32 fd, __u32 direction, __u64 bytes);
extern int fd_known(__u32 fd);
extern int file_class(__u64 file_address);
extern int fd_major(__u32 fd);

#endif
