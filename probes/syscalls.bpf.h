/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Which of the subjects a system call concerns. x86-64 numbers. */
#ifndef INFERWARD_SYSCALLS_BPF_H
#define INFERWARD_SYSCALLS_BPF_H

#include "vmlinux.h"

enum call_class {
	CALL_PLAIN = 0,
	CALL_READ,
	CALL_WRITE,
	CALL_RECEIVE,
	CALL_COPY_FILE,
	CALL_SPLICE,
	CALL_LIST,
	CALL_OPEN,
	CALL_CONNECT,
	CALL_ACCEPT,
	CALL_SEND,
	CALL_SENDMSG,
	CALL_SENDMMSG,
	CALL_RECVMMSG,
	CALL_SUBMIT,
	CALL_SOCKET,
	CALL_BIND,
	CALL_LISTEN,
	CALL_MMAP,
	CALL_MPROTECT,
	CALL_SENSITIVE,
	CALL_RIGHTS,    /* sensitive, and may change what the task may do */
	CALL_NAMESPACE, /* sensitive, and enters namespaces */
	CALL_SHARED,
	CALL_MEMFD,  /* sensitive, and names what it makes */
	CALL_CHANGE, /* of a name or an attribute of a file: probes/changes.bpf.c */
	CALL_MOUNT,  /* both */
	CALL_FALLOCATE,
	CALL_IOCTL,
	CALL_PRCTL,
};

