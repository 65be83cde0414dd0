/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Maps and steps of cuda.bpf.c: what a call of the GPU driver's library is counted and told as. */
#ifndef INFERWARD_CUDA_BPF_H
#define INFERWARD_CUDA_BPF_H

#include "record.bpf.h"

#define COOKIE_ACT(cookie) ((cookie)&255)
#define COOKIE_ARGUMENT(cookie) (((cookie) >> 8) & 255)
#define COOKIE_DETAIL(cookie) ((__u32)((cookie) >> 16))

/* CUDA_MEMCPY2D and CUDA_MEMCPY3D, in words of eight bytes; cuda.h, driver API. */
#define BLOCK_2D_WORDS 16
#define BLOCK_3D_WORDS 25
#define MEMORY_HOST 1
#define MEMORY_DEVICE 2
#define MEMORY_ARRAY 3

#define BATCH_COPIES 256

#define FATBIN_WRAPPER 0x466243b1U /* fatbinary_section.h: the code's address is its second word */

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u64);
	__type(value, struct gpu_pending);
} gpu_pending __weak SEC(".maps");

/* Not least recently used: a block that was forgotten would look as if it had come back. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, struct gpu_block);
	__type(value, struct gpu_block_size);
} gpu_blocks __weak SEC(".maps");

/* Hashes of the names of functions that are of interest; by the agent. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, __u64);
	__type(value, __u32);
} gpu_names __weak SEC(".maps");

struct scratch {
	__u64 words[GPU_PREFIX_BYTES / 8];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct scratch);
} gpu_scratch __weak SEC(".maps");

/* Each is read by itself: the verifier refuses a register chosen by a computed offset. */
static __always_inline __u64 argument(struct pt_regs *ctx, __u32 at)
{
	__u64 value = PT_REGS_PARM1(ctx);

	barrier_var(value);
	if (at == 1)
		value = PT_REGS_PARM2(ctx);
	barrier_var(value);
	if (at == 2)
		value = PT_REGS_PARM3(ctx);
	barrier_var(value);
	if (at == 3)
		value = PT_REGS_PARM4(ctx);
	barrier_var(value);
	if (at == 4)
		value = PT_REGS_PARM5(ctx);
	barrier_var(value);
	return value;
}

/* By place of the words; `last` holds the extent's first word. */
static __always_inline void block_copied(__u32 workload, __u64 address, int three)
{
	__u64 words[BLOCK_3D_WORDS] = {};
	__u32 source, target;
	__u64 bytes;

	if (bpf_probe_read_user(words, three ? BLOCK_3D_WORDS * 8 : BLOCK_2D_WORDS * 8,
				(void *)address)) {
		loss_count(workload, LOSS_GPU);
		return;
	}
	source = three ? words[4] : words[2];
	target = three ? words[15] : words[9];
	bytes = three ? words[22] * words[23] * words[24] : words[14] * words[15];
	if (source == MEMORY_HOST && (target == MEMORY_DEVICE || target == MEMORY_ARRAY))
		total_add(workload, COUNT_GPU_SENT_BYTES, bytes);
	else if (target == MEMORY_HOST && (source == MEMORY_DEVICE || source == MEMORY_ARRAY))
		total_add(workload, COUNT_GPU_FETCHED_BYTES, bytes);
	else
		total_add(workload, COUNT_GPU_COPIED_BYTES, bytes);
}

/* Sizes beyond the first BATCH_COPIES are a loss; returns 0. */
static __noinline int batch_copied(__u32 workload, __u64 sizes, __u64 count)
{
	__u64 bytes = 0, size;

	for (__u32 i = 0; i < BATCH_COPIES; i++) {
		if (i >= count)
			break;
		if (bpf_probe_read_user(&size, sizeof(size), (void *)(sizes + i * sizeof(size)))) {
			loss_count(workload, LOSS_GPU);
			break;
		}
		bytes += size;
	}
	if (count > BATCH_COPIES)
		loss_count(workload, LOSS_GPU);
	total_add(workload, COUNT_GPU_COPIED_BYTES, bytes);
	return 0;
}

static __always_inline struct gpu_event *gpu_record(struct task_state *state, __u32 act)
{
	struct gpu_event *e = record_reserve(state->workload);

	if (!e)
		return NULL; /* counted by record_reserve() */
	record_header(&e->hdr, EVENT_GPU, (struct task_struct *)bpf_get_current_task(),
		      state->workload, state->role);
	e->act = act;
	return e;
}

/* FNV-1a over words: to tell whether what the agent reads a moment later is still the same. */
static __noinline __u64 prefix_hash(__u64 address)
{
	__u32 zero = 0;
	struct scratch *scratch = bpf_map_lookup_elem(&gpu_scratch, &zero);
	__u64 hash = 0xcbf29ce484222325ULL;

	if (!scratch || bpf_probe_read_user(scratch, sizeof(*scratch), (void *)address))
		return 0;
	for (int i = 0; i < GPU_PREFIX_BYTES / 8; i++)
		hash = (hash ^ scratch->words[i]) * 0x100000001b3ULL;
	return hash;
}

static __always_inline void module_loaded(struct task_state *state, __u64 address, __u64 bytes)
{
	struct gpu_event *e;
	__u64 wrapper[2] = {};

	total_add(state->workload, COUNT_GPU_MODULES, 1);
	/* A page that is not there yet is read by the agent, which may wait for it. */
	if (!bpf_probe_read_user(wrapper, sizeof(wrapper), (void *)address) &&
	    (__u32)wrapper[0] == FATBIN_WRAPPER)
		address = wrapper[1];
	e = gpu_record(state, GPU_MODULE);
	if (!e)
		return;
	e->address = address;
	e->bytes = bytes;
	e->prefix = prefix_hash(address);
	record_submit(&e->hdr, 1);
}

static __always_inline void module_opened(struct task_state *state, __u64 name)
{
	struct gpu_event *e;

	total_add(state->workload, COUNT_GPU_MODULES, 1);
	e = gpu_record(state, GPU_MODULE_FILE);
	if (!e)
		return;
	if (bpf_probe_read_user_str(e->name, sizeof(e->name), (void *)name) < 0)
		e->hdr.flags |= FLAG_UNREADABLE;
	e->hdr.flags |= FLAG_GIVEN;
	record_submit(&e->hdr, 1);
}

static __always_inline void memory_shared(struct task_state *state, __u32 detail)
{
	struct seen_key key = {.workload = state->workload, .role = state->role};
	struct gpu_event *e;

	key.first = detail;
	key.kind = EVENT_GPU;
	key.access = GPU_SHARE;
	if (!seen_first(&key))
		return;
	e = gpu_record(state, GPU_SHARE);
	if (!e)
		return;
	e->detail = detail;
	record_submit(&e->hdr, 0);
}

#endif
