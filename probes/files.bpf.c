/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* One EVENT_FILE per file, access and role: the first open of each. And one per directory that
 * a role lists, FLAG_DIRECTORY.
 *
 * Called from sys_exit for open(2), getdents(2) and their kin with the descriptor; what is
 * read is the kernel's struct file. Linux 5.11 or later (task storage).
 */
#include "compat.bpf.h"
#include "path.bpf.h"
#include "reflex.bpf.h"
#include "subjects.bpf.h"

#define FMODE_READ_BIT 0x1
#define FMODE_WRITE_BIT 0x2

static __always_inline __u16 access_flags(struct file *file)
{
	__u32 mode = BPF_CORE_READ(file, f_mode);
	__u16 flags = 0;

	if (mode & FMODE_READ_BIT)
		flags |= FLAG_READ;
	if (mode & FMODE_WRITE_BIT)
		flags |= FLAG_WRITE;
	if (mode & FMODE_CREATED_BIT)
		flags |= FLAG_CREATED;
	return flags;
}

static __always_inline void file_key_fill(struct seen_key *key, struct task_state *state,
					  struct inode *inode)
{
	key->first = BPF_CORE_READ(inode, i_ino);
	key->dev = BPF_CORE_READ(inode, i_sb, s_dev);
	key->generation = BPF_CORE_READ(inode, i_generation);
	key->workload = state->workload;
	key->role = state->role;
	key->kind = EVENT_FILE;
}

/* Returns 1 if it is told. */
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
	event->hdr.flags = flags | path_write(event->path, file);
	record_submit(&event->hdr, 0);
	return 1;
}

/* Each returns 0; global functions, so that the verifier checks them by themselves. */
__noinline int file_opened(__u32 fd, __u32 call)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct task_state *state = task_watched(task);
	struct seen_key key = {};
	struct file *file;
	__u16 flags;

	if (!state)
		return 0;
	total_add(state->workload, COUNT_OPENS, 1);
	stranger_opened(fd, call); /* to another workload, this one may be one */
	file = file_of(task, fd);
	if (!file) {
		/* Another thread closed it already: it was open, we cannot say what. */
		loss_count(state->workload, LOSS_READ_FAULT);
		return 0;
	}
	flags = access_flags(file);
	file_key_fill(&key, state, BPF_CORE_READ(file, f_inode));
	key.access = flags & (FLAG_READ | FLAG_WRITE | FLAG_CREATED);
	if (seen_first(&key) && file_submit(task, &key, file, flags, call))
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
	if (seen_first(&key))
		file_submit(task, &key, file, FLAG_DIRECTORY | FLAG_READ, call);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
