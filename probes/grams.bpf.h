/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* A thread's last seven calls in one word, and the exact count of each such word.
 *
 * A table of our own, because every watched call pays for it: a server leaves the caches cold
 * between two calls, and a kernel's hash then costs five times what all else does here. This one
 * is a line of words, which is shared and nearly never written, and a count, which is this
 * CPU's alone; neither takes a call of a function.
 */
#ifndef INFERWARD_GRAMS_BPF_H
#define INFERWARD_GRAMS_BPF_H

#include "record.bpf.h"

#define GRAM_MASK ((1ULL << (GRAM_LENGTH * GRAM_BITS)) - 1)
#define GRAM_SLOTS (GRAM_BUCKETS * GRAM_WAYS)
#define GRAM_HOME_BITS 13

_Static_assert(1 << GRAM_HOME_BITS == GRAM_BUCKETS, "a home for each bucket");

extern int gram_insert(__u64 word, __u64 owner);

/* The upper bits of a product with an odd constant depend on every bit of what is multiplied. */
static __always_inline __u64 gram_hash(__u64 word, __u64 owner)
{
	return (word ^ owner * 0x9e3779b97f4a7c15ULL) * 0xd6e8feb86659fd93ULL;
}

static __always_inline __u32 gram_home(__u64 hash)
{
	return hash >> (64 - GRAM_HOME_BITS);
}

/* Hooks of calls and exits run with preemption off: nobody else is between the load and the store. */
static __always_inline void gram_raise(__u32 slot, __u64 owner)
{
	__u32 at = bpf_get_smp_processor_id() * GRAM_SLOTS + slot;
	__u64 *count = bpf_map_lookup_elem(&gram_counts, &at);

	if (count)
		*count += 1;
	else
		loss_count(owner >> 16 & (MAX_WORKLOADS - 1), LOSS_GRAMS_FULL);
}

static __always_inline void gram_count(struct task_state *state, __u32 number)
{
	__u64 word = ((state->word << GRAM_BITS) | (number + 1)) & GRAM_MASK;
	__u64 owner = GRAM_OWNED | (state->workload & (MAX_WORKLOADS - 1)) << 16 | state->role;
	__u32 home = gram_home(gram_hash(word, owner));
	struct gram_bucket *bucket = bpf_map_lookup_elem(&grams, &home);

	state->word = word;
	if (!bucket)
		return;
	for (int i = 0; i < GRAM_WAYS; i++) {
		if (bucket->words[i] == word && bucket->owners[i] == owner) {
			gram_raise(home * GRAM_WAYS + i, owner);
			return;
		}
	}
	gram_insert(word, owner);
}

#endif
