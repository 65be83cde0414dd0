/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* One EVENT_PEER per peer a role connects or sends to, one EVENT_LISTEN per datagram socket
 * it binds; connects counted by where the peer is. A contained workload is refused here.
 *
 * Hooks: cgroup connect/sendmsg/bind programs at the cgroup v2 root, which every
 * entry passes (io_uring too), with the kernel's copy of the address. Programs at the root
 * allow by default and act on members alone. Reflexes: reflex_peers.bpf.h. What becomes of a
 * connect: states.bpf.c. Whom it accepts, and AF_UNIX: sockets.bpf.c.
 */
#include "classes.bpf.h"
#include "attempts.bpf.h"
#include "reflex_peers.bpf.h"

#define ALLOW 1
#define REFUSE 0 /* the caller gets EPERM */

static __always_inline int endpoint_check(struct bpf_sock_addr *ctx, struct endpoint *peer,
					  struct member *member, enum event_kind kind)
{
	enum event_kind reported = kind;
	int verdict = ALLOW;

	peer->protocol = ctx->protocol;
	peer->port = bpf_ntohs(ctx->user_port);
	endpoint_unmap(peer);
	if (containment_level(member->workload) >= CONTAIN_NETWORK) {
		total_add(member->workload, COUNT_DENIED, 1);
		reported = EVENT_DENIED;
		verdict = REFUSE;
	} else if (kind == EVENT_PEER && reflex_peer(peer, member) == REFLEX_DENIED) {
		total_add(member->workload, COUNT_DENIED, 1);
		return REFUSE; /* told as what it is */
	}
	if (reported == EVENT_PEER)
		total_add(member->workload, COUNT_CONNECTS, 1);
	/* A TCP bind is no listener yet; a bound datagram socket already receives. */
	if (reported != EVENT_LISTEN || peer->protocol == UDP_PROTOCOL)
		endpoint_submit(peer, member->workload, member->role, reported);
	return verdict;
}

static __always_inline int address_check(struct bpf_sock_addr *ctx, struct endpoint *peer,
					 enum event_kind kind)
{
	struct member *member = member_current();

	return member ? endpoint_check(ctx, peer, member, kind) : ALLOW;
}

static __always_inline int connect_check(struct bpf_sock_addr *ctx, struct endpoint *peer)
{
	struct member *member = member_current();
	struct socket_state *socket;
	int verdict;

	if (!member)
		return ALLOW;
	verdict = endpoint_check(ctx, peer, member, EVENT_PEER);
	if (ctx->sk) {
		socket = socket_claim(ctx->sk, member);
		if (socket) {
			socket->origin = SOCKET_INITIATED;
			socket->decided = 1;
			socket->peer = 0; /* it may have been connected to another before */
		}
	}
	if (verdict == REFUSE)
		return REFUSE;
	connection_count(member->workload, class_of(peer), FLOW_INITIATED_OUT);
	if (peer->protocol == TCP_PROTOCOL)
		attempt_note(peer);
	return ALLOW;
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

	return connect_check(ctx, &peer);
}

SEC("cgroup/connect6")
int on_connect6(struct bpf_sock_addr *ctx)
{
	struct endpoint peer = ENDPOINT_V6(ctx, PEER_CONNECT);

	return connect_check(ctx, &peer);
}

SEC("cgroup/sendmsg4")
int on_sendmsg4(struct bpf_sock_addr *ctx)
{
	struct endpoint peer = ENDPOINT_V4(ctx, PEER_DATAGRAM);

	return address_check(ctx, &peer, EVENT_PEER);
}

SEC("cgroup/sendmsg6")
int on_sendmsg6(struct bpf_sock_addr *ctx)
{
	struct endpoint peer = ENDPOINT_V6(ctx, PEER_DATAGRAM);

	return address_check(ctx, &peer, EVENT_PEER);
}

SEC("cgroup/bind4")
int on_bind4(struct bpf_sock_addr *ctx)
{
	struct endpoint peer = ENDPOINT_V4(ctx, PEER_BIND);

	return address_check(ctx, &peer, EVENT_LISTEN);
}

SEC("cgroup/bind6")
int on_bind6(struct bpf_sock_addr *ctx)
{
	struct endpoint peer = ENDPOINT_V6(ctx, PEER_BIND);

	return address_check(ctx, &peer, EVENT_LISTEN);
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
