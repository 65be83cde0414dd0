/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* One EVENT_MAPPING per executable file, and one per way of making memory executable.
 *
 * Called from sys_exit for mmap(2) with PROT_EXEC and for mprotect(2) that adds it.
 * The loader's own first mappings are part of execve and belong to EVENT_EXEC.
 */
#include "path.bpf.h"

#define MAP_ANONYMOUS_BIT 0x20
#define CALL_MMAP_NUMBER 9

static __always_inline struct mapping_event *mapping_reserve(struct task_state *state,
							     struct task_struct *task,
							     __u64 address, __u32 prot, __u32 call)
{
	struct mapping_event *event = record_reserve(state->workload);

	if (!event)
		return NULL;
	record_header(&event->hdr, EVENT_MAPPING, task, state->workload, state->role);
	event->hdr.syscall = call;
	event->address = address;
	event->prot = prot;
	return event;
}

__noinline int memory_mapped(__u64 address, __u32 prot, __u32 map_flags, __u32 fd)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct task_state *state = task_watched(task);
	struct seen_key key = {.kind = EVENT_MAPPING};
	struct mapping_event *event;
	struct file *file = NULL;
	struct inode *inode;

	if (!state)
		return 0;
	key.workload = state->workload;
	key.role = state->role;
	key.access = FLAG_ANONYMOUS;
	if (!(map_flags & MAP_ANONYMOUS_BIT)) {
		file = file_of(task, fd);
		if (!file) {
			loss_count(state->workload, LOSS_READ_FAULT);
			return 0;
		}
		inode = BPF_CORE_READ(file, f_inode);
		key.access = 0;
		key.first = BPF_CORE_READ(inode, i_ino);
		key.dev = BPF_CORE_READ(inode, i_sb, s_dev);
		key.generation = BPF_CORE_READ(inode, i_generation);
	}
	if (!seen_first(&key))
		return 0;
	event = mapping_reserve(state, task, address, prot, CALL_MMAP_NUMBER);
	if (!event)
		return 0;
	event->map_flags = map_flags;
	event->ino = key.first;
	event->dev = key.dev;
	event->generation = key.generation;
	event->hdr.flags = file ? path_write(event->path, file) : FLAG_ANONYMOUS;
	record_submit(&event->hdr, 1);
	state->due = EVENT_MAPPING;
	return 0;
}

__noinline int memory_protected(__u64 address, __u32 prot, __u32 call)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct task_state *state = task_watched(task);
	struct seen_key key = {.kind = EVENT_MAPPING, .first = 1, .access = FLAG_ANONYMOUS};
	struct mapping_event *event;

	if (!state)
		return 0;
	key.workload = state->workload;
	key.role = state->role;
	if (!seen_first(&key))
		return 0;
	event = mapping_reserve(state, task, address, prot, call);
	if (!event)
		return 0;
	event->hdr.flags = FLAG_ANONYMOUS | FLAG_PROTECT;
	record_submit(&event->hdr, 1);
	state->due = EVENT_MAPPING;
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
