/* One thing by each entry that the kernel has for it, once a line arrives. `ways WAY DIRECTORY`;
 * the directory holds the files n0 and n1, of 1,009 bytes each.
 *
 * What this kernel lacks ends it with "absent: " and why. Calls that are refused on purpose are
 * made for being asked for.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/io_uring.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define BYTES 1009
#define MESSAGES 3
#define MAPPED 4096

static char buffer[MAPPED];
static char name[] = "n0"; /* below 4 GiB, as all here: this program is linked to a fixed place */

static void absent(const char *what)
{
	printf("absent: %s: %s\n", what, strerror(errno));
	fflush(stdout);
	_exit(0);
}

static long must(long result, const char *what)
{
	if (result >= 0)
		return result;
	if (errno == ENOSYS || errno == EOPNOTSUPP || errno == EPROTONOSUPPORT ||
	    errno == EAFNOSUPPORT || errno == ENOTTY)
		absent(what);
	perror(what);
	_exit(3);
}

static long int80(long number, long first, long second, long third, long fourth, long fifth)
{
	/* The sixth lies in a register that no constraint names: none. */
	__asm__ volatile("lea -128(%%rsp), %%rsp\n\tpush %%rbp\n\txor %%ebp, %%ebp\n\t"
			 "int $0x80\n\tpop %%rbp\n\tlea 128(%%rsp), %%rsp"
			 : "+a"(number)
			 : "b"(first), "c"(second), "d"(third), "S"(fourth), "D"(fifth)
			 : "memory", "r8", "r9", "r10", "r11");
	return number;
}

static int opened(const char *path, int flags)
{
	return must(open(path, flags, 0600), path);
}

/* io_uring, by the raw interface. */
static struct io_uring_params params;

static int ring_result(struct io_uring_sqe sqe)
{
	static struct io_uring_sqe *sqes;
	static char *ring;
	static int fd;
	unsigned int tail, head;

	if (!ring) {
		fd = must(syscall(SYS_io_uring_setup, 8, &params), "io_uring_setup");
		ring = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED, fd, IORING_OFF_SQ_RING);
		sqes = mmap(NULL, 8 * sizeof(sqe), PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			    IORING_OFF_SQES);
		if (sqe.buf_index && syscall(SYS_io_uring_register, fd, IORING_REGISTER_BUFFERS,
					     &(struct iovec){buffer, MAPPED}, 1) < 0)
			absent("io_uring_register"); /* nor the operation that it is for */
		sqe.buf_index = 0;
	}
	tail = *(unsigned int *)(ring + params.sq_off.tail);
	head = *(unsigned int *)(ring + params.cq_off.head);
	sqes[tail & 7] = sqe;
	((unsigned int *)(ring + params.sq_off.array))[tail & 7] = tail & 7;
	__atomic_store_n((unsigned int *)(ring + params.sq_off.tail), tail + 1, __ATOMIC_RELEASE);
	must(syscall(SYS_io_uring_enter, fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0), "enter");
	__atomic_store_n((unsigned int *)(ring + params.cq_off.head), head + 1, __ATOMIC_RELEASE);
	return ((struct io_uring_cqe *)(ring + params.cq_off.cqes))[head & 15].res;
}

static int ring_does(struct io_uring_sqe sqe)
{
	int result = ring_result(sqe);

	if (result >= 0)
		return result;
	errno = -result;
	if (errno == EINVAL) /* an operation newer than this kernel */
		absent("io_uring");
	perror("io_uring");
	_exit(3);
}

/* Files. */
static void open_at2(void)
{
	struct open_how how = {.flags = O_RDONLY};

	must(syscall(SYS_openat2, AT_FDCWD, name, &how, sizeof(how)), "openat2");
}

static void open_by_handle(void)
{
	struct {
		struct file_handle handle;
		char room[128];
	} at = {.handle.handle_bytes = 128};
	int mount;

	must(name_to_handle_at(AT_FDCWD, name, &at.handle, &mount, 0), "name_to_handle_at");
	must(open_by_handle_at(AT_FDCWD, &at.handle, O_RDONLY), "open_by_handle_at");
}

