/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Counting, and one record from reserve to submit. */
#ifndef INFERWARD_RECORD_BPF_H
#define INFERWARD_RECORD_BPF_H

#include "maps.bpf.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

#define NSEC_PER_SEC 1000000000ULL

static __always_inline void loss_count(__u32 workload, enum loss_reason reason)
{
	__u32 slot = (workload & (MAX_WORKLOADS - 1)) * LOSS_MAX + reason;
	__u64 *count = bpf_map_lookup_elem(&losses, &slot);

	if (count)
		*count += 1;
}

static __always_inline void total_add(__u32 workload, enum counter counter, __u64 amount)
{
	__u32 slot = (workload & (MAX_WORKLOADS - 1)) * COUNT_MAX + counter;
	__u64 *count = bpf_map_lookup_elem(&totals, &slot);

	if (count)
		*count += amount;
}

/* A task without any storage, as nearly every one on a host, is told by one load. */
static __always_inline struct task_state *task_watched(struct task_struct *task)
{
	if (!task->bpf_storage)
		return NULL;
	return bpf_task_storage_get(&tasks, task, 0, 0);
}

/* The record's memory still holds an older one: all of it is cleared here, once. */
static __always_inline void *record_reserve(__u32 workload)
{
	__u64 *record = bpf_ringbuf_reserve(&ring, RECORD_BYTES, 0);

	if (!record) {
		loss_count(workload, LOSS_RING_FULL);
		return NULL;
	}
	/* By words: of a void pointer, memset would store byte by byte. */
	__builtin_memset(record, 0, RECORD_BYTES);
	return record;
}

static __always_inline void record_header(struct event_header *header, enum event_kind kind,
					  struct task_struct *task, __u32 workload, __u16 role)
{
	header->time_ns = bpf_ktime_get_ns();
	header->start_ns = BPF_CORE_READ(task, group_leader, start_boottime);
	header->cgroup = BPF_CORE_READ(task, cgroups, dfl_cgrp, kn, id);
	header->workload = workload;
	header->pid = BPF_CORE_READ(task, tgid);
	header->tid = BPF_CORE_READ(task, pid);
	header->ppid = BPF_CORE_READ(task, real_parent, tgid);
	header->uid = BPF_CORE_READ(task, cred, uid.val);
	header->cpu = bpf_get_smp_processor_id();
	header->kind = kind;
	header->role = role;
	BPF_CORE_READ_STR_INTO(&header->comm, task, comm);
}

/* urgent: wake the reader at once. Else the kernel wakes it if it had read everything, except
 * for what nobody watches (read at the next tick) and EVENT_EXEC, whose arguments follow.
 */
static __always_inline void record_submit(struct event_header *header, int urgent)
{
	__u32 kind = header->kind;
	__u64 *count = bpf_map_lookup_elem(&submitted, &kind);
	__u64 flags = 0;

	if (count)
		*count += 1;
	if (urgent)
		flags = BPF_RB_FORCE_WAKEUP;
	else if (kind == EVENT_EXEC || !header->workload)
		flags = BPF_RB_NO_WAKEUP;
	bpf_ringbuf_submit(header, flags);
}

static __always_inline int seen_before(const struct seen_key *key)
{
	return bpf_map_lookup_elem(&seen, key) != NULL;
}

/* True the first time a workload's role shows this key. */
static __always_inline int seen_first(struct seen_key *key)
{
	__u64 now_ns;

	if (bpf_map_lookup_elem(&seen, key))
		return 0;
	now_ns = bpf_ktime_get_ns();
	/* -EEXIST: another CPU was first, and reports it. Any other error: report again. */
	long err = bpf_map_update_elem(&seen, key, &now_ns, BPF_NOEXIST);

	if (err == -17)
		return 0;
	if (err)
		loss_count(key->workload, LOSS_SEEN_FULL);
	return 1;
}

/* Whether the agent asked for stacks of this workload. */
static __always_inline int stacks_wanted(__u32 workload)
{
	__u32 slot = workload & (MAX_WORKLOADS - 1);
	struct workload_mode *mode = bpf_map_lookup_elem(&modes, &slot);

	return mode && (mode->flags & MODE_STACKS);
}

/* The step in force for a workload, now. */
static __always_inline __u32 containment_level(__u32 workload)
{
	__u32 slot = workload & (MAX_WORKLOADS - 1);
	struct containment *containment = bpf_map_lookup_elem(&contained, &slot);

	if (!containment || !containment->level)
		return CONTAIN_NONE;
	if (containment->until_ns && bpf_ktime_get_ns() > containment->until_ns)
		return CONTAIN_NONE;
	if (containment->acts >= ACTS_MAX)
		return CONTAIN_FREEZE;
	return containment->level & CONTAIN_LEVELS;
}

/* Whether connections that others opened are cut, too. */
static __always_inline int clients_cut(__u32 workload)
{
	__u32 slot = workload & (MAX_WORKLOADS - 1);
	struct containment *containment = bpf_map_lookup_elem(&contained, &slot);

	if (!containment || !(containment->level & CONTAIN_CLIENTS))
		return 0;
	return containment_level(workload) != CONTAIN_NONE;
}

#endif
