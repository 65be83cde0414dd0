/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What the file behind a descriptor is, and the bytes that move through it.
 *
 * A regular file's class is guessed the first time bytes of it move (guess.bpf.h), so that the
 * first read counts under the right one, also in a file that was open before us. The agent
 * knows more (secrets, installed code) and overwrites it.
 */
#include "file_classes.bpf.h"
#include "guess.bpf.h"

/* Since 6.2 (kernel commit a35b9af4ec2c): an address as a pointer to a kernel type, so that
 * fields are plain loads, and no helper's read, which costs some 40 ns. Older kernels are given
 * an object without it: to learn that a function is missing, libbpf walks all modules, which
 * takes a capability that the agent's unit does not hold.
 */
#ifndef UNTYPED_READS
extern void *bpf_rdonly_cast(void *address, __u32 type) __ksym;

#define TYPED(type, address) \
	((struct type *)bpf_rdonly_cast((void *)(address), bpf_core_type_id_kernel(struct type)))
#endif

#define RECENT_SLOTS 8
#define RECENT_USES 16
#define MINOR_BITS 20 /* of the kernel's own dev_t */

/* What was looked up last on this CPU: whoever reads weights reads them call after call, and
 * a look-up in a hash costs more than all else here. Looked up anew after RECENT_USES, for the
 * agent may have put the file into another class.
 */
struct recent_class {
	struct file_key key;
	__u32 class;
	__u32 uses;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, RECENT_SLOTS);
	__type(key, __u32);
	__type(value, struct recent_class);
} recent_classes SEC(".maps");

static __always_inline void facts_read(struct file_facts *facts, struct file *file)
{
#ifdef UNTYPED_READS
	struct inode *inode = BPF_CORE_READ(file, f_inode);

	facts->fmode = BPF_CORE_READ(file, f_mode);
	facts->mode = BPF_CORE_READ(inode, i_mode);
	facts->key.ino = BPF_CORE_READ(inode, i_ino);
	facts->key.dev = BPF_CORE_READ(inode, i_sb, s_dev);
	facts->key.generation = BPF_CORE_READ(inode, i_generation);
#else
	struct inode *inode = TYPED(file, file)->f_inode;

	facts->fmode = TYPED(file, file)->f_mode;
	facts->mode = inode->i_mode;
	facts->key.ino = inode->i_ino;
	facts->key.dev = inode->i_sb->s_dev;
	facts->key.generation = inode->i_generation;
#endif
}

/* As file_of(), by plain loads where the kernel has them: every read and write pays for it. */
static __always_inline struct file *file_of_current(__u32 fd)
{
	struct files_struct *files = bpf_get_current_task_btf()->files;
	struct fdtable *table;

	if (!files)
		return NULL;
	table = files->fdt;
	if (!table || fd >= table->max_fds)
		return NULL;
#ifdef UNTYPED_READS
	struct file *file = NULL;

	bpf_probe_read_kernel(&file, sizeof(file), &table->fd[fd]);
	return file;
#else
	/* Eight bytes as a number, which is what a timespec64 begins with. */
	return (void *)TYPED(timespec64, &table->fd[fd])->tv_sec;
#endif
}

static __noinline __u32 class_guess(struct file_facts *facts, struct file *file)
{
	struct task_state *state = task_watched(bpf_get_current_task_btf());
	struct path_walk *walk = path_walk_current();
	__u32 class;
	long err;

	if (!walk)
		return FILE_OTHER;
	path_build((__u64)file);
	class = class_by_name(walk, file);
	/* -EEXIST: the agent, which knows more, was quicker. */
	err = bpf_map_update_elem(&file_classes, &facts->key, &class, BPF_NOEXIST);
	if (err && err != -17 && state)
		loss_count(state->workload, LOSS_FILES_FULL);
	return class;
}

static __always_inline int same_file(struct file_key *one, struct file_key *other)
{
	return one->ino == other->ino && one->dev == other->dev &&
	       one->generation == other->generation;
}

static __always_inline __u32 class_of_regular(struct file_facts *facts, struct file *file)
{
	__u32 slot = facts->key.ino & (RECENT_SLOTS - 1);
	struct recent_class *recent = bpf_map_lookup_elem(&recent_classes, &slot);
	__u32 *class;

	if (!recent)
		return FILE_OTHER;
	if (recent->uses && same_file(&recent->key, &facts->key)) {
		recent->uses -= 1;
		return recent->class;
	}
	class = bpf_map_lookup_elem(&file_classes, &facts->key);
	recent->class = class ? *class : class_guess(facts, file);
	recent->key = facts->key;
	recent->uses = RECENT_USES;
	return recent->class;
}

static __always_inline __u32 class_of(struct file *file)
{
	struct file_facts facts;

	facts_read(&facts, file);
	switch (facts.mode & FILE_TYPE_MASK) {
	case FILE_TYPE_SOCKET:
		return FILE_SOCKET;
	case FILE_TYPE_FIFO:
		return FILE_PIPE;
	case FILE_TYPE_CHARACTER:
	case FILE_TYPE_BLOCK:
		return FILE_DEVICE;
	case FILE_TYPE_REGULAR:
		return class_of_regular(&facts, file);
	}
	return FILE_OTHER;
}

/* A file that another thread closed meanwhile is `other`: its bytes were moved all the same. */
__noinline int fd_moved(__u32 workload, __u32 fd, __u32 direction, __u64 bytes)
{
	struct file *file = file_of_current(fd);
	__u32 class = file ? class_of(file) : FILE_OTHER;

	class_add(workload, class, direction, bytes);
	return 0;
}

/* Returns the enum file_class of an open file. */
__noinline int file_class(__u64 file_address)
{
	struct file *file = (void *)file_address;

	return file ? class_of(file) : FILE_OTHER;
}

/* Leaves what is known of the running task's file in facts_last(); returns enum fd_knowledge.
 * Asked at every open on the host: of a file that nobody holds this is all.
 */
__noinline int fd_known(__u32 fd)
{
	struct file_facts *facts = facts_last();
	struct file *file = file_of_current(fd);
	struct file_key held = {};

	if (!file || !facts)
		return FD_CLOSED;
	facts_read(facts, file);
	held.ino = facts->key.ino;
	held.dev = facts->key.dev;
	return bpf_map_lookup_elem(&held_files, &held) ? FD_HELD : FD_KNOWN;
}

static __always_inline __u32 major_of(struct file *file)
{
#ifdef UNTYPED_READS
	struct inode *inode = BPF_CORE_READ(file, f_inode);
	__u32 type = BPF_CORE_READ(inode, i_mode) & FILE_TYPE_MASK;

	return type == FILE_TYPE_CHARACTER ? BPF_CORE_READ(inode, i_rdev) >> MINOR_BITS : 0;
#else
	struct inode *inode = TYPED(file, file)->f_inode;
	__u32 type = inode->i_mode & FILE_TYPE_MASK;

	return type == FILE_TYPE_CHARACTER ? inode->i_rdev >> MINOR_BITS : 0;
#endif
}

/* Returns the major number of the running task's character device; 0 if it is none. */
__noinline int fd_major(__u32 fd)
{
	struct file *file = file_of_current(fd);

	return file ? major_of(file) : 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
