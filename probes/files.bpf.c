/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* One EVENT_FILE per file, access and role: the first open of each. And one per directory that
 * a role lists, FLAG_DIRECTORY.
 *
 * Called from sys_exit for open(2), getdents(2) and their kin with the descriptor; what is
 * read is the kernel's struct file. Linux 5.12 or later.
 */
#include "compat.bpf.h"
#include "file_classes.bpf.h"
#include "paces.bpf.h"
#include "reflex.bpf.h"
#include "subjects.bpf.h"

#define S_IFCHR_TYPE 0020000

static __always_inline void key_owned(struct seen_key *key, struct task_state *state)
{
	key->workload = state->workload;
	key->role = state->role;
	key->kind = EVENT_FILE;
}

static __always_inline void file_key_fill(struct seen_key *key, struct task_state *state,
					  struct inode *inode)
{
	key->first = BPF_CORE_READ(inode, i_ino);
	key->dev = BPF_CORE_READ(inode, i_sb, s_dev);
	key->generation = BPF_CORE_READ(inode, i_generation);
	key_owned(key, state);
}

/* What no storm of other files may hide. Its path is this CPU's walk. */
static __always_inline __u32 file_is_grave(struct file *file, __u32 flags)
{
	__u32 type = BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT_MASK;
	__u32 class = suffix_class();

	if (type == S_IFCHR_TYPE || type == S_IFBLK_TYPE || class == FILE_SECRET)
		return 1;
	if ((flags & FLAG_WRITE) &&
	    (class == FILE_CODE || class == FILE_WEIGHTS || class == FILE_CONFIG))
		return 1;
	return file_sensitive(file) != 0;
}

/* Whether it is to be told; what is not is counted in its directory's crowd. */
static __noinline int file_is_due(struct task_struct *task, struct seen_key *key, struct file *file,
				  __u32 flags)
{
	struct dentry *directory = BPF_CORE_READ(file, f_path.dentry, d_parent);
	__u32 grave = file_is_grave(file, flags);
	__u64 now_ns = bpf_ktime_get_ns();
	struct crowd_draft *draft;
	struct crowd *crowd;

	if (pace_allows(key->workload, grave ? PACE_GRAVE : PACE_FILES, now_ns))
		return 1;
	draft = crowd_begin(key, grave);
	if (!draft)
		return 1;
	draft->key.place = BPF_CORE_READ(directory, d_inode, i_ino);
	draft->key.dev = key->dev;
	crowd = crowd_found(draft);
	if (!crowd) {
		crowd = crowd_clear(draft, task);
		crowd->hdr.flags = path_take(crowd->path, flags);
		crowd->ino = key->first;
		crowd->dev = key->dev;
		crowd->generation = key->generation;
		crowd = crowd_made(draft);
	}
	if (crowd && place_allows(crowd, key->workload, now_ns))
		return 1;
	crowd_joined(crowd, key->workload, now_ns);
	return 0;
}

/* Returns 1 if it is told. Its path is this CPU's walk. */
static __always_inline int file_submit(struct task_struct *task, struct seen_key *key,
				       struct file *file, __u16 flags, __u32 call)
{
	struct inode *inode = BPF_CORE_READ(file, f_inode);
	struct file_event *event = record_reserve(key->workload);

	if (!event)
		return 0;
	record_header(&event->hdr, EVENT_FILE, task, key->workload, key->role);
	event->hdr.syscall = call;
	event->ino = key->first;
	event->dev = key->dev;
	event->generation = key->generation;
	event->size = BPF_CORE_READ(inode, i_size);
	event->mode = BPF_CORE_READ(inode, i_mode);
	event->open_flags = BPF_CORE_READ(file, f_flags);
	event->hdr.flags = path_take(event->path, flags);
	path_tell(event->hdr.flags);
	record_submit(&event->hdr, 0);
	return 1;
}

/* The first of its key, in this access: told, or counted. Returns 1 if it is told. */
static __always_inline int file_first(struct task_struct *task, struct seen_key *key,
				      struct file *file, __u16 flags, __u32 call)
{
	if (seen_before(key))
		return 0;
	flags |= path_build((__u64)file);
	return file_is_due(task, key, file, flags) && seen_first(key) &&
	       file_submit(task, key, file, flags, call);
}

/* Each returns 0; global functions, so that the verifier checks them by themselves. */
__noinline int file_opened(__u32 fd, __u32 call)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct task_state *state = task_watched(task);
	struct seen_key key = {};
	struct file_facts *facts;
	struct file *file;
	__u16 flags;
	int known;

	if (!state)
		return 0;
	total_add(state->workload, COUNT_OPENS, 1);
	known = fd_known(fd);
	if (known == FD_HELD)
		stranger_opened(fd, call); /* to another workload, this one may be one */
	facts = facts_last();
	file = file_of(task, fd);
	if (known == FD_CLOSED || !facts || !file) {
		/* Another thread closed it already: it was open, we cannot say what. */
		loss_count(state->workload, LOSS_READ_FAULT);
		return 0;
	}
	flags = access_flags(facts->fmode);
	key.first = facts->key.ino;
	key.dev = facts->key.dev;
	key.generation = facts->key.generation;
	key_owned(&key, state);
	key.access = flags & (FLAG_READ | FLAG_WRITE | FLAG_CREATED);
	if (file_first(task, &key, file, flags, call))
		state->due = EVENT_FILE;
	if (reflex_of(state->workload, REFLEX_SECRET))
		reflex_file((__u64)file, state->workload, state->role, REFLEX_SECRET, 1);
	return 0;
}

__noinline int directory_listed(__u32 fd, __u32 call)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct task_state *state = task_watched(task);
	struct seen_key key = {.second = FLAG_DIRECTORY};
	struct file *file;

	if (!state)
		return 0;
	total_add(state->workload, COUNT_LISTINGS, 1);
	file = file_of(task, fd);
	if (!file) {
		loss_count(state->workload, LOSS_READ_FAULT);
		return 0;
	}
	file_key_fill(&key, state, BPF_CORE_READ(file, f_inode));
	key.access = FLAG_READ;
	file_first(task, &key, file, FLAG_DIRECTORY | FLAG_READ, call);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
