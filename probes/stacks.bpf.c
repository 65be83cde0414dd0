/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Two EVENT_STACK behind a first-seen record of a workload that guards: from where the call came.
 *
 * Called from sys_exit, in the task's own context, where a subject left `due` in the task's
 * state. Frame pointers give the chain; the newest words of the stack let the agent find what
 * the chain skips: the caller of a function that keeps none, such as libc's open(). Addresses
 * only, of code; the words leave the agent's memory as nothing else. Linux 5.9 or later
 * (bpf_get_task_stack).
 */
#include "record.bpf.h"

static __always_inline struct stack_event *stack_reserve(struct task_struct *task,
							 struct task_state *state,
							 enum stack_part part)
{
	struct stack_event *event = record_reserve(state->workload);

	if (!event)
		return NULL;
	record_header(&event->hdr, EVENT_STACK, task, state->workload, state->role);
	event->part = part;
	event->of_kind = state->due;
	event->child = state->child;
	return event;
}

static __noinline int chain_submit(void)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct task_state *state = task_watched(task);
	struct stack_event *event;
	long bytes;

	if (!state)
		return 0;
	event = stack_reserve(task, state, STACK_CHAIN);
	if (!event)
		return 0;
	bytes = bpf_get_task_stack(task, event->addresses, sizeof(event->addresses),
				   BPF_F_USER_STACK);
	if (bytes < 0) {
		loss_count(state->workload, LOSS_STACK);
		event->hdr.flags |= FLAG_UNREADABLE;
		bytes = 0;
	}
	event->depth = bytes / sizeof(__u64);
	record_submit(&event->hdr, 0);
	return 0;
}

static __noinline int words_submit(__u64 stack_pointer)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct task_state *state = task_watched(task);
	struct stack_event *event;

	if (!state)
		return 0;
	event = stack_reserve(task, state, STACK_WORDS);
	if (!event)
		return 0;
	event->depth = STACK_FRAMES;
	if (bpf_probe_read_user(event->addresses, sizeof(event->addresses),
				(void *)stack_pointer)) {
		event->depth = 0; /* the outermost frames of a thread: the chain has them */
		event->hdr.flags |= FLAG_UNREADABLE;
	}
	record_submit(&event->hdr, 1);
	return 0;
}

/* Whether this second has room for one more; two processors may both take the last. */
static __always_inline int stack_allowed(__u32 workload)
{
	__u32 slot = workload & (MAX_WORKLOADS - 1);
	struct workload_mode *mode = bpf_map_lookup_elem(&modes, &slot);
	__u64 second = bpf_ktime_get_ns() / NSEC_PER_SEC;

	if (!mode || !(mode->flags & MODE_STACKS))
		return 0;
	if (mode->second != second) {
		mode->second = second;
		mode->stacks = 0;
	}
	mode->stacks += 1;
	return mode->stacks <= STACKS_PER_SECOND;
}

__noinline int stack_submit(__u64 stack_pointer)
{
	struct task_state *state = task_watched(bpf_get_current_task_btf());

	if (!state)
		return 0;
	if (stack_allowed(state->workload)) {
		chain_submit();
		words_submit(stack_pointer);
	}
	state->due = 0;
	state->child = 0;
	return 0;
}

/* At the end of connect(2): its peer was told of by a cgroup program, if at all. */
__noinline int stack_connecting(void)
{
	struct task_state *state = task_watched(bpf_get_current_task_btf());
	__u64 thread = bpf_get_current_pid_tgid();

	if (!state || !bpf_map_lookup_elem(&connecting, &thread))
		return 0;
	bpf_map_delete_elem(&connecting, &thread);
	state->due = EVENT_PEER;
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
