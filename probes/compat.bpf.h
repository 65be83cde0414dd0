/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Where kernels differ, once each, with the commit that made the difference.
 *
 * Fields that moved, came or changed their type are read here. A field that a kernel lacks is
 * asked for before it is read: libbpf poisons the reading instruction, and a verifier that
 * reaches it refuses the whole object.
 *
 * What a kernel asks of code elsewhere, with no line here to carry it:
 * - From 6.12 (kernel commit 5d99e198be27) an LSM program's result must provably lie in
 *   [-4095, 0]: constants on branches.
 * - 6.1 and 6.12 forget a bound that was compared as signed, and 6.1 the answer of a
 *   NULL check carried over other branches: masks behind barrier_var(), and an early return.
 * - From 5.12 (kernel commit bc235cdb423a) until 6.2 a look-up in task storage fails while a
 *   preempted one is under way on this CPU: whoever must not miss a member asks the list by
 *   process, too (guard.bpf.c).
 * - From 6.16, and in stable kernels since July 2025 (kernel commit ba677dbe77af), a uprobe asks
 *   for CAP_SYS_ADMIN, which the unit does not hold: cuda.py says so.
 * - bpf_rdonly_cast(), from 6.2, is used by file_classes.bpf.c; without it: UNTYPED_READS, there.
 */
#ifndef INFERWARD_COMPAT_BPF_H
#define INFERWARD_COMPAT_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include "events.h"

/* Since 4.19 (kernel commit 73a09dd94377): this open made the file. */
#define FMODE_CREATED_BIT 0x100000

/* The effective capabilities, as one word: a struct of two words before 6.3 (kernel commit
 * f122a08b197d), one u64 after; the same bytes. Returns 0, or the error of the read.
 */
static __always_inline long capabilities_read(__u64 *effective, const struct cred *cred)
{
	return bpf_probe_read_kernel(effective, sizeof(*effective), &cred->cap_effective);
}

/* How long a string is that bpf_probe_read_user_str() or its kin answered `bytes` for: those count
 * its end, but of an empty one of the caller's before 6.13 ("maccess: fix
 * strncpy_from_user_nofault() empty string handling"): 0. Negative: it could not be read.
 */
static __always_inline long string_length(long bytes)
{
	return bytes > 0 ? bytes - 1 : bytes;
}

/* Whom trace point oom:mark_victim names: a pid before 6.9 (kernel commit 72ba14deb40a), a task
 * after, at an address no pid reaches. As a raw trace point both are words.
 */
static __always_inline __u32 victim_tgid(__u64 argument)
{
	struct task_struct *task = (void *)argument;

	return argument >> 32 ? BPF_CORE_READ(task, tgid) : argument;
}

/* Which namespace a descriptor of nsfs stands for, by the kernel's own name for it: its number
 * moved in 6.18 (kernel commit 4055526d3574), its name never did.
 */
static __always_inline __u32 namespace_named(struct ns_common *namespace)
{
	char name[8] = {};

	bpf_probe_read_kernel_str(name, sizeof(name), BPF_CORE_READ(namespace, ops, name));
	switch (name[0]) {
	case 'm':
		return NAMESPACE_MOUNT;
	case 'p':
		return NAMESPACE_PID;
	case 'n':
		return NAMESPACE_NET;
	case 'i':
		return NAMESPACE_IPC;
	case 'c':
		return NAMESPACE_CGROUP;
	case 't':
		return NAMESPACE_TIME;
	case 'u':
		return name[1] == 't' ? NAMESPACE_UTS : NAMESPACE_USER;
	}
	return 0;
}

/* io_uring's submission tracepoint was io_uring_submit_sqe until 6.3 (kernel commit 2ad57931db64
 * renamed it). There is a program for each name; the loader takes the one this kernel has.
 */
#define RING_SUBMIT_HOOK "tp_btf/io_uring_submit_req"
#define RING_SUBMIT_HOOK_UNTIL_6_3 "tp_btf/io_uring_submit_sqe"

/* That tracepoint tells the request first from 6.0 (kernel commit 48863ffd3e81), second from 5.15,
 * and before not at all: NULL.
 */
extern int LINUX_KERNEL_VERSION __kconfig __weak;

static __always_inline struct io_kiocb *ring_request(void *first, void *second)
{
	if (LINUX_KERNEL_VERSION < KERNEL_VERSION(5, 15, 0))
		return NULL;
	return LINUX_KERNEL_VERSION < KERNEL_VERSION(6, 0, 0) ? second : first;
}

/* Whether a request carries its result, io_kiocb.cqe: from 5.19 (kernel commit cef216fc32d7). */
static __always_inline int ring_results_are_told(struct io_kiocb *req)
{
	return bpf_core_field_exists(req->cqe);
}

/* The slot of a ring's own table that an open goes into, 0: none. From 5.15 (kernel commit
 * b9445598d8c6).
 */
static __always_inline __u32 ring_open_slot(struct io_open *open)
{
	return bpf_core_field_exists(open->file_slot) ? BPF_CORE_READ(open, file_slot) : 0;
}

/* The name that an open was given; before 7.0 ("allow incomplete imports of filenames") the pointer
 * to it had no struct around it.
 */
struct delayed_filename___7_0 {
	struct filename *__incomplete_filename;
} __attribute__((preserve_access_index));

struct io_open___7_0 {
	struct delayed_filename___7_0 filename;
} __attribute__((preserve_access_index));

struct io_rename___7_0 {
	struct delayed_filename___7_0 oldpath;
	struct delayed_filename___7_0 newpath;
} __attribute__((preserve_access_index));

struct io_link___7_0 {
	struct delayed_filename___7_0 oldpath;
	struct delayed_filename___7_0 newpath;
} __attribute__((preserve_access_index));

struct io_unlink___7_0 {
	struct delayed_filename___7_0 filename;
} __attribute__((preserve_access_index));

struct io_mkdir___7_0 {
	struct delayed_filename___7_0 filename;
} __attribute__((preserve_access_index));

struct io_xattr___7_0 {
	struct delayed_filename___7_0 filename;
} __attribute__((preserve_access_index));

#define ring_name(type, request, field)                                                   \
	({                                                                                \
		struct type *_older = (void *)(request);                                  \
		struct type##___7_0 *_newer = (void *)(request);                          \
		const char *_name = NULL;                                                 \
                                                                                          \
		if (bpf_core_field_exists(_older->field))                                 \
			_name = BPF_CORE_READ(_older, field, name);                       \
		else if (bpf_core_field_exists(_newer->field.__incomplete_filename))      \
			_name = BPF_CORE_READ(_newer, field.__incomplete_filename, name); \
		_name;                                                                    \
	})

/* The descriptor that a ring's splice takes from. Before 5.18 (kernel commit a3e4bc23d547) there
 * is the file alone: no descriptor has this number.
 */
static __always_inline __u32 ring_splice_source(struct io_splice *splice)
{
	return bpf_core_field_exists(splice->splice_fd_in) ? BPF_CORE_READ(splice, splice_fd_in)
							   : -1;
}

#endif