static void open_again(void)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", opened(name, O_PATH));
	opened(path, O_RDWR);
}

static void open_by_ring(void)
{
	struct open_how how = {.flags = O_RDONLY};

	ring_does((struct io_uring_sqe){.opcode = IORING_OP_OPENAT2, .fd = AT_FDCWD,
					.addr = (unsigned long)name, .len = sizeof(how),
					.off = (unsigned long)&how});
}

static void open_by_32_bit(void)
{
	if (int80(5, (long)name, O_RDONLY, 0, 0, 0) < 0)
		absent("int 0x80");
}

/* Bytes. */
static void write_vector(void)
{
	struct iovec piece = {buffer, BYTES};

	must(syscall(SYS_pwritev2, opened("out", O_CREAT | O_WRONLY), &piece, 1, 0, 0, 0), "pwritev2");
}

static void write_by_splice(void)
{
	int ends[2];

	must(pipe(ends), "pipe");
	must(splice(opened(name, O_RDONLY), NULL, ends[1], NULL, BYTES, 0), "splice");
	must(splice(ends[0], NULL, opened("out", O_CREAT | O_WRONLY), NULL, BYTES, 0), "splice");
}

static void write_by_sendfile(void)
{
	must(sendfile(opened("out", O_CREAT | O_WRONLY), opened(name, O_RDONLY), NULL, BYTES),
	     "sendfile");
}

static void write_by_copy(void)
{
	must(copy_file_range(opened(name, O_RDONLY), NULL, opened("out", O_CREAT | O_WRONLY), NULL,
			     BYTES, 0),
	     "copy_file_range");
}

static void aio(int command, int fd, void *at, size_t bytes)
{
	struct iocb request = {.aio_lio_opcode = command, .aio_fildes = fd,
			       .aio_buf = (unsigned long)at, .aio_nbytes = bytes};
	struct iocb *requests[1] = {&request};
	struct io_event done;
	aio_context_t context = 0;

	must(syscall(SYS_io_setup, 4, &context), "io_setup");
	must(syscall(SYS_io_submit, context, 1, requests), "io_submit");
	must(syscall(SYS_io_getevents, context, 1, 1, &done, NULL), "io_getevents");
}

static void write_by_aio(void)
{
	aio(IOCB_CMD_PWRITE, opened("out", O_CREAT | O_WRONLY), buffer, BYTES);
}

static void read_by_aio(void)
{
	struct iovec pieces[2] = {{buffer, 1000}, {buffer + 1000, 9}};

	aio(IOCB_CMD_PREADV, opened(name, O_RDONLY), pieces, 2);
}

static void write_by_ring(void)
{
	ring_does((struct io_uring_sqe){.opcode = IORING_OP_WRITE,
					.fd = opened("out", O_CREAT | O_WRONLY),
					.addr = (unsigned long)buffer, .len = BYTES});
}

static void write_by_ring_vector(void)
{
	struct iovec piece = {buffer, BYTES};

	ring_does((struct io_uring_sqe){.opcode = 61 /* IORING_OP_WRITEV_FIXED */,
					.fd = opened("out", O_CREAT | O_WRONLY), .buf_index = 1,
					.addr = (unsigned long)&piece, .len = 1});
}

static void write_by_mapping(void)
{
	int fd = opened("out", O_CREAT | O_RDWR);
	char *memory;

	must(ftruncate(fd, MAPPED), "ftruncate");
	memory = mmap(NULL, MAPPED, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	memory[0] = 1;
}

static void messages_init(struct mmsghdr *messages, struct iovec *piece)
{
	*piece = (struct iovec){buffer, BYTES};
	memset(messages, 0, MESSAGES * sizeof(*messages));
	for (int i = 0; i < MESSAGES; i++) {
		messages[i].msg_hdr.msg_iov = piece;
		messages[i].msg_hdr.msg_iovlen = 1;
	}
}

static void move_many(void)
{
	struct mmsghdr messages[MESSAGES];
	struct iovec piece;
	int ends[2];

	must(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends), "socketpair");
	messages_init(messages, &piece);
	must(sendmmsg(ends[0], messages, MESSAGES, 0), "sendmmsg");
	messages_init(messages, &piece);
	must(recvmmsg(ends[1], messages, MESSAGES, 0, NULL), "recvmmsg");
}

