/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Denial before the act on sockets: what no cgroup program refuses, as guard.bpf.c says.
 *
 * Hooks: BPF LSM, in the tier `guard` alone. Kept: socketpairs, and accepted clients unless
 * these are cut, too.
 */
#include "guard.bpf.h"

/* Every family; the peers that were connected stay as `guard_socket_sendmsg` says. */
DENY_ALWAYS(socket_bind)
DENY_ALWAYS(socket_listen)

SEC("lsm/socket_connect")
int BPF_PROG(guard_socket_connect, struct socket *socket)
{
	if (refusal_told(BPF_CORE_READ(socket, sk)))
		return 0;
	if (deny_contained())
		return DENIED;
	return 0;
}

/* An end whose other end has a name is a service that it called; the accepted end of a
 * nameless client, and a socketpair, stay.
 */
static __always_inline int unix_called(struct sock *sk)
{
	struct unix_sock *peer = (struct unix_sock *)BPF_CORE_READ((struct unix_sock *)sk, peer);

	return peer && BPF_CORE_READ(peer, addr);
}

/* The end of a client that has no name: it was accepted, and has its listener's. */
static __always_inline int unix_answers(struct sock *sk)
{
	struct unix_sock *peer = (struct unix_sock *)BPF_CORE_READ((struct unix_sock *)sk, peer);

	return peer && BPF_CORE_READ((struct unix_sock *)sk, addr);
}

SEC("lsm/socket_sendmsg")
int BPF_PROG(guard_socket_sendmsg, struct socket *socket, struct msghdr *message)
{
	__u32 workload = contained_current();
	struct sock *sk;
	__u16 family;

	if (!workload)
		return 0;
	sk = BPF_CORE_READ(socket, sk);
	family = BPF_CORE_READ(sk, __sk_common.skc_family);
	if (family == AF_NETLINK_FAMILY)
		return 0; /* the resolver asks the kernel for addresses */
	if (family != AF_UNIX_FAMILY && family != AF_INET_FAMILY && family != AF_INET6_FAMILY)
		goto deny; /* raw packets pass no cgroup program */
	if (BPF_CORE_READ(message, msg_namelen)) {
		if (refusal_told(sk))
			return 0;
		goto deny;
	}
	if (family != AF_UNIX_FAMILY)
		return 0; /* of connected IP sockets the egress program cuts what is to be cut */
	if (!unix_called(sk) && !(unix_answers(sk) && clients_cut(workload)))
		return 0;
deny:
	denied_count(workload);
	return DENIED;
}

/* A socket that somebody else opened, passed over a local one (SCM_RIGHTS) or taken (pidfd_getfd):
 * it would carry bytes that are counted, and cut, as another's. Its own come and go as they did.
 */
SEC("lsm/file_receive")
int BPF_PROG(guard_file_receive, struct file *file)
{
	__u32 workload = contained_current();
	struct socket_state *state;
	struct socket *socket;
	struct sock *sk;
	__u16 family;

	if (!workload)
		return 0;
	socket = bpf_sock_from_file(file);
	if (!socket)
		return 0;
	sk = socket->sk;
	if (!sk)
		return 0;
	family = sk->__sk_common.skc_family;
	if (family == AF_UNIX_FAMILY || family == AF_NETLINK_FAMILY)
		return 0; /* what is sent there passes guard_socket_sendmsg */
	state = bpf_sk_storage_get(&sockets, sk, 0, 0);
	if (state && state->workload == workload)
		return 0;
	denied_count(workload);
	return DENIED;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
