/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Denial to everybody: approved model files are changed by the programs that may, or not at all.
 *
 * Hooks: BPF LSM, attached only where the kernel runs it (the tier `guard`), for every task of
 * the host. The agent lists the files, and the directories they lie in; while it lists none each
 * hook is one look-up of an empty table. What was open for writing before stays so.
 *
 * A listed file may not be opened for writing, cut, renamed, removed, replaced, given another
 * mode or owner, or mounted over; a listed directory may not be renamed, removed or mounted over.
 * New files beside them may come: the agent tells of those. Results are constants on branches:
 * see compat.bpf.h.
 */
#include "record.bpf.h"

#define DENIED (-1) /* EPERM */
#define FMODE_WRITE_BIT 0x2
/* Neither puts other files in the place of those that are there: MS_REMOUNT, MS_UNBINDABLE,
 * MS_PRIVATE, MS_SLAVE, MS_SHARED.
 */
#define MOUNT_OF_ITSELF (0x20 | 0x20000 | 0x40000 | 0x80000 | 0x100000)

/* What may not be changed, and how. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct file_key);
	__type(value, __u32); /* enum protection */
} protected_files __weak SEC(".maps");

/* By executable, who may all the same. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct file_key);
	__type(value, __u32); /* enum publisher */
} publishers __weak SEC(".maps");

/* Who was refused what, the latest of each file; the agent reads and empties it. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, struct file_key);
	__type(value, struct refusal);
} refusals __weak SEC(".maps");

static __always_inline void key_read(struct file_key *key, struct inode *inode)
{
	key->ino = BPF_CORE_READ(inode, i_ino);
	key->dev = BPF_CORE_READ(inode, i_sb, s_dev);
	key->generation = 0;
}

static __always_inline void refusal_note(struct file_key *key, struct task_struct *task)
{
	struct refusal first = {}, *known;

	known = bpf_map_lookup_elem(&refusals, key);
	if (!known) {
		bpf_map_update_elem(&refusals, key, &first, BPF_NOEXIST);
		known = bpf_map_lookup_elem(&refusals, key);
	}
	if (!known)
		return; /* denied all the same; only the telling is lost */
	known->time_ns = bpf_ktime_get_ns();
	known->pid = BPF_CORE_READ(task, tgid);
	bpf_get_current_comm(known->comm, sizeof(known->comm));
	__sync_fetch_and_add(&known->count, 1);
}

static __always_inline int refused(struct inode *inode, __u32 kinds, __u32 right)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct file_key key = {}, exe = {};
	__u32 *found;

	key_read(&key, inode);
	found = bpf_map_lookup_elem(&protected_files, &key);
	if (!found || !(*found & kinds))
		return 0;
	key_read(&exe, BPF_CORE_READ(task, mm, exe_file, f_inode));
	found = bpf_map_lookup_elem(&publishers, &exe);
	if (found && (*found & right))
		return 0;
	refusal_note(&key, task);
	return 1;
}

static __always_inline int refused_name(struct dentry *dentry)
{
	return refused(BPF_CORE_READ(dentry, d_inode), PROTECT_FILE | PROTECT_PLACE, PUBLISH);
}

SEC("lsm/file_open")
int BPF_PROG(guard_protected_open, struct file *file)
{
	if (!(BPF_CORE_READ(file, f_mode) & FMODE_WRITE_BIT))
		return 0;
	if (refused(BPF_CORE_READ(file, f_inode), PROTECT_FILE, PUBLISH))
		return DENIED;
	return 0;
}

SEC("lsm/inode_unlink")
int BPF_PROG(guard_protected_unlink, struct inode *dir, struct dentry *dentry)
{
	if (refused_name(dentry))
		return DENIED;
	return 0;
}

SEC("lsm/inode_rmdir")
int BPF_PROG(guard_protected_rmdir, struct inode *dir, struct dentry *dentry)
{
	if (refused_name(dentry))
		return DENIED;
	return 0;
}

/* From, or over, a listed name; exchanging two names is a rename both ways. */
SEC("lsm/inode_rename")
int BPF_PROG(guard_protected_rename, struct inode *old_dir, struct dentry *old_dentry,
	     struct inode *new_dir, struct dentry *new_dentry)
{
	if (refused_name(old_dentry))
		return DENIED;
	if (refused_name(new_dentry))
		return DENIED;
	return 0;
}

/* truncate(2), chmod, chown, utimes. The dentry is the first argument before 6.9 (kernel commit
 * 314a8dc728d0) and the second after: what is none has no listed inode behind it.
 */
SEC("lsm/inode_setattr")
int BPF_PROG(guard_protected_setattr, void *first, void *second)
{
	if (refused(BPF_CORE_READ((struct dentry *)first, d_inode), PROTECT_FILE, PUBLISH))
		return DENIED;
	if (refused(BPF_CORE_READ((struct dentry *)second, d_inode), PROTECT_FILE, PUBLISH))
		return DENIED;
	return 0;
}

static __always_inline int refused_place(const struct path *path)
{
	return refused(BPF_CORE_READ(path, dentry, d_inode), PROTECT_FILE | PROTECT_PLACE,
		       PUBLISH_MOUNT);
}

SEC("lsm/sb_mount")
int BPF_PROG(guard_protected_mount, const char *dev_name, const struct path *path, const char *type,
	     unsigned long flags)
{
	if (flags & MOUNT_OF_ITSELF)
		return 0;
	if (refused_place(path))
		return DENIED;
	return 0;
}

/* A place mounted on itself, as a read-only bind does, shows what was there. */
SEC("lsm/move_mount")
int BPF_PROG(guard_protected_move_mount, const struct path *from, const struct path *to)
{
	if (BPF_CORE_READ(from, dentry) == BPF_CORE_READ(to, dentry))
		return 0;
	if (refused_place(to))
		return DENIED;
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
