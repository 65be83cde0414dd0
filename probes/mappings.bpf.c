/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* One EVENT_MAPPING per executable file, and one per way of making memory executable; and one
 * per weights file that is mapped to be read, of which no read(2) will ever tell.
 *
 * Called from sys_exit for mmap(2) of a file or with PROT_EXEC, and for mprotect(2) that
 * adds it. The loader's own first mappings are part of execve and belong to EVENT_EXEC. What lies at an
 * address that mprotect(2) names is looked up from Linux 5.17 on (kernel commit 7c7e3d31e785);
 * before, it counts as memory without a file.
 */
#include "file_classes.bpf.h"

#define MAP_ANONYMOUS_BIT 0x20
#define MAP_SHARED_BIT 0x1 /* and of MAP_SHARED_VALIDATE */
#define VM_WRITE_BIT 0x2
#define VM_SHARED_BIT 0x8
#define ACCESS_CHANGED 1 /* beside 0 and FLAG_ANONYMOUS in a key's access */
#define CALL_MMAP_NUMBER 9
#define PROT_EXEC_BIT 0x4

static __always_inline struct mapping_event *mapping_reserve(struct task_state *state,
							     struct task_struct *task,
							     __u64 address, __u32 prot, __u32 call)
{
	struct mapping_event *event = record_reserve(state->workload);

	if (!event)
		return NULL;
	record_header(&event->hdr, EVENT_MAPPING, task, state->workload, state->role);
	event->hdr.syscall = call;
	event->address = address;
	event->prot = prot;
	return event;
}

/* Of a file that is mapped to be executed and to be read, each is told. */
static __always_inline void mapping_key_fill(struct seen_key *key, struct file *file, __u32 prot)
{
	struct inode *inode = BPF_CORE_READ(file, f_inode);

	key->access = prot & PROT_EXEC_BIT ? 0 : FLAG_READ;
	key->first = BPF_CORE_READ(inode, i_ino);
	key->dev = BPF_CORE_READ(inode, i_sb, s_dev);
	key->generation = BPF_CORE_READ(inode, i_generation);
}

__noinline int memory_mapped(__u64 address, __u64 length, __u32 prot, __u32 map_flags, __u32 fd)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct task_state *state = task_watched(task);
	struct seen_key key = {.kind = EVENT_MAPPING, .access = FLAG_ANONYMOUS};
	struct mapping_event *event;
	struct file *file = NULL;
	__u32 class = FILE_OTHER;

	if (!state)
		return 0;
	key.workload = state->workload;
	key.role = state->role;
	if (!(map_flags & MAP_ANONYMOUS_BIT)) {
		file = file_of(task, fd);
		if (!file) {
			loss_count(state->workload, LOSS_READ_FAULT);
			return 0;
		}
		class = file_class((__u64)file);
		class_add(state->workload, class, FILE_MAPPED, length);
		mapping_key_fill(&key, file, prot);
	}
	if (!(prot & PROT_EXEC_BIT) && class != FILE_WEIGHTS)
		return 0;
	if (!seen_first(&key))
		return 0;
	event = mapping_reserve(state, task, address, prot, CALL_MMAP_NUMBER);
	if (!event)
		return 0;
	event->map_flags = map_flags;
	event->ino = key.first;
	event->dev = key.dev;
	event->generation = key.generation;
	event->hdr.flags = file ? path_write(event->path, file) : FLAG_ANONYMOUS;
	if (map_flags & MAP_SHARED_BIT)
		event->hdr.flags |= FLAG_SHARED;
	record_submit(&event->hdr, 1);
	state->due = EVENT_MAPPING;
	return 0;
}

/* What lies at an address. */
struct area {
	struct file *file; /* NULL: none */
	__u64 flags;
	__u32 written; /* a private copy of some page was made: it is not what the file holds */
};

static long area_read(struct task_struct *task, struct vm_area_struct *vma, void *data)
{
	struct area *area = data;

	area->file = BPF_CORE_READ(vma, vm_file);
	area->flags = BPF_CORE_READ(vma, vm_flags);
	area->written = BPF_CORE_READ(vma, anon_vma) != NULL;
	return 0;
}

static __always_inline void area_find(struct task_struct *task, __u64 address, struct area *area)
{
	/* Absent, or the map of memory is locked by another thread: as if it had no file. */
	if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_find_vma))
		bpf_find_vma(task, address, area_read, area, 0);
}

/* Executable from now on. Of a file: the file, if it still is what the file holds, else that it was
 * changed. Without one: once, since a compiler at run time does it all the time.
 */
__noinline int memory_protected(__u64 address, __u32 prot, __u32 call)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct task_state *state = task_watched(task);
	struct seen_key key = {.kind = EVENT_MAPPING, .first = 1, .access = FLAG_ANONYMOUS};
	struct mapping_event *event;
	struct area area = {};
	__u16 flags = FLAG_ANONYMOUS | FLAG_PROTECT;
	struct inode *inode;
	struct file *file;

	if (!state)
		return 0;
	area_find(task, address, &area);
	file = area.file;
	if (file) {
		inode = BPF_CORE_READ(file, f_inode);
		flags = area.flags & VM_SHARED_BIT ? FLAG_SHARED : 0;
		if (area.written || (area.flags & (VM_WRITE_BIT | VM_SHARED_BIT)))
			flags |= FLAG_PROTECT;
		key.access = flags & FLAG_PROTECT ? ACCESS_CHANGED : 0;
		key.first = BPF_CORE_READ(inode, i_ino);
		key.dev = BPF_CORE_READ(inode, i_sb, s_dev);
		key.generation = BPF_CORE_READ(inode, i_generation);
	}
	key.workload = state->workload;
	key.role = state->role;
	if (!seen_first(&key))
		return 0;
	event = mapping_reserve(state, task, address, prot, call);
	if (!event)
		return 0;
	if (file) {
		event->ino = key.first;
		event->dev = key.dev;
		event->generation = key.generation;
		flags |= path_write(event->path, file);
	}
	event->hdr.flags = flags;
	record_submit(&event->hdr, 1);
	state->due = EVENT_MAPPING;
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
