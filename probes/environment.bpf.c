/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Which variables of a new program's environment change whose code it runs.
 *
 * Called at sched_process_exec, when the environment lies in the program's own fresh
 * stack and nobody else wrote there yet. Values are not read: they may be secrets.
 */
#include "compat.bpf.h"
#include "record.bpf.h"
#include "subjects.bpf.h"

#define VARIABLES 512   /* looked at; ENVIRONMENT_UNREAD tells of more */
#define PIECE_BYTES 256 /* a longer variable takes several steps */

/* The first eight letters, as loaded. */
#define LETTERS(a, b, c, d, e, f, g, h)                                                          \
	((__u64)(a) | (__u64)(b) << 8 | (__u64)(c) << 16 | (__u64)(d) << 24 | (__u64)(e) << 32 | \
	 (__u64)(f) << 40 | (__u64)(g) << 48 | (__u64)(h) << 56)

struct environment_walk {
	__u64 at;
	__u64 end;
	__u32 found;
	__u32 inside; /* of a variable whose beginning was another piece */
	char text[PIECE_BYTES];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct environment_walk);
} environment_walks SEC(".maps");

static __always_inline __u32 variable_meaning(__u64 letters)
{
	switch (letters) {
	case LETTERS('L', 'D', '_', 'P', 'R', 'E', 'L', 'O'):
		return ENVIRONMENT_PRELOAD;
	case LETTERS('L', 'D', '_', 'A', 'U', 'D', 'I', 'T'):
		return ENVIRONMENT_AUDIT;
	case LETTERS('L', 'D', '_', 'L', 'I', 'B', 'R', 'A'):
		return ENVIRONMENT_LIBRARY_PATH;
	case LETTERS('P', 'Y', 'T', 'H', 'O', 'N', 'P', 'A'):
	case LETTERS('P', 'Y', 'T', 'H', 'O', 'N', 'H', 'O'):
	case LETTERS('P', 'Y', 'T', 'H', 'O', 'N', 'S', 'T'):
		return ENVIRONMENT_PYTHON;
	}
	return 0;
}

/* One piece of one variable. Returns 1 when done. */
__noinline int environment_step(void)
{
	__u32 zero = 0;
	struct environment_walk *walk = bpf_map_lookup_elem(&environment_walks, &zero);
	long length;

	if (!walk || walk->at >= walk->end)
		return 1;
	length = string_length(bpf_probe_read_user_str(walk->text, PIECE_BYTES, (void *)walk->at));
	if (length < 0) {
		walk->found |= ENVIRONMENT_UNREAD;
		return 1;
	}
	if (!walk->inside)
		walk->found |= variable_meaning(*(__u64 *)walk->text);
	walk->inside = length == PIECE_BYTES - 1;
	walk->at += walk->inside ? length : length + 1;
	return 0;
}

__noinline int environment_read(void)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	__u32 zero = 0;
	struct environment_walk *walk = bpf_map_lookup_elem(&environment_walks, &zero);
	int done = 0;

	if (!walk)
		return ENVIRONMENT_UNREAD;
	walk->at = BPF_CORE_READ(task, mm, env_start);
	walk->end = BPF_CORE_READ(task, mm, env_end);
	walk->found = 0;
	walk->inside = 0;
	for (int i = 0; i < VARIABLES && !done; i++)
		done = environment_step();
	return walk->found | (done ? 0 : ENVIRONMENT_UNREAD);
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
