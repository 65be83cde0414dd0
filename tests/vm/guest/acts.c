/* Tries one act again and again, in three phases that a line each begins: free, contained,
 * released. After every phase it prints "TRIED SUCCEEDED". `acts ACT SECONDS [ARGUMENT…]`.
 * With ACTS_TALLY=FILE it counts them there as well, where others can read while it is stopped.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096

static const char *argument, *other;
static char own[PAGE]; /* this program's path */
static void *page;
static int opened = -1, pair[2];
static unsigned long turn;
static volatile unsigned long own_tally[2], *tally = own_tally; /* tried, succeeded */

static int closed(int fd)
{
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static char *numbered(void)
{
	static char path[PAGE];

	snprintf(path, sizeof(path), "%s.%d.%lu", argument, getpid(), turn);
	return path;
}

static int execs(void)
{
	int status = -1;
	pid_t child = fork();

	if (!child) {
		execl(own, own, "nothing", NULL);
		_exit(9);
	}
	waitpid(child, &status, 0);
	return status == 0;
}

static int maps(int prot, int flags, int fd)
{
	void *at = mmap(NULL, PAGE, prot, flags, fd, 0);

	if (at != MAP_FAILED)
		munmap(at, PAGE);
	return at != MAP_FAILED;
}

static int maps_file(void)
{
	return maps(PROT_READ | PROT_EXEC, MAP_PRIVATE, opened);
}
static int maps_anonymous(void)
{
	return maps(PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1);
}

static int protects(void)
{
	int done = !mprotect(page, PAGE, PROT_READ | PROT_EXEC);

	mprotect(page, PAGE, PROT_READ | PROT_WRITE);
	return done;
}

static int writes(void)
{
	return closed(open(argument, O_WRONLY));
}
static int truncates(void)
{
	return closed(open(argument, O_RDONLY | O_TRUNC));
}
static int creates(void)
{
	return closed(open(numbered(), O_WRONLY | O_CREAT, 0600));
}
static int renames(void)
{
	return !rename(argument, other) && !rename(other, argument);
}
static int links(void)
{
	return !link(argument, numbered());
}
static int symlinks(void)
{
	return !symlink(argument, numbered());
}
static int directories(void)
{
	return !mkdir(numbered(), 0700);
}
static int modes(void)
{
	return !chmod(argument, 0755);
}
static int reads(void)
{
	return closed(open(argument, O_RDONLY));
}
static int appends(void)
{
	return write(opened, "x", 1) == 1;
}

static int traces(void)
{
	pid_t victim = atoi(argument);

	if (ptrace(PTRACE_ATTACH, victim, 0, 0))
		return 0;
	waitpid(victim, NULL, __WALL);
	ptrace(PTRACE_DETACH, victim, 0, 0);
	return 1;
}

static int peeks(void)
{
	char byte;
	struct iovec here = {&byte, 1}, there = {(void *)strtoul(other, NULL, 16), 1};

	return process_vm_readv(atoi(argument), &here, 1, &there, 1, 0) == 1;
}

static int kills(void)
{
	return !kill(atoi(argument), SIGCONT);
}

static int kills_own(void)
{
	int status;
	pid_t child = fork();

	if (!child)
		for (;;)
			pause();
	if (kill(child, SIGKILL))
		exit(5);
	waitpid(child, &status, 0);
	return WTERMSIG(status) == SIGKILL;
}

static struct sockaddr_in inet(int port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return address;
}

static struct sockaddr_un named(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	memccpy(address.sun_path, path, 0, sizeof(address.sun_path) - 1);
	return address;
}

static int connects_inet(void)
{
	struct sockaddr_in address = inet(atoi(argument));
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	int done = !connect(fd, (void *)&address, sizeof(address));

	close(fd);
	return done;
}

static int unix_socket(int type, int (*act)(int, const struct sockaddr *, socklen_t),
		       const char *path)
{
	struct sockaddr_un address = named(path);
	int fd = socket(AF_UNIX, type, 0);
	int done = !act(fd, (void *)&address, sizeof(address));

	close(fd);
	return done;
}

static int connects_unix(void)
{
	return unix_socket(SOCK_STREAM, connect, argument);
}
static int binds_unix(void)
{
	return unix_socket(SOCK_STREAM, bind, numbered());
}

static int binds(int type)
{
	struct sockaddr_in address = inet(0);
	int fd = socket(AF_INET, type, 0);
	int done = !bind(fd, (void *)&address, sizeof(address));

	close(fd);
	return done;
}

static int binds_stream(void)
{
	return binds(SOCK_STREAM);
}
static int binds_datagram(void)
{
	return binds(SOCK_DGRAM);
}

static int listens(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	int done = !listen(fd, 1);

	close(fd);
	return done;
}

static int sends_inet(void)
{
	struct sockaddr_in address = inet(atoi(argument));
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	int done = sendto(fd, "x", 1, 0, (void *)&address, sizeof(address)) == 1;

	close(fd);
	return done;
}

static int sends_unix(void)
{
	struct sockaddr_un address = named(argument);
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	int done;

	do /* while the reader is slower: not done, and not denied */
		done = sendto(fd, "x", 1, MSG_DONTWAIT, (void *)&address, sizeof(address)) == 1;
	while (!done && errno == EAGAIN && !usleep(50));
	close(fd);
	return done;
}

/* On a stream that was connected before: the reader drains it. */
static int sends_stream(void)
{
	return send(opened, "x", 1, MSG_NOSIGNAL) == 1;
}

/* To a client without a name that came to this program's own listener. */
static int answers_unix(void)
{
	char byte;

	return send(opened, "x", 1, MSG_NOSIGNAL) == 1 && read(pair[1], &byte, 1) == 1;
}

static int sends_packet(void)
{
	struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_halen = 6};
	char frame[64] = {0};
	int fd = socket(AF_PACKET, SOCK_RAW, 0);
	int done;

	to.sll_ifindex = if_nametoindex("lo");
	done = sendto(fd, frame, sizeof(frame), 0, (void *)&to, sizeof(to)) > 0;
	close(fd);
	return done;
}

