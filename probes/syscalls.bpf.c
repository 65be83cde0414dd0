/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Every system call of a watched task: counted exactly, as the newest of seven.
 *
 * Hook: sys_exit alone. A call that never returns (exit) is counted by
 * processes.bpf.c. A task that nobody watches costs one task-storage look-up, and when it
 * opens a file, one look-up of that file.
 * Linux 5.12 or later (task storage in tracing programs, atomic exchange).
 */
#include "record.bpf.h"
#include "acts.bpf.h"
#include "foreign.bpf.h"
#include "grams.bpf.h"
#include "file_classes.bpf.h"
#include "syscalls.bpf.h"

#define PROT_READ_BIT 0x1
#define PROT_EXEC_BIT 0x4
#define READ_IMPLIES_EXEC_BIT 0x0400000
#define MAP_ANONYMOUS_BIT 0x20
#define RT_SIGRETURN_NUMBER 15
#define SHMGET_NUMBER 29
#define UNSHARE_NUMBER 272
#define EXECVE_NUMBER 59
#define EXECVEAT_NUMBER 322
#define OPEN_BY_HANDLE_NUMBER 304
#define PKEY_MPROTECT_NUMBER 329
#define EPERM_ERROR 1
#define EACCES_ERROR 13
#define EROFS_ERROR 30
#define NATIVE_OF_FOREIGN 0x10000 /* beside a number: of a foreign call, which does the same */
#define FS_IOC_SETFLAGS_NUMBER 0x40086602
#define FS_IOC32_SETFLAGS_NUMBER 0x40046602
#define FS_IOC_FSSETXATTR_NUMBER 0x401c5820

/* What ioctl(2) is asked that changes the host's network, or types on a terminal for its user. */
#define TIOCSTI_REQUEST 0x5412
#define SIOCADDRT_REQUEST 0x890b
#define SIOCDELRT_REQUEST 0x890c
#define SIOCSIFFLAGS_REQUEST 0x8914
#define SIOCSIFADDR_REQUEST 0x8916
#define SIOCSIFHWADDR_REQUEST 0x8924
#define SIOCDARP_REQUEST 0x8953
#define SIOCSARP_REQUEST 0x8955

/* What prctl(2) is asked that changes what a process is taken for, or what others may do to it. */
#define SET_DUMPABLE_OPTION 4
#define SET_KEEPCAPS_OPTION 8
#define SET_SECUREBITS_OPTION 28
#define SET_MM_OPTION 35
#define CAP_AMBIENT_OPTION 47
#define SET_PTRACER_OPTION 0x59616d61

static __always_inline __u32 call_number(struct task_struct *task, struct pt_regs *regs)
{
	__s64 number = regs->orig_ax;

	if (number == -1) /* rt_sigreturn(2) wipes it, so that the call is not restarted */
		return RT_SIGRETURN_NUMBER;
	if (task->thread_info.status & TS_COMPAT_BIT)
		return SYSCALL_FOREIGN;
	if (number < 0 || number >= SYSCALL_FOREIGN) /* x32, or a number no kernel has */
		return SYSCALL_FOREIGN;
	return number;
}

/* All that is asked of a call that nobody watches. */
static __always_inline int call_opens(struct task_struct *task, struct pt_regs *regs)
{
	__u64 number = regs->orig_ax;

	return number < SYSCALL_FOREIGN && call_class[number] == CALL_OPEN &&
	       !(task->thread_info.status & TS_COMPAT_BIT);
}

/* Of calls that do many things: which. */
static __always_inline __u64 call_choice(struct pt_regs *regs, __u32 number)
{
	switch (call_class[number & 511]) {
	case CALL_IOCTL:
		return (__u32)BPF_CORE_READ(regs, si);
	case CALL_PRCTL:
		return (__u32)BPF_CORE_READ(regs, di);
	}
	return 0;
}

