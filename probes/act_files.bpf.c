/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Opens that are acts (acts.bpf.c): to write or make a regular file, of a block device, of a
 * secret, of another process's memory. What is looked at is the kernel's struct file.
 */
#include "compat.bpf.h"
#include "acts.bpf.h"
#include "guard.bpf.h"
#include "path.bpf.h"

#define O_TRUNC_BIT 01000
#define OPEN_NUMBER 2
#define CREAT_NUMBER 85
#define OPENAT2_NUMBER 437
#define PROC_MAGIC 0x9fa0 /* include/uapi/linux/magic.h */
#define WORD_OF(a, b, c, d) ((a) | (b) << 8 | (c) << 16 | (__u32)(d) << 24)

/* /proc/PID/mem of any process but its own; maps and environment of one outside the workload. */
static __always_inline int opens_memory(struct task_struct *task, struct file *file)
{
	struct inode *inode = BPF_CORE_READ(file, f_inode);
	struct proc_inode *entry;
	struct pid *pid;
	__u32 word = 0, tgid, caller = task->tgid;
	struct member *member, *own;

	if (BPF_CORE_READ(inode, i_sb, s_magic) != PROC_MAGIC)
		return 0;
	bpf_probe_read_kernel(&word, sizeof(word), BPF_CORE_READ(file, f_path.dentry, d_name.name));
	if (word != WORD_OF('m', 'e', 'm', 0) && word != WORD_OF('m', 'a', 'p', 's') &&
	    word != WORD_OF('s', 'm', 'a', 'p') && word != WORD_OF('e', 'n', 'v', 'i') &&
	    word != WORD_OF('a', 'u', 'x', 'v'))
		return 0;
	entry = (void *)((char *)inode - bpf_core_field_offset(struct proc_inode, vfs_inode));
	pid = BPF_CORE_READ(entry, pid);
	if (!pid)
		return 0;
	tgid = BPF_CORE_READ(pid, numbers[0].nr);
	if (tgid == caller || tgid == (__u32)task->pid)
		return 0;
	if (word == WORD_OF('m', 'e', 'm', 0))
		return 1;
	member = bpf_map_lookup_elem(&members, &tgid);
	own = bpf_map_lookup_elem(&members, &caller);
	return !member || !own || member->workload != own->workload;
}

static __always_inline int opening_acts(struct task_struct *task, struct file *file, __u64 flags)
{
	__u32 type = BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT_MASK;
	__u32 mode = BPF_CORE_READ(file, f_mode);

	if (type == S_IFBLK_TYPE)
		return 1;
	if (type == S_IFREG_TYPE &&
	    ((mode & (FMODE_WRITE_BIT | FMODE_CREATED_BIT)) || (flags & O_TRUNC_BIT)))
		return 1;
	return file_sensitive(file) || opens_memory(task, file);
}

/* From the end of an open: the descriptor it returned, and the flags it was given. */
__noinline int act_opened(__u32 fd, __u64 flags)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct task_state *state = task_watched(task);
	struct file *file;

	if (!state)
		return 0;
	file = file_of(task, fd);
	/* Another thread closed it already: what nobody can look at is taken for the worst. */
	if (!file || opening_acts(task, file, flags))
		return act_done(state->workload);
	return 0;
}

/* Where the flags of open(2) and its kin are; of openat2(2) they lie in the caller's memory. */
static __always_inline __u64 open_flags(struct pt_regs *regs, __u32 number)
{
	__u64 flags = 0;

	switch (number) {
	case OPEN_NUMBER:
		return BPF_CORE_READ(regs, si);
	case CREAT_NUMBER:
		return O_TRUNC_BIT;
	case OPENAT2_NUMBER:
		if (bpf_probe_read_user(&flags, sizeof(flags), (void *)BPF_CORE_READ(regs, dx)))
			return O_TRUNC_BIT;
		return flags;
	}
	return BPF_CORE_READ(regs, dx);
}

__noinline int act_open_called(__u64 registers, __u32 number, __u32 fd)
{
	return act_opened(fd, open_flags((struct pt_regs *)registers, number));
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
