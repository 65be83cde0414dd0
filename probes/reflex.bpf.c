/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* A guarded workload's programs and secret files: what was not learnt is answered here, with no
 * round trip to the agent, also while there is none.
 *
 * Called before the act where LSM programs may deny it (guard_reflex.bpf.c); elsewhere at a
 * successful exec (the new program runs no instruction) and at the end of an open. Files are
 * known by inode: the agent looks each second what lies under the names that were learnt.
 * Peers: reflex_peers.bpf.h.
 */
#include "reflex.bpf.h"
#include "guard.bpf.h"
#include "path.bpf.h"
#include "subjects.bpf.h"

#define FMODE_READ_BIT 0x1

/* Set before load: LSM programs deny, in the tier `guard`. */
const volatile __u8 reflex_denies = 0;

/* Programs learnt in a directory of changing name: by the first bytes of their own. */
static __always_inline int name_learnt(struct reflex_key *key, struct file *file)
{
	struct reflex_key named = {.workload = key->workload, .act = REFLEX_NAME};
	char name[16] = {};

	if (bpf_probe_read_kernel_str(name, sizeof(name),
				      BPF_CORE_READ(file, f_path.dentry, d_name.name)) < 0)
		return 0;
	__builtin_memcpy(&named.first, name, 8);
	__builtin_memcpy(&named.second, name + 8, 8);
	return reflex_learnt(&named);
}

static __always_inline int file_learnt(struct reflex_key *key, struct file *file)
{
	if (key->act == REFLEX_EXEC)
		return reflex_learnt(key) || name_learnt(key, file);
	if (!(BPF_CORE_READ(file, f_mode) & (FMODE_READ_BIT | FMODE_WRITE_BIT)))
		return 1; /* O_PATH */
	return file_sensitive(file) != SECRET_FILE || reflex_learnt(key);
}

/* Noted before the signal: whoever gives it back must find it, and for what it was stopped. */
static __always_inline void process_stop(struct reflex_key *key)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct reflex_stop stop = {.key = *key, .time_ns = bpf_ktime_get_ns()};
	__u32 tgid = key->pid;

	stop.key.pid = 0;
	stop.start_ns = BPF_CORE_READ(task, group_leader, start_boottime);
	if (bpf_map_update_elem(&reflex_stops, &tgid, &stop, BPF_ANY)) {
		loss_count(key->workload, LOSS_STOP_FAILED);
		return; /* nobody would know to continue it */
	}
	thread_stop();
}

static __always_inline void file_tell(struct reflex_key *key, struct file *file, __u16 role,
				      __u32 outcome)
{
	struct reflex_event *event = reflex_record(key, role, outcome);

	if (!event)
		return;
	event->hdr.flags |= path_write(event->path, file);
	record_submit(&event->hdr, 1);
}

__noinline int reflex_file(__u64 file_address, __u32 workload, __u32 role, __u32 act, __u32 after)
{
	struct reflex *reflex = reflex_of(workload, act);
	struct file *file = (void *)file_address;
	struct reflex_key key = {.workload = workload, .act = act};
	__u32 outcome;

	if (!reflex || !file || (after && reflex_denies))
		return REFLEX_LEFT;
	key.first = BPF_CORE_READ(file, f_inode, i_ino);
	key.second = BPF_CORE_READ(file, f_inode, i_sb, s_dev);
	if (file_learnt(&key, file))
		return REFLEX_LEFT;
	if (after)
		key.pid = bpf_get_current_pid_tgid() >> 32;
	outcome = reflex_answer(reflex, &key, after ? REFLEX_STOPPED : REFLEX_DENIED);
	if (outcome == REFLEX_LEFT)
		return REFLEX_LEFT;
	file_tell(&key, file, role, outcome);
	if (outcome == REFLEX_STOPPED)
		process_stop(&key);
	if (outcome == REFLEX_DENIED)
		denied_count(workload);
	return outcome;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
