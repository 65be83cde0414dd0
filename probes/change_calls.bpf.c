/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Where the system calls that change names and attributes carry them. Called from sys_exit for
 * those that succeeded; and for opens that were refused, which carry a name in the same way.
 */
#include "changes.bpf.h"
#include "subjects.bpf.h"

#define FS_IOC_FSSETXATTR_NUMBER 0x401c5820
#define CREAT_NUMBER 85
#define OPENAT2_NUMBER 437
#define FILE_SETATTR_NUMBER 469
#define CREAT_FLAGS 01101   /* O_WRONLY, O_CREAT, O_TRUNC */
#define WRITING_FLAGS 01103 /* the same, or O_RDWR */

/* Arguments count from 1. */
struct change_form {
	__u8 operation; /* change_operation */
	__u8 directory; /* 0: the working directory */
	__u8 name;      /* 0: the descriptor itself */
	__u8 detail;    /* 0: none */
};

/* clang-format off */
static const volatile struct change_form forms[512][2] = {
	[2] = {{CHANGE_REFUSED_OPEN, 0, 1, 2}},                          /* open, refused */
	[16] = {{CHANGE_FLAGS, 1, 0, 3}},                                  /* ioctl */
	[76] = {{CHANGE_TRUNCATE, 0, 1, 2}},                               /* truncate */
	[77] = {{CHANGE_TRUNCATE, 1, 0, 2}},                               /* ftruncate */
	[82] = {{CHANGE_RENAME_FROM, 0, 1, 0}, {CHANGE_RENAME_TO, 0, 2, 0}}, /* rename */
	[83] = {{CHANGE_MKDIR, 0, 1, 2}},                                  /* mkdir */
	[84] = {{CHANGE_RMDIR, 0, 1, 0}},                                  /* rmdir */
	[85] = {{CHANGE_REFUSED_OPEN, 0, 1, 0}},                         /* creat, refused */
	[86] = {{CHANGE_LINK_FROM, 0, 1, 0}, {CHANGE_LINK, 0, 2, 0}},      /* link */
	[87] = {{CHANGE_UNLINK, 0, 1, 0}},                                 /* unlink */
	[88] = {{CHANGE_SYMLINK_TARGET, 0, 1, 0}, {CHANGE_SYMLINK, 0, 2, 0}}, /* symlink */
	[90] = {{CHANGE_MODE, 0, 1, 2}},                                   /* chmod */
	[91] = {{CHANGE_MODE, 1, 0, 2}},                                   /* fchmod */
	[92] = {{CHANGE_OWNER, 0, 1, 2}},                                  /* chown */
	[93] = {{CHANGE_OWNER, 1, 0, 2}},                                  /* fchown */
	[94] = {{CHANGE_OWNER, 0, 1, 2}},                                  /* lchown */
	[132] = {{CHANGE_TIMES, 0, 1, 2}},                                 /* utime */
	[133] = {{CHANGE_MKNOD, 0, 1, 2}},                                 /* mknod */
	[165] = {{CHANGE_MOUNT, 0, 2, 4}},                                 /* mount */
	[166] = {{CHANGE_UNMOUNT, 0, 1, 2}},                               /* umount2 */
	[188] = {{CHANGE_XATTR, 0, 1, 2}},                                 /* setxattr */
	[189] = {{CHANGE_XATTR, 0, 1, 2}},                                 /* lsetxattr */
	[190] = {{CHANGE_XATTR, 1, 0, 2}},                                 /* fsetxattr */
	[197] = {{CHANGE_XATTR, 0, 1, 2}},                                 /* removexattr */
	[198] = {{CHANGE_XATTR, 0, 1, 2}},                                 /* lremovexattr */
	[199] = {{CHANGE_XATTR, 1, 0, 2}},                                 /* fremovexattr */
	[235] = {{CHANGE_TIMES, 0, 1, 2}},                                 /* utimes */
	[257] = {{CHANGE_REFUSED_OPEN, 1, 2, 3}},                        /* openat, refused */
	[258] = {{CHANGE_MKDIR, 1, 2, 3}},                                 /* mkdirat */
	[259] = {{CHANGE_MKNOD, 1, 2, 3}},                                 /* mknodat */
	[260] = {{CHANGE_OWNER, 1, 2, 3}},                                 /* fchownat */
	[261] = {{CHANGE_TIMES, 1, 2, 3}},                                 /* futimesat */
	[263] = {{CHANGE_UNLINK, 1, 2, 3}},                                /* unlinkat */
	[264] = {{CHANGE_RENAME_FROM, 1, 2, 0}, {CHANGE_RENAME_TO, 3, 4, 0}}, /* renameat */
	[265] = {{CHANGE_LINK_FROM, 1, 2, 0}, {CHANGE_LINK, 3, 4, 0}},     /* linkat */
	[266] = {{CHANGE_SYMLINK_TARGET, 0, 1, 0}, {CHANGE_SYMLINK, 2, 3, 0}}, /* symlinkat */
	[268] = {{CHANGE_MODE, 1, 2, 3}},                                  /* fchmodat */
	[280] = {{CHANGE_TIMES, 1, 2, 3}},                                 /* utimensat */
	[285] = {{CHANGE_EMPTY, 1, 0, 2}},                                 /* fallocate */
	[316] = {{CHANGE_RENAME_FROM, 1, 2, 0}, {CHANGE_RENAME_TO, 3, 4, 0}}, /* renameat2 */
	[429] = {{CHANGE_MOUNT, 3, 4, 0}},                                 /* move_mount */
	[437] = {{CHANGE_REFUSED_OPEN, 1, 2, 3}},                        /* openat2, refused */
	[442] = {{CHANGE_MOUNT, 1, 2, 0}},                                 /* mount_setattr */
	[452] = {{CHANGE_MODE, 1, 2, 3}},                                  /* fchmodat2 */
	[463] = {{CHANGE_XATTR, 1, 2, 4}},                                 /* setxattrat */
	[466] = {{CHANGE_XATTR, 1, 2, 4}},                                 /* removexattrat */
	[469] = {{CHANGE_FLAGS, 1, 2, 3}},                                 /* file_setattr */
};
/* clang-format on */