static __noinline void call_sensitive(struct task_struct *task, struct task_state *state,
				      struct pt_regs *regs, long ret, __u32 number)
{
	struct seen_key key = {
		.first = number,
		.second = call_choice(regs, number),
		.workload = state->workload,
		.role = state->role,
		.kind = EVENT_SYSCALL,
	};
	struct syscall_event *event;

	if (!seen_first(&key))
		return;
	event = record_reserve(state->workload);
	if (!event)
		return;
	record_header(&event->hdr, EVENT_SYSCALL, task, state->workload, state->role);
	event->hdr.syscall = number;
	if (number & NATIVE_OF_FOREIGN) {
		event->hdr.syscall = SYSCALL_FOREIGN;
		event->native = (number & ~NATIVE_OF_FOREIGN) + 1;
	}
	event->hdr.flags = event->hdr.syscall == SYSCALL_FOREIGN ? FLAG_FOREIGN : 0;
	/* By reads, not through the pointer: it is the kernel's or our own. */
	event->args[0] = BPF_CORE_READ(regs, di);
	event->args[1] = BPF_CORE_READ(regs, si);
	event->args[2] = BPF_CORE_READ(regs, dx);
	event->args[3] = BPF_CORE_READ(regs, r10);
	event->args[4] = BPF_CORE_READ(regs, r8);
	event->args[5] = BPF_CORE_READ(regs, r9);
	event->result = ret;
	record_submit(&event->hdr, 1);
	state->due = EVENT_SYSCALL;
}

/* personality(2) may make all that can be read executable. */
static __always_inline __u32 executable_bits(struct task_struct *task)
{
	return task->personality & READ_IMPLIES_EXEC_BIT ? PROT_EXEC_BIT | PROT_READ_BIT
							 : PROT_EXEC_BIT;
}

/* Bytes of a call that moves them between two descriptors. */
static __always_inline void bytes_copied(__u32 workload, __u32 in, __u32 out, long bytes)
{
	if (bytes <= 0)
		return;
	total_add(workload, COUNT_WRITE_BYTES, bytes);
	fd_moved(workload, in, FILE_READ, bytes);
	fd_moved(workload, out, FILE_WRITTEN, bytes);
}

static __always_inline void bytes_moved(__u32 workload, __u32 class, __u32 fd, long bytes)
{
	if (bytes <= 0)
		return;
	switch (class) {
	case CALL_READ:
		total_add(workload, COUNT_READ_BYTES, bytes);
		fd_moved(workload, fd, FILE_READ, bytes);
		break;
	case CALL_WRITE:
		total_add(workload, COUNT_WRITE_BYTES, bytes);
		fd_moved(workload, fd, FILE_WRITTEN, bytes);
		break;
	case CALL_RECEIVE:
		total_add(workload, COUNT_READ_BYTES, bytes);
		class_add(workload, FILE_SOCKET, FILE_READ, bytes);
		break;
	case CALL_SEND:
	case CALL_SENDMSG:
		total_add(workload, COUNT_WRITE_BYTES, bytes);
		class_add(workload, FILE_SOCKET, FILE_WRITTEN, bytes);
		break;
	}
}

static __always_inline int request_matters(__u32 request)
{
	switch (request) {
	case TIOCSTI_REQUEST:
	case SIOCADDRT_REQUEST:
	case SIOCDELRT_REQUEST:
	case SIOCSIFFLAGS_REQUEST:
	case SIOCSIFADDR_REQUEST:
	case SIOCSIFHWADDR_REQUEST:
	case SIOCDARP_REQUEST:
	case SIOCSARP_REQUEST:
		return 1;
	}
	return 0;
}

static __always_inline int option_matters(__u32 option)
{
	switch (option) {
	case SET_DUMPABLE_OPTION:
	case SET_KEEPCAPS_OPTION:
	case SET_SECUREBITS_OPTION:
	case SET_MM_OPTION:
	case CAP_AMBIENT_OPTION:
	case SET_PTRACER_OPTION:
		return 1;
	}
	return 0;
}

/* Who asked may not; what is merely absent is asked for all the time. */
static __always_inline int not_allowed(long ret)
{
	return ret == -EPERM_ERROR || ret == -EACCES_ERROR || ret == -EROFS_ERROR;
}

