/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* An open file, and its path; the walk itself is in path.bpf.c. */
#ifndef INFERWARD_PATH_BPF_H
#define INFERWARD_PATH_BPF_H

#include "record.bpf.h"

#define PATH_SPAN 256            /* a power of two: the verifier bounds offsets by masks */
#define TEXT_END (PATH_SPAN - 1) /* path_build writes up to here */
#define SUFFIX_SPAN 13           /* the longest suffix, "safetensors", its dot and one more */

struct path_walk {
	struct dentry *dentry;
	struct vfsmount *mount;
	struct dentry *root;
	struct vfsmount *root_mount;
	__u32 offset; /* of the first byte written, counting down from PATH_SPAN - 1 */
	__u32 flags;
	__u64 length;
	__u32 head;               /* bytes before `offset` that belong to the path, too */
	__u32 cut;                /* whether even more comes before those */
	char text[2 * PATH_SPAN]; /* the upper half is slack for masked writes */
};

/* Tracing programs run with preemption off: a CPU's walk is not interrupted by another. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct path_walk);
} path_walks __weak SEC(".maps");

static __always_inline struct path_walk *path_walk_current(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&path_walks, &zero);
}

/* Leaves the path of a struct file in this CPU's walk; returns event flags. */
extern int path_build(__u64 file_address);

/* The same of a name in a directory; the name stands at the end of the walk already, behind a
 * slash, from `offset` on.
 */
extern int path_join(__u64 dentry_address, __u64 mount_address);

/* The same of a name that stands there from `offset` on and is relative to nothing. */
extern int path_given(__u32 flags);

/* Tells the beginning of a path whose end `path_take` wrote. */
extern int head_submit(void);

/* Writes this CPU's walk, at most PATH_BYTES - 1 bytes, to `out`, which is clear, so that a NUL
 * ends it. What does not fit loses its beginning, never its end, and `path_tell` tells it. Returns
 * event flags.
 */
static __always_inline __u16 path_take(char *out, __u16 flags)
{
	struct path_walk *walk = path_walk_current();
	__u64 length;

	if (!walk)
		return FLAG_UNREADABLE;
	length = walk->length;
	if (length > PATH_BYTES - 1)
		return flags | FLAG_UNREADABLE;
	if (bpf_probe_read_kernel(out, length, &walk->text[walk->offset & (PATH_SPAN - 1)]))
		flags |= FLAG_UNREADABLE;
	return flags;
}

static __always_inline void path_tell(__u16 flags)
{
	if (flags & FLAG_TRUNCATED)
		head_submit();
}

static __always_inline __u16 path_write(char *out, struct file *file)
{
	__u16 flags = path_take(out, path_build((__u64)file));

	path_tell(flags);
	return flags;
}

/* 1: there is one, and `suffix` holds it. */
static __always_inline int suffix_read(struct path_walk *walk, struct file_suffix *suffix)
{
	for (__u32 i = 1; i <= SUFFIX_SPAN; i++) {
		char c = walk->text[TEXT_END - i];

		if (TEXT_END - i < walk->offset || c == '/')
			return 0;
		if (c == '.')
			return 1;
		if (c >= 'A' && c <= 'Z')
			c += 'a' - 'A';
		suffix->text[SUFFIX_BYTES - i] = c;
	}
	return 0;
}

/* The open file behind a descriptor of the running task, or NULL. Plain loads where the verifier
 * knows the types: of a chain of helpers, each read costs as much as the rest of this.
 */
static __always_inline struct file *file_of(struct task_struct *task, __u32 fd)
{
	struct files_struct *files = task->files;
	struct fdtable *table = files->fdt;
	struct file *file = NULL;

	if (fd >= table->max_fds)
		return NULL;
	if (bpf_probe_read_kernel(&file, sizeof(file), &table->fd[fd]))
		return NULL;
	return file;
}

#endif
