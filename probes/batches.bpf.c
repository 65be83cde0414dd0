/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Bytes of calls that move many things at once and answer with how many: sendmmsg(2), recvmmsg(2),
 * io_submit(2).
 *
 * Called from sys_exit. How much each moved is in the caller's memory alone: the kernel wrote the
 * lengths of messages there as the call returned; of io_submit(2) it is what was asked for, since
 * it may still be under way.
 */
#include "file_classes.bpf.h"

#define MESSAGES_MAX 256 /* looked at; more in one call is a loss */
#define REQUESTS_MAX 256
#define PIECES_MAX 32
#define PREAD_COMMAND 0 /* include/uapi/linux/aio_abi.h */
#define PWRITE_COMMAND 1
#define PREADV_COMMAND 7
#define PWRITEV_COMMAND 8

/* Here and not on the stack: of eight calls in a row 6.1 allows 512 bytes. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct iocb);
} request_read SEC(".maps");

static __always_inline void moved(__u32 workload, __u32 direction, __u64 bytes)
{
	total_add(workload, direction == FILE_READ ? COUNT_READ_BYTES : COUNT_WRITE_BYTES, bytes);
}

/* `direction` FILE_WRITTEN: they were sent, and local peers are told by their names. */
__noinline int messages_moved(__u64 vector, __u32 count, __u32 direction)
{
	struct task_state *state = task_watched(bpf_get_current_task_btf());
	__u64 bytes = 0;

	if (!state)
		return 0;
	for (__u32 i = 0; i < MESSAGES_MAX; i++) {
		__u64 message = vector + i * sizeof(struct mmsghdr);
		__u32 length = 0;

		if (i >= count)
			break;
		if (bpf_probe_read_user(
			    &length, sizeof(length),
			    (void *)(message + __builtin_offsetof(struct mmsghdr, msg_len)))) {
			loss_count(state->workload, LOSS_READ_FAULT);
			break;
		}
		bytes += length;
		if (direction == FILE_WRITTEN)
			unix_message_sent(message, 0);
	}
	if (count > MESSAGES_MAX)
		loss_count(state->workload, LOSS_READ_FAULT);
	moved(state->workload, direction, bytes);
	class_add(state->workload, FILE_SOCKET, direction, bytes);
	return 0;
}

/* What a vector of pieces holds together. */
__noinline int pieces_bytes(void)
{
	struct task_state *state = task_watched(bpf_get_current_task_btf());
	__u32 zero = 0;
	struct iocb *request = bpf_map_lookup_elem(&request_read, &zero);
	struct iovec piece = {};
	__u64 bytes = 0;

	if (!state || !request)
		return 0;
	for (__u32 i = 0; i < PIECES_MAX; i++) {
		if (i >= request->aio_nbytes)
			break;
		if (bpf_probe_read_user(&piece, sizeof(piece),
					(void *)(request->aio_buf + i * sizeof(piece)))) {
			loss_count(state->workload, LOSS_READ_FAULT);
			break;
		}
		bytes += piece.iov_len;
	}
	if (request->aio_nbytes > PIECES_MAX)
		loss_count(state->workload, LOSS_READ_FAULT);
	request->aio_nbytes = bytes;
	return 0;
}

__noinline int request_moved(__u64 address)
{
	struct task_state *state = task_watched(bpf_get_current_task_btf());
	__u32 direction = FILE_READ, zero = 0;
	struct iocb *request = bpf_map_lookup_elem(&request_read, &zero);

	if (!state || !request)
		return 0;
	if (bpf_probe_read_user(request, sizeof(*request), (void *)address)) {
		loss_count(state->workload, LOSS_READ_FAULT);
		return 0;
	}
	switch (request->aio_lio_opcode) {
	case PWRITEV_COMMAND:
		direction = FILE_WRITTEN;
		/* fall through */
	case PREADV_COMMAND:
		pieces_bytes();
		break;
	case PWRITE_COMMAND:
		direction = FILE_WRITTEN;
		break;
	case PREAD_COMMAND:
		break;
	default:
		return 0;
	}
	moved(state->workload, direction, request->aio_nbytes);
	return fd_moved(state->workload, request->aio_fildes, direction, request->aio_nbytes);
}

__noinline int requests_submitted(__u64 addresses, __u32 count)
{
	struct task_state *state = task_watched(bpf_get_current_task_btf());
	__u64 address = 0;

	if (!state)
		return 0;
	for (__u32 i = 0; i < REQUESTS_MAX; i++) {
		if (i >= count)
			return 0;
		if (bpf_probe_read_user(&address, sizeof(address),
					(void *)(addresses + i * sizeof(address))))
			break;
		request_moved(address);
	}
	loss_count(state->workload, LOSS_READ_FAULT); /* unread, or more than REQUESTS_MAX */
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
