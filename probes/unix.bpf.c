/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Local sockets: one EVENT_PEER per name a role connects or sends to, one EVENT_REFUSED per name
 * where nobody answered, one EVENT_LISTEN per name it offers, one EVENT_CALLER per program and
 * user whose connection it accepts.
 *
 * No cgroup hook knows AF_UNIX on the kernels we support: called from sockets.bpf.c and, for
 * datagrams, from sys_exit. Names are the kernel's own, but for a datagram's and a refused one:
 * what the kernel found by it is gone when the call returns, so that name is the caller's
 * (FLAG_GIVEN).
 */
#include "sockets.bpf.h"

#define EPERM_ERROR 1
#define ENOENT_ERROR 2
#define EAGAIN_ERROR 11
#define EACCES_ERROR 13
#define ENOTDIR_ERROR 20
#define ELOOP_ERROR 40
#define EPROTOTYPE_ERROR 91
#define ECONNREFUSED_ERROR 111

#define SUN_PATH_OFFSET 2
#define UNIX_PATH_MASK 127 /* what follows the path in a record leaves room for it */
#define NAME_BUFFER 112    /* UNIX_PATH_BYTES, in whole words */
#define TASKS_TGID 1       /* PIDTYPE_TGID */

/* Path bytes stay where the kernel keeps the bound address of a socket. */
static __always_inline int unix_submit(struct unix_address *address, enum event_kind kind,
				       enum peer_direction direction, __u32 result)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct task_state *state = task_watched(task);
	struct seen_key key = {
		.first = (__u64)address, /* one bound socket; a rebound one is reported again */
		.kind = kind,
		.access = direction,
	};
	struct peer_event *event;
	__u32 length, bytes;

	if (!state)
		return 0;
	key.workload = state->workload;
	key.role = state->role;
	if (!seen_first(&key))
		return 0;
	event = record_reserve(state->workload);
	if (!event)
		return 0;
	record_header(&event->hdr, kind, task, state->workload, state->role);
	event->family = AF_UNIX_FAMILY;
	event->direction = direction;
	event->result = result;
	length = BPF_CORE_READ(address, len);
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
	state->due = kind;
	return 0;
}

/* Here and not on the stack: of six calls in a row 6.1 allows 512 bytes. */
struct given_name {
	char text[NAME_BUFFER];
	struct seen_key key;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct given_name);
} given_names SEC(".maps");

/* The hash lies where IP has an address, and is the key's as that one is. */
static __always_inline void name_hash(struct seen_key *key, const char *name)
{
	for (int i = 0; i < NAME_BUFFER / 8; i++)
		key->first = key->first * 31 + ((__u64 *)name)[i];
	key->generation = AF_UNIX_FAMILY << 16;
}

static __always_inline __u32 name_read(char *name, __u64 address, __u32 length)
{
	__u32 bytes = length - SUN_PATH_OFFSET;

	if (length <= SUN_PATH_OFFSET || length > SUN_PATH_OFFSET + UNIX_PATH_BYTES)
		return 0;
	if (bpf_probe_read_user_str(name, UNIX_PATH_BYTES, (void *)(address + SUN_PATH_OFFSET)) < 0)
		return 0;
	if (name[0])
		return bytes;
	barrier_var(bytes);
	bytes &= UNIX_PATH_MASK;
	if (bytes > UNIX_PATH_BYTES)
		return 0;
	return bpf_probe_read_user(name, bytes, (void *)(address + SUN_PATH_OFFSET)) ? 0 : bytes;
}

/* A name as the caller gave it, and what came of it. */
static __noinline int name_submit(__u64 address, __u32 length, __u32 direction, __s32 result)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct task_state *state = task_watched(task);
	struct given_name *given;
	struct peer_event *event;
	__u32 bytes, zero = 0;

	given = bpf_map_lookup_elem(&given_names, &zero);
	if (!state || !given)
		return 0;
	__builtin_memset(given, 0, sizeof(*given));
	bytes = name_read(given->text, address, length);
	if (!bytes) {
		loss_count(state->workload, LOSS_READ_FAULT);
		return 0;
	}
	given->key.kind = result < 0 ? EVENT_REFUSED : EVENT_PEER;
	given->key.access = direction;
	given->key.workload = state->workload;
	given->key.role = state->role;
	name_hash(&given->key, given->text);
	if (!seen_first(&given->key))
		return 0;
	event = record_reserve(state->workload);
	if (!event)
		return 0;
	record_header(&event->hdr, given->key.kind, task, state->workload, state->role);
	event->hdr.flags = FLAG_GIVEN;
	event->family = AF_UNIX_FAMILY;
	event->direction = direction;
	event->result = result < 0 ? result : 0;
	event->path_bytes = bytes;
	((__u32 *)event->remote)[0] = given->key.first >> 32;
	((__u32 *)event->remote)[1] = given->key.first;
	__builtin_memcpy(event->path, given->text, sizeof(event->path));
	record_submit(&event->hdr, 1);
	return 0;
}

