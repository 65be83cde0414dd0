/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What the programs that deny share, and those that stop after the act (acts.bpf.c): who is
 * contained, which files are secret, which refusals a cgroup program gives.
 */
#ifndef INFERWARD_GUARD_BPF_H
#define INFERWARD_GUARD_BPF_H

#include "record.bpf.h"

#define DENIED (-1) /* EPERM */
#define FMODE_WRITE_BIT 0x2
#define S_IFMT_MASK 0170000
#define S_IFREG_TYPE 0100000
#define S_IFBLK_TYPE 0060000
#define PROT_EXEC_BIT 0x4
#define PARENTS_MAX 16 /* directories looked at above an opened file */
#define AF_UNIX_FAMILY 1
#define AF_INET_FAMILY 2
#define AF_INET6_FAMILY 10
#define AF_NETLINK_FAMILY 16
#define TCP_PROTOCOL 6
#define UDP_PROTOCOL 17

/* Files, and directories for all below them, that a contained workload may not open: enum
 * secrecy.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, struct file_key);
	__type(value, __u8);
} sensitive __weak SEC(".maps");

/* 0: nobody watches it. Asks twice: task storage may not answer, see compat.bpf.h. */
static __always_inline __u32 workload_of(struct task_struct *task)
{
	struct task_state *state = task_watched(task);
	struct member *member;
	__u32 tgid;

	if (state)
		return state->workload;
	tgid = task->tgid;
	member = bpf_map_lookup_elem(&members, &tgid);
	return member ? member->workload : 0;
}

static __always_inline __u16 role_of(struct task_struct *task)
{
	struct task_state *state = task_watched(task);
	struct member *member;
	__u32 tgid;

	if (state)
		return state->role;
	tgid = task->tgid;
	member = bpf_map_lookup_elem(&members, &tgid);
	return member ? member->role : ROLE_MAIN;
}

/* The running task's workload if it is contained, else 0. */
static __always_inline __u32 contained_current(void)
{
	__u32 workload = workload_of(bpf_get_current_task_btf());

	if (!workload || containment_level(workload) < CONTAIN_NETWORK)
		return 0;
	return workload;
}

/* One instruction: unlike a tracepoint's, this program may be preempted by them. */
static __always_inline void denied_count(__u32 workload)
{
	__u32 slot = (workload & (MAX_WORKLOADS - 1)) * COUNT_MAX + COUNT_DENIED;
	__u64 *count = bpf_map_lookup_elem(&totals, &slot);

	if (count)
		__sync_fetch_and_add(count, 1);
}

static __always_inline int deny_contained(void)
{
	__u32 workload = contained_current();

	if (!workload)
		return 0;
	denied_count(workload);
	return DENIED;
}

#define DENY_ALWAYS(hook)              \
	SEC("lsm/" #hook)              \
	int BPF_PROG(guard_##hook)     \
	{                              \
		if (deny_contained())  \
			return DENIED; \
		return 0;              \
	}

/* The cgroup programs refuse these a moment later, and tell which peer it was. */
static __always_inline int refusal_told(struct sock *sk)
{
	__u16 family = BPF_CORE_READ(sk, __sk_common.skc_family);
	__u16 protocol = BPF_CORE_READ(sk, sk_protocol);

	return (family == AF_INET_FAMILY || family == AF_INET6_FAMILY) &&
	       (protocol == TCP_PROTOCOL || protocol == UDP_PROTOCOL);
}

/* enum secrecy; 0: neither it nor a directory above it is listed. */
static __always_inline __u32 file_sensitive(struct file *file)
{
	struct dentry *dentry = BPF_CORE_READ(file, f_path.dentry);

	for (int depth = 0; depth < PARENTS_MAX; depth++) {
		struct file_key key = {
			.ino = BPF_CORE_READ(dentry, d_inode, i_ino),
			.dev = BPF_CORE_READ(dentry, d_inode, i_sb, s_dev),
		};
		struct dentry *parent = BPF_CORE_READ(dentry, d_parent);
		__u8 *secrecy = bpf_map_lookup_elem(&sensitive, &key);

		if (secrecy)
			return *secrecy;
		if (parent == dentry)
			return 0;
		dentry = parent;
	}
	return 0;
}

#endif
