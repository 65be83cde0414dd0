/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* One EVENT_STRANGER per held file, access and executable: who else opens a workload's weights
 * or shared memory.
 *
 * Called from sys_exit and io_uring's completions for opens, on all of the host, of files that
 * somebody holds: fd_known() in file_classes.bpf.c. The record goes to the first of the
 * holders; the agent knows the others.
 */
#include "file_classes.bpf.h"

#define WORKLOADS_PER_WORD 64
#define HELD_MASK 127 /* what follows a path in the record leaves room for it */

static __always_inline int holds(struct file_holders *holders, __u32 workload)
{
	__u32 word = (workload / WORKLOADS_PER_WORD) & (HOLDER_WORDS - 1);

	return holders->workloads[word] >> (workload % WORKLOADS_PER_WORD) & 1;
}

static __always_inline __u32 first_holder(struct file_holders *holders)
{
	for (__u32 workload = 1; workload < MAX_WORKLOADS; workload++)
		if (holds(holders, workload))
			return workload;
	return 0;
}

/* The last `size` - 1 bytes of a path; `mask` is what bounds them for the verifier. */
static __always_inline __u16 path_end_write(char *out, __u32 size, __u32 mask, struct file *file)
{
	__u16 flags = path_build((__u64)file);
	struct path_walk *walk = path_walk_current();
	__u32 length, offset;

	if (!walk)
		return FLAG_UNREADABLE;
	length = walk->length;
	if (length > size - 1) {
		length = size - 1;
		flags |= FLAG_TRUNCATED;
	}
	offset = PATH_SPAN - 1 - length;
	barrier_var(length); /* the compiler knows the bounds, the verifier forgets them */
	barrier_var(offset);
	if (bpf_probe_read_kernel(out, length & mask, &walk->text[offset & (PATH_SPAN - 1)]))
		flags |= FLAG_UNREADABLE;
	return flags;
}

static __always_inline void stranger_submit(struct task_struct *task, struct seen_key *key,
					    struct file *file, struct file *exe, __u32 opener,
					    __u32 call)
{
	struct stranger_event *event = record_reserve(key->workload);

	if (!event)
		return;
	record_header(&event->hdr, EVENT_STRANGER, task, key->workload, ROLE_MAIN);
	event->hdr.syscall = call;
	event->ino = key->first;
	event->dev = key->dev;
	event->generation = key->generation;
	event->opener = opener;
	event->exe_ino = BPF_CORE_READ(exe, f_inode, i_ino);
	event->exe_dev = BPF_CORE_READ(exe, f_inode, i_sb, s_dev);
	event->hdr.flags = path_end_write(event->path, HELD_BYTES, HELD_MASK, file);
	event->hdr.flags |= key->access;
	if (exe)
		path_end_write(event->exe, EXE_BYTES, EXE_BYTES - 1, exe);
	record_submit(&event->hdr, 1);
}

/* Of a file that fd_known() said is held. Returns 0. */
__noinline int stranger_opened(__u32 fd, __u32 call)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct task_state *state = task_watched(task);
	struct seen_key key = {.kind = EVENT_STRANGER};
	struct file_facts *facts = facts_last();
	struct file_holders *holders;
	struct file_key held = {};
	struct file *file, *exe;

	if (!facts)
		return 0;
	held.ino = facts->key.ino;
	held.dev = facts->key.dev;
	holders = bpf_map_lookup_elem(&held_files, &held);
	if (!holders || (state && holds(holders, state->workload)))
		return 0;
	if (holders->generation && holders->generation != facts->key.generation)
		return 0; /* another file has the number now */
	file = file_of(task, fd);
	key.access = access_flags(facts->fmode) & (FLAG_READ | FLAG_WRITE);
	key.workload = first_holder(holders);
	if (!file || !key.access || !key.workload) /* O_PATH gives no content */
		return 0;
	total_add(key.workload, COUNT_STRANGERS, 1);
	exe = BPF_CORE_READ(task, mm, exe_file);
	key.first = held.ino;
	key.dev = held.dev;
	key.generation = facts->key.generation;
	key.second = BPF_CORE_READ(exe, f_inode, i_ino) ^
		     (__u64)BPF_CORE_READ(exe, f_inode, i_sb, s_dev) << 32;
	if (seen_first(&key))
		stranger_submit(task, &key, file, exe, state ? state->workload : 0, call);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