/* Whether nobody, or nobody who lets it in, is where the name says. */
static __always_inline int is_refusal(__u32 workload, __s32 error, __u32 direction)
{
	switch (error) {
	case EPERM_ERROR: /* also a guard's denial, which is told as what it is */
		return containment_level(workload) < CONTAIN_NETWORK;
	case ENOENT_ERROR:
	case EACCES_ERROR:
	case ENOTDIR_ERROR:
	case ELOOP_ERROR:
	case EPROTOTYPE_ERROR:
	case ECONNREFUSED_ERROR:
		return 1;
	case EAGAIN_ERROR: /* its queue is full; of datagrams, that is no news */
		return direction == PEER_CONNECT;
	}
	return 0;
}

static __always_inline int name_refused(struct task_state *state, __u64 name, __u32 length,
					__u32 direction, __s32 result)
{
	if (!is_refusal(state->workload, -result, direction))
		return 0;
	total_add(state->workload, COUNT_REFUSED, 1);
	return name_submit(name, length, direction, result);
}

__noinline int unix_reached(__u64 sk_address, __s32 result, __u64 name, __u32 length)
{
	struct task_state *state = task_watched(bpf_get_current_task_btf());
	struct unix_sock *own = (struct unix_sock *)sk_address;
	struct unix_sock *peer = (struct unix_sock *)BPF_CORE_READ(own, peer);
	struct unix_address *address;

	if (!state)
		return 0;
	total_add(state->workload, COUNT_CONNECTS, 1);
	if (result < 0)
		return name_refused(state, name, length, PEER_CONNECT, result);
	if (!peer)
		return 0; /* a datagram socket that was let go again */
	address = BPF_CORE_READ(peer, addr);
	if (!address)
		return 0; /* a nameless peer, such as one end of a socketpair */
	return unix_submit(address, EVENT_PEER, PEER_CONNECT, result);
}

__noinline int unix_offered(__u64 sk_address, __u32 direction)
{
	struct unix_sock *own = (struct unix_sock *)sk_address;
	struct unix_address *address = BPF_CORE_READ(own, addr);

	return address ? unix_submit(address, EVENT_LISTEN, direction, 0) : 0;
}

/* The program of a thread group, or NULL: it ended, or is the kernel's own. */
static __always_inline struct file *program_of(struct pid *pid)
{
	struct hlist_node *link = BPF_CORE_READ(pid, tasks[TASKS_TGID].first);
	struct task_struct *task;

	if (!link)
		return NULL;
	task = (void *)link - bpf_core_field_offset(struct task_struct, pid_links) -
	       TASKS_TGID * sizeof(struct hlist_node);
	return BPF_CORE_READ(task, mm, exe_file);
}

/* The kernel noted at connect(2) which thread group and user the other end is. */
__noinline int unix_accepted(__u64 sk_address)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct task_state *state = task_watched(task);
	struct sock *sk = (struct sock *)sk_address;
	struct pid *pid = BPF_CORE_READ(sk, sk_peer_pid);
	struct seen_key key = {.kind = EVENT_CALLER, .access = PEER_ACCEPT};
	struct caller_event *event;
	struct file *program;

	if (!state || !pid)
		return 0;
	program = program_of(pid);
	key.workload = state->workload;
	key.role = state->role;
	key.first = BPF_CORE_READ(program, f_inode, i_ino);
	key.dev = BPF_CORE_READ(program, f_inode, i_sb, s_dev);
	key.generation = BPF_CORE_READ(sk, sk_peer_cred, uid.val);
	if (!seen_first(&key))
		return 0;
	event = record_reserve(state->workload);
	if (!event)
		return 0;
	record_header(&event->hdr, EVENT_CALLER, task, state->workload, state->role);
	event->ino = key.first;
	event->dev = key.dev;
	event->uid = key.generation;
	event->pid = BPF_CORE_READ(pid, numbers[0].nr);
	if (program)
		event->hdr.flags = path_write(event->path, program);
	record_submit(&event->hdr, 1);
	return 0;
}

/* A datagram was sent to an address, or was not; which family's, the address says. */
__noinline int unix_sent(__u64 address, __u32 length, __s32 result)
{
	struct task_state *state = task_watched(bpf_get_current_task_btf());
	__u16 family = 0;

	if (!state || bpf_probe_read_user(&family, sizeof(family), (void *)address))
		return 0;
	if (family != AF_UNIX_FAMILY) /* of TCP, a connect that carries data (Fast Open) */
		return result < 0 ? connect_failed(-result) : 0;
	if (result < 0)
		return name_refused(state, address, length, PEER_DATAGRAM, result);
	return name_submit(address, length, PEER_DATAGRAM, 0);
}

/* sendmsg(2), or one of sendmmsg(2). */
__noinline int unix_message_sent(__u64 message_address, __s32 result)
{
	__u64 name[2] = {}; /* a struct user_msghdr begins with where it is, and its length */

	if (bpf_probe_read_user(name, sizeof(name), (void *)message_address))
		return 0; /* the call itself could not read it either */
	return name[0] ? unix_sent(name[0], (__u32)name[1], result) : 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