/* Names and attributes. */
static void exchange(void)
{
	must(syscall(SYS_renameat2, AT_FDCWD, name, AT_FDCWD, "n1", 2 /* RENAME_EXCHANGE */),
	     "renameat2");
}

static void link_descriptor(void)
{
	must(linkat(opened(".", O_TMPFILE | O_RDWR), "", AT_FDCWD, "made", AT_EMPTY_PATH), "linkat");
}

static void mode_at(void)
{
	must(syscall(452 /* fchmodat2 */, AT_FDCWD, name, 0755, 0), "fchmodat2");
}

static void mode_by_32_bit(void)
{
	if (int80(452, AT_FDCWD, (long)name, 0755, 0, 0) < 0)
		absent("int 0x80");
}

static void attribute_at(void)
{
	struct {
		unsigned long value;
		unsigned int size, flags;
	} what = {(unsigned long)"1", 1, 0};

	must(syscall(463 /* setxattrat */, AT_FDCWD, name, 0, "trusted.x", &what, sizeof(what)),
	     "setxattrat");
}

static void flags_at(void)
{
	struct {
		unsigned long long xflags;
		unsigned int more[4];
	} what = {0};

	must(syscall(468 /* file_getattr */, AT_FDCWD, name, &what, sizeof(what), 0), "file_getattr");
	what.xflags |= 0x10; /* FS_XFLAG_APPEND */
	must(syscall(469 /* file_setattr */, AT_FDCWD, name, &what, sizeof(what), 0), "file_setattr");
	what.xflags &= ~0x10ULL;
	must(syscall(469, AT_FDCWD, name, &what, sizeof(what), 0), "file_setattr");
}

static void empty(void)
{
	must(fallocate(opened(name, O_RDWR), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, BYTES),
	     "fallocate");
}

static void empty_by_ring(void)
{
	ring_does((struct io_uring_sqe){.opcode = IORING_OP_FALLOCATE, .fd = opened(name, O_RDWR),
					.addr = BYTES,
					.len = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE});
}

static void empty_by_32_bit(void)
{
	if (int80(324, opened(name, O_RDWR), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 0, BYTES))
		absent("int 0x80");
}

static void make_room(void)
{
	must(fallocate(opened(name, O_RDWR), 0, 0, 2 * BYTES), "fallocate");
}

/* Mounts: asked for in a mount namespace of its own, which nobody else sees. */
static void mount_new(void)
{
	int context, mount_fd;

	must(unshare(CLONE_NEWNS), "unshare");
	must(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), "mount");
	context = must(syscall(SYS_fsopen, "tmpfs", 0), "fsopen");
	must(syscall(SYS_fsconfig, context, 6 /* FSCONFIG_CMD_CREATE */, NULL, NULL, 0), "fsconfig");
	mount_fd = must(syscall(SYS_fsmount, context, 0, 0), "fsmount");
	must(syscall(SYS_move_mount, mount_fd, "", AT_FDCWD, "d", 4 /* F_EMPTY_PATH */), "move_mount");
}

static void mount_pick(void)
{
	must(syscall(SYS_fspick, AT_FDCWD, "/", 0), "fspick");
}

/* Programs. */
static void run_at(void)
{
	char *const words[] = {"true", NULL};

	must(syscall(SYS_execveat, AT_FDCWD, "/bin/true", words, NULL, 0), "execveat");
}

static void run_script(void)
{
	char *const words[] = {"script", NULL};
	int fd = opened("script", O_CREAT | O_WRONLY);

	must(write(fd, "#!/bin/true\n", 12), "write");
	must(fchmod(fd, 0700), "fchmod");
	close(fd);
	must(execve("./script", words, words + 1), "script");
}