static int passes(void)
{
	char byte;

	return write(pair[0], "x", 1) == 1 && read(pair[1], &byte, 1) == 1;
}

static int gets_pin(void)
{
	union bpf_attr attr = {.pathname = (unsigned long)argument};

	return closed(syscall(SYS_bpf, BPF_OBJ_GET, &attr, sizeof(attr)));
}

static int mounts(void)
{
	if (mount("none", argument, "tmpfs", 0, NULL))
		return 0;
	umount(argument);
	return 1;
}

/* What is held from before: a file, a page, a connected stream. */
static void open_for_append(void)
{
	opened = open(argument, O_WRONLY | O_APPEND);
}
static void open_own(void)
{
	opened = open(own, O_RDONLY);
}
static void make_page(void)
{
	page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}
static void make_pair(void)
{
	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
}
static void connect_stream(void)
{
	struct sockaddr_un address = named(argument);

	opened = socket(AF_UNIX, SOCK_STREAM, 0);
	if (connect(opened, (void *)&address, sizeof(address)))
		exit(4);
}

static void accept_client(void)
{
	struct sockaddr_un address = named(argument);
	int listener = socket(AF_UNIX, SOCK_STREAM, 0);

	pair[1] = socket(AF_UNIX, SOCK_STREAM, 0);
	if (bind(listener, (void *)&address, sizeof(address)) || listen(listener, 1) ||
	    connect(pair[1], (void *)&address, sizeof(address)))
		exit(4);
	opened = accept(listener, NULL, NULL);
}

#include "entries.h"

