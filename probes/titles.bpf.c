/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* One EVENT_TITLE per name that a role's threads take: prctl(2), writes to /proc/.../comm.
 *
 * Hook: task_rename, which runs before the old name is overwritten, in the thread group of
 * the renamed thread. Not told: the name an exec gives (EVENT_EXEC has the program), and the
 * names that the kernel gives io_uring's threads, which are members but do not choose.
 */
#include "titles.bpf.h"

#define PF_IO_WORKER_BIT 0x10

SEC("tp_btf/task_rename")
int BPF_PROG(on_rename, struct task_struct *task, const char *name)
{
	struct task_state *state = task_watched(task);
	struct seen_key key = {.kind = EVENT_TITLE};
	union short_name short_name = {};
	struct title_event *event;

	if (!state || BPF_CORE_READ_BITFIELD_PROBED(task, in_execve) ||
	    (task->flags & PF_IO_WORKER_BIT))
		return 0;
	if (bpf_probe_read_kernel_str(short_name.text, COMM_BYTES, name) < 0) {
		loss_count(state->workload, LOSS_READ_FAULT);
		return 0;
	}
	key.workload = state->workload;
	key.role = state->role;
	title_key(&key, &short_name);
	if (!seen_first(&key))
		return 0;
	event = record_reserve(state->workload);
	if (!event)
		return 0;
	record_header(&event->hdr, EVENT_TITLE, task, state->workload, state->role);
	BPF_CORE_READ_STR_INTO(&event->before, task, comm);
	bpf_probe_read_kernel_str(event->name, COMM_BYTES, name);
	record_submit(&event->hdr, 0);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
