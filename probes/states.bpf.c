/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What becomes of TCP sockets: one EVENT_LISTEN per socket a role opens to others, one
 * EVENT_REFUSED per peer that did not answer its connect, by its error.
 *
 * Hook: the state tracepoint of TCP (Linux 4.16). A connect that fails late does so in
 * whatever task the answer or the timer interrupts: the socket's own storage says whose it
 * is. A connect that fails before its first segment: connect_failed(), from sys_exit.
 */
#include "classes.bpf.h"
#include "attempts.bpf.h"

#define TCP_SYN_SENT_STATE 2
#define TCP_CLOSE_STATE 7
#define TCP_LISTEN_STATE 10

static __always_inline void refusal_key(struct seen_key *key, const struct endpoint *peer,
					__u32 workload, __u16 role)
{
	key->first = ((__u64)peer->address[0] << 32) | peer->address[1];
	key->second = ((__u64)peer->address[2] << 32) | peer->address[3];
	key->workload = workload;
	key->dev = peer->port;
	key->generation = ((__u32)peer->family << 16) | peer->protocol;
	key->role = role;
	key->kind = EVENT_REFUSED;
	key->access = PEER_CONNECT;
}

static __always_inline struct peer_event *refusal_reserve(const struct endpoint *peer,
							  __u32 workload, __u16 role, __s32 error)
{
	struct seen_key key = {};
	struct peer_event *event;

	total_add(workload, COUNT_REFUSED, 1);
	refusal_key(&key, peer, workload, role);
	if (!seen_first(&key))
		return NULL;
	event = record_reserve(workload);
	if (!event)
		return NULL;
	event->family = peer->family;
	event->protocol = peer->protocol;
	event->direction = PEER_CONNECT;
	event->remote_port = peer->port;
	event->result = -error;
	__builtin_memcpy(event->remote, peer->address, sizeof(event->remote));
	return event;
}

/* The running task is nobody's in particular: of its header only what the socket kept is true. */
static __always_inline void connect_ended(const struct sock *sk, struct socket_state *socket)
{
	struct endpoint peer = {};
	struct peer_event *event;

	endpoint_of_sock(&peer, sk, 0);
	event = refusal_reserve(&peer, socket->workload, socket->role, BPF_CORE_READ(sk, sk_err));
	if (!event)
		return;
	event->hdr.time_ns = bpf_ktime_get_ns();
	event->hdr.start_ns = socket->start_ns;
	event->hdr.workload = socket->workload;
	event->hdr.pid = socket->pid;
	event->hdr.tid = socket->pid;
	event->hdr.uid = BPF_CORE_READ(sk, sk_uid.val);
	event->hdr.cpu = bpf_get_smp_processor_id();
	event->hdr.kind = EVENT_REFUSED;
	event->hdr.role = socket->role;
	record_submit(&event->hdr, 1);
}

static __always_inline void listener_told(const struct sock *sk)
{
	struct endpoint end = {.direction = PEER_LISTEN};
	struct member *member = member_current();
	struct task_state *listener;

	if (!member)
		return;
	endpoint_of_sock(&end, sk, 1);
	if (!end.port) /* without bind(2) it gets one a moment later: sockets.bpf.c */
		return;
	endpoint_submit(&end, member->workload, member->role, EVENT_LISTEN);
	listener = task_watched(bpf_get_current_task_btf());
	if (listener)
		listener->due = EVENT_LISTEN;
}

/* Streams that the kernel itself opens below another protocol's socket (MPTCP) pass no cgroup
 * program: here they are first seen.
 */
static __always_inline void connect_begun(const struct sock *sk)
{
	struct member *member = member_current();
	struct socket_state *socket;

	if (!member)
		return;
	attempt_done();
	if (bpf_sk_storage_get(&sockets, (void *)sk, 0, 0))
		return;
	socket = socket_claim((void *)sk, member);
	if (socket)
		socket->origin = SOCKET_INITIATED;
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(on_tcp_state, const struct sock *sk, int old_state, int new_state)
{
	struct socket_state *socket;

	if (new_state == TCP_LISTEN_STATE) {
		listener_told(sk);
	} else if (new_state == TCP_SYN_SENT_STATE) {
		connect_begun(sk);
	} else if (new_state == TCP_CLOSE_STATE && old_state == TCP_SYN_SENT_STATE) {
		socket = bpf_sk_storage_get(&sockets, (void *)sk, 0, 0);
		if (socket && socket->workload)
			connect_ended(sk, socket);
	}
	return 0;
}

/* The running thread's connect(2) returned an error. */
__noinline int connect_failed(__s32 error)
{
	__u64 thread = bpf_get_current_pid_tgid();
	struct endpoint *peer = bpf_map_lookup_elem(&attempts, &thread);
	struct member *member = member_current();
	struct task_struct *task = (void *)bpf_get_current_task();
	struct peer_event *event;

	if (!peer || !member)
		return 0;
	event = refusal_reserve(peer, member->workload, member->role, error);
	bpf_map_delete_elem(&attempts, &thread);
	if (!event)
		return 0;
	record_header(&event->hdr, EVENT_REFUSED, task, member->workload, member->role);
	record_submit(&event->hdr, 1);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
