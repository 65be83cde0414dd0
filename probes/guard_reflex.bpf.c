/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Denial of a program that a guarded workload was not learnt to run; in the tier `guard` alone.
 *
 * bprm_creds_from_file is asked once for each exec, of the file whose code will run: of a script,
 * its interpreter, which is what was learnt. It is before the point of no return, so that the
 * call fails with EPERM. Secret files: guard.bpf.c, which every open passes already.
 */
#include "guard.bpf.h"
#include "reflex.bpf.h"

SEC("lsm/bprm_creds_from_file")
int BPF_PROG(guard_reflex_exec, struct linux_binprm *bprm, struct file *file)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u32 workload = workload_of(task);

	if (!workload || !reflex_of(workload, REFLEX_EXEC))
		return 0;
	if (reflex_file(reflex_place(file), workload, role_of(task), REFLEX_EXEC, 0) ==
	    REFLEX_DENIED)
		return DENIED;
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
