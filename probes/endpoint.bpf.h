/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The other end of an IP socket, and its record: once per workload, role and direction. */
#ifndef INFERWARD_ENDPOINT_BPF_H
#define INFERWARD_ENDPOINT_BPF_H

#include "record.bpf.h"
#include <bpf/bpf_endian.h>

#define AF_UNIX_FAMILY 1
#define AF_INET_FAMILY 2
#define AF_INET6_FAMILY 10
#define TCP_PROTOCOL 6
#define MPTCP_PROTOCOL 262
#define V4_MAPPED_PREFIX 0xffff0000 /* ::ffff:a.b.c.d, third word as loaded */

struct endpoint {
	__u32 address[4]; /* network order */
	__u16 family;
	__u16 port; /* host order */
	__u16 protocol;
	__u16 direction;
};

static __always_inline struct member *member_current(void)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;

	return bpf_map_lookup_elem(&members, &tgid);
}

/* Marks a socket as a workload's. Sockets of cgroup programs and of tracepoints alike. */
static __always_inline struct socket_state *socket_claim(void *sk, struct member *member)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct socket_state *state =
		bpf_sk_storage_get(&sockets, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);

	if (!state) {
		loss_count(member->workload, LOSS_SOCKET_STORAGE);
		return NULL;
	}
	state->workload = member->workload;
	state->role = member->role;
	state->pid = bpf_get_current_pid_tgid() >> 32;
	state->start_ns = BPF_CORE_READ(task, group_leader, start_boottime);
	return state;
}

/* An IPv4 peer of an IPv6 socket is the same peer. */
static __always_inline void endpoint_unmap(struct endpoint *peer)
{
	if (peer->family != AF_INET6_FAMILY || peer->address[0] || peer->address[1] ||
	    peer->address[2] != V4_MAPPED_PREFIX)
		return;
	peer->family = AF_INET_FAMILY;
	peer->address[0] = peer->address[3];
	peer->address[2] = 0;
	peer->address[3] = 0;
}

static __always_inline void endpoint_submit(struct endpoint *peer, __u32 workload, __u16 role,
					    enum event_kind kind)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct seen_key key = {
		.first = ((__u64)peer->address[0] << 32) | peer->address[1],
		.second = ((__u64)peer->address[2] << 32) | peer->address[3],
		.workload = workload,
		.dev = peer->port,
		.generation = ((__u32)peer->family << 16) | peer->protocol,
		.role = role,
		.kind = kind,
		.access = peer->direction,
	};
	struct peer_event *event;

	if (!seen_first(&key))
		return;
	event = record_reserve(workload);
	if (!event)
		return;
	record_header(&event->hdr, kind, task, workload, role);
	event->family = peer->family;
	event->protocol = peer->protocol;
	event->direction = peer->direction;
	if (kind == EVENT_LISTEN) {
		event->local_port = peer->port;
		__builtin_memcpy(event->local, peer->address, sizeof(event->local));
	} else {
		event->remote_port = peer->port;
		__builtin_memcpy(event->remote, peer->address, sizeof(event->remote));
	}
	record_submit(&event->hdr, 1);
	if (peer->direction == PEER_CONNECT && stacks_wanted(workload)) {
		__u64 thread = bpf_get_current_pid_tgid();
		__u32 due = kind;

		if (bpf_map_update_elem(&connecting, &thread, &due, BPF_ANY))
			loss_count(workload, LOSS_STACK);
	}
}

static __always_inline void endpoint_of_sock(struct endpoint *end, const struct sock *sk, int local)
{
	end->family = BPF_CORE_READ(sk, __sk_common.skc_family);
	end->protocol = BPF_CORE_READ(sk, sk_protocol);
	if (end->protocol == MPTCP_PROTOCOL) /* to its peer it is TCP, and may fall back to it */
		end->protocol = TCP_PROTOCOL;
	if (end->family == AF_INET_FAMILY) {
		end->address[0] = local ? BPF_CORE_READ(sk, __sk_common.skc_rcv_saddr)
					: BPF_CORE_READ(sk, __sk_common.skc_daddr);
	} else if (local) {
		BPF_CORE_READ_INTO(&end->address, sk, __sk_common.skc_v6_rcv_saddr);
	} else {
		BPF_CORE_READ_INTO(&end->address, sk, __sk_common.skc_v6_daddr);
	}
	end->port = local ? BPF_CORE_READ(sk, __sk_common.skc_num)
			  : bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));
	endpoint_unmap(end);
}

#endif
