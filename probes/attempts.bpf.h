/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* A thread's TCP connect from the kernel's copy of its address to the first segment: one that
 * fails before leaves the address nowhere else.
 */
#ifndef INFERWARD_ATTEMPTS_BPF_H
#define INFERWARD_ATTEMPTS_BPF_H

#include "endpoint.bpf.h"

/* By thread. Least recently used: who dies in connect(2) takes nothing away. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u64);
	__type(value, struct endpoint);
} attempts __weak SEC(".maps");

static __always_inline void attempt_note(const struct endpoint *peer)
{
	__u64 thread = bpf_get_current_pid_tgid();

	bpf_map_update_elem(&attempts, &thread, peer, BPF_ANY);
}

static __always_inline void attempt_done(void)
{
	__u64 thread = bpf_get_current_pid_tgid();

	bpf_map_delete_elem(&attempts, &thread);
}

#endif
