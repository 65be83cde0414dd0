/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* IP bytes in and out per workload, by who opened the connection; and the cut.
 *
 * Packets have no "current": the socket's own storage says whose it is. It is set
 * when a member makes or connects a socket, and cloned from a listener to what it
 * accepts. For sockets that were there before us see adopt.bpf.c.
 */
#include "record.bpf.h"

#define PASS 1
#define DROP 0

SEC("cgroup/sock_create")
int on_sock_create(struct bpf_sock *sk)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;
	struct member *member = bpf_map_lookup_elem(&members, &tgid);
	struct socket_state *socket;

	if (!member)
		return PASS;
	socket = bpf_sk_storage_get(&sockets, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!socket) {
		loss_count(member->workload, LOSS_SOCKET_STORAGE);
		return PASS;
	}
	socket->workload = member->workload;
	return PASS;
}

static __always_inline struct socket_state *packet_socket(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;

	if (!sk)
		return NULL;
	sk = bpf_sk_fullsock(sk);
	if (!sk)
		return NULL;
	return bpf_sk_storage_get(&sockets, sk, 0, 0);
}

SEC("cgroup_skb/egress")
int on_egress(struct __sk_buff *skb)
{
	struct socket_state *socket = packet_socket(skb);

	if (!socket || !socket->workload)
		return PASS;
	if (socket->origin == SOCKET_INITIATED) {
		if (containment_level(socket->workload) >= CONTAIN_NETWORK) {
			total_add(socket->workload, COUNT_DENIED, 1);
			return DROP;
		}
		total_add(socket->workload, COUNT_SENT_INITIATED, skb->len);
	} else {
		total_add(socket->workload, COUNT_SENT_ACCEPTED, skb->len);
	}
	return PASS;
}

SEC("cgroup_skb/ingress")
int on_ingress(struct __sk_buff *skb)
{
	struct socket_state *socket = packet_socket(skb);

	if (socket && socket->workload)
		total_add(socket->workload, COUNT_RECEIVED, skb->len);
	return PASS;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