static const struct {
	const char *name;
	int (*act)(void);
	void (*prepare)(void);
} acts[] = {
	{"exec", execs, NULL},
	{"mmap-file", maps_file, open_own},
	{"mmap-anonymous", maps_anonymous, NULL},
	{"mprotect", protects, make_page},
	{"open-write", writes, NULL},
	{"open-truncate", truncates, NULL},
	{"open-create", creates, NULL},
	{"rename", renames, NULL},
	{"link", links, NULL},
	{"symlink", symlinks, NULL},
	{"mkdir", directories, NULL},
	{"chmod", modes, NULL},
	{"open-read", reads, NULL},
	{"append", appends, open_for_append},
	{"ptrace", traces, NULL},
	{"vm-read", peeks, NULL},
	{"kill", kills, NULL},
	{"kill-own", kills_own, NULL},
	{"connect-inet", connects_inet, NULL},
	{"connect-unix", connects_unix, NULL},
	{"bind-stream", binds_stream, NULL},
	{"bind-datagram", binds_datagram, NULL},
	{"bind-unix", binds_unix, NULL},
	{"listen", listens, NULL},
	{"send-inet", sends_inet, NULL},
	{"send-unix", sends_unix, NULL},
	{"send-stream", sends_stream, connect_stream},
	{"answer-unix", answers_unix, accept_client},
	{"send-packet", sends_packet, NULL},
	{"socketpair", passes, make_pair},
	{"bpf", gets_pin, NULL},
	{"mount", mounts, NULL},
	{"execveat", execs_opened, open_own},
	{"exec-memfd", execs_opened, fill_memfd},
	{"openat2", opens_by_how, NULL},
	{"open-foreign", opens_foreign, argue_low},
	{"truncate", truncates_by_name, NULL},
	{"unlink", unlinks, NULL},
	{"tgkill", kills_thread, NULL},
	{"sigqueue", queues_signal, NULL},
	{"pidfd-signal", signals_opened, open_victim},
	{"pidfd-getfd", takes_descriptor, open_victim},
	{"vm-write", pokes, NULL},
	{"sendmsg", sends_one, NULL},
	{"sendmmsg", sends_many, NULL},
	{"send-raw", sends_raw, NULL},
	{"write-connected", writes_connected, connect_datagram},
	{"sendfile-connected", copies_connected, connect_datagram},
	{"splice-connected", splices_connected, connect_datagram},
	{"receive-socket", receives_socket, connect_stream},
	{"ring-open", ring_opens, set_up_ring},
	{"ring-connect", ring_connects, set_up_ring},
	{"ring-send-connected", ring_sends, connect_ring},
};

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

static void phase(int (*act)(void), double seconds)
{
	char line[16];
	unsigned long tried = 0, succeeded = 0;
	double end;

	if (!fgets(line, sizeof(line), stdin))
		exit(0);
	for (end = now() + seconds; now() < end; tried++, turn++) {
		int done = act();

		succeeded += done ? 1 : 0;
		tally[0]++;
		tally[1] += done ? 1 : 0;
	}
	printf("%lu %lu\n", tried, succeeded);
	fflush(stdout);
}

static void tally_in(const char *path)
{
	int fd = open(path, O_RDWR);
	void *shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (shared == MAP_FAILED)
		exit(6);
	tally = shared;
	close(fd);
}

int main(int argc, char **argv)
{
	const char *shared = getenv("ACTS_TALLY");

	if (argc < 3)
		return 0; /* what `exec` runs */
	if (readlink("/proc/self/exe", own, sizeof(own) - 1) < 0)
		return 3;
	if (shared)
		tally_in(shared);
	argument = argc > 3 ? argv[3] : "";
	other = argc > 4 ? argv[4] : "";
	for (unsigned i = 0; i < sizeof(acts) / sizeof(*acts); i++) {
		if (strcmp(acts[i].name, argv[1]))
			continue;
		if (acts[i].prepare)
			acts[i].prepare();
		for (int each = 0; each < 3; each++)
			phase(acts[i].act, each == 1 ? atof(argv[2]) : 0.02);
		return 0;
	}
	return 2;
}
