/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* One EVENT_SHARED per System V segment that a role makes, finds or attaches, and per name
 * of the memfds that it makes.
 *
 * Called from sys_exit for shmget(2) and shmat(2). The segment is looked up as the kernel
 * does, in the radix tree of the task's IPC namespace; its own number proves it found.
 */
#include "path.bpf.h"
#include "titles.bpf.h"

#define SHM_IDS 2     /* ipc/util.h: of semaphores, messages, shared memory */
#define INDEX_BITS 15 /* of an id; 24 with ipcmni_extend on the kernel's command line */
#define INDEX_BITS_EXTENDED 24
#define XA_CHUNK_BITS 6
#define XA_DEPTH 4
#define XA_NODE_MARK 2 /* include/linux/xarray.h: the low two bits of a pointer to a node */
#define SHMGET_NUMBER 29
#define MEMFD_CREATE_NUMBER 319
#define MEMFD_PREFIX_BYTES 6
#define IPC_CREAT_BIT 01000

static __always_inline struct shmid_kernel *segment_at(__u64 entry, __u32 index)
{
	for (int depth = 0; depth < XA_DEPTH && (entry & 3) == XA_NODE_MARK; depth++) {
		struct xa_node *node = (void *)(entry & ~3ULL);
		__u32 slot = index >> (BPF_CORE_READ(node, shift) & 31);

		if (bpf_probe_read_kernel(&entry, sizeof(entry),
					  &node->slots[slot & ((1 << XA_CHUNK_BITS) - 1)]))
			return NULL;
	}
	return (void *)entry;
}

static __always_inline struct shmid_kernel *segment_find(struct task_struct *task, int id)
{
	__u64 top =
		(__u64)BPF_CORE_READ(task, nsproxy, ipc_ns, ids[SHM_IDS].ipcs_idr.idr_rt.xa_head);
	struct shmid_kernel *segment = segment_at(top, id & ((1 << INDEX_BITS) - 1));

	if (BPF_CORE_READ(segment, shm_perm.id) == id)
		return segment;
	segment = segment_at(top, id & ((1 << INDEX_BITS_EXTENDED) - 1));
	return BPF_CORE_READ(segment, shm_perm.id) == id ? segment : NULL;
}

/* Whose the segment is: 0 for nobody who is watched. */
static __always_inline __u32 workload_by_tgid(__u32 tgid)
{
	struct member *member = bpf_map_lookup_elem(&members, &tgid);

	return member ? member->workload : 0;
}

static __always_inline __u32 shared_operation(__u32 call, __u32 flags, __u32 key, int own)
{
	if (call != SHMGET_NUMBER)
		return SHARED_ATTACH;
	return own && (!key || (flags & IPC_CREAT_BIT)) ? SHARED_CREATE : SHARED_OPEN;
}

__noinline int segment_used(__u32 id, __u32 flags, __u32 call)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct task_state *state = task_watched(task);
	struct seen_key key = {.kind = EVENT_SHARED};
	struct shmid_kernel *segment;
	struct shared_event *event;
	__u32 name, creator, owner, whose;

	if (!state)
		return 0;
	segment = segment_find(task, id);
	if (!segment) { /* another thread removed it already, or a read failed */
		loss_count(state->workload, LOSS_READ_FAULT);
		return 0;
	}
	name = BPF_CORE_READ(segment, shm_perm.key);
	owner = BPF_CORE_READ(segment, shm_perm.cuid.val);
	creator = BPF_CORE_READ(segment, shm_cprid, numbers[0].nr);
	whose = workload_by_tgid(creator);
	key.first = (__u64)owner << 32 | name;
	key.second = whose == state->workload;
	key.workload = state->workload;
	key.role = state->role;
	key.access = shared_operation(call, flags, name, creator == (__u32)task->tgid);
	if (!seen_first(&key))
		return 0;
	event = record_reserve(state->workload);
	if (!event)
		return 0;
	record_header(&event->hdr, EVENT_SHARED, task, state->workload, state->role);
	event->hdr.syscall = call;
	event->hdr.flags = FLAG_SHARED;
	event->id = id;
	event->key = name;
	event->size = BPF_CORE_READ(segment, shm_segsz);
	event->mode = BPF_CORE_READ(segment, shm_perm.mode);
	event->operation = key.access;
	event->creator = creator;
	event->owner = owner;
	event->creator_workload = whose;
	event->attach_flags = call == SHMGET_NUMBER ? 0 : flags;
	record_submit(&event->hdr, 0);
	return 0;
}

/* The kernel puts "memfd:" before the name. */
__noinline int memfd_made(__u32 fd)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct task_state *state = task_watched(task);
	struct seen_key key = {.kind = EVENT_SHARED, .access = SHARED_MEMFD};
	union short_name short_name = {};
	struct shared_event *event;
	const unsigned char *name;
	struct file *file;

	if (!state)
		return 0;
	file = file_of(task, fd);
	name = BPF_CORE_READ(file, f_path.dentry, d_name.name) + MEMFD_PREFIX_BYTES;
	if (bpf_probe_read_kernel_str(short_name.text, COMM_BYTES, name) < 0) {
		loss_count(state->workload, LOSS_READ_FAULT);
		return 0;
	}
	key.workload = state->workload;
	key.role = state->role;
	title_key(&key, &short_name);
	if (!seen_first(&key))
		return 0;
	event = record_reserve(state->workload);
	if (!event)
		return 0;
	record_header(&event->hdr, EVENT_SHARED, task, state->workload, state->role);
	event->hdr.syscall = MEMFD_CREATE_NUMBER;
	event->hdr.flags = FLAG_CREATED;
	event->operation = SHARED_MEMFD;
	event->id = BPF_CORE_READ(file, f_inode, i_ino);
	event->owner = event->hdr.uid;
	event->creator = event->hdr.pid;
	event->creator_workload = state->workload;
	bpf_probe_read_kernel_str(event->name, SHARED_NAME_BYTES, name);
	record_submit(&event->hdr, 0);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
