/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* One EVENT_FILE per file, access and role: the first open of each.
 *
 * Called from sys_exit for open(2) and its kin with the new descriptor; what is
 * read is the kernel's struct file. Linux 5.11 or later (task storage).
 */
#include "compat.bpf.h"
#include "path.bpf.h"

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

/* Returns 0; a global function, so that the verifier checks it by itself. */
__noinline int file_opened(__u32 fd, __u32 call)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct task_state *state = task_watched(task);
	struct file *file;
	struct inode *inode;
	struct seen_key key = {};
	struct file_event *event;
	__u16 flags;

	if (!state)
		return 0;
	total_add(state->workload, COUNT_OPENS, 1);
	file = file_of(task, fd);
	if (!file) {
		/* Another thread closed it already: it was open, we cannot say what. */
		loss_count(state->workload, LOSS_READ_FAULT);
		return 0;
	}
	inode = BPF_CORE_READ(file, f_inode);
	flags = access_flags(file);
	key.first = BPF_CORE_READ(inode, i_ino);
	key.dev = BPF_CORE_READ(inode, i_sb, s_dev);
	key.generation = BPF_CORE_READ(inode, i_generation);
	key.workload = state->workload;
	key.role = state->role;
	key.kind = EVENT_FILE;
	key.access = flags & (FLAG_READ | FLAG_WRITE | FLAG_CREATED);
	if (!seen_first(&key))
		return 0;

	event = record_reserve(state->workload);
	if (!event)
		return 0;
	record_header(&event->hdr, EVENT_FILE, task, state->workload, state->role);
	event->hdr.syscall = call;
	event->ino = key.first;
	event->dev = key.dev;
	event->generation = key.generation;
	event->size = BPF_CORE_READ(inode, i_size);
	event->mode = BPF_CORE_READ(inode, i_mode);
	event->open_flags = BPF_CORE_READ(file, f_flags);
	event->hdr.flags = flags | path_write(event->path, file);
	record_submit(&event->hdr, 0);
	state->due = EVENT_FILE;
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
