/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* One EVENT_PRIVILEGE per change of rights of a role, and per set of namespaces entered.
 *
 * Called from sys_exit for the set*id family, capset(2), setns(2) and unshare(2), from
 * sched_process_exec and from task_newtask. What a task could do before is kept in its
 * task_state: the kernel frees old credentials.
 */
#include "path.bpf.h"
#include "rights.bpf.h"

static __always_inline struct privilege_event *privilege_reserve(struct task_state *state,
								 struct task_struct *task,
								 struct rights *now)
{
	struct privilege_event *event = record_reserve(state->workload);

	if (!event)
		return NULL;
	record_header(&event->hdr, EVENT_PRIVILEGE, task, state->workload, state->role);
	event->capabilities_before = state->rights.capabilities;
	event->euid_before = state->rights.euid;
	event->egid_before = state->rights.egid;
	event->capabilities = now->capabilities;
	event->euid = now->euid;
	event->egid = now->egid;
	return event;
}

static __always_inline int rights_first(struct task_state *state, struct rights *now, __u32 cause)
{
	struct seen_key key = {
		.first = now->capabilities,
		.second = (__u64)state->rights.euid << 32 | now->euid,
		.workload = state->workload,
		.dev = state->rights.egid,
		.generation = now->egid,
		.role = state->role,
		.kind = EVENT_PRIVILEGE,
		.access = cause << 1 | rights_gained(&state->rights, now),
	};

	return seen_first(&key);
}

/* Looks at the running task's rights; tells what is others since the last look. */
__noinline int rights_changed(__u32 cause)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct task_state *state = task_watched(task);
	struct privilege_event *event;
	struct rights now = {};

	if (!state)
		return 0;
	if (rights_read(&now, task)) {
		loss_count(state->workload, LOSS_READ_FAULT);
		return 0;
	}
	if (now.capabilities == state->rights.capabilities && now.euid == state->rights.euid &&
	    now.egid == state->rights.egid)
		return 0;
	/* All rights of a new user namespace are rights in it alone. */
	if (cause != PRIVILEGE_NAMESPACE && rights_first(state, &now, cause)) {
		event = privilege_reserve(state, task, &now);
		if (event) {
			event->cause = cause;
			record_submit(&event->hdr, 1);
			state->due = EVENT_PRIVILEGE;
		}
	}
	state->rights = now;
	return 0;
}

/* As clone(2) and setns(2) number them, and as events.h does. */
static __always_inline __u32 namespace_kinds(__u64 flags)
{
	return (flags & 0x00020000 ? NAMESPACE_MOUNT : 0) |
	       (flags & 0x20000000 ? NAMESPACE_PID : 0) | (flags & 0x40000000 ? NAMESPACE_NET : 0) |
	       (flags & 0x08000000 ? NAMESPACE_IPC : 0) | (flags & 0x04000000 ? NAMESPACE_UTS : 0) |
	       (flags & CLONE_NEWUSER_BIT ? NAMESPACE_USER : 0) |
	       (flags & 0x02000000 ? NAMESPACE_CGROUP : 0) |
	       (flags & 0x00000080 ? NAMESPACE_TIME : 0);
}

static __always_inline void namespaces_tell(struct task_state *state, struct task_struct *task,
					    __u32 kinds)
{
	struct seen_key key = {
		.first = kinds,
		.workload = state->workload,
		.role = state->role,
		.kind = EVENT_PRIVILEGE,
		.access = PRIVILEGE_NAMESPACE << 1,
	};
	struct privilege_event *event;

	if (!kinds || !seen_first(&key))
		return;
	event = privilege_reserve(state, task, &state->rights);
	if (!event)
		return;
	event->cause = PRIVILEGE_NAMESPACE;
	event->namespaces = kinds;
	record_submit(&event->hdr, 1);
	state->due = EVENT_PRIVILEGE;
}

/* setns(2) may leave the kind to the descriptor, which then is one of nsfs; unshare(2) has none. */
__noinline int namespaces_entered(__u32 fd, __u64 flags)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct task_state *state = task_watched(task);
	__u32 kinds = namespace_kinds(flags);
	struct file *file;

	if (!state)
		return 0;
	if (!flags) {
		file = file_of(task, fd);
		if (!file) {
			loss_count(state->workload, LOSS_READ_FAULT);
			return 0;
		}
		kinds = namespace_named(BPF_CORE_READ(file, f_inode, i_private));
	}
	namespaces_tell(state, task, kinds);
	if (kinds & NAMESPACE_USER)
		rights_changed(PRIVILEGE_NAMESPACE);
	return 0;
}

/* A child that begins in other namespaces than its parent: clone(2) and clone3(2). */
__noinline int namespaces_born(__u64 nsproxy_address, __u64 user)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct task_state *state = task_watched(task);
	struct nsproxy *mine = BPF_CORE_READ(task, nsproxy);
	struct nsproxy *its = (void *)nsproxy_address;
	__u32 kinds = user ? NAMESPACE_USER : 0;

	if (!state || !mine || !its)
		return 0;
	if (BPF_CORE_READ(mine, mnt_ns) != BPF_CORE_READ(its, mnt_ns))
		kinds |= NAMESPACE_MOUNT;
	if (BPF_CORE_READ(mine, pid_ns_for_children) != BPF_CORE_READ(its, pid_ns_for_children))
		kinds |= NAMESPACE_PID;
	if (BPF_CORE_READ(mine, net_ns) != BPF_CORE_READ(its, net_ns))
		kinds |= NAMESPACE_NET;
	if (BPF_CORE_READ(mine, ipc_ns) != BPF_CORE_READ(its, ipc_ns))
		kinds |= NAMESPACE_IPC;
	if (BPF_CORE_READ(mine, uts_ns) != BPF_CORE_READ(its, uts_ns))
		kinds |= NAMESPACE_UTS;
	if (BPF_CORE_READ(mine, cgroup_ns) != BPF_CORE_READ(its, cgroup_ns))
		kinds |= NAMESPACE_CGROUP;
	if (BPF_CORE_READ(mine, time_ns) != BPF_CORE_READ(its, time_ns))
		kinds |= NAMESPACE_TIME;
	namespaces_tell(state, task, kinds);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
