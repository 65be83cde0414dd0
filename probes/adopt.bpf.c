/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What ran before us: threads and sockets of the thread groups listed in members.
 *
 * The agent writes members, then reads one of these iterators. A thread born
 * between is caught by its parent's process: the agent reads until an iterator adopts
 * nobody. Each adopted thread writes its id to the reader, four bytes each.
 */
#include "record.bpf.h"
#include "rights.bpf.h"

/* ip_local_port_range, set before load: who calls mostly lets the kernel pick the port. */
const volatile __u16 ephemeral_low = 32768;
const volatile __u16 ephemeral_high = 60999;

static __always_inline void task_report(struct seq_file *seq, struct task_struct *task)
{
	__u32 pid = task->pid;

	bpf_seq_write(seq, &pid, sizeof(pid));
}

/* A child that was forked before its parent was tagged belongs to the parent's workload. */
static __always_inline struct member *member_inherited(struct task_struct *task)
{
	__u32 tgid = task->tgid;
	__u32 parent = BPF_CORE_READ(task, real_parent, tgid);
	struct member *member = bpf_map_lookup_elem(&members, &tgid);
	struct member *above;

	if (member)
		return member;
	above = bpf_map_lookup_elem(&members, &parent);
	if (!above || !above->workload)
		return NULL;
	if (bpf_map_update_elem(&members, &tgid, above, BPF_NOEXIST))
		loss_count(above->workload, LOSS_MEMBERS_FULL);
	return bpf_map_lookup_elem(&members, &tgid);
}

SEC("iter/task")
int adopt_tasks(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct task_state *state;
	struct member *member;

	if (!task)
		return 0;
	member = member_inherited(task);
	state = bpf_task_storage_get(&tasks, task, 0, 0);
	if (!member) {
		if (state && !bpf_task_storage_delete(&tasks, task))
			task_report(ctx->meta->seq, task);
		return 0;
	}
	if (state && state->workload == member->workload && state->role == member->role)
		return 0;
	if (!state)
		state = bpf_task_storage_get(&tasks, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!state) {
		loss_count(member->workload, LOSS_TASK_STORAGE);
		return 0;
	}
	state->workload = member->workload;
	state->role = member->role;
	if (rights_read(&state->rights, task))
		loss_count(member->workload, LOSS_READ_FAULT);
	task_report(ctx->meta->seq, task);
	return 0;
}

/* An accepted socket is a copy of its listener, whose backlog it keeps; one that called
 * never had any. Only a listener with a backlog of zero leaves it to the ports.
 */
static __always_inline __u32 origin_guess(struct sock *sk)
{
	__u16 local = BPF_CORE_READ(sk, __sk_common.skc_num);

	if (!BPF_CORE_READ(sk, __sk_common.skc_dport) || BPF_CORE_READ(sk, sk_max_ack_backlog))
		return SOCKET_ACCEPTED;
	if (local < ephemeral_low || local > ephemeral_high)
		return SOCKET_ACCEPTED;
	return SOCKET_INITIATED;
}

SEC("iter/task_file")
int adopt_sockets(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct socket_state *state;
	struct member *member;
	struct socket *socket;
	struct sock *sk;
	__u32 tgid;

	if (!task || !file)
		return 0;
	tgid = task->tgid;
	member = bpf_map_lookup_elem(&members, &tgid);
	if (!member)
		return 0;
	socket = bpf_sock_from_file(file);
	if (!socket)
		return 0;
	sk = socket->sk;
	if (!sk)
		return 0;
	state = bpf_sk_storage_get(&sockets, sk, 0, 0);
	if (state && state->workload == member->workload)
		return 0;
	state = bpf_sk_storage_get(&sockets, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!state) {
		loss_count(member->workload, LOSS_SOCKET_STORAGE);
		return 0;
	}
	state->workload = member->workload;
	state->role = member->role;
	state->origin = origin_guess(sk);
	/* An unconnected datagram socket may still turn out to be one that calls. */
	state->decided = BPF_CORE_READ(sk, __sk_common.skc_dport) != 0;
	task_report(ctx->meta->seq, task);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
