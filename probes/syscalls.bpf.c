/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Every system call of a watched task: counted exactly, as the newest of seven.
 *
 * Hook: sys_exit alone. A call that never returns (exit) is counted by
 * processes.bpf.c. A task that nobody watches costs one task-storage look-up.
 * Linux 5.11 or later (task storage in tracing programs).
 */
#include "record.bpf.h"
#include "grams.bpf.h"
#include "subjects.bpf.h"
#include "syscalls.bpf.h"

#define PROT_EXEC_BIT 0x4
#define TS_COMPAT_BIT 0x2 /* arch/x86/include/asm/thread_info.h */
#define RT_SIGRETURN_NUMBER 15
#define SIGSTOP_NUMBER 19

static __always_inline __u32 call_number(struct task_struct *task, struct pt_regs *regs)
{
	__s64 number = regs->orig_ax;

	if (number == -1) /* rt_sigreturn(2) wipes it, so that the call is not restarted */
		return RT_SIGRETURN_NUMBER;
	if (task->thread_info.status & TS_COMPAT_BIT)
		return SYSCALL_FOREIGN;
	if (number < 0 || number >= SYSCALL_FOREIGN) /* x32, or a number no kernel has */
		return SYSCALL_FOREIGN;
	return number;
}

static __noinline void call_sensitive(struct task_struct *task, struct task_state *state,
				      struct pt_regs *regs, long ret, __u32 number)
{
	struct seen_key key = {
		.first = number,
		.workload = state->workload,
		.role = state->role,
		.kind = EVENT_SYSCALL,
	};
	struct syscall_event *event;

	if (!seen_first(&key))
		return;
	event = record_reserve(state->workload);
	if (!event)
		return;
	record_header(&event->hdr, EVENT_SYSCALL, task, state->workload, state->role);
	event->hdr.syscall = number;
	event->hdr.flags = number == SYSCALL_FOREIGN ? FLAG_FOREIGN : 0;
	event->args[0] = regs->di;
	event->args[1] = regs->si;
	event->args[2] = regs->dx;
	event->args[3] = regs->r10;
	event->args[4] = regs->r8;
	event->args[5] = regs->r9;
	event->result = ret;
	record_submit(&event->hdr, 1);
}

static __always_inline void call_dispatch(struct task_struct *task, struct task_state *state,
					  struct pt_regs *regs, long ret, __u32 number)
{
	switch (call_class[number & 511]) {
	case CALL_READ:
		if (ret > 0)
			total_add(state->workload, COUNT_READ_BYTES, ret);
		break;
	case CALL_WRITE:
		if (ret > 0)
			total_add(state->workload, COUNT_WRITE_BYTES, ret);
		break;
	case CALL_OPEN:
		if (ret >= 0)
			file_opened(ret, number);
		break;
	case CALL_CONNECT:
		unix_connected(regs->di, ret);
		break;
	case CALL_ACCEPT:
		if (ret >= 0)
			socket_accepted(ret, number);
		break;
	case CALL_MMAP:
		if (ret > 0 && (regs->dx & PROT_EXEC_BIT))
			memory_mapped(ret, regs->dx, regs->r10, regs->r8);
		break;
	case CALL_MPROTECT:
		if (!ret && (regs->dx & PROT_EXEC_BIT))
			memory_protected(regs->di, regs->dx, number);
		break;
	case CALL_SENSITIVE:
		call_sensitive(task, state, regs, ret, number);
		break;
	}
}

SEC("tp_btf/sys_exit")
int BPF_PROG(on_sys_exit, struct pt_regs *regs, long ret)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct task_state *state = task_watched(task);
	__u32 number;

	if (!state)
		return 0;
	number = call_number(task, regs);
	gram_count(state, number);
	total_add(state->workload, COUNT_SYSCALLS, 1);
	if (ret < 0 && ret > -4096)
		total_add(state->workload, COUNT_FAILED_CALLS, 1);
	call_dispatch(task, state, regs, ret, number);

	if (containment_level(state->workload) >= CONTAIN_FREEZE) {
		if (bpf_send_signal(SIGSTOP_NUMBER))
			loss_count(state->workload, LOSS_STOP_FAILED);
		else
			total_add(state->workload, COUNT_STOPPED, 1);
	}
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
