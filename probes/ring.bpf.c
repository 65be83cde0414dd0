/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* io_uring: what a ring does for a watched workload without a system call of its own.
 *
 * Hooks: the submission of each request, and its completion. One EVENT_SYSCALL per
 * role and operation (numbered from RING_CALL); files opened and connections made go the
 * way of their system calls. Connect, send and bind by IP pass the cgroup hooks as
 * ever. A ring's own kernel threads are no forks that a tracepoint tells of: the first
 * request tags them. Linux 5.19 or later for results; submission is seen from 5.15.
 */
#include "compat.bpf.h"
#include "file_classes.bpf.h"
#include "ring.bpf.h"

#define REQ_CQE_SKIP_BIT (1ULL << 6)   /* REQ_F_CQE_SKIP: success is not posted, so not completed */
#define SPLICE_FD_FIXED_BIT (1U << 31) /* SPLICE_F_FD_IN_FIXED */
#define NAME_WORDS (PATH_BYTES / 8)

static __always_inline struct task_state *ring_state(struct task_struct *task)
{
	struct task_state *state = task_watched(task);
	__u32 tgid = task->tgid;
	struct member *member;

	if (state)
		return state;
	member = bpf_map_lookup_elem(&members, &tgid);
	if (!member || !member->workload)
		return NULL;
	state = bpf_task_storage_get(&tasks, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!state) {
		loss_count(member->workload, LOSS_TASK_STORAGE);
		return NULL;
	}
	state->workload = member->workload;
	state->role = member->role;
	return state;
}

static __noinline void operation_submit(struct task_struct *task, struct task_state *state,
					struct io_kiocb *req, __u8 operation)
{
	struct seen_key key = {
		.first = RING_CALL + operation,
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
	event->hdr.syscall = RING_CALL + operation;
	event->hdr.flags = FLAG_RING;
	event->args[0] = operation;
	event->args[1] = BPF_CORE_READ(req, flags);
	record_submit(&event->hdr, 1);
}

/* An open whose descriptor no table or completion will show: told by the kernel's copy of its
 * name, as it was given.
 */
static __noinline int name_opened(__u64 request)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct io_open *open = (void *)request;
	struct task_state *state = task_watched(task);
	struct seen_key key = {.kind = EVENT_FILE};
	struct path_walk *walk = path_walk_current();
	struct file_event *event;
	const char *name;

	if (!state || !walk)
		return 0;
	__builtin_memset(walk->text, 0, PATH_BYTES);
	name = ring_name(io_open, open, filename);
	if (bpf_probe_read_kernel_str(walk->text, PATH_BYTES, name) < 0) {
		loss_count(state->workload, LOSS_READ_FAULT);
		return 0;
	}
	key.workload = state->workload;
	key.role = state->role;
	for (int i = 0; i < NAME_WORDS; i++)
		key.first = key.first * 31 + ((__u64 *)walk->text)[i];
	total_add(state->workload, COUNT_OPENS, 1);
	if (!seen_first(&key))
		return 0;
	event = record_reserve(state->workload);
	if (!event)
		return 0;
	record_header(&event->hdr, EVENT_FILE, task, state->workload, state->role);
	event->open_flags = BPF_CORE_READ(open, how.flags);
	event->hdr.syscall = RING_CALL + RING_OPENAT;
	event->hdr.flags = FLAG_RING | (event->open_flags & 3 ? FLAG_WRITE : FLAG_READ);
	__builtin_memcpy(event->path, walk->text, PATH_BYTES);
	record_submit(&event->hdr, 1);
	return 0;
}

/* Where a request lies. The verifier lets no pointer it knows into another file's function. */
static __always_inline __u64 number_of(struct io_kiocb *req)
{
	__u64 number = 0;

	bpf_probe_read_kernel(&number, sizeof(number), &req);
	return number;
}

static __always_inline int is_open(__u8 operation)
{
	return operation == RING_OPENAT || operation == RING_OPENAT2;
}

static __always_inline int open_is_hidden(struct io_kiocb *req)
{
	return !ring_results_are_told(req) || ring_open_slot((struct io_open *)req) ||
	       (BPF_CORE_READ(req, flags) & REQ_CQE_SKIP_BIT);
}

/* Since 5.19; the kernel's copy of what was asked for. */
static __always_inline void ring_socket_made(struct io_kiocb *req)
{
	struct io_socket *asked = (void *)req;

	if (bpf_core_type_exists(struct io_socket))
		socket_made(BPF_CORE_READ(asked, domain), BPF_CORE_READ(asked, type),
			    BPF_CORE_READ(asked, protocol), 0);
}

static __always_inline int request_submitted(struct io_kiocb *req)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct task_state *state = ring_state(task);
	__u8 operation;

	if (!state || !req)
		return 0;
	operation = BPF_CORE_READ(req, opcode);
	operation_submit(task, state, req, operation);
	if (operation == RING_SOCKET)
		ring_socket_made(req);
	if (is_open(operation) && open_is_hidden(req))
		name_opened((__u64)req);
	ring_changed(number_of(req), operation);
	if (containment_level(state->workload) != CONTAIN_NONE)
		act_asked(number_of(req), operation, is_open(operation) && open_is_hidden(req));
	return 0;
}

