/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Membership from birth to death: fork inherits it, exec names the program, exit ends it.
 *
 * Hooks: task_newtask (before the child first runs), sched_process_exec (after the
 * point of no return, so failed execs never show), sched_process_exit. An exec of a
 * task nobody watches is recorded with workload 0: the agent may recognise a server.
 */
#include "compat.bpf.h"
#include "grams.bpf.h"
#include "paces.bpf.h"
#include "reflex.bpf.h"
#include "rights.bpf.h"
#include "signals.bpf.h"
#include "subjects.bpf.h"

#define CLONE_VM_BIT 0x00000100
#define CLONE_THREAD_BIT 0x00010000
#define S_IFSOCK_TYPE 0140000
#define EXIT_CALL 60
#define SIGNAL_MASK 0x7f
#define CORE_BIT 0x80
/* SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGSYS: a fault, not a request */
#define CRASH_SIGNALS \
	((1U << 4) | (1U << 5) | (1U << 6) | (1U << 7) | (1U << 8) | (1U << 11) | (1U << 31))

static __always_inline void member_set(__u32 tgid, __u32 workload, __u16 role)
{
	struct member member = {.workload = workload, .role = role};

	if (bpf_map_update_elem(&members, &tgid, &member, BPF_ANY))
		loss_count(workload, LOSS_MEMBERS_FULL);
}

/* A child's rights are its parent's, unless it begins in a user namespace of its own. That they
 * are others without a call having changed them is what an exploit of the kernel leaves.
 */
static __always_inline void born_with(struct task_struct *child, struct task_state *state,
				      struct task_state *inherited, __u64 clone_flags)
{
	struct nsproxy *its = BPF_CORE_READ(child, nsproxy);

	if (!(clone_flags & CLONE_NEWUSER_BIT) && rights_gained(&state->rights, &inherited->rights))
		rights_changed(PRIVILEGE_UNCAUSED);
	if (its != BPF_CORE_READ(bpf_get_current_task_btf(), nsproxy) ||
	    (clone_flags & CLONE_NEWUSER_BIT))
		namespaces_born((__u64)its, clone_flags & CLONE_NEWUSER_BIT);
}

/* A server that forks its workers has the same roles whether they are forked now or were there
 * before us, when /proc tells copies of the root from it. Who shares its parent's memory, a
 * thread or a child until it runs another program (vfork, posix_spawn), is no copy.
 */
static __always_inline __u16 role_born(__u16 role, __u64 clone_flags)
{
	if (role != ROLE_MAIN || clone_flags & CLONE_VM_BIT)
		return role;
	return ROLE_WORKER;
}

SEC("tp_btf/task_newtask")
int BPF_PROG(on_newtask, struct task_struct *child, unsigned long clone_flags)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct task_state *state = task_watched(task);
	struct task_state *inherited;

	if (!state)
		return 0;
	inherited = bpf_task_storage_get(&tasks, child, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!inherited) {
		loss_count(state->workload, LOSS_TASK_STORAGE);
		return 0;
	}
	inherited->word = 0;
	inherited->workload = state->workload;
	inherited->role = role_born(state->role, clone_flags);
	if (rights_read(&inherited->rights, child))
		loss_count(state->workload, LOSS_READ_FAULT);
	born_with(child, state, inherited, clone_flags);
	inherited->due = 0;
	if (!(clone_flags & CLONE_THREAD_BIT)) {
		member_set(child->tgid, state->workload, inherited->role);
		total_add(state->workload, COUNT_FORKS, 1);
		state->due = EVENT_EXEC; /* what the child will run, the caller's stack explains */
		state->child = child->tgid;
	}
	return 0;
}

static __always_inline int stdio_is_socket(struct task_struct *task)
{
	for (__u32 fd = 0; fd < 3; fd++) {
		struct file *file = file_of(task, fd);

		if (file && (BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT_MASK) == S_IFSOCK_TYPE)
			return 1;
	}
	return 0;
}

/* The new program's arguments lie in its own fresh stack: nobody else wrote there yet. */
static __noinline int args_submit(__u32 workload, __u32 role)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct args_event *event;
	__u64 start = BPF_CORE_READ(task, mm, arg_start);
	__u64 total = BPF_CORE_READ(task, mm, arg_end) - start;
	__u64 bytes = total;

	event = record_reserve(workload);
	if (!event)
		return 0;
	record_header(&event->hdr, EVENT_ARGS, task, workload, role);
	if (total > PATH_BYTES) {
		bytes = PATH_BYTES;
		event->hdr.flags |= FLAG_TRUNCATED;
	}
	barrier_var(bytes);
	if (bytes <= PATH_BYTES && bpf_probe_read_user(event->text, bytes, (void *)start))
		event->hdr.flags |= FLAG_UNREADABLE;
	event->bytes = bytes;
	event->total = total;
	event->environment = environment_read();
	record_submit(&event->hdr, workload != 0);
	return 0;
}

