/* Known workloads: does one thing a stated number of times, once a line arrives.
 *
 * The line is the gate: whoever started this program first has it watched. Nothing
 * of libc runs between the gate and the deed but what the deed needs.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
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

static void calls(long count)
{
	while (count--)
		syscall(SYS_getppid);
}

static void paced(long count, long pause_us)
{
	while (count--) {
		syscall(SYS_getppid);
		usleep(pause_us);
	}
}

static void execs(long count, char *program)
{
	char *const arguments[] = {program, "one", "two", NULL};

	while (count--) {
		pid_t child = fork();

		if (!child) {
			execve(program, arguments, no_environment);
			fail("execve");
		}
		waitpid(child, NULL, 0);
	}
}

static void opens(long count, const char *prefix, int flags)
{
	char path[4096];

	for (long i = 0; i < count; i++) {
		snprintf(path, sizeof(path), "%s%ld", prefix, i);
		int fd = open(path, flags, 0600);

		if (fd < 0)
			fail(path);
		close(fd);
	}
}

static int copied_to(int out, const char *program)
{
	int in = open(program, O_RDONLY);
	struct stat status;

	if (in < 0 || out < 0 || fstat(in, &status))
		fail(program);
	if (sendfile(out, in, NULL, status.st_size) != status.st_size)
		fail("sendfile");
	close(in);
	return out;
}

/* A descriptor open for writing cannot be executed: look it up again for reading. */
static void exec_descriptor(int fd, const char *gone)
{
	char *const arguments[] = {"nameless", NULL};
	char path[64];
	int again;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, O_RDONLY);
	if (again < 0 || close(fd))
		fail("reopen");
	if (gone && unlink(gone))
		fail(gone);
	fexecve(again, arguments, no_environment);
	fail("fexecve");
}

static void maps(const char *library)
{
	int fd = open(library, O_RDONLY);
	char *memory;

	if (mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0) == MAP_FAILED)
		fail(library);
	if (mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		 0) == MAP_FAILED)
		fail("anonymous");
	memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (mprotect(memory, 4096, PROT_READ | PROT_EXEC))
		fail("mprotect");
}

static void *thread_calls(void *count)
{
	calls((long)count);
	return NULL;
}

static unsigned long seed;

/* Calls that answer at once, in an order that is as good as never the same for seven of them. */
static void *shuffled(void *count)
{
	static const long plain[] = {SYS_getppid, SYS_getuid, SYS_geteuid, SYS_getgid,
				     SYS_getegid, SYS_getpid, SYS_gettid,  SYS_getpgrp};
	unsigned long state = seed;

	for (long left = (long)count; left > 0; left--) {
		state = state * 6364136223846793005UL + 1442695040888963407UL;
		syscall(plain[state >> 61]);
	}
	return NULL;
}

static void threads(long number, long each, void *(*act)(void *))
{
	pthread_t ids[64];

	for (long i = 0; i < number; i++)
		if (pthread_create(&ids[i], NULL, act, (void *)each))
			fail("pthread_create");
	for (long i = 0; i < number; i++)
		pthread_join(ids[i], NULL);
}

static void forks(long number, long each)
{
	for (long i = 0; i < number; i++) {
		pid_t child = fork();

		if (!child) {
			calls(each);
			_exit(0);
		}
		waitpid(child, NULL, 0);
	}
}

/* Threads that are there before the gate opens. */
static volatile int opened;

static void *thread_waiting(void *count)
{
	while (!opened)
		usleep(1000);
	return thread_calls(count);
}

static void running_threads(long number, long each)
{
	pthread_t ids[64];

	for (long i = 0; i < number; i++)
		if (pthread_create(&ids[i], NULL, thread_waiting, (void *)each))
			fail("pthread_create");
	printf("ready\n");
	fflush(stdout);
	gate();
	opened = 1;
	for (long i = 0; i < number; i++)
		pthread_join(ids[i], NULL);
}

/* As the 32-bit entry numbers it, 20 is getpid; in the 64-bit table 20 is writev. */
static void foreign(long count)
{
	while (count--) {
		long number = 20;

		__asm__ volatile("int $0x80" : "+a"(number) : : "memory", "r8", "r9", "r10", "r11");
	}
}

