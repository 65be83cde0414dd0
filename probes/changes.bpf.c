/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* One EVENT_CHANGE per name, operation and role: the first of each; two for a call of two names.
 * Opens that were not allowed come here, too, though they change nothing: a name is all there is.
 *
 * What a descriptor names is read from the kernel's struct file. A path is gone from the kernel
 * when its call returns: it is read from the caller's memory (FLAG_GIVEN), or from the kernel's
 * own copy where a ring made the request (ring_changes.bpf.c), and joined to the kernel's walk of
 * the directory that it is relative to. Neither links nor `..` in it are followed here.
 */
#include "changes.bpf.h"
#include "compat.bpf.h"
#include "paces.bpf.h"

#define PATH_WORDS (PATH_BYTES / 8)
#define HASH_FACTOR 0x9e3779b97f4a7c15ULL /* 2^64 over the golden ratio */
#define S_IFMT_BITS 0170000
#define S_IFDIR_BITS 0040000

/* What a name begins with: a directory of the process, or what its descriptor names. */
static __always_inline struct file *directory_of(struct task_struct *task, __s32 directory)
{
	return directory == WORKING_DIRECTORY ? NULL : file_of(task, directory);
}

static __always_inline void inode_note(struct change *change, struct file *file)
{
	struct inode *inode = BPF_CORE_READ(file, f_inode);

	change->ino = BPF_CORE_READ(inode, i_ino);
	change->dev = BPF_CORE_READ(inode, i_sb, s_dev);
	change->generation = BPF_CORE_READ(inode, i_generation);
	if ((BPF_CORE_READ(inode, i_mode) & S_IFMT_BITS) == S_IFDIR_BITS)
		change->path_flags |= FLAG_DIRECTORY;
}

/* Reads a name; its length, 0 where there is none or it is empty, negative where it cannot be read. */
static __always_inline long name_read(struct change *change, __u64 text)
{
	long bytes;

	if (!text)
		return 0;
	if (change->flags & FLAG_RING)
		bytes = bpf_probe_read_kernel_str(change->given, GIVEN_BYTES, (void *)text);
	else
		bytes = bpf_probe_read_user_str(change->given, GIVEN_BYTES, (void *)text);
	return string_length(bytes);
}

/* Puts the end of a name of `length` bytes at the end of the walk. */
static __always_inline __u32 name_place(struct path_walk *walk, struct change *change, __u64 length)
{
	__u64 kept = length > PATH_SPAN - 2 ? PATH_SPAN - 2 : length;
	__u32 flags = length > kept ? FLAG_TRUNCATED : 0;

	walk->offset = PATH_SPAN - 1 - kept;
	if (bpf_probe_read_kernel(&walk->text[walk->offset & (PATH_SPAN - 1)],
				  kept & (PATH_SPAN - 1),
				  &change->given[(length - kept) & (GIVEN_BYTES - 1)]))
		flags |= FLAG_UNREADABLE;
	return flags;
}

/* Puts the directory that it is relative to in front of a name. */
static __always_inline __u32 name_join(struct task_struct *task, struct path_walk *walk,
				       struct file *file, __s32 directory)
{
	if (!file && directory != WORKING_DIRECTORY)
		return FLAG_UNREADABLE; /* another thread closed it already */
	walk->offset -= 1;
	walk->text[walk->offset & (PATH_SPAN - 1)] = '/';
	if (file)
		return path_join((__u64)BPF_CORE_READ(file, f_path.dentry),
				 (__u64)BPF_CORE_READ(file, f_path.mnt));
	return path_join((__u64)BPF_CORE_READ(task, fs, pwd.dentry),
			 (__u64)BPF_CORE_READ(task, fs, pwd.mnt));
}

/* Leaves in the change the path of one of its two names. */
__noinline int change_path(__u32 which)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct path_walk *walk = path_walk_current();
	struct change *change = change_current();
	struct change_name *name;
	struct file *file;
	__u32 flags;
	long length;

	if (!walk || !change)
		return 0;
	name = &change->names[which & 1];
	__builtin_memset(change->path, 0, PATH_BYTES);
	change->ino = change->dev = change->generation = change->path_flags = 0;
	length = name_read(change, name->text);
	if (length < 0) {
		change->path_flags = FLAG_UNREADABLE;
		return 0;
	}
	file = directory_of(task, name->directory);
	if (!length) {
		flags = file ? path_build((__u64)file) : FLAG_UNREADABLE;
		if (file)
			inode_note(change, file);
	} else {
		flags = name_place(walk, change, length);
		if (name->operation != CHANGE_SYMLINK_TARGET && change->given[0] != '/' && !flags)
			flags = name_join(task, walk, file, name->directory);
		else
			flags = path_given(flags);
		if (!(change->flags & FLAG_RING))
			flags |= FLAG_GIVEN;
	}
	change->path_flags |= path_take(change->path, flags);
	return 0;
}

/* No process knows where its root lies in the kernel: none can make two names look like one. */
static __always_inline __u64 path_hash(struct task_struct *task, const char *path)
{
	__u64 secret = (__u64)BPF_CORE_READ(task, fs, root.mnt) * HASH_FACTOR;
	const __u64 *words = (const __u64 *)path;
	__u64 hash = (__u64)BPF_CORE_READ(task, fs, root.dentry);

	for (int i = 0; i < PATH_WORDS; i++) {
		hash = (hash ^ words[i]) * (secret | 1);
		hash ^= hash >> 32;
	}
	return hash;
}

