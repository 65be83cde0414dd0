/* Changes names and attributes of files, a stated number of times each way, once a line arrives.
 * `changes DEED DIRECTORY COUNT`; files are n0, n1, ... of the directory, which must be there.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <utime.h>

static const char *directory;
static int there; /* the directory's descriptor */

static void must(long result, const char *what)
{
	if (result < 0) {
		perror(what);
		_exit(3);
	}
}

static void rename_each(const char *from, const char *to, long turn)
{
	char old[4200], new[4200];

	snprintf(old, sizeof(old), "%s/%s", directory, from);
	snprintf(new, sizeof(new), "%s/%s", directory, to);
	if (turn % 3 == 0)
		must(syscall(SYS_rename, old, new), "rename");
	else if (turn % 3 == 1)
		must(syscall(SYS_renameat, there, from, AT_FDCWD, to), "renameat");
	else
		must(syscall(SYS_renameat2, AT_FDCWD, from, there, to, 0), "renameat2");
}

static void link_each(const char *from, const char *to, long turn)
{
	if (turn % 2)
		must(syscall(SYS_link, from, to), "link");
	else
		must(syscall(SYS_linkat, there, from, there, to, 0), "linkat");
}

static void symlink_each(const char *from, const char *to, long turn)
{
	if (turn % 2)
		must(syscall(SYS_symlink, from, to), "symlink");
	else
		must(syscall(SYS_symlinkat, from, there, to), "symlinkat");
}

static void remove_each(const char *name, long turn)
{
	if (turn % 2)
		must(syscall(SYS_unlink, name), "unlink");
	else
		must(syscall(SYS_unlinkat, there, name, 0), "unlinkat");
}

static void directory_each(const char *name, long turn)
{
	if (turn % 2) {
		must(syscall(SYS_mkdir, name, 0700), "mkdir");
		must(syscall(SYS_rmdir, name), "rmdir");
	} else {
		must(syscall(SYS_mkdirat, there, name, 0700), "mkdirat");
		must(syscall(SYS_unlinkat, there, name, AT_REMOVEDIR), "unlinkat");
	}
}

static void node_each(const char *name, long turn)
{
	if (turn % 2)
		must(syscall(SYS_mknod, name, S_IFIFO | 0600, 0), "mknod");
	else
		must(syscall(SYS_mknodat, there, name, S_IFIFO | 0600, 0), "mknodat");
}

static void mode_each(const char *name, long turn)
{
	int fd = open(name, O_RDONLY);

	if (turn % 3 == 0)
		must(syscall(SYS_chmod, name, 0755), "chmod");
	else if (turn % 3 == 1)
		must(syscall(SYS_fchmod, fd, 04755), "fchmod");
	else
		must(syscall(SYS_fchmodat, there, name, 0644), "fchmodat");
	close(fd);
}

static void owner_each(const char *name, long turn)
{
	int fd = open(name, O_RDONLY);

	if (turn % 4 == 0)
		must(syscall(SYS_chown, name, 7, 7), "chown");
	else if (turn % 4 == 1)
		must(syscall(SYS_fchown, fd, 7, 7), "fchown");
	else if (turn % 4 == 2)
		must(syscall(SYS_lchown, name, 7, 7), "lchown");
	else
		must(syscall(SYS_fchownat, fd, "", 7, 7, AT_EMPTY_PATH), "fchownat");
	close(fd);
}

static void truncate_each(const char *name, long turn)
{
	int fd = open(name, O_RDWR);

	if (turn % 2)
		must(syscall(SYS_truncate, name, 31L), "truncate");
	else
		must(syscall(SYS_ftruncate, fd, 31L), "ftruncate");
	close(fd);
}

static void attribute_each(const char *name, long turn)
{
	int fd = open(name, O_RDONLY);

	if (turn % 3 == 0) {
		must(setxattr(name, "trusted.x", "1", 1, 0), "setxattr");
		must(removexattr(name, "trusted.x"), "removexattr");
	} else if (turn % 3 == 1) {
		must(lsetxattr(name, "trusted.x", "1", 1, 0), "lsetxattr");
		must(lremovexattr(name, "trusted.x"), "lremovexattr");
	} else {
		must(fsetxattr(fd, "trusted.x", "1", 1, 0), "fsetxattr");
		must(fremovexattr(fd, "trusted.x"), "fremovexattr");
	}
	close(fd);
}

