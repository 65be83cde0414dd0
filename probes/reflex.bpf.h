/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What every reflex shares: whether a workload has it, whether an act was learnt, and the count
 * of those that were answered.
 */
#ifndef INFERWARD_REFLEX_BPF_H
#define INFERWARD_REFLEX_BPF_H

#include "record.bpf.h"

/* Program or file: returns enum reflex_outcome, after it was told and, where `after`, stopped. */
extern int reflex_file(__u64 file_address, __u32 workload, __u32 role, __u32 act, __u32 after);

static __always_inline struct reflex *reflex_of(__u32 workload, __u32 act)
{
	__u32 slot = workload & (MAX_WORKLOADS - 1);
	struct reflex *reflex = bpf_map_lookup_elem(&reflexes, &slot);

	if (!reflex || !(reflex->flags & act) || bpf_ktime_get_ns() > reflex->until_ns)
		return NULL;
	return reflex;
}

/* The verifier lets no pointer that it knows into another file's function. */
static __always_inline __u64 reflex_place(struct file *file)
{
	__u64 number = 0;

	bpf_probe_read_kernel(&number, sizeof(number), &file);
	return number;
}

static __always_inline int reflex_learnt(struct reflex_key *key)
{
	return bpf_map_lookup_elem(&reflex_allowed, key) != NULL;
}

/* What becomes of an act that was not learnt. Never of the first process of the host; beyond the
 * limit, of nobody until the period is over.
 */
static __always_inline __u32 reflex_answer(struct reflex *reflex, struct reflex_key *key,
					   __u32 answer)
{
	__u32 slot = key->workload & (MAX_WORKLOADS - 1);
	struct reflex_count *count = bpf_map_lookup_elem(&reflex_counts, &slot);
	__u64 now_ns = bpf_ktime_get_ns();
	__u64 *known;

	if (!count || bpf_get_current_pid_tgid() >> 32 <= 1)
		return REFLEX_LEFT;
	if (reflex->flags & REFLEX_DRY)
		return REFLEX_REHEARSED;
	if (now_ns - count->start_ns > reflex->period_ns) {
		count->start_ns = now_ns;
		count->acts = 0;
	}
	known = bpf_map_lookup_elem(&reflex_done, key);
	if (!known || *known < count->start_ns) {
		bpf_map_update_elem(&reflex_done, key, &now_ns, BPF_ANY);
		__sync_fetch_and_add(&count->acts, 1);
	}
	if (count->acts > reflex->limit) {
		__sync_fetch_and_add(&count->spared, 1);
		return REFLEX_SPARED;
	}
	__sync_fetch_and_add(&count->done, 1);
	return answer;
}

/* A record, where this is the first of its kind or somebody was stopped; NULL: none to fill. */
static __always_inline struct reflex_event *reflex_record(struct reflex_key *key, __u16 role,
							  __u32 outcome)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct seen_key seen_key = {
		.first = key->first,
		.second = key->second,
		.workload = key->workload,
		.dev = key->port,
		.generation = ((__u32)key->act << 16) | key->protocol,
		.role = role,
		.kind = EVENT_REFLEX,
		.access = outcome,
	};
	struct reflex_event *event;

	if (outcome != REFLEX_STOPPED && !seen_first(&seen_key))
		return NULL;
	event = record_reserve(key->workload);
	if (!event)
		return NULL;
	record_header(&event->hdr, EVENT_REFLEX, task, key->workload, role);
	event->first = key->first;
	event->second = key->second;
	event->act = key->act;
	event->outcome = outcome;
	event->port = key->port;
	event->protocol = key->protocol;
	event->family = key->family;
	return event;
}

#endif
