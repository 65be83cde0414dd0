/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* One EVENT_SIGNAL per signal and program that a role signals outside its workload; who
 * sent a watched process what can end it; whom the kernel chose when memory ran out.
 *
 * Hooks: signal_generate, in the sender's context, and mark_victim. Signals that the
 * kernel makes (a fault, a child's end, a timer) have no sender.
 */
#include "compat.bpf.h"
#include "path.bpf.h"
#include "signals.bpf.h"
#include "subjects.bpf.h"

#define SEND_SIG_PRIV_VALUE 1 /* include/linux/sched/signal.h */
#define SI_USER_CODE 0
#define SI_QUEUE_CODE (-1)
#define SI_TKILL_CODE (-6)
#define SIGKILL_NUMBER 9
#define SIGCHLD_NUMBER 17
#define SIGCONT_NUMBER 18
/* SIGHUP, SIGINT, SIGQUIT, SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGKILL, SIGUSR1, SIGSEGV,
 * SIGUSR2, SIGPIPE, SIGALRM, SIGTERM, SIGSYS
 */
#define ENDING_SIGNALS 0x8000fffeU

static __always_inline int sent_by_process(struct kernel_siginfo *info)
{
	int code = SI_USER_CODE; /* no information at all: kill(2) from within the kernel */

	if ((__u64)info == SEND_SIG_PRIV_VALUE)
		return 0;
	if (info)
		code = BPF_CORE_READ(info, si_code);
	return code == SI_USER_CODE || code == SI_QUEUE_CODE || code == SI_TKILL_CODE;
}

static __always_inline void sender_note(struct task_struct *target, __u32 workload, int signal)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct sender sender = {.signal = signal};
	__u32 tgid = target->tgid;

	sender.pid = task->tgid;
	sender.uid = BPF_CORE_READ(task, cred, uid.val);
	BPF_CORE_READ_STR_INTO(&sender.comm, task, comm);
	if (bpf_map_update_elem(&senders, &tgid, &sender, BPF_ANY))
		loss_count(workload, LOSS_MEMBERS_FULL);
}

static __noinline void signal_submit(struct task_state *state, struct task_struct *target,
				     __u32 workload, int signal, int result)
{
	struct file *program = BPF_CORE_READ(target, mm, exe_file);
	struct seen_key key = {
		.first = BPF_CORE_READ(program, f_inode, i_ino),
		.second = signal,
		.workload = state->workload,
		.dev = BPF_CORE_READ(program, f_inode, i_sb, s_dev),
		.role = state->role,
		.kind = EVENT_SIGNAL,
	};
	struct signal_event *event;

	if (!seen_first(&key))
		return;
	event = record_reserve(state->workload);
	if (!event)
		return;
	record_header(&event->hdr, EVENT_SIGNAL, bpf_get_current_task_btf(), state->workload,
		      state->role);
	event->signal = signal;
	event->target = BPF_CORE_READ(target, tgid);
	event->result = result;
	event->workload = workload;
	BPF_CORE_READ_STR_INTO(&event->comm, target, comm);
	event->hdr.flags = path_write(event->path, program);
	record_submit(&event->hdr, 1);
}

SEC("tp_btf/signal_generate")
int BPF_PROG(on_signal, int signal, struct kernel_siginfo *info, struct task_struct *target,
	     int group, int result)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct task_state *sender = task_watched(task);
	struct task_state *receiver = task_watched(target);
	__u32 from = sender ? sender->workload : 0;
	__u32 to = receiver ? receiver->workload : 0;

	if (!(from | to) || task->tgid == target->tgid || signal == SIGCHLD_NUMBER)
		return 0;
	if (!sent_by_process(info))
		return 0;
	if (to && signal < 32 && ((1U << (signal & 31)) & ENDING_SIGNALS))
		sender_note(target, to, signal);
	if (sender && from != to)
		signal_submit(sender, target, to, signal, result);
	/* Among its own: to continue what was stopped for its act would undo that. */
	if (sender && (from != to || signal == SIGCONT_NUMBER))
		act_done(from);
	return 0;
}

SEC("raw_tp/mark_victim")
int on_victim(struct bpf_raw_tracepoint_args *ctx)
{
	__u32 tgid = victim_tgid(ctx->args[0]);
	struct member *member = bpf_map_lookup_elem(&members, &tgid);
	struct sender sender = {.signal = SIGKILL_NUMBER, .oom = 1, .comm = "kernel"};

	if (!member)
		return 0;
	total_add(member->workload, COUNT_OOM_KILLS, 1);
	if (bpf_map_update_elem(&senders, &tgid, &sender, BPF_ANY))
		loss_count(member->workload, LOSS_MEMBERS_FULL);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
