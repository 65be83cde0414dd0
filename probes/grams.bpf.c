/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* A place for a word that is not in its home: where it was put before, or a free one.
 *
 * Tried are the home and, step by step, others: each word's steps are its own (double hashing),
 * so that full buckets do not come to lie side by side. Of a table that is 85 % full no word
 * was turned away after 16.
 * Two CPUs that bring the same word at once may each put it somewhere: its count is then the sum
 * of both, which whoever reads it forms anyway.
 * Compiled for `cmpxchg` (Linux 5.12).
 */
#include "grams.bpf.h"

#define BUCKETS_TRIED 32

__noinline int gram_insert(__u64 word, __u64 owner)
{
	__u64 hash = gram_hash(word, owner);
	__u32 step = (hash >> (64 - 2 * GRAM_HOME_BITS)) | 1;

	for (__u32 tried = 0; tried < BUCKETS_TRIED; tried++) {
		__u32 at = (gram_home(hash) + tried * step) & (GRAM_BUCKETS - 1);
		struct gram_bucket *bucket = bpf_map_lookup_elem(&grams, &at);

		if (!bucket)
			return 0;
		for (int i = 0; i < GRAM_WAYS; i++) {
			__u64 *place = &bucket->words[i];

			if (*place == word && bucket->owners[i] == owner) {
				gram_raise(at * GRAM_WAYS + i, owner);
				return 1;
			}
			if (!*place && !__sync_val_compare_and_swap(place, 0, word)) {
				bucket->owners[i] = owner;
				gram_raise(at * GRAM_WAYS + i, owner);
				return 1;
			}
		}
	}
	loss_count(owner >> 16 & (MAX_WORKLOADS - 1), LOSS_GRAMS_FULL);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
