/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Calls through the 32-bit and x32 entries, as the 64-bit call that does the same.
 *
 * Only of calls that are sensitive or that a subject takes; all others are one call,
 * SYSCALL_FOREIGN. x32 numbers from 512 on, and ipc(2), are not told apart.
 */
#ifndef INFERWARD_FOREIGN_BPF_H
#define INFERWARD_FOREIGN_BPF_H

#include "record.bpf.h"

#define TS_COMPAT_BIT 0x2 /* arch/x86/include/asm/thread_info.h */
#define X32_BIT 0x40000000
#define OLD_MMAP_I386 90 /* its arguments lie in memory */
#define SOCKETCALL_I386 102
#define SAME_NUMBERS 424 /* from here on, all entries have the same */

/* clang-format off */
/* By number of arch/x86/entry/syscalls/syscall_32.tbl: the 64-bit number, plus one. */
static const volatile __u16 i386_calls[512] = {
	[3] = 1, [4] = 2, [5] = 3, [8] = 86, /* read write open creat */
	[9] = 87, [10] = 88, [11] = 60, [14] = 134, /* link unlink execve mknod */
	[15] = 91, [16] = 95, [21] = 166, [22] = 167, /* chmod lchown mount umount */
	[23] = 106, [26] = 102, [30] = 133, [37] = 63, /* setuid ptrace utime kill */
	[38] = 83, [39] = 84, [40] = 85, [46] = 107, /* rename mkdir rmdir setgid */
	[52] = 167, [61] = 162, [63] = 34, [70] = 114, /* umount2 chroot dup2 setreuid */
	[71] = 115, [81] = 117, [83] = 89, [87] = 168, /* setregid setgroups symlink swapon */
	[88] = 170, [92] = 77, [93] = 78, [94] = 92, /* reboot truncate ftruncate fchmod */
	[95] = 94, [101] = 174, [110] = 173, [125] = 11, /* fchown ioperm iopl mprotect */
	[128] = 176, [129] = 177, [136] = 136, [138] = 123, /* init_module delete_module personality setfsuid */
	[139] = 124, [141] = 79, [145] = 20, [146] = 21, /* setfsgid getdents readv writev */
	[164] = 118, [170] = 120, [172] = 158, [180] = 18, /* setresuid setresgid prctl pread64 */
	[181] = 19, [182] = 93, [185] = 127, [187] = 41, /* pwrite64 chown capset sendfile */
	[192] = 10, [193] = 77, [194] = 78, [198] = 95, /* mmap2 truncate64 ftruncate64 lchown32 */
	[203] = 114, [204] = 115, [206] = 117, [207] = 94, /* setreuid32 setregid32 setgroups32 fchown32 */
	[208] = 118, [210] = 120, [212] = 93, [213] = 106, /* setresuid32 setresgid32 chown32 setuid32 */
	[214] = 107, [215] = 123, [216] = 124, [217] = 156, /* setgid32 setfsuid32 setfsgid32 pivot_root */
	[220] = 218, [226] = 189, [227] = 190, [228] = 191, /* getdents64 setxattr lsetxattr fsetxattr */
	[235] = 198, [236] = 199, [237] = 200, [238] = 201, /* removexattr lremovexattr fremovexattr tkill */
	[239] = 41, [270] = 235, [271] = 236, [283] = 247, /* sendfile64 tgkill utimes kexec_load */
	[286] = 249, [288] = 251, [295] = 258, [296] = 259, /* add_key keyctl openat mkdirat */
	[297] = 260, [298] = 261, [299] = 262, [301] = 264, /* mknodat fchownat futimesat unlinkat */
	[302] = 265, [303] = 266, [304] = 267, [306] = 269, /* renameat linkat symlinkat fchmodat */
	[310] = 273, [313] = 276, [320] = 281, [330] = 293, /* unshare splice utimensat dup3 */
	[333] = 296, [334] = 297, [336] = 299, [338] = 301, /* preadv pwritev perf_event_open fanotify_init */
	[342] = 305, [346] = 309, [347] = 311, [348] = 312, /* open_by_handle_at setns process_vm_readv process_vm_writev */
	[350] = 314, [353] = 317, [356] = 320, [357] = 322, /* finit_module renameat2 memfd_create bpf */
	[358] = 323, [359] = 42, [361] = 50, [362] = 43, /* execveat socket bind connect */
	[363] = 51, [364] = 289, [369] = 45, [370] = 47, /* listen accept4 sendto sendmsg */
	[371] = 46, [372] = 48, [374] = 324, [377] = 327, /* recvfrom recvmsg userfaultfd copy_file_range */
	[378] = 328, [379] = 329, [380] = 330, [395] = 30, /* preadv2 pwritev2 pkey_mprotect shmget */
	[397] = 31, [51] = 164, [54] = 17, [74] = 171, /* shmat acct ioctl sethostname */
	[79] = 165, [86] = 135, [103] = 104, [115] = 169, /* settimeofday uselib syslog swapoff */
	[121] = 172, [123] = 155, [127] = 175, [131] = 180, /* setdomainname modify_ldt create_module quotactl */
	[253] = 213, [264] = 228, [277] = 241, [287] = 250, /* lookup_dcookie clock_settime mq_open request_key */
	[316] = 279, [324] = 286, [341] = 304, [349] = 313, /* vmsplice fallocate name_to_handle_at kcmp */
	[404] = 228, [412] = 281, [124] = 160, [343] = 306, /* clock_settime64 utimensat_time64 adjtimex clock_adjtime */
	[405] = 306, /* clock_adjtime64 */
	[OLD_MMAP_I386] = 10,
};