static __always_inline void call_dispatch(struct task_struct *task, struct task_state *state,
					  struct pt_regs *regs, long ret, __u32 number)
{
	__u32 class = call_class[number & 511];

	switch (class) {
	case CALL_READ:
	case CALL_WRITE:
	case CALL_RECEIVE:
		bytes_moved(state->workload, class, regs->di, ret);
		break;
	case CALL_COPY_FILE:
		bytes_copied(state->workload, regs->si, regs->di, ret);
		break;
	case CALL_SPLICE:
		bytes_copied(state->workload, regs->di, regs->dx, ret);
		break;
	case CALL_LIST:
		if (ret > 0)
			directory_listed(regs->di, number);
		break;
	case CALL_SEND:
		bytes_moved(state->workload, class, regs->di, ret);
		if (regs->r8)
			unix_sent(regs->r8, regs->r9, ret);
		break;
	case CALL_SENDMSG:
		bytes_moved(state->workload, class, regs->di, ret);
		unix_message_sent(regs->si, ret);
		break;
	case CALL_SENDMMSG: /* returns messages, not bytes; an error is its first message's */
		if (ret < 0)
			unix_message_sent(regs->si, ret);
		/* fall through */
	case CALL_RECVMMSG:
		if (ret > 0)
			messages_moved(regs->si, ret,
				       class == CALL_SENDMMSG ? FILE_WRITTEN : FILE_READ);
		break;
	case CALL_SUBMIT:
		if (ret > 0)
			requests_submitted(regs->dx, ret);
		break;
	case CALL_SOCKET:
		socket_made(regs->di, regs->si, regs->dx, ret);
		break;
	case CALL_BIND:
	case CALL_LISTEN:
		if (!ret)
			descriptor_opened(regs->di, class == CALL_LISTEN);
		break;
	case CALL_OPEN:
		if (number == OPEN_BY_HANDLE_NUMBER) /* past every directory's rights */
			call_sensitive(task, state, regs, ret, number);
		if (ret >= 0)
			file_opened(ret, number);
		else if (not_allowed(ret))
			name_changed(number, regs->di, regs->si, regs->dx, regs->r10);
		break;
	case CALL_CONNECT:
		socket_connected(regs->di, ret, regs->si, regs->dx);
		stack_connecting();
		break;
	case CALL_ACCEPT:
		if (ret >= 0)
			socket_accepted(ret, number);
		break;
	case CALL_MMAP:
		if (ret > 0 && (regs->dx & executable_bits(task)))
			memory_mapped(ret, regs->si, regs->dx | PROT_EXEC_BIT, regs->r10, regs->r8);
		else if (ret > 0 && !(regs->r10 & MAP_ANONYMOUS_BIT))
			memory_mapped(ret, regs->si, regs->dx, regs->r10, regs->r8);
		break;
	case CALL_MPROTECT:
		if (number == PKEY_MPROTECT_NUMBER)
			call_sensitive(task, state, regs, ret, number);
		if (!ret && (regs->dx & executable_bits(task)))
			memory_protected(regs->di, regs->dx, number);
		break;
	case CALL_SENSITIVE:
		call_sensitive(task, state, regs, ret, number);
		break;
	case CALL_RIGHTS:
		call_sensitive(task, state, regs, ret, number);
		if (ret >= 0) /* setfsuid(2) answers who it was */
			rights_changed(PRIVILEGE_CALL);
		break;
	case CALL_SHARED: /* shmget(2) answers with the id, shmat(2) was given it */
		if (ret >= 0 || ret < -4095)
			segment_used(number == SHMGET_NUMBER ? ret : regs->di, regs->dx, number);
		break;
	case CALL_MEMFD:
		call_sensitive(task, state, regs, ret, number);
		if (ret >= 0)
			memfd_made(ret);
		break;
	case CALL_NAMESPACE:
		call_sensitive(task, state, regs, ret, number);
		if (!ret && (number != UNSHARE_NUMBER || regs->di))
			namespaces_entered(regs->di,
					   number == UNSHARE_NUMBER ? regs->di : regs->si);
		break;
	case CALL_MOUNT:
		call_sensitive(task, state, regs, ret, number);
		if (!ret)
			name_changed(number, regs->di, regs->si, regs->dx, regs->r10);
		break;
	case CALL_PRCTL:
		if (option_matters(regs->di))
			call_sensitive(task, state, regs, ret, number);
		break;
	case CALL_IOCTL:
		gpu_called(state->workload, regs->di);
		if (request_matters(regs->si))
			call_sensitive(task, state, regs, ret, number);
		if (regs->si != FS_IOC_SETFLAGS_NUMBER && regs->si != FS_IOC32_SETFLAGS_NUMBER &&
		    regs->si != FS_IOC_FSSETXATTR_NUMBER)
			break;
		/* fall through */
	case CALL_FALLOCATE:
	case CALL_CHANGE:
		if (!ret)
			name_changed(number, regs->di, regs->si, regs->dx, regs->r10);
		break;
	}
}

