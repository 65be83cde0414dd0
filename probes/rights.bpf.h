/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What a task may do: its objective credentials, not those that a driver lends it for a moment. */
#ifndef INFERWARD_RIGHTS_BPF_H
#define INFERWARD_RIGHTS_BPF_H

#include "compat.bpf.h"
#include "record.bpf.h"

#define CLONE_NEWUSER_BIT 0x10000000

/* Returns 0, or the error of a read. */
static __always_inline long rights_read(struct rights *rights, struct task_struct *task)
{
	const struct cred *cred = BPF_CORE_READ(task, real_cred);

	rights->euid = BPF_CORE_READ(cred, euid.val);
	rights->egid = BPF_CORE_READ(cred, egid.val);
	return capabilities_read(&rights->capabilities, cred);
}

static __always_inline int rights_gained(struct rights *before, struct rights *now)
{
	return (now->capabilities & ~before->capabilities) || (!now->euid && before->euid);
}

#endif