/* Of arguments that lie elsewhere: what they point to. */
static __always_inline __u32 detail_of(__u32 call, __u32 operation, __u64 argument, __u32 request)
{
	__u64 name[3] = {};
	__u32 flags = 0;

	if (operation == CHANGE_XATTR) {
		bpf_probe_read_user_str(name, sizeof(name), (void *)argument);
		return xattr_class_of(name);
	}
	if (call == CREAT_NUMBER)
		return CREAT_FLAGS;
	if (call == OPENAT2_NUMBER) { /* struct open_how begins with them */
		bpf_probe_read_user(&flags, sizeof(flags), (void *)argument);
		return flags;
	}
	if (operation == CHANGE_FLAGS) {
		bpf_probe_read_user(&flags, sizeof(flags), (void *)argument);
		/* Its bits for "append only" and "immutable" are one lower. */
		return call == FILE_SETATTR_NUMBER || request == FS_IOC_FSSETXATTR_NUMBER
			       ? flags << 1
			       : flags;
	}
	return argument;
}

static __always_inline __u64 argument(__u8 which, __u64 first, __u64 second, __u64 third,
				      __u64 fourth)
{
	switch (which) {
	case 1:
		return first;
	case 2:
		return second;
	case 3:
		return third;
	case 4:
		return fourth;
	}
	return 0;
}

__noinline int name_changed(__u32 call, __u64 first, __u64 second, __u64 third, __u64 fourth)
{
	struct change *change = change_current();
	__u32 operation, detail;
	__u64 carried;

	if (!change)
		return 0;
	operation = forms[call & 511][0].operation;
	if (!operation) /* open_by_handle_at(2): there is no name */
		return 0;
	carried = argument(forms[call & 511][0].detail, first, second, third, fourth);
	if (operation == CHANGE_TIMES && !carried)
		return 0; /* to now, as any write does */
	detail = detail_of(call, operation, carried, second);
	if (operation == CHANGE_EMPTY && !allocation_empties(detail))
		return 0;
	if (operation == CHANGE_UNLINK && (detail & REMOVE_DIRECTORY))
		operation = CHANGE_RMDIR;
	if (operation == CHANGE_REFUSED_OPEN && (detail & WRITING_FLAGS))
		operation = CHANGE_REFUSED_WRITE;
	change->call = call;
	change->flags = 0;
	change->detail = detail;
	for (int i = 0; i < 2; i++) {
		const volatile struct change_form *form = &forms[call & 511][i];
		__u64 directory = argument(form->directory, first, second, third, fourth);

		change_name_set(&change->names[i], i ? form->operation : operation,
				form->directory ? directory : WORKING_DIRECTORY,
				argument(form->name, first, second, third, fourth));
	}
	return change_tell();
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