/* The same of the directory: all before the last slash. */
static __always_inline __u64 folder_hash(struct task_struct *task, const char *path)
{
	__u64 secret = (__u64)BPF_CORE_READ(task, fs, root.mnt) * HASH_FACTOR;
	__u64 hash = (__u64)BPF_CORE_READ(task, fs, root.dentry);
	__u64 folder = hash;

	for (int i = 0; i < PATH_BYTES; i++) {
		if (path[i] == '/')
			folder = hash;
		hash = (hash ^ path[i]) * (secret | 1);
		hash ^= hash >> 32;
	}
	return folder;
}

/* What no storm of other changes may hide. The name is this CPU's walk. */
static __always_inline __u32 change_is_grave(__u32 operation)
{
	__u32 class = suffix_class();

	switch (operation) {
	case CHANGE_RENAME_FROM:
	case CHANGE_RENAME_TO:
	case CHANGE_LINK:
	case CHANGE_LINK_FROM:
	case CHANGE_SYMLINK_TARGET:
	case CHANGE_UNLINK:
	case CHANGE_MKDIR:
	case CHANGE_RMDIR:
	case CHANGE_TRUNCATE:
	case CHANGE_EMPTY:
	case CHANGE_TIMES:
	case CHANGE_REFUSED_OPEN:
	case CHANGE_REFUSED_WRITE:
		return class == FILE_SECRET || class == FILE_CODE || class == FILE_WEIGHTS ||
		       class == FILE_CONFIG;
	}
	return 1;
}

static __always_inline void name_key_fill(struct seen_key *key, struct task_struct *task,
					  struct task_state *state, struct change *change,
					  __u32 which)
{
	key->workload = state->workload;
	key->role = state->role;
	key->kind = EVENT_CHANGE;
	key->access = change->names[which & 1].operation;
	key->first = path_hash(task, change->path);
}

static __noinline int name_is_new(struct task_struct *task, struct task_state *state,
				  struct change *change, __u32 which)
{
	struct seen_key key = {};

	if (change->path_flags & FLAG_UNREADABLE)
		loss_count(state->workload, LOSS_READ_FAULT);
	name_key_fill(&key, task, state, change, which);
	change->grave |= change_is_grave(key.access);
	return !seen_before(&key);
}

/* Counts a name in its directory's crowd. Returns 1 if it is to be told all the same. */
static __noinline int name_joins(struct task_struct *task, struct task_state *state,
				 struct change *change, __u32 which)
{
	__u64 now_ns = bpf_ktime_get_ns();
	struct seen_key key = {
		.workload = state->workload,
		.role = state->role,
		.kind = EVENT_CHANGE,
		.access = change->names[which & 1].operation,
	};
	struct crowd_draft *draft = crowd_begin(&key, change->grave);
	struct crowd *crowd;

	if (!draft)
		return 1;
	draft->key.place = folder_hash(task, change->path);
	crowd = crowd_found(draft);
	if (!crowd) {
		crowd = crowd_clear(draft, task);
		crowd->hdr.flags = change->flags | change->path_flags;
		crowd->detail = change->detail;
		__builtin_memcpy(crowd->path, change->path, PATH_BYTES);
		crowd = crowd_made(draft);
	}
	if (crowd && !change->joined && place_allows(crowd, state->workload, now_ns))
		return 1;
	crowd_joined(crowd, state->workload, now_ns);
	change->joined = 1;
	return 0;
}

static __noinline void name_tell(struct task_struct *task, struct task_state *state,
				 struct change *change, __u32 which)
{
	struct change_event *event;
	struct seen_key key = {};

	name_key_fill(&key, task, state, change, which);
	seen_first(&key); /* of two names one may be known: both are told */
	event = record_reserve(state->workload);
	if (!event)
		return;
	record_header(&event->hdr, EVENT_CHANGE, task, state->workload, state->role);
	event->hdr.time_ns = change->time_ns;
	event->hdr.syscall = change->call;
	event->hdr.flags = change->flags | change->path_flags;
	event->ino = change->ino;
	event->dev = change->dev;
	event->generation = change->generation;
	event->operation = key.access;
	event->detail = change->detail;
	event->hash = key.first;
	__builtin_memcpy(event->path, change->path, PATH_BYTES);
	path_tell(change->path_flags); /* the walk is still this name's */
	record_submit(&event->hdr, 0);
}

/* Whether the change is to be told, whose last name is this CPU's; else its names are counted. */
static __always_inline int change_is_due(struct task_struct *task, struct task_state *state,
					 struct change *change)
{
	__u32 last = change->names[1].operation != 0;

	change->joined = 0;
	if (pace_allows(state->workload, change->grave ? PACE_GRAVE : PACE_CHANGES,
			change->time_ns) ||
	    name_joins(task, state, change, last))
		return 1;
	if (last) {
		change_path(0);
		name_joins(task, state, change, 0);
	}
	return 0;
}

__noinline int change_tell(void)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct task_state *state = task_watched(task);
	struct change *change = change_current();
	int fresh = 0;

	if (!state || !change)
		return 0;
	if (change->names[0].operation != CHANGE_REFUSED_OPEN &&
	    change->names[0].operation != CHANGE_REFUSED_WRITE)
		total_add(state->workload, COUNT_CHANGES, 1);
	change->time_ns = bpf_ktime_get_ns();
	change->grave = 0;
	for (__u32 i = 0; i < 2 && change->names[i].operation; i++) {
		change_path(i);
		fresh |= name_is_new(task, state, change, i);
	}
	if (!fresh || !change_is_due(task, state, change))
		return 0;
	/* Both, or neither: half a rename says little. */
	for (__u32 i = 0; i < 2 && change->names[i].operation; i++) {
		change_path(i);
		name_tell(task, state, change, i);
	}
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
