/* Known workloads: what a process makes of itself and of others, once a line arrives.
 *
 * As deeds.c: one thing a stated number of times, and nothing of libc around it.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static char *const no_environment[] = {NULL};

static void fail(const char *what)
{
	perror(what);
	_exit(3);
}

static void gate(void)
{
	char line[64];

	if (read(STDIN_FILENO, line, sizeof(line)) < 0)
		fail("gate");
}

static void names(long count, const char *prefix)
{
	char name[32];

	for (long i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "%s%ld", prefix, i);
		if (prctl(PR_SET_NAME, name))
			fail(name);
	}
}

static void name_by_file(const char *name)
{
	int fd = open("/proc/self/comm", O_WRONLY);

	if (fd < 0 || write(fd, name, strlen(name)) < 0)
		fail("comm");
}

/* Raw calls: libc's would ask every thread. */
static void drops(long count, long uid)
{
	while (count--)
		if (syscall(SYS_setresgid, uid, uid, uid) || syscall(SYS_setresuid, uid, uid, uid))
			fail("setresuid");
}

static void returns(long count, long uid)
{
	while (count--)
		if (syscall(SYS_setresuid, -1, uid, -1) || syscall(SYS_setresuid, -1, 0, -1))
			fail("setresuid");
}

static void drops_capability(long number)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data))
		fail("capget");
	data[number / 32].effective &= ~(1U << (number % 32));
	if (syscall(SYS_capset, &header, data))
		fail("capset");
}

static void execs_as(long uid, char *program)
{
	char *const arguments[] = {program, NULL};

	if (syscall(SYS_setresgid, uid, uid, uid) || syscall(SYS_setresuid, uid, uid, uid))
		fail("setresuid");
	execve(program, arguments, no_environment);
	fail(program);
}

static void clones(long count, long flags)
{
	while (count--) {
		long child = syscall(SYS_clone, flags | SIGCHLD, NULL, NULL, NULL, NULL);

		if (child < 0)
			fail("clone");
		if (!child)
			_exit(0);
		waitpid(child, NULL, 0);
	}
}

static void enters(long count, const char *path)
{
	int fd = open(path, O_RDONLY);

	while (count--)
		if (setns(fd, 0))
			fail(path);
}

static void signals(long target, long number)
{
	if (kill(target, number))
		fail("kill");
}

static void crashes(const char *directory)
{
	struct rlimit limit = {1 << 20, 1 << 20};

	if (chdir(directory) || setrlimit(RLIMIT_CORE, &limit))
		fail(directory);
	signal(SIGSEGV, SIG_DFL);
	kill(getpid(), SIGSEGV);
}

/* Makes a segment, finds it again, attaches it, and removes it. */
static void segments(long count, long key)
{
	int made = shmget(key, 8192, IPC_CREAT | IPC_EXCL | 0600);

	while (count--) {
		int id = shmget(key, 0, 0);
		void *memory = shmat(id, NULL, SHM_RDONLY);

		if (id < 0 || memory == (void *)-1 || shmdt(memory))
			fail("segment");
	}
	shmctl(made, IPC_RMID, NULL);
}

/* Memory of a file becomes code: as the file has it, and after a change. */
static void protects(const char *path, int change)
{
	int fd = open(path, O_RDONLY);
	char *memory = mmap(NULL, 4096, PROT_READ | (change ? PROT_WRITE : 0), MAP_PRIVATE, fd, 0);

	if (memory == MAP_FAILED)
		fail(path);
	if (change)
		memory[0] = 1;
	if (mprotect(memory, 4096, PROT_READ | PROT_EXEC))
		fail("mprotect");
}

/* A memfd mapped twice: what is written through one is run through the other. */
static void maps_twice(const char *name)
{
	int fd = memfd_create(name, 0);

	if (fd < 0 || ftruncate(fd, 4096) ||
	    mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED ||
	    mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0) == MAP_FAILED)
		fail(name);
}

static void memfds(long count, const char *prefix)
{
	char name[64];

	while (count--) {
		snprintf(name, sizeof(name), "%s%ld", prefix, count);
		if (close(memfd_create(name, 0)))
			fail(name);
	}
}

static void implies(void)
{
	if (personality(READ_IMPLIES_EXEC) < 0 ||
	    mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED)
		fail("personality");
}

static void attaches(long id, long flags)
{
	if (shmat(id, NULL, flags) == (void *)-1)
		fail("shmat");
}

/* Touches memory until somebody ends it. */
static void eats(long mebibytes)
{
	for (long i = 0; i < mebibytes; i++) {
		char *memory = malloc(1 << 20);

		if (!memory)
			fail("malloc");
		memset(memory, 1, 1 << 20);
	}
}

static int act(int count, char **words)
{
	const char *what = words[1];
	long number = count > 2 ? atol(words[2]) : 0;
	char *text = count > 3 ? words[3] : count > 2 ? words[2] : "";

	printf("ready\n");
	fflush(stdout);
	gate();
	if (!strcmp(what, "names"))
		names(number, text);
	else if (!strcmp(what, "name-by-file"))
		name_by_file(text);
	else if (!strcmp(what, "drops"))
		drops(number, atol(text));
	else if (!strcmp(what, "returns"))
		returns(number, atol(text));
	else if (!strcmp(what, "drops-capability"))
		drops_capability(number);
	else if (!strcmp(what, "execs-as"))
		execs_as(number, text);
	else if (!strcmp(what, "clones"))
		clones(number, strtol(text, NULL, 16));
	else if (!strcmp(what, "unshares") && unshare(strtol(text, NULL, 16)))
		fail("unshare");
	else if (!strcmp(what, "enters"))
		enters(number, text);
	else if (!strcmp(what, "signals"))
		signals(number, atol(text));
	else if (!strcmp(what, "crashes"))
		crashes(text);
	else if (!strcmp(what, "segments"))
		segments(number, strtol(text, NULL, 16));
	else if (!strcmp(what, "protects"))
		protects(text, number);
	else if (!strcmp(what, "maps-twice"))
		maps_twice(text);
	else if (!strcmp(what, "memfds"))
		memfds(number, text);
	else if (!strcmp(what, "implies"))
		implies();
	else if (!strcmp(what, "attaches"))
		attaches(number, strtol(text, NULL, 8));
	else if (!strcmp(what, "eats"))
		eats(number);
	return 0;
}

int main(int count, char **words)
{
	if (count < 2)
		return 2;
	_exit(act(count, words)); /* without what libc does at exit */
}