static void times_each(const char *name, long turn)
{
	struct timespec both[2] = {{1, 0}, {1, 0}};
	struct timeval old[2] = {{1, 0}, {1, 0}};
	struct utimbuf oldest = {1, 1};
	int fd = open(name, O_RDONLY);

	if (turn % 4 == 0)
		must(syscall(SYS_utimensat, there, name, both, 0), "utimensat");
	else if (turn % 4 == 1)
		must(syscall(SYS_utimensat, fd, NULL, both, 0), "utimensat of a descriptor");
	else if (turn % 4 == 2)
		must(syscall(SYS_utimes, name, old), "utimes");
	else
		must(syscall(SYS_utime, name, &oldest), "utime");
	must(syscall(SYS_utimensat, there, name, NULL, 0), "utimensat to now"); /* told by nobody */
	close(fd);
}

/* chattr +a: appending only, which root may take back. */
static void flags_each(const char *name)
{
	int fd = open(name, O_RDONLY), flags = 0;

	must(ioctl(fd, FS_IOC_GETFLAGS, &flags), "FS_IOC_GETFLAGS");
	flags |= FS_APPEND_FL;
	must(ioctl(fd, FS_IOC_SETFLAGS, &flags), "FS_IOC_SETFLAGS");
	flags &= ~FS_APPEND_FL;
	must(ioctl(fd, FS_IOC_SETFLAGS, &flags), "FS_IOC_SETFLAGS back");
	close(fd);
}

static void mount_each(const char *name)
{
	must(mount("none", name, "tmpfs", 0, NULL), "mount");
	must(umount2(name, MNT_DETACH), "umount2");
}

/* Opens what another user keeps, each way. */
static void refused_each(const char *name, long turn)
{
	struct open_how how = {.flags = turn % 2 ? O_RDWR : O_RDONLY};
	char whole[4200];
	long fd;

	snprintf(whole, sizeof(whole), "%s/%s", directory, name);
	must(chmod(name, 0), "chmod");
	must(syscall(SYS_setfsuid, 65534), "setfsuid");
	if (turn % 4 == 0)
		fd = syscall(SYS_open, whole, O_RDONLY);
	else if (turn % 4 == 1)
		fd = syscall(SYS_openat, there, name, O_WRONLY);
	else if (turn % 4 == 2)
		fd = syscall(SYS_openat2, AT_FDCWD, name, &how, sizeof(how));
	else
		fd = syscall(SYS_creat, name, 0600);
	must(syscall(SYS_setfsuid, 0), "setfsuid back");
	if (fd != -1 || open("absent", O_RDONLY) != -1) { /* the latter is told by nobody */
		fprintf(stderr, "%s: it opened\n", name);
		_exit(4);
	}
}

static int change(const char *deed, long turn)
{
	char name[32], other[32];

	snprintf(name, sizeof(name), "n%ld", turn);
	snprintf(other, sizeof(other), "o%ld", turn);
	if (!strcmp(deed, "rename"))
		rename_each(name, other, turn);
	else if (!strcmp(deed, "again")) /* the same two names, back and forth */
		rename_each(turn % 2 ? "o0" : "n0", turn % 2 ? "n0" : "o0", turn);
	else if (!strcmp(deed, "link"))
		link_each(name, other, turn);
	else if (!strcmp(deed, "symlink"))
		symlink_each(name, other, turn);
	else if (!strcmp(deed, "remove"))
		remove_each(name, turn);
	else if (!strcmp(deed, "directory"))
		directory_each(other, turn);
	else if (!strcmp(deed, "node"))
		node_each(other, turn);
	else if (!strcmp(deed, "mode"))
		mode_each(name, turn);
	else if (!strcmp(deed, "owner"))
		owner_each(name, turn);
	else if (!strcmp(deed, "truncate"))
		truncate_each(name, turn);
	else if (!strcmp(deed, "attribute"))
		attribute_each(name, turn);
	else if (!strcmp(deed, "times"))
		times_each(name, turn);
	else if (!strcmp(deed, "flags"))
		flags_each(name);
	else if (!strcmp(deed, "refused"))
		refused_each(name, turn);
	else if (!strcmp(deed, "mount"))
		mount_each(name);
	else
		return 2;
	return 0;
}

int main(int count, char **words)
{
	char line[64];
	int result = 0;

	if (count < 4)
		return 2;
	directory = words[2];
	there = open(directory, O_RDONLY | O_DIRECTORY);
	must(chdir(directory), directory);
	printf("ready\n");
	fflush(stdout);
	if (read(STDIN_FILENO, line, sizeof(line)) < 0)
		return 2;
	for (long turn = 0; turn < atol(words[3]) && !result; turn++)
		result = change(words[1], turn);
	_exit(result); /* without what libc does at exit */
}