static void clone_apart(void)
{
	struct clone_args how = {.flags = CLONE_NEWUTS, .exit_signal = SIGCHLD};
	long child = must(syscall(SYS_clone3, &how, sizeof(how)), "clone3");

	if (!child)
		_exit(0);
	waitpid(child, NULL, 0);
}

/* Memory. */
static void *page(int protection)
{
	return mmap(NULL, MAPPED, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void execute_by_key(void)
{
	must(syscall(SYS_pkey_mprotect, page(PROT_READ | PROT_WRITE), MAPPED, PROT_READ | PROT_EXEC,
		     -1),
	     "pkey_mprotect");
}

static void execute_by_segment(void)
{
	int id = must(shmget(IPC_PRIVATE, MAPPED, IPC_CREAT | 0700), "shmget");

	shmat(id, NULL, SHM_EXEC);
	shmctl(id, IPC_RMID, NULL);
}

static void execute_moved(void)
{
	void *memory = page(PROT_READ | PROT_WRITE | PROT_EXEC);

	if (mremap(memory, MAPPED, 2 * MAPPED, MREMAP_MAYMOVE) == MAP_FAILED)
		must(-1, "mremap");
}

/* Sockets. */
static struct sockaddr_in loopback(int port)
{
	return (struct sockaddr_in){AF_INET, htons(port), {htonl(INADDR_LOOPBACK)}, {0}};
}

static int listening(struct sockaddr_in *at)
{
	socklen_t size = sizeof(*at);
	int own = socket(AF_INET, SOCK_STREAM, 0);

	*at = loopback(0);
	must(bind(own, (void *)at, size), "bind");
	must(listen(own, 4), "listen");
	must(getsockname(own, (void *)at, &size), "getsockname");
	return own;
}

static void connect_sending(void)
{
	struct sockaddr_in at;
	int own = socket(AF_INET, SOCK_STREAM, 0);

	listening(&at);
	must(sendto(own, buffer, BYTES, MSG_FASTOPEN, (void *)&at, sizeof(at)), "sendto");
}

static void connect_sending_in_vain(void)
{
	struct sockaddr_in at = {AF_INET, htons(17921), {htonl(0xf0000001)}, {0}};

	must(unshare(CLONE_NEWNET), "unshare"); /* a network without a route */
	sendto(socket(AF_INET, SOCK_STREAM, 0), buffer, BYTES, MSG_FASTOPEN, (void *)&at, sizeof(at));
}

static void connect_datagrams(void)
{
	struct sockaddr_in at = loopback(17922);
	int own = socket(AF_INET, SOCK_DGRAM, 0);

	must(connect(own, (void *)&at, sizeof(at)), "connect");
	must(send(own, buffer, BYTES, 0), "send");
}

static void listen_by_ring(void)
{
	struct sockaddr_in at = loopback(17923);
	int own = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	setsockopt(own, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	ring_does((struct io_uring_sqe){.opcode = 56 /* IORING_OP_BIND */, .fd = own,
					.addr = (unsigned long)&at, .off = sizeof(at)});
	ring_does((struct io_uring_sqe){.opcode = 57 /* IORING_OP_LISTEN */, .fd = own, .len = 4});
}

static void accept_by_ring(void)
{
	struct sockaddr_in at;
	int own = listening(&at), peer = socket(AF_INET, SOCK_STREAM, 0);

	must(connect(peer, (void *)&at, sizeof(at)), "connect");
	ring_does((struct io_uring_sqe){.opcode = IORING_OP_ACCEPT, .fd = own});
}

static struct sockaddr_un local(const char *where)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};

	snprintf(at.sun_path, sizeof(at.sun_path), "%s", where);
	return at;
}

static void call_absent(void)
{
	struct sockaddr_un at = local("absent");

	for (int i = 0; i < 5; i++)
		connect(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&at, sizeof(at));
}

static void call_abstract(void)
{
	struct sockaddr_un at = local("?hidden");

	at.sun_path[0] = 0;
	connect(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&at, 2 + 7);
}

static void call_deaf(void)
{
	struct sockaddr_un at = local("deaf");

	must(bind(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&at, sizeof(at)), "bind");
	connect(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&at, sizeof(at));
}

static void call_by_ring(void)
{
	struct sockaddr_un at = local("absent");

	ring_result((struct io_uring_sqe){.opcode = IORING_OP_CONNECT,
					  .fd = socket(AF_UNIX, SOCK_STREAM, 0),
					  .addr = (unsigned long)&at, .off = sizeof(at)});
}

static void call_by_32_bit(void)
{
	static struct sockaddr_un at;

	at = local("absent");
	if (int80(362, socket(AF_UNIX, SOCK_STREAM, 0), (long)&at, sizeof(at), 0, 0) == -ENOSYS)
		absent("int 0x80");
}

static void send_absent(void)
{
	struct sockaddr_un at = local("absent");

	sendto(socket(AF_UNIX, SOCK_DGRAM, 0), buffer, 1, 0, (void *)&at, sizeof(at));
}

static void send_message_absent(void)
{
	struct sockaddr_un at = local("absent");
	struct msghdr message = {.msg_name = &at, .msg_namelen = sizeof(at)};

	sendmsg(socket(AF_UNIX, SOCK_DGRAM, 0), &message, 0);
}

static int message_by_ring(struct sockaddr_un *at)
{
	struct iovec piece = {buffer, BYTES};
	struct msghdr message = {.msg_name = at, .msg_namelen = sizeof(*at), .msg_iov = &piece,
				 .msg_iovlen = 1};

	return ring_result((struct io_uring_sqe){.opcode = IORING_OP_SENDMSG,
						 .fd = socket(AF_UNIX, SOCK_DGRAM, 0),
						 .addr = (unsigned long)&message, .len = 1});
}

static void send_by_ring(void)
{
	struct sockaddr_un at = local("aside");

	must(bind(socket(AF_UNIX, SOCK_DGRAM, 0), (void *)&at, sizeof(at)), "bind");
	if (message_by_ring(&at) != BYTES)
		must(-1, "sendmsg by a ring");
}

static void send_absent_by_ring(void)
{
	struct sockaddr_un at = local("absent");

	message_by_ring(&at);
}

/* The second of three messages goes elsewhere. */
static void send_aside(void)
{
	struct sockaddr_un at = local("aside"), usual = local("usual");
	struct mmsghdr messages[MESSAGES];
	struct iovec piece;

	must(bind(socket(AF_UNIX, SOCK_DGRAM, 0), (void *)&at, sizeof(at)), "bind");
	must(bind(socket(AF_UNIX, SOCK_DGRAM, 0), (void *)&usual, sizeof(usual)), "bind");
	messages_init(messages, &piece);
	for (int i = 0; i < MESSAGES; i++) {
		messages[i].msg_hdr.msg_name = i == 1 ? &at : &usual;
		messages[i].msg_hdr.msg_namelen = sizeof(at);
	}
	must(sendmmsg(socket(AF_UNIX, SOCK_DGRAM, 0), messages, MESSAGES, 0), "sendmmsg");
}

static void sockets(void)
{
	static const int kinds[][3] = {{AF_INET, SOCK_RAW, IPPROTO_ICMP}, {AF_PACKET, SOCK_RAW, 0},
				       {AF_VSOCK, SOCK_STREAM, 0}, {AF_NETLINK, SOCK_RAW, 12},
				       {AF_ALG, SOCK_SEQPACKET, 0}, {AF_INET, SOCK_SEQPACKET, 132},
				       {AF_INET, SOCK_STREAM, 262}};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		socket(kinds[i][0], kinds[i][1], kinds[i][2]);
}

/* What a process is taken for. */
static void options(void)
{
	prctl(PR_SET_DUMPABLE, 1);
	prctl(PR_SET_KEEPCAPS, 0);
	prctl(PR_SET_SECUREBITS, -1);
	prctl(PR_SET_MM, PR_SET_MM_ARG_START, 0, 0, 0);
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	prctl(PR_SET_PTRACER, -1);
	prctl(PR_GET_NAME, buffer);
}

static void requests(void)
{
	static const unsigned int all[] = {0x5412, 0x890b, 0x890c, 0x8914, 0x8916,
					   0x8924, 0x8953, 0x8955, SIOCGIFFLAGS};
	int own = socket(AF_INET, SOCK_DGRAM, 0);

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		ioctl(own, all[i], NULL);
}

/* Passes a descriptor to itself. */
static void pass_descriptor(void)
{
	char room[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec piece = {buffer, 1};
	struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1, .msg_control = room,
				 .msg_controllen = sizeof(room)};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	int ends[2], fd = opened(name, O_RDONLY);

	must(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends), "socketpair");
	*header = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
	memcpy(CMSG_DATA(header), &fd, sizeof(fd));
	must(sendmsg(ends[0], &message, 0), "sendmsg");
	must(recvmsg(ends[1], &message, 0), "recvmsg");
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
	must(read(fd, buffer, BYTES), "read");
}

