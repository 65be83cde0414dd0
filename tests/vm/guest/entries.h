/* Other ways into the acts of acts.c: calls that reach the same thing by another number, through
 * io_uring, or by the 32-bit entry. Included there, after what these share.
 */
#include <linux/io_uring.h>
#include <linux/openat2.h>
#include <sys/sendfile.h>

static struct io_uring_params ring_params;
static struct io_uring_sqe *ring_sqes;
static char *ring;
static int ring_fd, pipes[2];
static struct sockaddr_in ring_peer;
static const char *low; /* the argument again, where 32 bits reach */

/* A new program. */

static int ends_well(void (*act)(void))
{
	int status = -1;
	pid_t child = fork();

	if (!child) {
		act();
		_exit(9);
	}
	waitpid(child, &status, 0);
	return status == 0;
}

static char *const nothing[] = {own, "nothing", NULL};

static void runs_opened(void)
{
	syscall(SYS_execveat, opened, "", nothing, NULL, AT_EMPTY_PATH);
}
static int execs_opened(void)
{
	return ends_well(runs_opened);
}

/* Filled before: it is a copy of this program that has no name. */
static void fill_memfd(void)
{
	struct stat status;
	int from = open(own, O_RDONLY);
	int to = memfd_create("copy", MFD_CLOEXEC);

	if (from < 0 || to < 0 || fstat(from, &status) ||
	    sendfile(to, from, NULL, status.st_size) != status.st_size)
		exit(4);
	close(from);
	opened = to;
}

/* Files. */

static int opens_by_how(void)
{
	struct open_how how = {.flags = O_WRONLY};

	return closed(syscall(SYS_openat2, AT_FDCWD, argument, &how, sizeof(how)));
}
static int truncates_by_name(void)
{
	return !truncate(argument, PAGE);
}
static int unlinks(void)
{
	if (unlink(argument))
		return 0;
	closed(open(argument, O_WRONLY | O_CREAT, 0600));
	return 1;
}

static void argue_low(void)
{
	char *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);

	if (page == MAP_FAILED)
		exit(4);
	low = strncpy(page, argument, PAGE - 1);
}

/* open(2) by the 32-bit entry; r8 to r11 are not kept there. */
static int opens_foreign(void)
{
	long result;

	__asm__ volatile("int $0x80"
			 : "=a"(result)
			 : "a"(5L), "b"(low), "c"((long)O_WRONLY), "d"(0L)
			 : "r8", "r9", "r10", "r11", "memory");
	return closed(result);
}

/* Other processes. */

static int kills_thread(void)
{
	return !syscall(SYS_tgkill, atoi(argument), atoi(argument), SIGCONT);
}

static int queues_signal(void)
{
	siginfo_t info = {.si_signo = SIGCONT, .si_code = SI_QUEUE};

	return !syscall(SYS_rt_sigqueueinfo, atoi(argument), SIGCONT, &info);
}

static void open_victim(void)
{
	opened = syscall(SYS_pidfd_open, atoi(argument), 0);
}
static int signals_opened(void)
{
	return !syscall(SYS_pidfd_send_signal, opened, SIGCONT, NULL, 0);
}
static int takes_descriptor(void)
{
	return closed(syscall(SYS_pidfd_getfd, opened, 1, 0));
}

/* A zero over the zero that ends its stack. */
static int pokes(void)
{
	char byte = 0;
	struct iovec here = {&byte, 1}, there = {(void *)strtoul(other, NULL, 16), 1};

	return process_vm_writev(atoi(argument), &here, 1, &there, 1, 0) == 1;
}

/* Datagrams with an address. */

static int sends_message(int many)
{
	struct sockaddr_in address = inet(atoi(argument));
	struct iovec byte = {"x", 1};
	struct mmsghdr message = {.msg_hdr = {.msg_name = &address,
					      .msg_namelen = sizeof(address),
					      .msg_iov = &byte,
					      .msg_iovlen = 1}};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	int done = many ? sendmmsg(fd, &message, 1, 0) == 1
			: sendmsg(fd, &message.msg_hdr, 0) == 1;

	close(fd);
	return done;
}
static int sends_one(void)
{
	return sends_message(0);
}
static int sends_many(void)
{
	return sends_message(1);
}

