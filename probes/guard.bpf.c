/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Denial before the act: what a contained workload asks for is refused with EPERM.
 *
 * Hooks: BPF LSM, attached only where the kernel runs it (the tier `guard`). Every
 * way into an act ends at its hook, io_uring's workers and 32-bit calls included.
 * Nobody else is ever denied, and nothing is denied that was open before.
 *
 * Kept: reading, computing, files and sockets that are open, accepted clients, pipes
 * and socketpairs among the workload's own. Any regular file counts as a place to
 * persist: a list of them is never complete. Results are constants on branches: see compat.bpf.h.
 * A guarded one that has reflexes is denied secret files that it was not learnt to open.
 * Sockets: guard_sockets.bpf.c. Where no LSM program runs: acts.bpf.c.
 */
#include "guard.bpf.h"
#include "reflex.bpf.h"

#define VM_EXEC_BIT 0x4
#define PTRACE_ATTACH_BIT 0x2

/* A new program, also by an interpreter's line or execveat(2). */
DENY_ALWAYS(bprm_creds_for_exec)

/* What names a file without opening it: a payload moved over a start-up file. */
DENY_ALWAYS(inode_create)
DENY_ALWAYS(inode_link)
DENY_ALWAYS(inode_unlink)
DENY_ALWAYS(inode_symlink)
DENY_ALWAYS(inode_mkdir)
DENY_ALWAYS(inode_rmdir)
DENY_ALWAYS(inode_mknod)
DENY_ALWAYS(inode_rename)
DENY_ALWAYS(inode_setattr)
DENY_ALWAYS(inode_setxattr)
DENY_ALWAYS(inode_removexattr)

/* What would undo containment itself, for a workload that runs as root. */
DENY_ALWAYS(bpf)
DENY_ALWAYS(sb_mount)
DENY_ALWAYS(sb_umount)
DENY_ALWAYS(move_mount)
DENY_ALWAYS(ptrace_traceme)

SEC("lsm/mmap_file")
int BPF_PROG(guard_mmap_file, struct file *file, unsigned long reqprot, unsigned long prot)
{
	if (!(prot & PROT_EXEC_BIT))
		return 0;
	if (deny_contained())
		return DENIED;
	return 0;
}

SEC("lsm/file_mprotect")
int BPF_PROG(guard_file_mprotect, struct vm_area_struct *vma, unsigned long reqprot,
	     unsigned long prot)
{
	if (!(prot & PROT_EXEC_BIT) || (BPF_CORE_READ(vma, vm_flags) & VM_EXEC_BIT))
		return 0;
	if (deny_contained())
		return DENIED;
	return 0;
}

SEC("lsm/file_open")
int BPF_PROG(guard_file_open, struct file *file)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u32 workload = workload_of(task);
	__u32 type;

	if (!workload)
		return 0;
	if (reflex_of(workload, REFLEX_SECRET) &&
	    reflex_file(reflex_place(file), workload, role_of(task), REFLEX_SECRET, 0) ==
		    REFLEX_DENIED)
		return DENIED;
	if (containment_level(workload) < CONTAIN_NETWORK)
		return 0;
	type = BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT_MASK;
	if (type == S_IFBLK_TYPE)
		goto deny; /* every file of its file system, unseen */
	if (type == S_IFREG_TYPE && (BPF_CORE_READ(file, f_mode) & FMODE_WRITE_BIT))
		goto deny;
	if (!file_sensitive(file))
		return 0;
deny:
	denied_count(workload);
	return DENIED;
}

/* Reading a sibling's numbers is what servers do; its memory, or a stranger's, is not. */
SEC("lsm/ptrace_access_check")
int BPF_PROG(guard_ptrace_access_check, struct task_struct *child, unsigned int mode)
{
	__u32 workload = contained_current();

	if (!workload)
		return 0;
	if (!(mode & PTRACE_ATTACH_BIT) && workload_of(child) == workload)
		return 0;
	denied_count(workload);
	return DENIED;
}

SEC("lsm/task_kill")
int BPF_PROG(guard_task_kill, struct task_struct *target)
{
	__u32 workload = contained_current();

	if (!workload || workload_of(target) == workload)
		return 0;
	denied_count(workload);
	return DENIED;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
