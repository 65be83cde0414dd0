/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Where nothing can be denied before it is done (tier `trace`): what a contained workload may
 * not do stops the process that did it, before that returns to user space.
 *
 * Called where the act is seen: at the end of a call, at a successful exec (the new program runs
 * no instruction), at a signal's sending, when a ring is asked. The classes are those of
 * guard.bpf.c; the act itself is done, and nothing of that process comes after it. Who acts again
 * and again through new processes has ACTS_MAX of them: then every thread stops at its next call.
 * An act that the kernel refused was none. IP is refused before, by peers.bpf.c.
 */
#include "acts.bpf.h"
#include "guard.bpf.h"
#include "sockets.bpf.h"
#include "syscalls.bpf.h"

#define SIGSTOP_NUMBER 19
#define SHM_EXEC_BIT 0100000
#define READ_IMPLIES_EXEC_BIT 0x0400000
#define PROT_READ_BIT 0x1
#define EINPROGRESS_ERROR 115
#define MMAP_NUMBER 9
#define MPROTECT_NUMBER 10
#define SHMAT_NUMBER 30
#define SENDTO_NUMBER 44
#define PTRACE_NUMBER 101
#define PROCESS_VM_READV_NUMBER 310
#define PROCESS_VM_WRITEV_NUMBER 311
#define SENDMMSG_NUMBER 307
#define BPF_NUMBER 321
#define PKEY_MPROTECT_NUMBER 329
#define PIDFD_GETFD_NUMBER 438

/* Set before load: LSM programs deny, in the tier `guard`. */
const volatile __u8 acts_denied = 0;

__noinline int thread_stop(void)
{
	struct task_state *state = task_watched(bpf_get_current_task_btf());

	if (!state)
		return 0;
	if (bpf_send_signal(SIGSTOP_NUMBER))
		loss_count(state->workload, LOSS_STOP_FAILED);
	else
		total_add(state->workload, COUNT_STOPPED, 1);
	return 1;
}

/* The running process did what its workload may not do, if that is contained now. */
__noinline int act_done(__u32 workload)
{
	__u32 slot = workload & (MAX_WORKLOADS - 1);
	struct containment *containment = bpf_map_lookup_elem(&contained, &slot);

	if (acts_denied || !containment || containment_level(workload) == CONTAIN_NONE)
		return 0;
	__sync_fetch_and_add(&containment->acts, 1);
	return thread_stop();
}

/* By how its own process is called where it lives: in a container, another number than ours. */
static __always_inline int is_own_number(struct task_struct *task, __u32 number)
{
	struct pid *pid = BPF_CORE_READ(task, group_leader, thread_pid);
	__u32 level = BPF_CORE_READ(pid, level);
	struct upid upid = {};

	if (bpf_probe_read_kernel(&upid, sizeof(upid), &pid->numbers[level & 31]))
		return 0;
	return (__u32)upid.nr == number;
}

/* A message's name, as sendto(2) or sendmsg(2) was given one. Of many messages any may have one:
 * all are taken for named.
 */
static __always_inline int message_named(struct pt_regs *regs, __u32 number)
{
	__u64 name = 0;

	if (number == SENDTO_NUMBER)
		return BPF_CORE_READ(regs, r8) != 0;
	if (number == SENDMMSG_NUMBER)
		return 1;
	bpf_probe_read_user(&name, sizeof(name), (void *)BPF_CORE_READ(regs, si));
	return name != 0;
}

/* Sockets that no cgroup program refuses. Netlink is kept: the resolver asks the kernel for
 * addresses. So is what was connected before: a log's socket is one of those.
 */
static __always_inline int socket_acts(struct sock *sk, __u32 act)
{
	__u16 family = sock_family(sk);

	if (family == AF_NETLINK_FAMILY)
		return 0;
	if (act == ACT_OFFER)
		return 1;
	if (act == ACT_SEND &&
	    (family == AF_UNIX_FAMILY || family == AF_INET_FAMILY || family == AF_INET6_FAMILY))
		return 0;
	return !refusal_told(sk);
}

__noinline int act_on_socket(__u64 file_address, __u32 act)
{
	struct task_state *state = task_watched(bpf_get_current_task_btf());
	struct sock *sk = sock_of((struct file *)file_address);

	if (!state || !sk)
		return 0;
	return socket_acts(sk, act) ? act_done(state->workload) : 0;
}

static __always_inline __u64 file_place(__u32 fd)
{
	struct file *file = file_of(bpf_get_current_task_btf(), fd);
	__u64 number = 0;

	bpf_probe_read_kernel(&number, sizeof(number), &file);
	return number;
}

/* Whether a call that ended so is an act; of files and sockets the functions above say. */
static __always_inline int call_acts(struct task_struct *task, struct pt_regs *regs, __u32 number)
{
	__u32 executable = PROT_EXEC_BIT;
	__u64 third = BPF_CORE_READ(regs, dx);

	if (task->personality & READ_IMPLIES_EXEC_BIT)
		executable |= PROT_READ_BIT;
	switch (number) {
	case MMAP_NUMBER:
	case MPROTECT_NUMBER:
	case PKEY_MPROTECT_NUMBER:
		return (third & executable) != 0;
	case SHMAT_NUMBER:
		return (third & SHM_EXEC_BIT) != 0;
	case PTRACE_NUMBER:
	case BPF_NUMBER:
	case PIDFD_GETFD_NUMBER:
		return 1;
	case PROCESS_VM_READV_NUMBER:
	case PROCESS_VM_WRITEV_NUMBER:
		return !is_own_number(task, BPF_CORE_READ(regs, di));
	}
	return 0;
}

__noinline int act_called(__u64 registers, __u32 number, __s64 result)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct task_state *state = task_watched(task);
	struct pt_regs *regs = (void *)registers;
	__u32 class = call_class[number & 511];
	__u32 fd = BPF_CORE_READ(regs, di);

	if (!state || acts_denied)
		return 0;
	if (class == CALL_CONNECT && result == -EINPROGRESS_ERROR)
		result = 0;
	if (result < 0 && result > -4096)
		return 0;
	switch (class) {
	case CALL_OPEN:
		return act_open_called(registers, number, result);
	case CALL_CHANGE:
	case CALL_MOUNT:
		return act_done(state->workload);
	case CALL_CONNECT:
	case CALL_BIND:
	case CALL_LISTEN:
		return act_on_socket(file_place(fd),
				     class == CALL_CONNECT ? ACT_CONNECT : ACT_OFFER);
	case CALL_SEND:
	case CALL_SENDMSG:
	case CALL_SENDMMSG:
		return act_on_socket(file_place(fd),
				     message_named(regs, number) ? ACT_SEND_TO : ACT_SEND);
	}
	return call_acts(task, regs, number) ? act_done(state->workload) : 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
