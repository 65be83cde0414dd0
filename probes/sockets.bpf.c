/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* One EVENT_PEER per peer a role accepts, and per AF_UNIX peer it connects to.
 *
 * Called from sys_exit for accept(2) and connect(2), and from io_uring's completions; what
 * is read is the kernel's struct sock. Linux 5.11 or later (task storage).
 */
#include "path.bpf.h"
#include "endpoint.bpf.h"

#define S_IFMT_MASK 0170000
#define S_IFSOCK_TYPE 0140000
#define SUN_PATH_OFFSET 2
#define UNIX_PATH_MASK 127 /* what follows the path in a record leaves room for it */

static __always_inline struct sock *sock_of(struct file *file)
{
	struct socket *socket;

	if (!file || (BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT_MASK) != S_IFSOCK_TYPE)
		return NULL;
	socket = BPF_CORE_READ(file, private_data);
	return BPF_CORE_READ(socket, sk);
}

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
	if (BPF_CORE_READ(sk, __sk_common.skc_family) == AF_UNIX_FAMILY)
		return 0; /* a nameless client of a socket that EVENT_LISTEN or FILE named */
	endpoint_of_sock(&peer, sk, 0);
	peer.port = 0; /* a client's port is new each time and says nothing */
	endpoint_submit(&peer, state->workload, state->role, EVENT_PEER);
	return 0;
}

/* Path bytes stay where the kernel keeps the bound address of the other end. */
static __always_inline void unix_submit(struct task_struct *task, struct task_state *state,
					struct unix_address *address, __u32 length, __u32 result)
{
	struct seen_key key = {
		.first = (__u64)address, /* one bound socket; a rebound one is reported again */
		.workload = state->workload,
		.role = state->role,
		.kind = EVENT_PEER,
		.access = PEER_CONNECT,
	};
	struct peer_event *event;
	__u32 bytes;

	if (!seen_first(&key))
		return;
	event = record_reserve(state->workload);
	if (!event)
		return;
	record_header(&event->hdr, EVENT_PEER, task, state->workload, state->role);
	event->family = AF_UNIX_FAMILY;
	event->direction = PEER_CONNECT;
	event->result = result;
	bytes = length > SUN_PATH_OFFSET ? length - SUN_PATH_OFFSET : 0;
	if (bytes > UNIX_PATH_BYTES)
		bytes = UNIX_PATH_BYTES;
	event->path_bytes = bytes;
	barrier_var(bytes);
	bytes &= UNIX_PATH_MASK; /* 6.1 and 6.12 forget a bound that was compared as signed */
	if (bpf_probe_read_kernel(event->path, bytes,
				  (char *)address +
					  bpf_core_field_offset(struct unix_address, name) +
					  SUN_PATH_OFFSET))
		event->hdr.flags |= FLAG_UNREADABLE;
	record_submit(&event->hdr, 1);
	state->due = EVENT_PEER;
}

__noinline int unix_reached(__u64 file_address, __u32 result)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct task_state *state = task_watched(task);
	struct unix_address *address;
	struct unix_sock *peer;
	struct sock *sk;

	if (!state)
		return 0;
	sk = sock_of((struct file *)file_address);
	if (!sk || BPF_CORE_READ(sk, __sk_common.skc_family) != AF_UNIX_FAMILY)
		return 0; /* IP peers are the cgroup hooks' */
	total_add(state->workload, COUNT_CONNECTS, 1);
	peer = (struct unix_sock *)BPF_CORE_READ((struct unix_sock *)sk, peer);
	if (!peer)
		return 0; /* refused: nobody was reached */
	address = BPF_CORE_READ(peer, addr);
	if (!address)
		return 0; /* a nameless peer, such as one end of a socketpair */
	unix_submit(task, state, address, BPF_CORE_READ(address, len), result);
	return 0;
}

__noinline int unix_connected(__u32 fd, __u32 result)
{
	return unix_reached((__u64)file_of(bpf_get_current_task_btf(), fd), result);
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
