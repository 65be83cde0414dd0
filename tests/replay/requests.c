/* The probes that read requests, as a library: packets of one connection at a time in, counts out. */
#include "../../probes/messages.bpf.c"
#define LICENSE license_of_routes
#include "../../probes/routes.bpf.c"
#undef LICENSE
#define LICENSE license_of_sketches
#include "../../probes/sketches.bpf.c"
#undef LICENSE
#define LICENSE license_of_answers
#include "../../probes/answers.bpf.c"
#undef LICENSE
#define LICENSE license_of_frames
#include "../../probes/frames.bpf.c"
#undef LICENSE
#define LICENSE license_of_fields
#include "../../probes/fields.bpf.c"
#undef LICENSE
#define LICENSE license_of_entries
#include "../../probes/entries.bpf.c"
#undef LICENSE
#define LICENSE license_of_blocks
#include "../../probes/blocks.bpf.c"
#undef LICENSE
#define LICENSE license_of_requests
#include "../../probes/requests.bpf.c"

#define ROOM 4096
#define HEADERS 40

static struct socket_state owner = {.workload = 1};
static struct bpf_sock sk = {.protocol = TCP_PROTOCOL, .dst_port = 1};
static struct bpf_tcp_sock tcp;
static struct stream stream;
static struct multiplex multiplexed;
static int connected, of_streams;
static __u8 packet[1 << 17];
static __u64 now_ns;
static struct {
	struct route_key key;
	struct route_counts counts;
} kept[ROOM];
static struct seen_key told[ROOM];
static __u32 routes_kept, routes_told;
static struct client_counts client;
static int client_known;
static __u64 totals_kept[MAX_WORKLOADS * COUNT_MAX], losses_kept[MAX_WORKLOADS * LOSS_MAX];
static struct {
	struct route_key key;
	struct sketch sketch;
} sketched[ROOM];
static __u32 sketches_kept, sketches_room = ROOM;
static struct workload_mode mode;
static __u64 record[RECORD_BYTES / 8], none;

void *bpf_map_lookup_elem(void *map, const void *key)
{
	if (map == &totals)
		return &totals_kept[*(const __u32 *)key];
	if (map == &losses)
		return &losses_kept[*(const __u32 *)key];
	if (map == &clients)
		return client_known ? &client : NULL;
	if (map == &modes)
		return &mode;
	for (__u32 i = 0; map == &sketches && i < sketches_kept; i++)
		if (!memcmp(&sketched[i].key, key, sizeof(sketched[i].key)))
			return &sketched[i].sketch;
	for (__u32 i = 0; map == &routes && i < routes_kept; i++)
		if (!memcmp(&kept[i].key, key, sizeof(kept[i].key)))
			return &kept[i].counts;
	for (__u32 i = 0; map == &seen && i < routes_told; i++)
		if (!memcmp(&told[i], key, sizeof(told[i])))
			return &none;
	return NULL;
}

long bpf_map_update_elem(void *map, const void *key, const void *value, __u64 flags)
{
	if (map == &clients) {
		memcpy(&client, value, sizeof(client));
		client_known = 1;
	} else if (map == &routes) {
		if (routes_kept == ROOM)
			return -7;
		memcpy(&kept[routes_kept].key, key, sizeof(kept[0].key));
		memcpy(&kept[routes_kept++].counts, value, sizeof(kept[0].counts));
	} else if (map == &sketches) {
		if (sketches_kept == sketches_room)
			return -7;
		memcpy(&sketched[sketches_kept].key, key, sizeof(sketched[0].key));
		memcpy(&sketched[sketches_kept++].sketch, value, sizeof(sketched[0].sketch));
	} else if (map == &seen) {
		memcpy(&told[routes_told++ % ROOM], key, sizeof(told[0]));
	}
	return 0;
}

void *bpf_sk_storage_get(void *map, void *of, void *value, __u64 flags)
{
	if (map == &sockets)
		return &owner;
	if (map == &multiplexes) {
		if (!of_streams && flags)
			memset(&multiplexed, 0, sizeof(multiplexed));
		of_streams |= flags != 0;
		return of_streams ? &multiplexed : NULL;
	}
	if (!connected && flags) {
		memset(&stream, 0, sizeof(stream));
		connected = 1;
	}
	return connected ? &stream : NULL;
}

void *bpf_task_storage_get(void *map, void *task, void *value, __u64 flags)
{
	return NULL;
}

struct bpf_sock *bpf_sk_fullsock(struct bpf_sock *of)
{
	return of;
}

struct bpf_tcp_sock *bpf_tcp_sock(struct bpf_sock *of)
{
	return &tcp;
}

long bpf_skb_load_bytes(struct __sk_buff *skb, __u32 at, void *to, __u32 bytes)
{
	if (at + bytes > skb->len)
		return -14;
	memcpy(to, packet + at, bytes);
	return 0;
}

__u64 bpf_ktime_get_ns(void)
{
	return now_ns;
}

void *bpf_ringbuf_reserve(void *of, __u64 bytes, __u64 flags)
{
	return record;
}

void bpf_ringbuf_submit(void *of, __u64 flags)
{
}

__u32 bpf_get_smp_processor_id(void)
{
	return 0;
}

__u64 bpf_get_current_pid_tgid(void)
{
	return 0;
}

void *bpf_get_current_task(void)
{
	return NULL;
}

void begin(void)
{
	connected = of_streams = routes_kept = routes_told = client_known = sketches_kept = 0;
	sketches_room = ROOM;
	memset(&mode, 0, sizeof(mode));
	memset(totals_kept, 0, sizeof(totals_kept));
	memset(losses_kept, 0, sizeof(losses_kept));
}

void reconnect(void)
{
	connected = of_streams = 0;
}

void pass(__u32 way, __u32 number, const __u8 *bytes, __u32 length, __u32 flags)
{
	struct __sk_buff skb = {.len = HEADERS + length, .sk = &sk};
	__u32 network = bpf_ntohl(number);

	memset(packet, 0, HEADERS);
	packet[0] = 0x45;
	packet[9] = TCP_PROTOCOL;
	memcpy(&packet[24], &network, sizeof(network));
	packet[32] = 0x50;
	packet[33] = flags;
	memcpy(&packet[HEADERS], bytes, length);
	now_ns += 1000000;
	request_packet(&skb, &owner, way);
}

__u64 total(__u32 counter)
{
	return totals_kept[COUNT_MAX + counter];
}

__u32 routes_found(void)
{
	return routes_kept;
}

__u32 routes_new(void)
{
	return routes_told;
}

/* From now on, of so many bytes of each body, for so many routes. */
void tap(__u32 bytes, __u64 first, __u64 second, __u32 room)
{
	mode.tap_bytes = bytes;
	mode.salt[0] = first;
	mode.salt[1] = second;
	sketches_room = room;
}

__u32 sketches_found(void)
{
	return sketches_kept;
}

const void *sketch_at(__u32 at)
{
	return &sketched[at].sketch;
}

/* Whether any byte of what was read last lies in the connection's storage still. */
int bytes_left(void)
{
	for (__u32 i = 0; i < READ_BYTES; i++)
		if (stream.bytes[WAY_IN][i])
			return 1;
	return 0;
}

const void *route_at(__u32 at)
{
	return &kept[at].counts;
}