/* By the first argument of socketcall(2), include/uapi/linux/net.h: as above. */
static const volatile __u16 i386_socket_calls[32] = {
	[2] = 50, [3] = 43, [4] = 51, [5] = 44,     /* bind connect listen accept */
	[9] = 45, [10] = 46, [11] = 45, [12] = 46,  /* send recv sendto recvfrom */
	[16] = 47, [17] = 48, [18] = 289,           /* sendmsg recvmsg accept4 */
};
/* clang-format on */

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct pt_regs);
} native_registers __weak SEC(".maps");

static __always_inline int i386_unpack(struct pt_regs *native, __u64 address)
{
	__u32 words[SYSCALL_ARGS] = {};

	if (bpf_probe_read_user(words, sizeof(words), (void *)address))
		return -1;
	native->di = words[0];
	native->si = words[1];
	native->dx = words[2];
	native->r10 = words[3];
	native->r8 = words[4];
	native->r9 = words[5];
	return 0;
}

static __always_inline __u32 i386_number(struct pt_regs *native, struct pt_regs *regs)
{
	__u32 number = regs->orig_ax;
	__u32 call = i386_calls[number & 511];

	native->di = (__u32)regs->bx;
	native->si = (__u32)regs->cx;
	native->dx = (__u32)regs->dx;
	native->r10 = (__u32)regs->si;
	native->r8 = (__u32)regs->di;
	native->r9 = (__u32)regs->bp;
	if (number > 511)
		return 0;
	if (number >= SAME_NUMBERS)
		return number + 1;
	if (number == SOCKETCALL_I386)
		call = i386_socket_calls[regs->bx & 31];
	if (number == SOCKETCALL_I386 && i386_unpack(native, (__u32)regs->cx))
		return 0;
	if (number == OLD_MMAP_I386 && i386_unpack(native, (__u32)regs->bx))
		return 0;
	return call;
}

static __always_inline __u32 x32_number(struct pt_regs *native, struct pt_regs *regs)
{
	__u32 number = regs->orig_ax & ~X32_BIT;

	native->di = regs->di;
	native->si = regs->si;
	native->dx = regs->dx;
	native->r10 = regs->r10;
	native->r8 = regs->r8;
	native->r9 = regs->r9;
	return number < SYSCALL_FOREIGN ? number + 1 : 0;
}

/* The registers that the 64-bit call would have, its number among them; NULL: none is known. */
static __always_inline struct pt_regs *foreign_registers(struct task_struct *task,
							 struct pt_regs *regs)
{
	__u32 zero = 0;
	struct pt_regs *native = bpf_map_lookup_elem(&native_registers, &zero);
	__u32 call;

	if (!native)
		return NULL;
	if (task->thread_info.status & TS_COMPAT_BIT)
		call = i386_number(native, regs);
	else
		call = x32_number(native, regs);
	native->orig_ax = call - 1;
	return call ? native : NULL;
}

#endif
