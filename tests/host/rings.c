/* Does one thing each through io_uring, by the raw interface, once a line arrives:
 * opens and reads and writes files, connects and sends. `rings PREFIX PORT [sqpoll|hidden]`.
 * `rings PREFIX 0 changes` changes names and attributes instead; prints what the kernel refuses.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#define BYTES 1009

static struct io_uring_params params;
static struct io_uring_sqe *sqes;
static char *ring;
static int fd;

static void fail(const char *what)
{
	perror(what);
	_exit(3);
}

static void setup(unsigned int flags)
{
	params.flags = flags;
	params.sq_thread_idle = 2000;
	fd = syscall(SYS_io_uring_setup, 8, &params);
	if (fd < 0)
		fail("io_uring_setup");
	ring = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED, fd, IORING_OFF_SQ_RING);
	sqes = mmap(NULL, 8 * sizeof(*sqes), PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		    IORING_OFF_SQES);
	if (ring == MAP_FAILED || sqes == MAP_FAILED)
		fail("mmap");
}

static unsigned int *at(unsigned int offset)
{
	return (unsigned int *)(ring + offset);
}

/* Submits one request; its result, or 0 where success is not posted. */
static int perform(struct io_uring_sqe sqe)
{
	unsigned int tail = *at(params.sq_off.tail), head = *at(params.cq_off.head), slot;
	unsigned int wait = !(sqe.flags & IOSQE_CQE_SKIP_SUCCESS);
	unsigned int how = wait ? IORING_ENTER_GETEVENTS : 0;
	struct io_uring_cqe *cqe;

	slot = tail & *at(params.sq_off.ring_mask);
	sqes[slot] = sqe;
	at(params.sq_off.array)[slot] = slot;
	__atomic_store_n(at(params.sq_off.tail), tail + 1, __ATOMIC_RELEASE);
	if (params.flags & IORING_SETUP_SQPOLL)
		how |= IORING_ENTER_SQ_WAKEUP;
	if (syscall(SYS_io_uring_enter, fd, 1, wait, how, NULL, 0) < 0)
		fail("io_uring_enter");
	if (!wait)
		return 0;
	cqe = (struct io_uring_cqe *)(ring + params.cq_off.cqes) +
	      (head & *at(params.cq_off.ring_mask));
	__atomic_store_n(at(params.cq_off.head), head + 1, __ATOMIC_RELEASE);
	if (cqe->res < 0)
		fprintf(stderr, "operation %d: %s\n", sqe.opcode, strerror(-cqe->res));
	return cqe->res;
}

static int opened(const char *path, int flags, int request)
{
	return perform((struct io_uring_sqe){.opcode = IORING_OP_OPENAT,
					     .flags = request,
					     .fd = AT_FDCWD,
					     .addr = (unsigned long)path,
					     .len = 0600,
					     .open_flags = flags});
}

static int moved(int opcode, int target, void *buffer)
{
	return perform((struct io_uring_sqe){
		.opcode = opcode, .fd = target, .addr = (unsigned long)buffer, .len = BYTES});
}

static void connected(int family, int protocol, void *address, socklen_t size, int send)
{
	static char buffer[BYTES];
	int own = socket(family, protocol, 0);

	perform((struct io_uring_sqe){.opcode = IORING_OP_CONNECT,
				      .fd = own,
				      .addr = (unsigned long)address,
				      .off = size});
	if (send)
		moved(IORING_OP_SEND, own, buffer);
	close(own);
}

static void named(int opcode, const char *path, const char *other, unsigned int detail)
{
	unsigned int into =
		opcode == IORING_OP_RENAMEAT || opcode == IORING_OP_LINKAT ? AT_FDCWD : 0;

	perform((struct io_uring_sqe){.opcode = opcode,
				      .fd = AT_FDCWD,
				      .addr = (unsigned long)path,
				      .off = (unsigned long)other,
				      .len = opcode == IORING_OP_MKDIRAT ? detail : into,
				      .unlink_flags = opcode == IORING_OP_UNLINKAT ? detail : 0});
}

static void attribute(int opcode, int target, const char *path)
{
	perform((struct io_uring_sqe){.opcode = opcode,
				      .fd = target,
				      .addr = (unsigned long)"trusted.x",
				      .addr2 = (unsigned long)"1",
				      .addr3 = (unsigned long)path,
				      .len = 1});
}

static void changed(const char *prefix)
{
	static char path[4][4096];
	int out;

	for (int i = 0; i < 4; i++)
		snprintf(path[i], sizeof(path[i]), "%s-%c", prefix, 'a' + i);
	out = open(path[0], O_CREAT | O_WRONLY, 0600);
	attribute(IORING_OP_FSETXATTR, out, NULL);
	attribute(IORING_OP_SETXATTR, 0, path[0]);
	named(IORING_OP_RENAMEAT, path[0], path[1], 0);
	named(IORING_OP_LINKAT, path[1], path[2], 0);
	named(IORING_OP_SYMLINKAT, path[1], path[3], 0);
	named(IORING_OP_UNLINKAT, path[2], NULL, 0);
	named(IORING_OP_MKDIRAT, path[2], NULL, 0700);
	named(IORING_OP_UNLINKAT, path[2], NULL, AT_REMOVEDIR);
	perform((struct io_uring_sqe){
		.opcode = 55 /* IORING_OP_FTRUNCATE */, .fd = out, .off = 31});
}

int main(int count, char **words)
{
	const char *mode = count > 3 ? words[3] : "";
	struct sockaddr_in peer = {.sin_family = AF_INET};
	struct sockaddr_un local = {.sun_family = AF_UNIX};
	static char path[4096], buffer[BYTES];
	int out, in;

	printf("ready\n");
	fflush(stdout);
	if (count < 3 || !fgets(buffer, sizeof(buffer), stdin))
		return 2;
	setup(!strcmp(mode, "sqpoll") ? IORING_SETUP_SQPOLL : 0);
	snprintf(path, sizeof(path), "%s-out", words[1]);
	if (!strcmp(mode, "hidden")) {
		opened(path, O_CREAT | O_WRONLY, IOSQE_CQE_SKIP_SUCCESS);
		return 0;
	}
	if (!strcmp(mode, "changes")) {
		changed(words[1]);
		return 0;
	}
	out = opened(path, O_CREAT | O_WRONLY, 0);
	moved(IORING_OP_WRITE, out, buffer);
	in = opened(path, O_RDONLY, 0);
	moved(IORING_OP_READ, in, buffer);
	peer.sin_port = htons(atoi(words[2]));
	peer.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	connected(AF_INET, SOCK_STREAM, &peer, sizeof(peer), 1);
	snprintf(local.sun_path, sizeof(local.sun_path), "%s-socket", words[1]);
	connected(AF_UNIX, SOCK_STREAM, &local, sizeof(local), 0);
	return 0;
}
