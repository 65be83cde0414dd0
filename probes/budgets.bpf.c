/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* How much a limited workload may still send on connections of its own, by where the other end is.
 *
 * Called from cgroup_skb/egress for each packet. A budget lasts for a window that the first packet
 * opens; what goes beyond it is dropped, and goes on when the next one begins. Two CPUs at once may
 * pass it by a packet each. Headers and what is sent again count: they are bytes that leave.
 */
#include "record.bpf.h"
#include "subjects.bpf.h"

static __always_inline __u64 limit_of(__u32 slot, __u32 peer, __u64 now_ns, __u64 *window_ns)
{
	struct upload_budget *budget = bpf_map_lookup_elem(&budgets, &slot);

	if (!budget || !budget->window_ns)
		return UNLIMITED_BYTES;
	if (budget->until_ns && now_ns > budget->until_ns)
		return UNLIMITED_BYTES;
	*window_ns = budget->window_ns;
	switch (peer) { /* constants: the verifier of 6.1 loses a bound on the way */
	case PEER_LINK:
		return budget->limit_bytes[PEER_LINK];
	case PEER_PRIVATE:
		return budget->limit_bytes[PEER_PRIVATE];
	case PEER_METADATA:
		return budget->limit_bytes[PEER_METADATA];
	case PEER_MULTICAST:
		return budget->limit_bytes[PEER_MULTICAST];
	case PEER_PUBLIC:
		return budget->limit_bytes[PEER_PUBLIC];
	}
	return budget->limit_bytes[PEER_LOOPBACK];
}

/* 1: this packet is beyond it. */
__noinline int upload_refused(__u32 workload, __u32 peer, __u32 bytes)
{
	__u32 slot = workload & (MAX_WORKLOADS - 1);
	__u64 now_ns = bpf_ktime_get_ns(), window_ns = 0;
	__u64 limit = limit_of(slot, peer, now_ns, &window_ns);
	struct upload_spent *row;

	if (limit == UNLIMITED_BYTES)
		return 0;
	slot = slot * PEER_CLASS_MAX + peer;
	row = bpf_map_lookup_elem(&spent, &slot);
	if (!row)
		return 0;
	if (!row->start_ns || now_ns - row->start_ns >= window_ns) {
		row->start_ns = now_ns;
		row->bytes = 0;
	}
	if (row->bytes + bytes > limit) {
		__sync_fetch_and_add(&row->refused, bytes);
		return 1;
	}
	__sync_fetch_and_add(&row->bytes, bytes);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
