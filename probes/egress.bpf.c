/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* IP bytes in and out per workload, by who opened the connection and where the other end
 * is; and the cut.
 *
 * Packets have no "current": the socket's own storage says whose it is. It is set
 * when a member makes or connects a socket, and cloned from a listener to what it
 * accepts. For sockets that were there before us see adopt.bpf.c. A stream's other end is
 * looked up once, a datagram's each time. Names asked for: names.bpf.c.
 */
#include "classes.bpf.h"
#include "subjects.bpf.h"

#define PASS 1
#define DROP 0

#define UDP_PROTOCOL 17
#define DNS_PORT 53

SEC("cgroup/sock_create")
int on_sock_create(struct bpf_sock *sk)
{
	struct member *member = member_current();

	if (member)
		socket_claim(sk, member);
	return PASS;
}

static __always_inline struct bpf_sock *packet_socket(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;

	return sk ? bpf_sk_fullsock(sk) : NULL;
}

/* What of a packet's headers is needed. */
struct packet {
	__u32 version;
	__u32 transport; /* offset */
	__u16 to_port;   /* network order */
	__u8 protocol;
};

static __always_inline void packet_read(struct __sk_buff *skb, struct packet *packet)
{
	__u8 first = 0;

	bpf_skb_load_bytes(skb, 0, &first, 1);
	packet->version = first >> 4;
	packet->transport = packet->version == 4 ? (first & 15) * 4 : 40;
	bpf_skb_load_bytes(skb, packet->version == 4 ? 9 : 6, &packet->protocol, 1);
	bpf_skb_load_bytes(skb, packet->transport + 2, &packet->to_port, 2);
}

static __always_inline enum peer_class packet_class(struct __sk_buff *skb, int out)
{
	__u32 address[4] = {};
	__u8 first = 0;

	bpf_skb_load_bytes(skb, 0, &first, 1);
	if (first >> 4 == 4) {
		bpf_skb_load_bytes(skb, out ? 16 : 12, address, 4);
		return class_of_v4(address[0]);
	}
	bpf_skb_load_bytes(skb, out ? 24 : 8, address, 16);
	return class_of_v6(address);
}

/* A listener, which sends and takes packets of connections to be, has no other end. */
static __always_inline enum peer_class other_end(struct __sk_buff *skb, struct bpf_sock *sk,
						 struct socket_state *socket, int out)
{
	enum peer_class peer;

	if (socket->peer)
		return socket->peer - 1;
	peer = packet_class(skb, out);
	if (sk->protocol == TCP_PROTOCOL && sk->dst_port)
		socket->peer = peer + 1;
	return peer;
}

/* Whoever sends the first datagram is the one who called. */
static __always_inline void origin_decide(struct bpf_sock *sk, struct socket_state *socket, int out)
{
	if (socket->decided || sk->protocol == TCP_PROTOCOL)
		return;
	socket->decided = 1;
	socket->origin = out ? SOCKET_INITIATED : SOCKET_ACCEPTED;
}

static __always_inline void names_look(struct __sk_buff *skb, struct bpf_sock *sk)
{
	struct packet packet = {};

	if (sk->protocol == TCP_PROTOCOL && sk->dst_port != bpf_htons(DNS_PORT))
		return;
	packet_read(skb, &packet);
	if (packet.to_port != bpf_htons(DNS_PORT))
		return;
	if (packet.protocol == UDP_PROTOCOL || packet.protocol == TCP_PROTOCOL)
		names_asked(skb, packet.transport, packet.protocol);
}

static __always_inline void upload_to(struct __sk_buff *skb, struct bpf_sock *sk,
				      struct endpoint *peer)
{
	__u8 first = 0;
	__u16 port = 0;

	bpf_skb_load_bytes(skb, 0, &first, 1);
	if (first >> 4 == 4) {
		peer->family = AF_INET_FAMILY;
		bpf_skb_load_bytes(skb, 16, peer->address, 4);
		bpf_skb_load_bytes(skb, (first & 15) * 4 + 2, &port, 2);
	} else {
		peer->family = AF_INET6_FAMILY;
		bpf_skb_load_bytes(skb, 24, peer->address, 16);
		bpf_skb_load_bytes(skb, 42, &port, 2);
	}
	peer->port = bpf_ntohs(port);
	peer->protocol = sk->protocol;
}

static __always_inline void upload_count(struct __sk_buff *skb, struct bpf_sock *sk, __u32 workload)
{
	struct upload_key key = {.workload = workload};
	struct endpoint peer = {};
	__u64 none = 0, *bytes;

	upload_to(skb, sk, &peer);
	__builtin_memcpy(key.remote, peer.address, sizeof(key.remote));
	key.port = peer.port;
	key.family = peer.family;
	key.protocol = peer.protocol;
	bytes = bpf_map_lookup_elem(&uploads, &key);
	if (!bytes) {
		bpf_map_update_elem(&uploads, &key, &none, BPF_NOEXIST);
		bytes = bpf_map_lookup_elem(&uploads, &key);
	}
	if (bytes)
		__sync_fetch_and_add(bytes, skb->len);
}

SEC("cgroup_skb/egress")
int on_egress(struct __sk_buff *skb)
{
	struct bpf_sock *sk = packet_socket(skb);
	struct socket_state *socket;
	enum peer_class peer;

	if (!sk)
		return PASS;
	socket = bpf_sk_storage_get(&sockets, sk, 0, 0);
	if (!socket || !socket->workload)
		return PASS;
	origin_decide(sk, socket, 1);
	peer = other_end(skb, sk, socket, 1);
	if (socket->origin != SOCKET_INITIATED) {
		if (clients_cut(socket->workload)) {
			total_add(socket->workload, COUNT_DENIED, 1);
			return DROP;
		}
		total_add(socket->workload, COUNT_SENT_ACCEPTED, skb->len);
		flow_bytes_add(socket->workload, peer, FLOW_ACCEPTED_OUT, skb->len);
		if (sk->protocol == TCP_PROTOCOL)
			request_packet(skb, socket, 1);
		return PASS;
	}
	names_look(skb, sk);
	if (containment_level(socket->workload) >= CONTAIN_NETWORK ||
	    upload_refused(socket->workload, peer, skb->len)) {
		total_add(socket->workload, COUNT_DENIED, 1);
		return DROP;
	}
	total_add(socket->workload, COUNT_SENT_INITIATED, skb->len);
	flow_bytes_add(socket->workload, peer, FLOW_INITIATED_OUT, skb->len);
	upload_count(skb, sk, socket->workload);
	return PASS;
}

SEC("cgroup_skb/ingress")
int on_ingress(struct __sk_buff *skb)
{
	struct bpf_sock *sk = packet_socket(skb);
	struct socket_state *socket;
	enum peer_flow flow;

	if (!sk)
		return PASS;
	socket = bpf_sk_storage_get(&sockets, sk, 0, 0);
	if (!socket || !socket->workload)
		return PASS;
	origin_decide(sk, socket, 0);
	flow = socket->origin == SOCKET_INITIATED ? FLOW_INITIATED_IN : FLOW_ACCEPTED_IN;
	if (flow == FLOW_ACCEPTED_IN && clients_cut(socket->workload)) {
		total_add(socket->workload, COUNT_DENIED, 1);
		return DROP;
	}
	total_add(socket->workload, COUNT_RECEIVED, skb->len);
	flow_bytes_add(socket->workload, other_end(skb, sk, socket, 0), flow, skb->len);
	if (flow == FLOW_ACCEPTED_IN && sk->protocol == TCP_PROTOCOL)
		request_packet(skb, socket, 0);
	return PASS;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
