/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* One EVENT_PEER per peer a role connects to, sends to or accepts from; one
 * EVENT_LISTEN per socket it opens to others. A contained workload is refused here.
 *
 * Hooks: cgroup connect/sendmsg/bind programs at the cgroup v2 root, which every
 * entry passes (io_uring too), with the kernel's copy of the address; the state
 * tracepoint of TCP for listen(2); sys_exit for accept(2) and AF_UNIX. Programs at the
 * root allow by default and act on members alone.
 */
#include "path.bpf.h"
#include <bpf/bpf_endian.h>

#define ALLOW 1
#define REFUSE 0 /* the caller gets EPERM */

#define AF_UNIX_FAMILY 1
#define AF_INET_FAMILY 2
#define AF_INET6_FAMILY 10
#define TCP_PROTOCOL 6
#define UDP_PROTOCOL 17
#define TCP_LISTEN_STATE 10
#define S_IFMT_MASK 0170000
#define S_IFSOCK_TYPE 0140000
#define V4_MAPPED_PREFIX 0xffff0000 /* ::ffff:a.b.c.d, third word as loaded */
#define SUN_PATH_OFFSET 2
#define UNIX_PATH_MASK 127 /* what follows the path in a record leaves room for it */

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
}

static __always_inline int endpoint_check(struct bpf_sock_addr *ctx, struct endpoint *peer,
					  enum event_kind kind)
{
	struct member *member = member_current();
	enum event_kind reported = kind;
	int verdict = ALLOW;

	if (!member)
		return ALLOW;
	peer->protocol = ctx->protocol;
	peer->port = bpf_ntohs(ctx->user_port);
	endpoint_unmap(peer);
	if (containment_level(member->workload) >= CONTAIN_NETWORK) {
		total_add(member->workload, COUNT_DENIED, 1);
		reported = EVENT_DENIED;
		verdict = REFUSE;
	}
	if (reported == EVENT_PEER)
		total_add(member->workload, COUNT_CONNECTS, 1);
	/* A TCP bind is no listener yet; a bound datagram socket already receives. */
	if (reported != EVENT_LISTEN || peer->protocol == UDP_PROTOCOL)
		endpoint_submit(peer, member->workload, member->role, reported);
	return verdict;
}

static __always_inline void socket_initiated(struct bpf_sock_addr *ctx)
{
	struct member *member = member_current();
	struct socket_state *socket;

	if (!member || !ctx->sk)
		return;
	socket = bpf_sk_storage_get(&sockets, ctx->sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!socket) {
		loss_count(member->workload, LOSS_SOCKET_STORAGE);
		return;
	}
	socket->workload = member->workload;
	socket->origin = SOCKET_INITIATED;
}

/* Context fields must be read one by one: the verifier rewrites each access. */
#define ENDPOINT_V4(ctx, way)                                                                     \
	{                                                                                         \
		.address = {(ctx)->user_ip4, 0, 0, 0}, .family = AF_INET_FAMILY, .direction = way \
	}
#define ENDPOINT_V6(ctx, way)                                                           \
	{                                                                               \
		.address = {(ctx)->user_ip6[0], (ctx)->user_ip6[1], (ctx)->user_ip6[2], \
			    (ctx)->user_ip6[3]},                                        \
		.family = AF_INET6_FAMILY, .direction = way                             \
	}

SEC("cgroup/connect4")
int on_connect4(struct bpf_sock_addr *ctx)
{
	struct endpoint peer = ENDPOINT_V4(ctx, PEER_CONNECT);

	socket_initiated(ctx);
	return endpoint_check(ctx, &peer, EVENT_PEER);
}

SEC("cgroup/connect6")
int on_connect6(struct bpf_sock_addr *ctx)
{
	struct endpoint peer = ENDPOINT_V6(ctx, PEER_CONNECT);

	socket_initiated(ctx);
	return endpoint_check(ctx, &peer, EVENT_PEER);
}

SEC("cgroup/sendmsg4")
int on_sendmsg4(struct bpf_sock_addr *ctx)
{
	struct endpoint peer = ENDPOINT_V4(ctx, PEER_DATAGRAM);

	return endpoint_check(ctx, &peer, EVENT_PEER);
}

SEC("cgroup/sendmsg6")
int on_sendmsg6(struct bpf_sock_addr *ctx)
{
	struct endpoint peer = ENDPOINT_V6(ctx, PEER_DATAGRAM);

	return endpoint_check(ctx, &peer, EVENT_PEER);
}

SEC("cgroup/bind4")
int on_bind4(struct bpf_sock_addr *ctx)
{
	struct endpoint peer = ENDPOINT_V4(ctx, PEER_BIND);

	return endpoint_check(ctx, &peer, EVENT_LISTEN);
}

SEC("cgroup/bind6")
int on_bind6(struct bpf_sock_addr *ctx)
{
	struct endpoint peer = ENDPOINT_V6(ctx, PEER_BIND);

	return endpoint_check(ctx, &peer, EVENT_LISTEN);
}

static __always_inline void endpoint_of_sock(struct endpoint *end, const struct sock *sk, int local)
{
	end->family = BPF_CORE_READ(sk, __sk_common.skc_family);
	end->protocol = BPF_CORE_READ(sk, sk_protocol);
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

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(on_tcp_state, const struct sock *sk, int old_state, int new_state)
{
	struct endpoint end = {.direction = PEER_LISTEN};
	struct member *member;

	if (new_state != TCP_LISTEN_STATE)
		return 0;
	member = member_current();
	if (!member)
		return 0;
	endpoint_of_sock(&end, sk, 1);
	endpoint_submit(&end, member->workload, member->role, EVENT_LISTEN);
	return 0;
}

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
