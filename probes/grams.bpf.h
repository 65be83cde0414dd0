/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* A thread's last seven calls in one word, and the exact count of each such word. */
#ifndef INFERWARD_GRAMS_BPF_H
#define INFERWARD_GRAMS_BPF_H

#include "record.bpf.h"

#define GRAM_MASK ((1ULL << (GRAM_LENGTH * GRAM_BITS)) - 1)

static __always_inline void gram_count(struct task_state *state, __u32 number)
{
	struct gram_key key = {.workload = state->workload, .role = state->role};
	__u64 one = 1;
	__u64 *count;

	state->word = ((state->word << GRAM_BITS) | (number + 1)) & GRAM_MASK;
	key.word = state->word;
	count = bpf_map_lookup_elem(&grams, &key);
	if (count) {
		*count += 1;
		return;
	}
	/* -EEXIST: another CPU made the entry between; its own slot is ours to raise. */
	if (bpf_map_update_elem(&grams, &key, &one, BPF_NOEXIST)) {
		count = bpf_map_lookup_elem(&grams, &key);
		if (count)
			*count += 1;
		else
			loss_count(state->workload, LOSS_GRAMS_FULL);
	}
}

#endif