static __always_inline int foreign_named(__u32 number)
{
	switch (call_class[number & 511]) {
	case CALL_PLAIN:
		return number == EXECVE_NUMBER || number == EXECVEAT_NUMBER;
	case CALL_READ:
	case CALL_WRITE:
	case CALL_RECEIVE:
	case CALL_COPY_FILE:
	case CALL_SPLICE:
	case CALL_LIST:
	case CALL_MMAP:
	case CALL_MPROTECT:
	case CALL_IOCTL: /* of these two by what they are asked for */
	case CALL_PRCTL:
		return 0;
	}
	return 1;
}

/* Told as foreign, once, and by the name of the call it stands for; then seen as that one is. */
static __noinline void call_foreign(struct task_struct *task, struct task_state *state,
				    struct pt_regs *regs, long ret)
{
	struct pt_regs *native = foreign_registers(task, regs);
	__u32 number;

	call_sensitive(task, state, regs, ret, SYSCALL_FOREIGN);
	if (!native)
		return;
	number = native->orig_ax;
	if (foreign_named(number))
		call_sensitive(task, state, native, ret, number | NATIVE_OF_FOREIGN);
	if (call_class[number & 511] != CALL_SENSITIVE)
		call_dispatch(task, state, native, ret, number);
}

/* The verifier lets no pointer that it knows into another file's function. */
static __always_inline __u64 place_of(struct pt_regs *regs)
{
	__u64 number = 0;

	bpf_probe_read_kernel(&number, sizeof(number), &regs);
	return number;
}

/* Frozen: stopped. Contained: stopped if the call was an act, also through another entry. */
static __noinline int contained_called(struct task_struct *task, struct pt_regs *regs, long ret,
				       __u32 number, __u32 level)
{
	struct pt_regs *native;

	if (level >= CONTAIN_FREEZE)
		return thread_stop();
	if (number != SYSCALL_FOREIGN)
		return act_called(place_of(regs), number, ret);
	native = foreign_registers(task, regs);
	return native ? act_called(place_of(native), native->orig_ax, ret) : 0;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(on_sys_exit, struct pt_regs *regs, long ret)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct task_state *state = task_watched(task);
	__u32 number, level;

	if (!state) {
		if (call_opens(task, regs) && ret >= 0 && fd_known(ret) == FD_HELD)
			stranger_opened(ret, regs->orig_ax);
		return 0;
	}
	number = call_number(task, regs);
	gram_count(state, number);
	total_add(state->workload, COUNT_SYSCALLS, 1);
	if (ret < 0 && ret > -4096)
		total_add(state->workload, COUNT_FAILED_CALLS, 1);
	if (number == SYSCALL_FOREIGN)
		call_foreign(task, state, regs, ret);
	else
		call_dispatch(task, state, regs, ret, number);
	if (state->due)
		stack_submit(regs->sp);

	level = containment_level(state->workload);
	if (level != CONTAIN_NONE)
		contained_called(task, regs, ret, number, level);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
