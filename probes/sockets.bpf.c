/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* One EVENT_PEER per IP peer a role accepts, or connects to past the cgroup programs; one
 * EVENT_LISTEN per socket it opens to others; one EVENT_SYSCALL per other kind of socket it makes.
 *
 * Called from sys_exit and from io_uring's completions; what is read is the kernel's
 * struct sock. AF_UNIX goes on to unix.bpf.c. Linux 5.12 or later.
 */
#include "sockets.bpf.h"

#define SOCK_STREAM_TYPE 1
#define SOCK_DGRAM_TYPE 2
#define SOCK_SEQPACKET_TYPE 5
#define SOCK_TYPE_MASK 15 /* above: SOCK_CLOEXEC, SOCK_NONBLOCK */
#define UDP_PROTOCOL 17
#define EINPROGRESS_ERROR 115
#define SOCKET_NUMBER 41

__noinline int socket_accepted(__u32 fd, __u32 call)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct task_state *state = task_watched(task);
	struct endpoint peer = {.direction = PEER_ACCEPT};
	struct sock *sk;

	if (!state || !call)
		return 0;
	total_add(state->workload, COUNT_ACCEPTS, 1);
	sk = sock_of(file_of(task, fd));
	if (!sk) {
		loss_count(state->workload, LOSS_READ_FAULT);
		return 0;
	}
	if (sock_family(sk) == AF_UNIX_FAMILY)
		return unix_accepted((__u64)sk);
	if (sock_family(sk) != AF_INET_FAMILY && sock_family(sk) != AF_INET6_FAMILY)
		return 0;
	endpoint_of_sock(&peer, sk, 0);
	connection_count(state->workload, class_of(&peer), FLOW_ACCEPTED_OUT);
	peer.port = 0; /* a client's port is new each time and says nothing */
	endpoint_submit(&peer, state->workload, state->role, EVENT_PEER);
	return 0;
}

/* TCP and UDP passed a cgroup program; of what may not have (MPTCP, SCTP, UDP-Lite, raw
 * sockets, by kernel) the address is the socket's own by now.
 */
static __always_inline void endpoint_reached(struct task_state *state, struct sock *sk,
					     __s32 result)
{
	struct endpoint peer = {.direction = PEER_CONNECT};
	__u16 protocol = BPF_CORE_READ(sk, sk_protocol);

	if (protocol == TCP_PROTOCOL || protocol == UDP_PROTOCOL ||
	    (result && result != -EINPROGRESS_ERROR))
		return;
	endpoint_of_sock(&peer, sk, 0);
	if (peer.port || peer.address[0] || peer.address[3])
		endpoint_submit(&peer, state->workload, state->role, EVENT_PEER);
}

/* `name`: as the caller gave it, of `length` bytes. */
__noinline int socket_reached(__u64 file_address, __s32 result, __u64 name, __u32 length)
{
	struct task_state *state = task_watched(bpf_get_current_task_btf());
	struct sock *sk;

	if (!state)
		return 0;
	if (result < 0)
		connect_failed(-result);
	sk = sock_of((struct file *)file_address);
	if (!sk)
		return 0;
	if (sock_family(sk) == AF_UNIX_FAMILY)
		unix_reached((__u64)sk, result, name, length);
	else if (sock_family(sk) == AF_INET_FAMILY || sock_family(sk) == AF_INET6_FAMILY)
		endpoint_reached(state, sk, result);
	return 0;
}

__noinline int socket_connected(__u32 fd, __s32 result, __u64 name, __u32 length)
{
	return socket_reached((__u64)file_of(bpf_get_current_task_btf(), fd), result, name, length);
}

/* listen(2) worked. TCP's tracepoint told it already unless nothing was bound before. */
__noinline int socket_listens(__u64 file_address)
{
	struct task_state *state = task_watched(bpf_get_current_task_btf());
	struct endpoint end = {.direction = PEER_LISTEN};
	struct sock *sk = sock_of((struct file *)file_address);

	if (!state || !sk)
		return 0;
	if (sock_family(sk) == AF_UNIX_FAMILY)
		return unix_offered((__u64)sk, PEER_LISTEN);
	if (sock_family(sk) != AF_INET_FAMILY && sock_family(sk) != AF_INET6_FAMILY)
		return 0;
	endpoint_of_sock(&end, sk, 1);
	endpoint_submit(&end, state->workload, state->role, EVENT_LISTEN);
	return 0;
}

/* bind(2) worked: a local datagram socket with a name is open to others at once. */
__noinline int socket_bound(__u64 file_address)
{
	struct sock *sk = sock_of((struct file *)file_address);

	if (!sk || sock_family(sk) != AF_UNIX_FAMILY)
		return 0; /* IP passed the cgroup programs */
	if (BPF_CORE_READ(sk, sk_type) != SOCK_DGRAM_TYPE)
		return 0;
	return unix_offered((__u64)sk, PEER_BIND);
}

__noinline int descriptor_opened(__u32 fd, __u32 listening)
{
	__u64 file = (__u64)file_of(bpf_get_current_task_btf(), fd);

	return listening ? socket_listens(file) : socket_bound(file);
}

/* Streams and datagrams of IP and AF_UNIX are told by whom they reach. */
static __always_inline int is_ordinary(__u32 family, __u32 type, __u32 protocol)
{
	if (family == AF_UNIX_FAMILY)
		return 1;
	if (family != AF_INET_FAMILY && family != AF_INET6_FAMILY)
		return 0;
	return (type == SOCK_STREAM_TYPE && (!protocol || protocol == TCP_PROTOCOL)) ||
	       (type == SOCK_DGRAM_TYPE && (!protocol || protocol == UDP_PROTOCOL));
}

/* Told when it is asked for, whether the kernel gave it or not. */
__noinline int socket_made(__u32 family, __u32 flagged_type, __u32 protocol, __s32 result)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct task_state *state = task_watched(task);
	__u32 type = flagged_type & SOCK_TYPE_MASK;
	struct seen_key key = {.kind = EVENT_SYSCALL};
	struct syscall_event *event;

	if (!state || is_ordinary(family, type, protocol))
		return 0;
	key.first = SOCKET_NUMBER;
	key.second = ((__u64)family << 32) | protocol;
	key.dev = type;
	key.workload = state->workload;
	key.role = state->role;
	if (!seen_first(&key))
		return 0;
	event = record_reserve(state->workload);
	if (!event)
		return 0;
	record_header(&event->hdr, EVENT_SYSCALL, task, state->workload, state->role);
	event->hdr.syscall = SOCKET_NUMBER;
	event->args[0] = family;
	event->args[1] = type;
	event->args[2] = protocol;
	event->result = result;
	record_submit(&event->hdr, 1);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
