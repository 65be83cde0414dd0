/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Denial before the act: what a contained workload asks for is refused with EPERM.
 *
 * Hooks: BPF LSM, attached only where the kernel runs it (the tier `guard`). Every
 * way into an act ends at its hook, io_uring's workers and 32-bit calls included.
 * Nobody else is ever denied, and nothing is denied that was open before.
 *
 * Kept: reading, computing, files and sockets that are open, accepted clients, pipes
 * and socketpairs among the workload's own. Any regular file counts as a place to
 * persist: a list of them is never complete. Results are constants on branches: see compat.bpf.h.
 */
#include "record.bpf.h"

#define DENIED (-1) /* EPERM */
#define FMODE_WRITE_BIT 0x2
#define S_IFMT_MASK 0170000
#define S_IFREG_TYPE 0100000
#define S_IFBLK_TYPE 0060000
#define PROT_EXEC_BIT 0x4
#define VM_EXEC_BIT 0x4
#define PTRACE_ATTACH_BIT 0x2
#define PARENTS_MAX 16 /* directories looked at above an opened file */
#define AF_UNIX_FAMILY 1
#define AF_INET_FAMILY 2
#define AF_INET6_FAMILY 10
#define AF_NETLINK_FAMILY 16
#define TCP_PROTOCOL 6
#define UDP_PROTOCOL 17

/* Files, and directories for all below them, that a contained workload may not open. */
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

/* A new program, also by an interpreter's line or execveat(2). */
DENY_ALWAYS(bprm_creds_for_exec)

/* What names a file without opening it: a payload moved over a start-up file. */
DENY_ALWAYS(inode_create)
DENY_ALWAYS(inode_link)
DENY_ALWAYS(inode_unlink)
DENY_ALWAYS(inode_symlink)
DENY_ALWAYS(inode_mkdir)
DENY_ALWAYS(inode_rmdir)
DENY_ALWAYS(inode_mknod)
DENY_ALWAYS(inode_rename)
DENY_ALWAYS(inode_setattr)
DENY_ALWAYS(inode_setxattr)

/* What would undo containment itself, for a workload that runs as root. */
DENY_ALWAYS(bpf)
DENY_ALWAYS(sb_mount)
DENY_ALWAYS(sb_umount)
DENY_ALWAYS(move_mount)
DENY_ALWAYS(ptrace_traceme)

/* Every family; the peers that were connected stay as `guard_socket_sendmsg` says. */
DENY_ALWAYS(socket_bind)
DENY_ALWAYS(socket_listen)

/* The cgroup programs refuse these a moment later, and tell which peer it was. */
static __always_inline int refusal_told(struct sock *sk)
{
	__u16 family = BPF_CORE_READ(sk, __sk_common.skc_family);
	__u16 protocol = BPF_CORE_READ(sk, sk_protocol);

	return (family == AF_INET_FAMILY || family == AF_INET6_FAMILY) &&
	       (protocol == TCP_PROTOCOL || protocol == UDP_PROTOCOL);
}

SEC("lsm/socket_connect")
int BPF_PROG(guard_socket_connect, struct socket *socket)
{
	if (refusal_told(BPF_CORE_READ(socket, sk)))
		return 0;
	if (deny_contained())
		return DENIED;
	return 0;
}

SEC("lsm/mmap_file")
int BPF_PROG(guard_mmap_file, struct file *file, unsigned long reqprot, unsigned long prot)
{
	if (!(prot & PROT_EXEC_BIT))
		return 0;
	if (deny_contained())
		return DENIED;
	return 0;
}

SEC("lsm/file_mprotect")
int BPF_PROG(guard_file_mprotect, struct vm_area_struct *vma, unsigned long reqprot,
	     unsigned long prot)
{
	if (!(prot & PROT_EXEC_BIT) || (BPF_CORE_READ(vma, vm_flags) & VM_EXEC_BIT))
		return 0;
	if (deny_contained())
		return DENIED;
	return 0;
}

static __always_inline int file_sensitive(struct file *file)
{
	struct dentry *dentry = BPF_CORE_READ(file, f_path.dentry);

	for (int depth = 0; depth < PARENTS_MAX; depth++) {
		struct file_key key = {
			.ino = BPF_CORE_READ(dentry, d_inode, i_ino),
			.dev = BPF_CORE_READ(dentry, d_inode, i_sb, s_dev),
		};
		struct dentry *parent = BPF_CORE_READ(dentry, d_parent);

		if (bpf_map_lookup_elem(&sensitive, &key))
			return 1;
		if (parent == dentry)
			return 0;
		dentry = parent;
	}
	return 0;
}

SEC("lsm/file_open")
int BPF_PROG(guard_file_open, struct file *file)
{
	__u32 workload = contained_current();
	__u32 type;

	if (!workload)
		return 0;
	type = BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT_MASK;
	if (type == S_IFBLK_TYPE)
		goto deny; /* every file of its file system, unseen */
	if (type == S_IFREG_TYPE && (BPF_CORE_READ(file, f_mode) & FMODE_WRITE_BIT))
		goto deny;
	if (!file_sensitive(file))
		return 0;
deny:
	denied_count(workload);
	return DENIED;
}

/* Reading a sibling's numbers is what servers do; its memory, or a stranger's, is not. */
SEC("lsm/ptrace_access_check")
int BPF_PROG(guard_ptrace_access_check, struct task_struct *child, unsigned int mode)
{
	__u32 workload = contained_current();

	if (!workload)
		return 0;
	if (!(mode & PTRACE_ATTACH_BIT) && workload_of(child) == workload)
		return 0;
	denied_count(workload);
	return DENIED;
}

SEC("lsm/task_kill")
int BPF_PROG(guard_task_kill, struct task_struct *target)
{
	__u32 workload = contained_current();

	if (!workload || workload_of(target) == workload)
		return 0;
	denied_count(workload);
	return DENIED;
}

/* An end whose other end has a name is a service that it called; the accepted end of a
 * nameless client, and a socketpair, stay.
 */
static __always_inline int unix_called(struct sock *sk)
{
	struct unix_sock *peer = (struct unix_sock *)BPF_CORE_READ((struct unix_sock *)sk, peer);

	return peer && BPF_CORE_READ(peer, addr);
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
	if (family != AF_UNIX_FAMILY || !unix_called(sk))
		return 0; /* of connected IP sockets the egress program cuts those it initiated */
deny:
	denied_count(workload);
	return DENIED;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
