/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What a regular file is, as far as its path and size tell.
 *
 * The name's end decides, then the place; a large file without a suffix is taken for weights, as
 * are the blobs of the Hugging Face cache and of Ollama, named by their SHA-256.
 */
#ifndef INFERWARD_GUESS_BPF_H
#define INFERWARD_GUESS_BPF_H

#include "path.bpf.h"

#define HEAD_BYTES 16
#define LARGE_BYTES (64LL << 20)
#define HEX_SHA1 40 /* the hub's small blobs: git's own ids */
#define HEX_SHA256 64
#define NAMED_SHA256 71 /* "sha256-" before it */

static __always_inline int begins(const char *text, const char *with, int length)
{
	for (int i = 0; i < length; i++)
		if (text[i] != with[i])
			return 0;
	return 1;
}

#define BEGINS(text, with) begins(text, with, sizeof(with) - 1)

/* "/blobs/" stands before a name of this length. */
static __always_inline int is_blob(struct path_walk *walk, __u32 length)
{
	__u32 at = TEXT_END - length - (sizeof("/blobs/") - 1);

	return walk->offset <= at && BEGINS(&walk->text[at], "/blobs/");
}

static __always_inline __u32 class_by_place(struct path_walk *walk, struct file *file, int suffixed)
{
	char head[HEAD_BYTES] = {};

	if (bpf_probe_read_kernel(head, sizeof(head), &walk->text[walk->offset & (PATH_SPAN - 1)]))
		return FILE_OTHER;
	if (BEGINS(head, "/tmp/") || BEGINS(head, "/var/tmp/") || BEGINS(head, "/dev/shm/") ||
	    BEGINS(head, "/memfd:"))
		return FILE_TEMP;
	if (BEGINS(head, "/var/log/"))
		return FILE_LOG;
	if (BEGINS(head, "/proc/") || BEGINS(head, "/sys/") || BEGINS(head, "/usr/") || suffixed)
		return FILE_OTHER;
	return BPF_CORE_READ(file, f_inode, i_size) >= LARGE_BYTES ? FILE_WEIGHTS : FILE_OTHER;
}

static __always_inline __u32 class_by_name(struct path_walk *walk, struct file *file)
{
	struct file_suffix suffix = {};
	int suffixed = suffix_read(walk, &suffix);
	__u32 *class = suffixed ? bpf_map_lookup_elem(&suffix_classes, &suffix) : NULL;

	if (class)
		return *class;
	if (is_blob(walk, HEX_SHA256) || is_blob(walk, HEX_SHA1) || is_blob(walk, NAMED_SHA256))
		return FILE_WEIGHTS;
	return class_by_place(walk, file, suffixed);
}

#endif
