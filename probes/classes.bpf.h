/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Where an address lies, and what is counted by it. The tables are all there is to know:
 * the first row that fits names the class.
 */
#ifndef INFERWARD_CLASSES_BPF_H
#define INFERWARD_CLASSES_BPF_H

#include "endpoint.bpf.h"

struct network {
	__u32 base; /* host order */
	__u32 mask;
	enum peer_class peer;
};

struct network6 {
	__u64 base; /* host order, upper half */
	__u64 mask;
	__u64 rest; /* lower half, if every bit of it counts */
	__u64 whole;
	enum peer_class peer;
};

#define HOST 0xffffffff
#define NETWORK(bits) (HOST << (32 - (bits)))
#define HOST6 (~0ULL)
#define NETWORK6(bits) (HOST6 << (64 - (bits)))

static const struct network networks[] = {
	{0xa9fea9fe, HOST, PEER_METADATA},       /* 169.254.169.254: nearly every cloud */
	{0xa9feaa02, HOST, PEER_METADATA},       /* 169.254.170.2: tasks of ECS */
	{0xa9feaa17, HOST, PEER_METADATA},       /* 169.254.170.23: pods of EKS */
	{0x646464c8, HOST, PEER_METADATA},       /* 100.100.100.200: Alibaba */
	{0xa83f8110, HOST, PEER_METADATA},       /* 168.63.129.16: Azure's wire server */
	{0xc00000c0, HOST, PEER_METADATA},       /* 192.0.0.192: Oracle */
	{0x7f000000, NETWORK(8), PEER_LOOPBACK}, /* RFC 1122, 3.2.1.3 */
	{0x00000000, HOST, PEER_LOOPBACK},       /* to "any" is to oneself */
	{0xa9fe0000, NETWORK(16), PEER_LINK},    /* RFC 3927 */
	{0x0a000000, NETWORK(8), PEER_PRIVATE},  /* RFC 1918 */
	{0xac100000, NETWORK(12), PEER_PRIVATE},  {0xc0a80000, NETWORK(16), PEER_PRIVATE},
	{0x64400000, NETWORK(10), PEER_PRIVATE},  /* RFC 6598 */
	{0xe0000000, NETWORK(4), PEER_MULTICAST}, /* RFC 5771 */
	{0xffffffff, HOST, PEER_MULTICAST},
};

static const struct network6 networks6[] = {
	{0xfd000ec200000000, HOST6, 0x254, HOST6, PEER_METADATA}, /* fd00:ec2::254: AWS */
	{0xfd2000ce00000000, HOST6, 0x254, HOST6, PEER_METADATA}, /* fd20:ce::254: Google */
	{0, HOST6, 1, HOST6, PEER_LOOPBACK},
	{0, HOST6, 0, HOST6, PEER_LOOPBACK},
	{0xfe80000000000000, NETWORK6(10), 0, 0, PEER_LINK},
	{0xfc00000000000000, NETWORK6(7), 0, 0, PEER_PRIVATE}, /* RFC 4193 */
	{0xff00000000000000, NETWORK6(8), 0, 0, PEER_MULTICAST},
};

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

static __always_inline enum peer_class class_of_v4(__u32 address)
{
	__u32 host = bpf_ntohl(address);

	for (__u32 i = 0; i < ROWS(networks); i++)
		if ((host & networks[i].mask) == networks[i].base)
			return networks[i].peer;
	return PEER_PUBLIC;
}

/* An IPv4 address inside an IPv6 one is the same peer. */
static __always_inline enum peer_class class_of_v6(const __u32 *address)
{
	__u64 upper = ((__u64)bpf_ntohl(address[0]) << 32) | bpf_ntohl(address[1]);
	__u64 lower = ((__u64)bpf_ntohl(address[2]) << 32) | bpf_ntohl(address[3]);

	if (!upper && address[2] == V4_MAPPED_PREFIX)
		return class_of_v4(address[3]);
	for (__u32 i = 0; i < ROWS(networks6); i++)
		if ((upper & networks6[i].mask) == networks6[i].base &&
		    (lower & networks6[i].whole) == networks6[i].rest)
			return networks6[i].peer;
	return PEER_PUBLIC;
}

static __always_inline enum peer_class class_of(const struct endpoint *peer)
{
	return peer->family == AF_INET_FAMILY ? class_of_v4(peer->address[0])
					      : class_of_v6(peer->address);
}

static __always_inline __u32 flow_slot(__u32 workload, enum peer_class peer, enum peer_flow flow)
{
	return ((workload & (MAX_WORKLOADS - 1)) * PEER_CLASS_MAX + peer) * FLOW_MAX + flow;
}

static __always_inline void flow_bytes_add(__u32 workload, enum peer_class peer,
					   enum peer_flow flow, __u64 bytes)
{
	__u32 slot = flow_slot(workload, peer, flow);
	__u64 *count = bpf_map_lookup_elem(&peer_bytes, &slot);

	if (count)
		*count += bytes;
}

static __always_inline void connection_count(__u32 workload, enum peer_class peer,
					     enum peer_flow flow)
{
	__u32 slot = flow_slot(workload, peer, flow);
	__u64 *count = bpf_map_lookup_elem(&peer_connections, &slot);

	if (count)
		*count += 1;
}

#endif