static __always_inline void exec_submit(struct task_struct *task, struct linux_binprm *bprm,
					__u32 workload, __u16 role)
{
	struct exec_event *event = record_reserve(workload);
	struct inode *inode;
	struct file *file;

	if (!event) /* at once: 6.1 does not carry the answer over other branches */
		return;
	file = BPF_CORE_READ(bprm, file);
	inode = BPF_CORE_READ(file, f_inode);
	record_header(&event->hdr, EVENT_EXEC, task, workload, role);
	event->ino = BPF_CORE_READ(inode, i_ino);
	event->dev = BPF_CORE_READ(inode, i_sb, s_dev);
	event->generation = BPF_CORE_READ(inode, i_generation);
	event->mode = BPF_CORE_READ(inode, i_mode);
	event->euid = BPF_CORE_READ(task, cred, euid.val);
	if (capabilities_read(&event->capabilities, BPF_CORE_READ(task, cred)))
		event->hdr.flags |= FLAG_UNREADABLE;
	event->hdr.flags |= path_write(event->path, file);
	if (stdio_is_socket(task))
		event->hdr.flags |= FLAG_STDIO_SOCKET;
	record_submit(&event->hdr, 0); /* the arguments follow, and wake the reader */
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task, pid_t old_pid, struct linux_binprm *bprm)
{
	struct task_state *state = task_watched(task);
	__u32 workload = 0;
	__u16 role = ROLE_MAIN; /* as which it was forked: (role, program) is the edge to judge */

	if (state) {
		workload = state->workload;
		role = state->role;
		state->role = ROLE_UNKNOWN_CHILD;
		state->word = 0;
		member_set(task->tgid, workload, ROLE_UNKNOWN_CHILD);
		total_add(workload, COUNT_EXECS, 1);
	}
	exec_submit(task, bprm, workload, role);
	args_submit(workload, role);
	if (state) {
		rights_changed(PRIVILEGE_EXEC);
		act_done(workload);
		if (reflex_of(workload, REFLEX_EXEC))
			reflex_file((__u64)BPF_CORE_READ(bprm, file), workload, role, REFLEX_EXEC,
				    1);
	}
	return 0;
}

/* Whether an end is to be told; of its own accord, or by a signal. */
static __always_inline int end_is_due(struct task_struct *task, struct task_state *state,
				      __u32 signal)
{
	struct seen_key key = {
		.workload = state->workload, .role = state->role, .kind = EVENT_EXIT};
	__u64 now_ns = bpf_ktime_get_ns();
	struct crowd_draft *draft;
	struct crowd *crowd;

	if (pace_allows(state->workload, signal ? PACE_FAULTS : PACE_ENDS, now_ns))
		return 1;
	draft = crowd_begin(&key, signal);
	if (!draft)
		return 1;
	crowd = crowd_found(draft);
	if (!crowd) {
		crowd_clear(draft, task);
		crowd = crowd_made(draft);
	}
	crowd_joined(crowd, state->workload, now_ns);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_exit, struct task_struct *task)
{
	struct task_state *state = task_watched(task);
	struct exit_event *event;
	__u32 tgid = task->tgid;
	__u32 status, signal;

	if (!state)
		return 0;
	gram_count(state, EXIT_CALL);
	if (BPF_CORE_READ(task, signal, live.counter))
		return 0;                     /* another thread of the group lives */
	bpf_map_delete_elem(&members, &tgid); /* absent is what we want: no error to count */
	bpf_map_delete_elem(&reflex_stops, &tgid);
	status = BPF_CORE_READ(task, signal, group_exit_code);
	if (!status)
		status = task->exit_code;
	signal = status & SIGNAL_MASK;
	total_add(state->workload, COUNT_EXITS, 1);
	if ((1U << (signal & 31)) & CRASH_SIGNALS)
		total_add(state->workload, COUNT_CRASHES, 1);
	if (status & CORE_BIT)
		total_add(state->workload, COUNT_CORE_DUMPS, 1);

	if (!end_is_due(task, state, signal))
		return 0;
	event = record_reserve(state->workload);
	if (!event)
		return 0;
	record_header(&event->hdr, EVENT_EXIT, task, state->workload, state->role);
	event->code = (status >> 8) & 0xff;
	event->signal = signal;
	if (status & CORE_BIT)
		event->hdr.flags |= FLAG_CORE;
	sender_tell(event, tgid);
	record_submit(&event->hdr, 0);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
