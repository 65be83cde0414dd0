/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* One EVENT_PEER per peer a role connects or sends to; one EVENT_LISTEN per socket it
 * opens to others. A contained workload is refused here.
 *
 * Hooks: cgroup connect/sendmsg/bind programs at the cgroup v2 root, which every
 * entry passes (io_uring too), with the kernel's copy of the address; the state
 * tracepoint of TCP for listen(2). Programs at the root allow by default and act on
 * members alone. Whom it accepts, and AF_UNIX: sockets.bpf.c.
 */
#include "endpoint.bpf.h"

#define ALLOW 1
#define REFUSE 0 /* the caller gets EPERM */

#define UDP_PROTOCOL 17
#define TCP_LISTEN_STATE 10

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

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(on_tcp_state, const struct sock *sk, int old_state, int new_state)
{
	struct endpoint end = {.direction = PEER_LISTEN};
	struct task_state *listener;
	struct member *member;

	if (new_state != TCP_LISTEN_STATE)
		return 0;
	member = member_current();
	if (!member)
		return 0;
	endpoint_of_sock(&end, sk, 1);
	endpoint_submit(&end, member->workload, member->role, EVENT_LISTEN);
	listener = task_watched(bpf_get_current_task_btf());
	if (listener)
		listener->due = EVENT_LISTEN;
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
