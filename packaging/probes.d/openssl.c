/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Plaintext through OpenSSL: how many bytes, by process and direction. Never a byte of it.
 *
 * Hooks: return of SSL_read and SSL_write, entry and return of their _ex forms, whose count
 * is behind a pointer. A program that links OpenSSL statically is not seen.
 */
#include <uapi/linux/ptrace.h>

struct event {
	u64 bytes;
	u64 time_ns;
	u32 pid;
	char direction[8];
};

BPF_PERF_OUTPUT(events);
BPF_HASH(counts, u64, u64, 8192); /* thread → where the _ex form puts the count */

static __always_inline int tell(struct pt_regs *ctx, u64 bytes, int is_write)
{
	struct event event = {.bytes = bytes};

	if (!inferward_watched())
		return 0;
	event.time_ns = bpf_ktime_get_ns();
	event.pid = bpf_get_current_pid_tgid() >> 32;
	if (is_write)
		__builtin_memcpy(event.direction, "write", 6);
	else
		__builtin_memcpy(event.direction, "read", 5);
	events.perf_submit(ctx, &event, sizeof(event));
	return 0;
}

int read_done(struct pt_regs *ctx)
{
	int bytes = PT_REGS_RC(ctx);

	return bytes > 0 ? tell(ctx, bytes, 0) : 0;
}

int write_done(struct pt_regs *ctx)
{
	int bytes = PT_REGS_RC(ctx);

	return bytes > 0 ? tell(ctx, bytes, 1) : 0;
}

int ex_begun(struct pt_regs *ctx)
{
	u64 thread = bpf_get_current_pid_tgid(), where = PT_REGS_PARM4(ctx);

	counts.update(&thread, &where);
	return 0;
}

static __always_inline int ex_done(struct pt_regs *ctx, int is_write)
{
	u64 thread = bpf_get_current_pid_tgid(), bytes = 0;
	u64 *where = counts.lookup(&thread);

	if (!where)
		return 0;
	if ((int)PT_REGS_RC(ctx) == 1)
		bpf_probe_read_user(&bytes, sizeof(bytes), (void *)*where);
	counts.delete(&thread);
	return bytes ? tell(ctx, bytes, is_write) : 0;
}

int read_ex_done(struct pt_regs *ctx)
{
	return ex_done(ctx, 0);
}

int write_ex_done(struct pt_regs *ctx)
{
	return ex_done(ctx, 1);
}
