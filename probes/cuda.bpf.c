// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* What a workload asks of its GPU: functions of the CUDA driver's library, libcuda.so.1.
 *
 * Hook: uprobes at the functions that probes/cuda.py names, on each library file that a
 * watched process maps; the cookie (Linux 5.15) says what the function does. Every process
 * that maps the file meets them, so membership is looked up first. An object of its own,
 * over the maps of the other: a host without a GPU never loads it.
 */
#include "cuda.bpf.h"

static __always_inline void block_freed(__u32 workload, __u64 address)
{
	struct gpu_block block = {.address = address, .pid = bpf_get_current_pid_tgid() >> 32};
	struct gpu_block_size *size = bpf_map_lookup_elem(&gpu_blocks, &block);

	if (!size)
		return;
	total_add(workload, COUNT_GPU_FREED_BYTES, size->bytes);
	bpf_map_delete_elem(&gpu_blocks, &block);
}

SEC("uprobe")
int cuda_called(struct pt_regs *ctx)
{
	struct task_state *state = task_watched(bpf_get_current_task_btf());
	__u64 cookie, value;

	if (!state)
		return 0;
	cookie = bpf_get_attach_cookie(ctx);
	value = argument(ctx, COOKIE_ARGUMENT(cookie));
	switch (COOKIE_ACT(cookie)) {
	case GPU_LAUNCH:
		total_add(state->workload, COUNT_GPU_LAUNCHES, 1);
		break;
	case GPU_SEND:
		total_add(state->workload, COUNT_GPU_SENT_BYTES, value);
		break;
	case GPU_FETCH:
		total_add(state->workload, COUNT_GPU_FETCHED_BYTES, value);
		break;
	case GPU_COPY:
		total_add(state->workload, COUNT_GPU_COPIED_BYTES, value);
		break;
	case GPU_COPY_BLOCK:
		block_copied(state->workload, value, COOKIE_DETAIL(cookie));
		break;
	case GPU_COPY_BATCH:
		batch_copied(state->workload, value, argument(ctx, COOKIE_DETAIL(cookie)));
		break;
	case GPU_FREE:
		block_freed(state->workload, value);
		break;
	case GPU_CONTEXT:
		total_add(state->workload, COUNT_GPU_CONTEXTS, 1);
		break;
	case GPU_MODULE: /* detail: the argument with its size, plus one */
		module_loaded(state, value,
			      COOKIE_DETAIL(cookie) ? argument(ctx, COOKIE_DETAIL(cookie) - 1) : 0);
		break;
	case GPU_MODULE_FILE:
		module_opened(state, value);
		break;
	case GPU_SHARE:
		memory_shared(state, COOKIE_DETAIL(cookie));
		break;
	}
	return 0;
}

/* Functions whose answer matters: an allocation, or where a function is. */
SEC("uprobe")
int cuda_asked(struct pt_regs *ctx)
{
	struct task_state *state = task_watched(bpf_get_current_task_btf());
	__u64 thread = bpf_get_current_pid_tgid(), cookie;
	struct gpu_pending pending = {};

	if (!state)
		return 0;
	cookie = bpf_get_attach_cookie(ctx);
	pending.act = COOKIE_ACT(cookie);
	pending.place = PT_REGS_PARM1(ctx);
	pending.bytes = argument(ctx, COOKIE_ARGUMENT(cookie));
	if (pending.act == GPU_LOOKUP) {
		pending.bytes = pending.place;
		pending.place = PT_REGS_PARM2(ctx);
	} else if (COOKIE_DETAIL(cookie)) {
		pending.pitched = argument(ctx, COOKIE_DETAIL(cookie));
	}
	if (bpf_map_update_elem(&gpu_pending, &thread, &pending, BPF_ANY))
		loss_count(state->workload, LOSS_GPU);
	return 0;
}

static __always_inline void block_allocated(struct task_state *state, struct gpu_pending *asked)
{
	struct gpu_block block = {.pid = bpf_get_current_pid_tgid() >> 32};
	struct gpu_block_size size = {.workload = state->workload, .bytes = asked->bytes};
	long err = bpf_probe_read_user(&block.address, 8, (void *)asked->place);

	if (asked->pitched) {
		__u64 pitch = 0;

		err |= bpf_probe_read_user(&pitch, 8, (void *)asked->bytes);
		size.bytes = pitch * asked->pitched;
	}
	if (err) {
		loss_count(state->workload, LOSS_GPU);
		return;
	}
	total_add(state->workload, COUNT_GPU_ALLOCATED_BYTES, size.bytes);
	if (bpf_map_update_elem(&gpu_blocks, &block, &size, BPF_ANY))
		loss_count(state->workload, LOSS_GPU);
}

static __noinline __u64 name_hash(const char *name)
{
	__u64 hash = 0xcbf29ce484222325ULL;

	if (!name)
		return 0;
	for (int i = 0; i < GPU_NAME_BYTES; i++) {
		char letter = 0;

		if (bpf_probe_read_kernel(&letter, 1, name + i) || !letter)
			break;
		hash = (hash ^ (__u8)letter) * 0x100000001b3ULL;
	}
	return hash;
}

static __always_inline void function_told(struct task_state *state, struct gpu_pending *asked)
{
	struct seen_key key = {.workload = state->workload, .role = state->role};
	char name[GPU_NAME_BYTES] = {};
	struct gpu_event *e;
	__u64 address = 0;

	if (bpf_probe_read_user_str(name, sizeof(name), (void *)asked->bytes) < 0 ||
	    bpf_probe_read_user(&address, 8, (void *)asked->place)) {
		loss_count(state->workload, LOSS_GPU);
		return;
	}
	key.first = name_hash(name);
	key.second = address;
	key.kind = EVENT_GPU;
	key.access = GPU_LOOKUP;
	if (!address || !bpf_map_lookup_elem(&gpu_names, &key.first) || !seen_first(&key))
		return;
	e = gpu_record(state, GPU_LOOKUP);
	if (!e)
		return;
	e->address = address;
	__builtin_memcpy(e->name, name, sizeof(name));
	record_submit(&e->hdr, 1);
}

SEC("uretprobe")
int cuda_answered(struct pt_regs *ctx)
{
	struct task_state *state = task_watched(bpf_get_current_task_btf());
	__u64 thread = bpf_get_current_pid_tgid();
	struct gpu_pending *found, asked;

	if (!state)
		return 0;
	found = bpf_map_lookup_elem(&gpu_pending, &thread);
	if (!found)
		return 0;
	asked = *found;
	bpf_map_delete_elem(&gpu_pending, &thread);
	if ((__u32)PT_REGS_RC(ctx))
		return 0; /* CUDA_SUCCESS is 0 */
	if (asked.act == GPU_LOOKUP)
		function_told(state, &asked);
	else
		block_allocated(state, &asked);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
