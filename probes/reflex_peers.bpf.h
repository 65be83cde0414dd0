/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* A guarded workload's peers: a connect or a datagram to one that was not learnt is refused, by
 * the cgroup programs, in every tier.
 *
 * Learnt is an address with its port; any port that kernels choose for themselves where one such
 * was learnt of that address; of public addresses every one, on a port that was learnt of any:
 * names lead to other addresses every day.
 */
#ifndef INFERWARD_REFLEX_PEERS_BPF_H
#define INFERWARD_REFLEX_PEERS_BPF_H

#include "classes.bpf.h"
#include "reflex.bpf.h"

#define UDP_PROTOCOL 17
#define EPHEMERAL_FIRST 32768 /* Linux's default ip_local_port_range starts here */

static __always_inline int peer_learnt(struct reflex_key *key, struct endpoint *peer)
{
	struct reflex_key wider = *key;

	if (reflex_learnt(key))
		return 1;
	if (peer->port >= EPHEMERAL_FIRST) {
		wider.port = 0;
		if (reflex_learnt(&wider))
			return 1;
	}
	if (class_of(peer) != PEER_PUBLIC)
		return 0;
	wider.port = peer->port;
	wider.act = REFLEX_PORT;
	wider.first = 0;
	wider.second = 0;
	wider.family = 0;
	return reflex_learnt(&wider);
}

static __always_inline __u32 reflex_peer(struct endpoint *peer, struct member *member)
{
	struct reflex *reflex = reflex_of(member->workload, REFLEX_CONNECT);
	struct reflex_key key = {
		.first = ((__u64)peer->address[0] << 32) | peer->address[1],
		.second = ((__u64)peer->address[2] << 32) | peer->address[3],
		.workload = member->workload,
		.act = REFLEX_CONNECT,
		.port = peer->port,
		.protocol = peer->protocol == MPTCP_PROTOCOL ? TCP_PROTOCOL : peer->protocol,
		.family = peer->family,
	};
	struct reflex_event *event;
	__u32 outcome;

	if (!reflex || (key.protocol != TCP_PROTOCOL && key.protocol != UDP_PROTOCOL))
		return REFLEX_LEFT;
	if (peer_learnt(&key, peer))
		return REFLEX_LEFT;
	outcome = reflex_answer(reflex, &key, REFLEX_DENIED);
	if (outcome == REFLEX_LEFT)
		return REFLEX_LEFT;
	event = reflex_record(&key, member->role, outcome);
	if (event)
		record_submit(&event->hdr, 1);
	return outcome;
}

#endif
