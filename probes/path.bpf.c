/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* A file's path from the kernel's own dentries, written from its end.
 *
 * No pointer of the process is read, so there is no race to win between check and
 * use. The walk stops at the task's root: the path is as the process sees it. One
 * step is a global function of its own, verified once instead of once per turn.
 */
#include "path.bpf.h"

#define PATH_COMPONENTS 24

static __always_inline int mount_cross(struct path_walk *walk)
{
	struct vfsmount *vfsmount = walk->mount;
	struct mount *mount = container_of(vfsmount, struct mount, mnt);
	struct mount *above = BPF_CORE_READ(mount, mnt_parent);

	if (mount == above || !above)
		return 1;
	walk->dentry = BPF_CORE_READ(mount, mnt_mountpoint);
	walk->mount = &above->mnt;
	return 0;
}

/* Puts one component in front, or crosses to the parent mount. Returns 1 when done. */
__noinline int path_step(void)
{
	struct path_walk *walk = path_walk_current();
	const unsigned char *name;
	struct vfsmount *vfsmount;
	struct dentry *dentry;
	struct dentry *parent;
	__u64 length;

	if (!walk)
		return 1;
	dentry = walk->dentry;
	vfsmount = walk->mount;
	parent = BPF_CORE_READ(dentry, d_parent);
	if (dentry == walk->root && vfsmount == walk->root_mount)
		return 1;
	if (dentry == BPF_CORE_READ(vfsmount, mnt_root))
		return mount_cross(walk);

	name = BPF_CORE_READ(dentry, d_name.name);
	length = BPF_CORE_READ(dentry, d_name.len) & (PATH_SPAN - 1);
	if (length + 1 > walk->offset) {
		walk->flags |= FLAG_TRUNCATED;
		return 1;
	}
	walk->offset -= length + 1;
	walk->text[walk->offset & (PATH_SPAN - 1)] = '/';
	if (bpf_probe_read_kernel(&walk->text[(walk->offset + 1) & (PATH_SPAN - 1)], length, name))
		walk->flags |= FLAG_UNREADABLE;
	walk->dentry = parent;
	return dentry == parent; /* in no directory: a memfd */
}

static __always_inline void path_close(struct path_walk *walk, int done)
{
	if (!done)
		walk->flags |= FLAG_TRUNCATED;
	if (walk->offset == PATH_SPAN - 1) { /* the root itself */
		walk->offset -= 1;
		walk->text[PATH_SPAN - 2] = '/';
	}
	walk->length = PATH_SPAN - 1 - walk->offset;
	walk->head = 0;
	walk->cut = walk->flags & FLAG_TRUNCATED;
	if (walk->length > PATH_BYTES - 1) {
		walk->head = walk->length - (PATH_BYTES - 1);
		walk->offset += walk->head;
		walk->length = PATH_BYTES - 1;
		walk->flags |= FLAG_TRUNCATED;
	}
}

/* Puts the directories up to the task's root in front of what stands from `offset` on. */
static __always_inline int path_climb(struct path_walk *walk)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	int done = 0;

	walk->root = BPF_CORE_READ(task, fs, root.dentry);
	walk->root_mount = BPF_CORE_READ(task, fs, root.mnt);
	walk->length = 0;
	for (int i = 0; i < PATH_COMPONENTS && !done; i++)
		done = path_step();
	path_close(walk, done);
	return walk->flags;
}

__noinline int path_build(__u64 file_address)
{
	struct file *file = (void *)file_address;
	struct path_walk *walk = path_walk_current();
	struct dentry *dentry;

	if (!walk || !file)
		return FLAG_UNREADABLE;
	dentry = BPF_CORE_READ(file, f_path.dentry);
	walk->dentry = dentry;
	walk->mount = BPF_CORE_READ(file, f_path.mnt);
	walk->offset = PATH_SPAN - 1;
	walk->flags = 0;
	if (!BPF_CORE_READ(dentry, d_hash.pprev) && dentry != BPF_CORE_READ(dentry, d_parent))
		walk->flags |= FLAG_DELETED;
	return path_climb(walk);
}

__noinline int path_join(__u64 dentry_address, __u64 mount_address)
{
	struct path_walk *walk = path_walk_current();

	if (!walk || !dentry_address)
		return FLAG_UNREADABLE;
	walk->dentry = (void *)dentry_address;
	walk->mount = (void *)mount_address;
	walk->flags = 0;
	return path_climb(walk);
}

__noinline int path_given(__u32 flags)
{
	struct path_walk *walk = path_walk_current();

	if (!walk)
		return FLAG_UNREADABLE;
	walk->flags = flags;
	path_close(walk, 1);
	return walk->flags;
}

__noinline int head_submit(void)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct task_state *state = task_watched(task);
	__u32 workload = state ? state->workload : 0;
	struct path_walk *walk = path_walk_current();
	struct head_event *event;
	__u32 length;

	if (!walk || !walk->head)
		return 0;
	event = record_reserve(workload);
	if (!event)
		return 0;
	record_header(&event->hdr, EVENT_HEAD, task, workload, ROLE_MAIN);
	event->hdr.flags = walk->cut;
	length = walk->head & (HEAD_BYTES - 1);
	barrier_var(length); /* the compiler knows the bounds, the verifier forgets them */
	if (bpf_probe_read_kernel(event->link, HEAD_LINK_BYTES,
				  &walk->text[walk->offset & (PATH_SPAN - 1)]) ||
	    bpf_probe_read_kernel(event->text, length & (HEAD_BYTES - 1),
				  &walk->text[(walk->offset - length) & (PATH_SPAN - 1)]))
		event->hdr.flags |= FLAG_UNREADABLE;
	record_submit(&event->hdr, 0);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