static void x32(long count)
{
	while (count--)
		syscall(0x40000000 | SYS_getppid);
}

static void on_signal(int number)
{
	(void)number;
}

static void signals(long count)
{
	signal(SIGUSR1, on_signal);
	while (count--)
		kill(getpid(), SIGUSR1);
}

static void walk(void)
{
	for (;;) {
		syscall(SYS_getppid);
		usleep(2000);
	}
}

static void fork_and_walk(void)
{
	if (!fork())
		walk();
	walk();
}

/* A copy of itself reads one file, a program without a copy another. */
static void copies(const char *path)
{
	static char *const words[] = {"true", NULL};
	pid_t child = fork();

	if (!child) {
		close(open(path, O_RDONLY));
		_exit(0);
	}
	if (waitpid(child, NULL, 0) < 0)
		fail("waitpid");
	child = vfork();
	if (!child) {
		execve("/bin/true", words, no_environment);
		_exit(1);
	}
	if (waitpid(child, NULL, 0) < 0)
		fail("waitpid");
}

static void sensitive(void)
{
	ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	syscall(SYS_unshare, 0x400 /* CLONE_FILES */);
	close(memfd_create("scratch", 0));
}

static void changes(char *directory)
{
	if (chdir(directory))
		fail(directory);
	close(open("a", O_CREAT | O_WRONLY, 0600));
	if (rename("a", "b") || link("b", "c") || symlink("b", "s") || chmod("b", 0644) ||
	    chown("b", 1, 1) || truncate("b", 7) || unlink("c") || mkdir("d", 0700) || rmdir("d"))
		fail("change");
}

static int deed(int count, char **words)
{
	const char *what = words[1];
	char *text = count > 3 ? words[3] : count > 2 ? words[2] : "";
	long number = count > 2 ? atol(words[2]) : 0;
	long each = count > 3 ? atol(words[3]) : 0;

	seed = count > 4 ? atol(words[4]) : 1;

	if (!strcmp(what, "running-threads")) {
		running_threads(number, each);
		return 0;
	}
	printf("ready\n");
	fflush(stdout);
	gate();
	if (!strcmp(what, "calls"))
		calls(number);
	else if (!strcmp(what, "paced"))
		paced(number, each);
	else if (!strcmp(what, "execs"))
		execs(number, text);
	else if (!strcmp(what, "read"))
		opens(number, text, O_RDONLY);
	else if (!strcmp(what, "write"))
		opens(number, text, O_WRONLY);
	else if (!strcmp(what, "create"))
		opens(number, text, O_WRONLY | O_CREAT | O_EXCL);
	else if (!strcmp(what, "exec-memfd"))
		exec_descriptor(copied_to(memfd_create("payload", 0), "/bin/true"), NULL);
	else if (!strcmp(what, "exec-deleted"))
		exec_descriptor(copied_to(open(text, O_CREAT | O_RDWR, 0700), "/bin/true"), text);
	else if (!strcmp(what, "maps"))
		maps(text);
	else if (!strcmp(what, "threads"))
		threads(number, each, thread_calls);
	else if (!strcmp(what, "shuffled"))
		threads(number, each, shuffled);
	else if (!strcmp(what, "forks"))
		forks(number, each);
	else if (!strcmp(what, "foreign"))
		foreign(number);
	else if (!strcmp(what, "x32"))
		x32(number);
	else if (!strcmp(what, "signals"))
		signals(number);
	else if (!strcmp(what, "walk"))
		walk();
	else if (!strcmp(what, "copies"))
		copies(text);
	else if (!strcmp(what, "fork-and-walk"))
		fork_and_walk();
	else if (!strcmp(what, "sensitive"))
		sensitive();
	else if (!strcmp(what, "changes"))
		changes(text);
	else if (!strcmp(what, "crash"))
		abort();
	else
		return 2;
	return 0;
}

int main(int count, char **words)
{
	if (count < 2)
		return 2;
	_exit(deed(count, words)); /* without what libc does at exit */
}