SEC(RING_SUBMIT_HOOK)
int BPF_PROG(on_ring_submit, struct io_kiocb *req)
{
	return request_submitted(req);
}

SEC(RING_SUBMIT_HOOK_UNTIL_6_3)
int BPF_PROG(on_ring_submit_sqe, void *first, void *second)
{
	return request_submitted(ring_request(first, second));
}

/* splice's other end, where its descriptor is one of the process and not of the ring. */
static __always_inline struct file *splice_source(struct task_struct *task, struct io_kiocb *req)
{
	struct io_splice *splice = (struct io_splice *)req;

	if (BPF_CORE_READ(splice, flags) & SPLICE_FD_FIXED_BIT)
		return NULL;
	return file_of(task, ring_splice_source(splice));
}

static __noinline int bytes_completed(__u64 request, __u32 workload, __u32 operation, __u32 bytes)
{
	struct io_kiocb *req = (void *)request;
	struct file *file = BPF_CORE_READ(req, file);
	__u32 class = file_class((__u64)file);

	switch (operation) {
	case RING_READV:
	case RING_READ_FIXED:
	case RING_READ:
	case RING_RECVMSG:
	case RING_RECV:
	case RING_RECV_ZC:
	case RING_READ_MULTISHOT: /* its last piece; the others' completions carry no request */
	case RING_READV_FIXED:
		total_add(workload, COUNT_READ_BYTES, bytes);
		class_add(workload, class, FILE_READ, bytes);
		break;
	case RING_SPLICE:
		file = splice_source(bpf_get_current_task_btf(), req);
		class_add(workload, file_class((__u64)file), FILE_READ, bytes);
		/* fall through */
	case RING_WRITEV:
	case RING_WRITE_FIXED:
	case RING_WRITE:
	case RING_SENDMSG:
	case RING_SEND:
	case RING_SEND_ZC:
	case RING_SENDMSG_ZC:
	case RING_WRITEV_FIXED:
		total_add(workload, COUNT_WRITE_BYTES, bytes);
		class_add(workload, class, FILE_WRITTEN, bytes);
		break;
	}
	return 0;
}

/* The address is the caller's still: a ring's own threads share its memory. */
static __always_inline void ring_connected(struct io_kiocb *req, __s32 result)
{
	struct io_connect *asked = (void *)req;

	socket_reached((__u64)BPF_CORE_READ(req, file), result, (__u64)BPF_CORE_READ(asked, addr),
		       BPF_CORE_READ(asked, addr_len));
}

/* A datagram's name: the caller's, as sendmsg(2)'s is. */
static __always_inline void ring_message_sent(struct io_kiocb *req, __s32 result)
{
	struct io_sr_msg *asked = (void *)req;

	if (bpf_core_field_exists(asked->umsg))
		unix_message_sent((__u64)BPF_CORE_READ(asked, umsg), result);
}

SEC("tp_btf/io_uring_complete")
int BPF_PROG(on_ring_complete, void *ring, void *request)
{
	struct io_kiocb *req = request;
	struct task_state *state;
	__u8 operation;
	__s32 result;

	if (!ring_results_are_told(req))
		return 0;
	if (!req) /* one of several completions of one request */
		return 0;
	state = ring_state(bpf_get_current_task_btf());
	result = BPF_CORE_READ(req, cqe.res);
	operation = BPF_CORE_READ(req, opcode);
	if (is_open(operation) && result >= 0 && !open_is_hidden(req)) {
		if (state)
			file_opened(result, RING_CALL + RING_OPENAT);
		else if (fd_known(result) == FD_HELD)
			stranger_opened(result, RING_CALL + RING_OPENAT);
	}
	if (!state)
		return 0;
	if (result >= 0 && !(is_open(operation) && open_is_hidden(req)) &&
	    containment_level(state->workload) != CONTAIN_NONE)
		act_completed((__u64)BPF_CORE_READ(req, file), operation, result);
	switch (operation) {
	case RING_OPENAT:
	case RING_OPENAT2:
		break;
	case RING_ACCEPT:
		if (result >= 0)
			socket_accepted(result, RING_CALL + RING_ACCEPT);
		break;
	case RING_CONNECT:
		ring_connected(req, result);
		break;
	case RING_BIND:
		if (!result)
			socket_bound((__u64)BPF_CORE_READ(req, file));
		break;
	case RING_LISTEN:
		if (!result)
			socket_listens((__u64)BPF_CORE_READ(req, file));
		break;
	case RING_SENDMSG:
	case RING_SENDMSG_ZC:
		ring_message_sent(req, result);
		/* fall through */
	default:
		if (result > 0)
			bytes_completed((__u64)req, state->workload, operation, result);
	}
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