static int sends_raw(void)
{
	struct sockaddr_in address = inet(0);
	char echo[8] = {8}; /* ICMP; its checksum is nobody's concern here */
	int fd = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
	int done = sendto(fd, echo, sizeof(echo), 0, (void *)&address, sizeof(address)) > 0;

	close(fd);
	return done;
}

/* Datagrams on a socket that was connected before. */

static void connect_datagram(void)
{
	struct sockaddr_in address = inet(atoi(argument));

	opened = socket(AF_INET, SOCK_DGRAM, 0);
	if (connect(opened, (void *)&address, sizeof(address)) || pipe(pipes))
		exit(4);
	pair[0] = open(own, O_RDONLY);
}
static int writes_connected(void)
{
	return write(opened, "x", 1) == 1;
}
static int copies_connected(void)
{
	off_t start = 0;

	return sendfile(opened, pair[0], &start, 1) == 1;
}
static int splices_connected(void)
{
	int done = write(pipes[1], "x", 1) == 1 &&
		   splice(pipes[0], NULL, opened, NULL, 1, SPLICE_F_NONBLOCK) == 1;
	char byte;

	if (!done)
		read(pipes[0], &byte, 1);
	return done;
}

/* Sockets that somebody else connected, and passes on as long as they are taken. */

static int receives_socket(void)
{
	char byte, room[CMSG_SPACE(sizeof(int))];
	struct iovec here = {&byte, 1};
	struct msghdr message = {.msg_iov = &here,
				 .msg_iovlen = 1,
				 .msg_control = room,
				 .msg_controllen = sizeof(room)};
	struct cmsghdr *head;

	if (recvmsg(opened, &message, 0) != 1)
		exit(4);
	head = CMSG_FIRSTHDR(&message);
	if (!head || head->cmsg_len < CMSG_LEN(sizeof(int)) || head->cmsg_type != SCM_RIGHTS)
		return 0;
	return closed(*(int *)CMSG_DATA(head));
}

/* Through a ring, by the raw interface. */

static unsigned int *ring_at(unsigned int offset)
{
	return (unsigned int *)(ring + offset);
}

static void set_up_ring(void)
{
	ring_fd = syscall(SYS_io_uring_setup, 4, &ring_params);
	if (ring_fd < 0)
		exit(4);
	ring = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, ring_fd,
		    IORING_OFF_SQ_RING);
	ring_sqes = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, ring_fd, IORING_OFF_SQES);
	if (ring == MAP_FAILED || ring_sqes == MAP_FAILED)
		exit(4);
}

static int ring_does(struct io_uring_sqe request)
{
	unsigned int tail = *ring_at(ring_params.sq_off.tail);
	unsigned int head = *ring_at(ring_params.cq_off.head);
	unsigned int slot = tail & *ring_at(ring_params.sq_off.ring_mask);
	struct io_uring_cqe *result;

	ring_sqes[slot] = request;
	ring_at(ring_params.sq_off.array)[slot] = slot;
	__atomic_store_n(ring_at(ring_params.sq_off.tail), tail + 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, ring_fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0)
		return -errno;
	result = (struct io_uring_cqe *)(ring + ring_params.cq_off.cqes) +
		 (head & *ring_at(ring_params.cq_off.ring_mask));
	__atomic_store_n(ring_at(ring_params.cq_off.head), head + 1, __ATOMIC_RELEASE);
	return result->res;
}

static int ring_opens(void)
{
	return closed(ring_does((struct io_uring_sqe){.opcode = IORING_OP_OPENAT,
						      .fd = AT_FDCWD,
						      .addr = (unsigned long)argument,
						      .open_flags = O_WRONLY}));
}

static int ring_connects(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), done;

	ring_peer = inet(atoi(argument));
	done = !ring_does((struct io_uring_sqe){.opcode = IORING_OP_CONNECT,
						.fd = fd,
						.addr = (unsigned long)&ring_peer,
						.off = sizeof(ring_peer)});
	close(fd);
	return done;
}

static void connect_ring(void)
{
	connect_datagram();
	set_up_ring();
}
static int ring_sends(void)
{
	return ring_does((struct io_uring_sqe){.opcode = IORING_OP_SEND,
					       .fd = opened,
					       .addr = (unsigned long)"x",
					       .len = 1}) == 1;
}
