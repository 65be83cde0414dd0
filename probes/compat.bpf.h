/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Where kernels differ, once each, with the commit that made the difference.
 *
 * Fields that moved or changed their type are read here; tracepoints that were renamed
 * are listed in probes/loader.py, which takes the one that the running kernel has.
 */
#ifndef INFERWARD_COMPAT_BPF_H
#define INFERWARD_COMPAT_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

/* Since 4.19 (kernel commit 73a09dd94377): this open made the file. */
#define FMODE_CREATED_BIT 0x100000

/* The effective capabilities, as one word: a struct of two words before 6.3 (kernel commit
 * f122a08b197d), one u64 after; the same bytes. Returns 0, or the error of the read.
 */
static __always_inline long capabilities_read(__u64 *effective, struct task_struct *task)
{
	return bpf_probe_read_kernel(effective, sizeof(*effective),
				     &BPF_CORE_READ(task, cred)->cap_effective);
}

#endif