/* clang-format off */
static const volatile __u8 call_class[512] = {
	[0] = CALL_READ, [17] = CALL_READ, [19] = CALL_READ,      /* read pread64 readv */
	[295] = CALL_READ, [327] = CALL_READ,                     /* preadv preadv2 */
	[45] = CALL_RECEIVE, [47] = CALL_RECEIVE,                 /* recvfrom recvmsg */
	[1] = CALL_WRITE, [18] = CALL_WRITE, [20] = CALL_WRITE,   /* write pwrite64 writev */
	[296] = CALL_WRITE, [328] = CALL_WRITE,                   /* pwritev pwritev2 */
	[44] = CALL_SEND, [46] = CALL_SENDMSG,                    /* sendto sendmsg */
	[40] = CALL_COPY_FILE,                                    /* sendfile: out, in */
	[275] = CALL_SPLICE, [326] = CALL_SPLICE,                 /* splice copy_file_range: in, -, out */
	[78] = CALL_LIST, [217] = CALL_LIST,                      /* getdents getdents64 */
	[2] = CALL_OPEN, [85] = CALL_OPEN, [257] = CALL_OPEN,     /* open creat openat */
	[304] = CALL_OPEN, [437] = CALL_OPEN,                     /* open_by_handle_at openat2 */
	[29] = CALL_SHARED, [30] = CALL_SHARED,                   /* shmget shmat */
	[307] = CALL_SENDMMSG, [299] = CALL_RECVMMSG,             /* sendmmsg recvmmsg */
	[209] = CALL_SUBMIT,                                      /* io_submit */
	[41] = CALL_SOCKET, [42] = CALL_CONNECT,
	[49] = CALL_BIND, [50] = CALL_LISTEN,
	[43] = CALL_ACCEPT, [288] = CALL_ACCEPT,                  /* accept accept4 */
	[9] = CALL_MMAP,
	[10] = CALL_MPROTECT, [329] = CALL_MPROTECT,              /* mprotect pkey_mprotect */
	[16] = CALL_IOCTL, [157] = CALL_PRCTL,
	[285] = CALL_FALLOCATE,
	[76] = CALL_CHANGE, [77] = CALL_CHANGE,                   /* truncate ftruncate */
	[82] = CALL_CHANGE, [83] = CALL_CHANGE, [84] = CALL_CHANGE, /* rename mkdir rmdir */
	[86] = CALL_CHANGE, [87] = CALL_CHANGE, [88] = CALL_CHANGE, /* link unlink symlink */
	[90] = CALL_CHANGE, [91] = CALL_CHANGE,                   /* chmod fchmod */
	[92] = CALL_CHANGE, [93] = CALL_CHANGE, [94] = CALL_CHANGE, /* chown fchown lchown */
	[132] = CALL_CHANGE, [133] = CALL_CHANGE,                 /* utime mknod */
	[188] = CALL_CHANGE, [189] = CALL_CHANGE,                 /* setxattr lsetxattr */
	[190] = CALL_CHANGE, [197] = CALL_CHANGE,                 /* fsetxattr removexattr */
	[198] = CALL_CHANGE, [199] = CALL_CHANGE,                 /* lremovexattr fremovexattr */
	[235] = CALL_CHANGE, [258] = CALL_CHANGE,                 /* utimes mkdirat */
	[259] = CALL_CHANGE, [260] = CALL_CHANGE,                 /* mknodat fchownat */
	[261] = CALL_CHANGE, [263] = CALL_CHANGE,                 /* futimesat unlinkat */
	[264] = CALL_CHANGE, [265] = CALL_CHANGE,                 /* renameat linkat */
	[266] = CALL_CHANGE, [268] = CALL_CHANGE,                 /* symlinkat fchmodat */
	[280] = CALL_CHANGE, [316] = CALL_CHANGE,                 /* utimensat renameat2 */
	[452] = CALL_CHANGE, [463] = CALL_CHANGE,                 /* fchmodat2 setxattrat */
	[466] = CALL_CHANGE, [469] = CALL_CHANGE,                 /* removexattrat file_setattr */
	[101] = CALL_SENSITIVE, [105] = CALL_RIGHTS,           /* ptrace setuid */
	[106] = CALL_RIGHTS, [113] = CALL_RIGHTS,           /* setgid setreuid */
	[114] = CALL_RIGHTS, [116] = CALL_SENSITIVE,           /* setregid setgroups */
	[117] = CALL_RIGHTS, [119] = CALL_RIGHTS,           /* setresuid setresgid */
	[122] = CALL_RIGHTS, [123] = CALL_RIGHTS,           /* setfsuid setfsgid */
	[126] = CALL_RIGHTS, [155] = CALL_SENSITIVE,           /* capset pivot_root */
	[161] = CALL_SENSITIVE, [165] = CALL_MOUNT,               /* chroot mount */
	[166] = CALL_MOUNT, [167] = CALL_SENSITIVE,           /* umount2 swapon */
	[169] = CALL_SENSITIVE, [172] = CALL_SENSITIVE,           /* reboot iopl */
	[173] = CALL_SENSITIVE, [175] = CALL_SENSITIVE,           /* ioperm init_module */
	[176] = CALL_SENSITIVE, [246] = CALL_SENSITIVE,           /* delete_module kexec_load */
	[248] = CALL_SENSITIVE, [250] = CALL_SENSITIVE,           /* add_key keyctl */
	[272] = CALL_NAMESPACE, [298] = CALL_SENSITIVE,           /* unshare perf_event_open */
	[300] = CALL_SENSITIVE, [308] = CALL_NAMESPACE,           /* fanotify_init setns */
	[310] = CALL_SENSITIVE, [311] = CALL_SENSITIVE,           /* process_vm_readv, _writev */
	[313] = CALL_SENSITIVE, [319] = CALL_MEMFD,           /* finit_module memfd_create */
	[320] = CALL_SENSITIVE, [321] = CALL_SENSITIVE,           /* kexec_file_load bpf */
	[323] = CALL_SENSITIVE, [425] = CALL_SENSITIVE,           /* userfaultfd io_uring_setup */
	[428] = CALL_SENSITIVE, [429] = CALL_MOUNT,               /* open_tree move_mount */
	[430] = CALL_SENSITIVE, [438] = CALL_SENSITIVE,           /* fsopen pidfd_getfd */
	[440] = CALL_SENSITIVE, [442] = CALL_MOUNT,           /* process_madvise mount_setattr */
	[447] = CALL_SENSITIVE, [103] = CALL_SENSITIVE,           /* memfd_secret syslog */
	[134] = CALL_SENSITIVE, [135] = CALL_SENSITIVE,           /* uselib personality */
	[154] = CALL_SENSITIVE, [163] = CALL_SENSITIVE,           /* modify_ldt acct */
	[164] = CALL_SENSITIVE, [168] = CALL_SENSITIVE,           /* settimeofday swapoff */
	[170] = CALL_SENSITIVE, [171] = CALL_SENSITIVE,           /* sethostname setdomainname */
	[174] = CALL_SENSITIVE, [179] = CALL_SENSITIVE,           /* create_module quotactl */
	[212] = CALL_SENSITIVE, [227] = CALL_SENSITIVE,           /* lookup_dcookie clock_settime */
	[240] = CALL_SENSITIVE, [249] = CALL_SENSITIVE,           /* mq_open request_key */
	[278] = CALL_SENSITIVE, [303] = CALL_SENSITIVE,           /* vmsplice name_to_handle_at */
	[312] = CALL_SENSITIVE, [322] = CALL_SENSITIVE,           /* kcmp execveat */
	[427] = CALL_SENSITIVE, [431] = CALL_SENSITIVE,           /* io_uring_register fsconfig */
	[432] = CALL_SENSITIVE, [433] = CALL_SENSITIVE,           /* fsmount fspick */
	[443] = CALL_SENSITIVE, [460] = CALL_SENSITIVE,           /* quotactl_fd lsm_set_self_attr */
	[467] = CALL_SENSITIVE, [159] = CALL_SENSITIVE,           /* open_tree_attr adjtimex */
	[305] = CALL_SENSITIVE,                                   /* clock_adjtime */
};
/* clang-format on */

#endif
