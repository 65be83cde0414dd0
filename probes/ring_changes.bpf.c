/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Names and attributes changed through io_uring, told when the request is submitted: the kernel
 * has its own copy of the names then and none when it completes. So these are asked for, not
 * known to have succeeded. All of them from Linux 5.19 on, renames and removals from 5.15.
 */
#include "changes.bpf.h"
#include "compat.bpf.h"
#include "ring.bpf.h"
#include "subjects.bpf.h"

#define REQ_FIXED_FILE_BIT 1 /* REQ_F_FIXED_FILE */

static __noinline void two_names(struct change *change, __u64 request, __u32 operation)
{
	struct io_rename *rename = (void *)request;
	struct io_link *link = (void *)request;

	if (operation == RING_RENAMEAT) {
		change_name_set(&change->names[0], CHANGE_RENAME_FROM,
				BPF_CORE_READ(rename, old_dfd),
				(__u64)ring_name(io_rename, request, oldpath));
		change_name_set(&change->names[1], CHANGE_RENAME_TO, BPF_CORE_READ(rename, new_dfd),
				(__u64)ring_name(io_rename, request, newpath));
		return;
	}
	change_name_set(&change->names[0],
			operation == RING_LINKAT ? CHANGE_LINK_FROM : CHANGE_SYMLINK_TARGET,
			BPF_CORE_READ(link, old_dfd), (__u64)ring_name(io_link, request, oldpath));
	change_name_set(&change->names[1], operation == RING_LINKAT ? CHANGE_LINK : CHANGE_SYMLINK,
			BPF_CORE_READ(link, new_dfd), (__u64)ring_name(io_link, request, newpath));
}

static __noinline void one_name(struct change *change, __u64 request, __u32 operation)
{
	struct io_unlink *unlink = (void *)request;
	struct io_mkdir *mkdir = (void *)request;

	if (operation == RING_MKDIRAT) {
		change->detail = BPF_CORE_READ(mkdir, mode);
		change_name_set(&change->names[0], CHANGE_MKDIR, BPF_CORE_READ(mkdir, dfd),
				(__u64)ring_name(io_mkdir, request, filename));
		return;
	}
	change->detail = BPF_CORE_READ(unlink, flags);
	change_name_set(&change->names[0],
			change->detail & REMOVE_DIRECTORY ? CHANGE_RMDIR : CHANGE_UNLINK,
			BPF_CORE_READ(unlink, dfd), (__u64)ring_name(io_unlink, request, filename));
}

static __noinline void attribute(struct change *change, __u64 request, __u32 operation)
{
	struct io_ftrunc *ftruncate = (void *)request;
	struct io_xattr *xattr = (void *)request;
	struct io_sync *allocate = (void *)request;
	struct io_kiocb *req = (void *)request;
	/* A slot of the ring is in no table of the process: unread, and counted so. */
	__s32 fd = BPF_CORE_READ(req, flags) & REQ_FIXED_FILE_BIT ? -1 : BPF_CORE_READ(req, cqe.fd);
	__u64 name[3] = {};

	if (operation == RING_FALLOCATE) {
		change->detail = BPF_CORE_READ(allocate, mode);
		if (allocation_empties(change->detail))
			change_name_set(&change->names[0], CHANGE_EMPTY, fd, 0);
		return;
	}
	if (operation == RING_FTRUNCATE) {
		if (bpf_core_field_exists(ftruncate->len))
			change->detail = BPF_CORE_READ(ftruncate, len);
		change_name_set(&change->names[0], CHANGE_TRUNCATE, fd, 0);
		return;
	}
	bpf_probe_read_kernel_str(name, sizeof(name), BPF_CORE_READ(xattr, ctx.kname));
	change->detail = xattr_class_of(name);
	if (operation == RING_SETXATTR)
		change_name_set(&change->names[0], CHANGE_XATTR, WORKING_DIRECTORY,
				(__u64)ring_name(io_xattr, request, filename));
	else
		change_name_set(&change->names[0], CHANGE_XATTR, fd, 0);
}

__noinline int ring_changed(__u64 request, __u32 operation)
{
	struct change *change = change_current();

	if (!change)
		return 0;
	change->names[0].operation = change->names[1].operation = 0;
	change->call = RING_CALL + operation;
	change->flags = FLAG_RING;
	change->detail = 0;
	switch (operation) {
	case RING_RENAMEAT:
	case RING_LINKAT:
	case RING_SYMLINKAT:
		if (!bpf_core_type_exists(struct io_link))
			return 0;
		two_names(change, request, operation);
		break;
	case RING_UNLINKAT:
	case RING_MKDIRAT:
		if (!bpf_core_type_exists(struct io_mkdir))
			return 0;
		one_name(change, request, operation);
		break;
	case RING_FSETXATTR:
	case RING_SETXATTR:
	case RING_FTRUNCATE:
	case RING_FALLOCATE:
		if (!bpf_core_type_exists(struct io_xattr))
			return 0;
		attribute(change, request, operation);
		break;
	default:
		return 0;
	}
	return change->names[0].operation ? change_tell() : 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