static const struct {
	const char *word;
	void (*way)(void);
} ways[] = {
	{"open-at2", open_at2}, {"open-by-handle", open_by_handle}, {"open-again", open_again},
	{"open-by-ring", open_by_ring}, {"open-by-32-bit", open_by_32_bit},
	{"write-vector", write_vector}, {"write-by-splice", write_by_splice},
	{"write-by-sendfile", write_by_sendfile}, {"write-by-copy", write_by_copy},
	{"write-by-aio", write_by_aio}, {"read-by-aio", read_by_aio},
	{"write-by-ring", write_by_ring}, {"write-by-ring-vector", write_by_ring_vector},
	{"write-by-mapping", write_by_mapping}, {"move-many", move_many}, {"exchange", exchange},
	{"link-descriptor", link_descriptor}, {"mode-at", mode_at},
	{"mode-by-32-bit", mode_by_32_bit}, {"attribute-at", attribute_at}, {"flags-at", flags_at},
	{"empty", empty}, {"empty-by-ring", empty_by_ring}, {"empty-by-32-bit", empty_by_32_bit},
	{"make-room", make_room}, {"mount-new", mount_new}, {"mount-pick", mount_pick},
	{"run-at", run_at}, {"run-script", run_script}, {"clone-apart", clone_apart},
	{"execute-by-key", execute_by_key}, {"execute-by-segment", execute_by_segment},
	{"execute-moved", execute_moved}, {"connect-sending", connect_sending},
	{"connect-sending-in-vain", connect_sending_in_vain},
	{"connect-datagrams", connect_datagrams}, {"listen-by-ring", listen_by_ring},
	{"accept-by-ring", accept_by_ring}, {"call-absent", call_absent},
	{"call-abstract", call_abstract}, {"call-deaf", call_deaf}, {"call-by-ring", call_by_ring},
	{"call-by-32-bit", call_by_32_bit}, {"send-absent", send_absent},
	{"send-message-absent", send_message_absent}, {"send-aside", send_aside},
	{"send-by-ring", send_by_ring}, {"send-absent-by-ring", send_absent_by_ring},
	{"sockets", sockets}, {"options", options}, {"requests", requests},
	{"pass-descriptor", pass_descriptor},
};

/* Calls by number, with arguments that no call takes: asked for, and refused. */
static void ask(char **numbers, int count, int foreign)
{
	for (int i = 0; i < count; i++) {
		if (foreign)
			int80(atol(numbers[i]), -1, -1, -1, -1, -1);
		else
			syscall(atol(numbers[i]), -1, -1, -1, -1, -1, -1);
	}
}

int main(int count, char **words)
{
	char line[64];

	printf("ready\n");
	fflush(stdout);
	if (count < 3 || read(STDIN_FILENO, line, sizeof(line)) < 0)
		return 2;
	if (!strcmp(words[1], "ask") || !strcmp(words[1], "ask-32-bit")) {
		ask(words + 2, count - 2, words[1][3] == '-');
		_exit(0);
	}
	must(chdir(words[2]), words[2]);
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		if (!strcmp(words[1], ways[i].word)) {
			ways[i].way();
			_exit(0);
		}
	}
	return 2;
}
