/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Acts of a contained workload through io_uring, where nothing can be denied before it is done.
 *
 * What changes names or attributes, and opens that write or that nobody will be able to look
 * at, is answered when it is asked for: whether it succeeds, a completion may tell too late.
 * Other opens, connects and listeners: when they complete. Linux 5.15 or later.
 */
#include "compat.bpf.h"
#include "acts.bpf.h"
#include "ring.bpf.h"

#define O_ACCMODE_BITS 03
#define O_CREAT_BIT 0100
#define O_TRUNC_BIT 01000

/* A request, asked for by the running task; `hidden`: no completion shows what it opens. */
__noinline int act_asked(__u64 request, __u32 operation, __u32 hidden)
{
	struct task_state *state = task_watched(bpf_get_current_task_btf());
	struct io_open *open = (void *)request;
	__u64 flags;

	if (!state)
		return 0;
	switch (operation) {
	case RING_RENAMEAT:
	case RING_UNLINKAT:
	case RING_MKDIRAT:
	case RING_SYMLINKAT:
	case RING_LINKAT:
	case RING_FSETXATTR:
	case RING_SETXATTR:
	case RING_FTRUNCATE:
		return act_done(state->workload);
	case RING_OPENAT:
	case RING_OPENAT2:
		flags = BPF_CORE_READ(open, how.flags);
		if (hidden || (flags & (O_ACCMODE_BITS | O_CREAT_BIT | O_TRUNC_BIT)))
			return act_done(state->workload);
	}
	return 0;
}

/* A request that ended well. */
__noinline int act_completed(__u64 file_address, __u32 operation, __u32 result)
{
	switch (operation) {
	case RING_OPENAT:
	case RING_OPENAT2:
		return act_opened(result, 0);
	case RING_CONNECT:
		return act_on_socket(file_address, ACT_CONNECT);
	case RING_BIND:
	case RING_LISTEN:
		return act_on_socket(file_address, ACT_OFFER);
	}
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
