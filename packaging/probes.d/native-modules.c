/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Native code that a program loads by name while it runs: what Python does for a module written
 * in C, and any program for a plug-in.
 *
 * Hook: dlopen of the C library (glibc 2.34 or later; before, it stood in libdl). Debian's Python
 * exports none of its own import functions, so this is the one place that all of them pass. The
 * path is the caller's own text, before the library is found.
 */
#include <uapi/linux/ptrace.h>

struct event {
	u64 time_ns;
	u32 pid;
	char path[160];
};

BPF_PERF_OUTPUT(events);

int loading(struct pt_regs *ctx)
{
	struct event event = {};
	void *path = (void *)PT_REGS_PARM1(ctx);

	if (!path || !inferward_watched()) /* NULL: the program itself */
		return 0;
	event.time_ns = bpf_ktime_get_ns();
	event.pid = bpf_get_current_pid_tgid() >> 32;
	if (bpf_probe_read_user_str(event.path, sizeof(event.path), path) < 0)
		__builtin_memcpy(event.path, "unreadable", 11);
	events.perf_submit(ctx, &event, sizeof(event));
	return 0;
}
