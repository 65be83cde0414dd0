/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Beyond a workload's pace nothing is told one by one: it is counted exactly, by where it was.
 *
 * An allowance is a bucket that holds PACE_BURST and gains PACE_PER_SECOND, kept as the time up to
 * which it is spent. Two processors that spend at once may give one record too many: the count of
 * what was told or not is each record's own, and stays exact.
 */
#ifndef INFERWARD_PACES_BPF_H
#define INFERWARD_PACES_BPF_H

#include "guard.bpf.h"
#include "path.bpf.h"

#define PACE_STEP_NS (NSEC_PER_SEC / PACE_PER_SECOND)
#define PACE_SPAN_NS (PACE_BURST * PACE_STEP_NS)
#define PLACE_SPAN_NS (PLACE_SECONDS * NSEC_PER_SEC)

struct crowd_draft {
	struct crowd_key key;
	struct crowd crowd;
};

/* Tracing programs run with preemption off: a CPU's draft is not interrupted by another. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct crowd_draft);
} crowd_drafts __weak SEC(".maps");

static __always_inline int pace_allows(__u32 workload, enum pace pace, __u64 now_ns)
{
	__u32 slot = (workload & (MAX_WORKLOADS - 1)) * PACE_MAX + pace;
	__u64 *spent_ns = bpf_map_lookup_elem(&paces, &slot);
	__u64 next_ns;

	if (!spent_ns)
		return 1;
	next_ns = *spent_ns > now_ns ? *spent_ns : now_ns;
	if (next_ns - now_ns >= PACE_SPAN_NS)
		return 0;
	*spent_ns = next_ns + PACE_STEP_NS;
	return 1;
}

/* A draft for what this first-seen key is about; its place is still to be named. */
static __always_inline struct crowd_draft *crowd_begin(const struct seen_key *seen, __u32 grave)
{
	__u32 zero = 0;
	struct crowd_draft *draft = bpf_map_lookup_elem(&crowd_drafts, &zero);

	if (!draft)
		return NULL;
	__builtin_memset(&draft->key, 0, sizeof(draft->key));
	draft->key.workload = seen->workload;
	draft->key.role = seen->role;
	draft->key.kind = seen->kind;
	draft->key.access = seen->access;
	draft->key.grave = grave;
	return draft;
}

/* The crowd is new: what is told of it is what its first was. */
static __always_inline struct crowd *crowd_clear(struct crowd_draft *draft,
						 struct task_struct *task)
{
	struct crowd *crowd = &draft->crowd;

	__builtin_memset(crowd, 0, sizeof(*crowd));
	record_header(&crowd->hdr, draft->key.kind, task, draft->key.workload, draft->key.role);
	crowd->latest_ns = crowd->hdr.time_ns;
	return crowd;
}

static __always_inline struct crowd *crowd_found(struct crowd_draft *draft)
{
	return bpf_map_lookup_elem(&crowds, &draft->key);
}

static __always_inline struct crowd *crowd_made(struct crowd_draft *draft)
{
	/* -EEXIST: another CPU made it. Any other error: there is none, and crowd_joined() counts. */
	bpf_map_update_elem(&crowds, &draft->key, &draft->crowd, BPF_NOEXIST);
	return crowd_found(draft);
}

/* Few of a place that a storm is not in: they are told in spite of it. */
static __always_inline int place_allows(struct crowd *crowd, __u32 workload, __u64 now_ns)
{
	if (now_ns - crowd->placed_ns > PLACE_SPAN_NS) {
		crowd->placed_ns = now_ns;
		crowd->placed = 0;
	}
	if (crowd->placed >= PLACE_TOLD || !pace_allows(workload, PACE_PLACES, now_ns))
		return 0;
	crowd->placed += 1;
	return 1;
}

static __always_inline void crowd_joined(struct crowd *crowd, __u32 workload, __u64 now_ns)
{
	if (!crowd) {
		loss_count(workload, LOSS_CROWDS_FULL);
		return;
	}
	__sync_fetch_and_add(&crowd->count, 1);
	crowd->latest_ns = now_ns;
	total_add(workload, COUNT_SUMMARISED, 1);
}

/* Whether the name at the end of this CPU's walk is one of weights, code, settings or secrets. */
static __always_inline __u32 suffix_class(void)
{
	struct path_walk *walk = path_walk_current();
	struct file_suffix suffix = {};
	__u32 *class;

	if (!walk || !suffix_read(walk, &suffix))
		return FILE_OTHER;
	class = bpf_map_lookup_elem(&suffix_classes, &suffix);
	return class ? *class : FILE_OTHER;
}

#endif
