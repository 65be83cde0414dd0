/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What crosses the border between the kernel and the agent: the one definition.
 *
 * The object's BTF carries these types; probes/schema.py makes numpy dtypes of
 * them at load. There is no second definition, in any language. Every field is
 * naturally aligned and every gap is a named field, so that a record never
 * carries memory nobody wrote. A change here raises ABI_NUMBER.
 */
#ifndef INFERWARD_EVENTS_H
#define INFERWARD_EVENTS_H

enum limit {
	ABI_NUMBER = 5,
	RECORD_BYTES = 248, /* a ring slot is 256: 8 of the kernel's own header first */
	PATH_BYTES = 144,
	HEAD_BYTES = 128, /* PATH_SPAN of path.bpf.h fits into both */
	HEAD_LINK_BYTES = 48,
	COMM_BYTES = 16,
	HELD_BYTES = 80, /* of a held file's path, its end */
	EXE_BYTES = 64,
	SUFFIX_BYTES = 16,
	HOLDER_WORDS = 4, /* a bit for each workload */
	ADDRESS_BYTES = 16,
	UNIX_PATH_BYTES = 108,
	SHARED_NAME_BYTES = 136,
	SYSCALL_ARGS = 6,
	MAX_WORKLOADS = 256,   /* workload 0: nobody asked to watch this task */
	GRAM_LENGTH = 7,       /* calls in one word */
	GRAM_BITS = 9,         /* each is number + 1; 0: before the thread's first call */
	GRAM_BUCKETS = 8192,   /* a power of two */
	GRAM_WAYS = 4,         /* words in one bucket */
	GRAM_OWNED = 1 << 24,  /* beside workload << 16 | role: somebody's */
	SYSCALL_FOREIGN = 510, /* made through the 32-bit or x32 entry */
	RING_CALL = 512,       /* and up: an io_uring operation, by its own number */
	ROUTE_BYTES = 128,     /* of a request's path */
	ASKED_MAX = 8,         /* requests of one connection under way, remembered each */
	READ_BYTES = 64,       /* of a message, read at once */
	STREAMS_MAX = 64,      /* of one connection of HTTP/2 under way, remembered each */
	ENTRIES_MAX = 128,  /* of a dynamic table: its 4,096 bytes hold no more (RFC 7541, 4.1) */
	FIELDS_KEPT = 8,    /* of those, paths or other fields that say something here */
	HUFFMAN_ROWS = 256, /* inner nodes of the tree of RFC 7541, appendix B */
	TAP_BYTES = 4096,   /* of a request's body, at most, that become a sketch */
	SKETCH_COUNTERS = 256, /* a byte's: the last of a hash */
	GAP_BUCKETS = 32,      /* by powers of two */
	WAIT_BUCKETS = 112,    /* four for each power of two */
	STACK_FRAMES = 21,
	ACTS_MAX =
		16, /* of a contained workload, each of another process, before all of it stops */
	UNLIMITED_BYTES = 0, /* a budget of nothing is a containment */
	GPU_PREFIX_BYTES = 1024,
	GPU_NAME_BYTES = 40,    /* of a function of the GPU driver's library */
	STACKS_PER_SECOND = 64, /* of one workload: a storm of new files is no storm of stacks */
	PACE_BURST = 4096,      /* records at once: a quarter of the ring, and PLACES beside them */
	PACE_PER_SECOND = 128,  /* and what it may go on with */
	PLACE_TOLD = 16,        /* of one directory, told in spite of a storm elsewhere */
	PLACE_SECONDS = 60,     /* in so long */
};

enum event_kind {
	EVENT_EXEC = 1,       /* exec_event: a new program runs */
	EVENT_ARGS = 2,       /* args_event: its first argument bytes; follows EVENT_EXEC */
	EVENT_EXIT = 3,       /* exit_event: a thread group of a watched workload ended */
	EVENT_FILE = 4,       /* file_event: first open of a file in this access */
	EVENT_PEER = 5,       /* peer_event: first connect, datagram or accept of a peer */
	EVENT_LISTEN = 6,     /* peer_event: a socket began to listen, or was bound for datagrams */
	EVENT_MAPPING = 7,    /* mapping_event: first executable mapping */
	EVENT_SYSCALL = 8,    /* syscall_event: a sensitive call */
	EVENT_DENIED = 9,     /* peer_event: refused because the workload is contained */
	EVENT_NAME = 10,      /* name_event: first question for a host name, over DNS */
	EVENT_CHANGE = 11,    /* change_event: a name or an attribute of a file was changed */
	EVENT_STRANGER = 12,  /* stranger_event: somebody else opened what a workload holds */
	EVENT_TITLE = 13,     /* title_event: a thread took another name */
	EVENT_PRIVILEGE = 14, /* privilege_event: other rights, or another namespace */
	EVENT_SHARED =
		15, /* shared_event: System V shared memory, made or attached; a memfd made */
	EVENT_REFUSED = 16, /* peer_event: a connect that was not answered, by its error */
	EVENT_STACK = 17,   /* stack_event: from where the call that a record tells of came */
	EVENT_SIGNAL = 18,  /* signal_event: to a process outside the workload */
	EVENT_CALLER = 19, /* caller_event: first connection accepted of a local program and user */
	EVENT_REQUEST = 20, /* request_event: first request of its kind on an accepted connection */
	EVENT_HEAD = 21,    /* head_event: the beginning of a path that another record ends */
	EVENT_GPU = 22, /* gpu_event: GPU code loaded, GPU memory shared, an entry of the driver */
	EVENT_REFLEX = 23, /* reflex_event: the kernel answered an act that was not learnt */
	EVENT_MAX = 24,
};

enum event_flag {
	FLAG_TRUNCATED = 1,     /* the path's beginning is missing; its end is here */
	FLAG_DELETED = 2,       /* the file had no name left */
	FLAG_CREATED = 4,       /* this open created the file */
	FLAG_WRITE = 8,         /* opened for writing */
	FLAG_READ = 16,         /* opened for reading */
	FLAG_ANONYMOUS = 32,    /* executable memory without a file */
	FLAG_STDIO_SOCKET = 64, /* standard input, output or error is a socket at exec */
	FLAG_UNREADABLE = 128,  /* a kernel read failed: the text is incomplete */
	FLAG_PROTECT = 256,     /* made executable by mprotect, not by mmap */
	FLAG_FOREIGN = 512,     /* 32-bit or x32 entry */
	FLAG_RING = 1024,       /* by io_uring */
	FLAG_GIVEN = 2048,      /* a path as the caller gave it, read from the caller's memory */
	FLAG_CORE = 4096,       /* the process left a core dump */
	FLAG_OOM = 8192,        /* the kernel ended it for want of memory */
	FLAG_DIRECTORY = 16384, /* a directory, listed */
	FLAG_SHARED = 32768,    /* a shared mapping, or shared memory */
};

/* What a file is, as far as bytes are concerned. The agent refines what the kernel guesses. */
enum file_class {
	FILE_OTHER = 0,
	FILE_WEIGHTS = 1,
	FILE_CODE = 2,
	FILE_CONFIG = 3,
	FILE_SECRET = 4,
	FILE_LOG = 5,
	FILE_TEMP = 6,
	FILE_DEVICE = 7, /* character and block devices */
	FILE_PIPE = 8,
	FILE_SOCKET = 9,
	FILE_CLASS_MAX = 10,
};

enum file_direction {
	FILE_READ = 0,
	FILE_WRITTEN = 1,
	FILE_MAPPED = 2, /* bytes of the mapping; no read(2) follows */
	FILE_DIRECTION_MAX = 3,
};

/* Where the other end of an IP socket is. */
enum peer_class {
	PEER_LOOPBACK = 0,
	PEER_LINK = 1,      /* link-local */
	PEER_PRIVATE = 2,   /* RFC 1918, RFC 6598, RFC 4193 */
	PEER_METADATA = 3,  /* 169.254.169.254, fd00:ec2::254 and kin: credentials of the cloud */
	PEER_MULTICAST = 4, /* and broadcast */
	PEER_PUBLIC = 5,
	PEER_CLASS_MAX = 6,
};

enum peer_flow {
	FLOW_ACCEPTED_OUT = 0, /* on sockets that others opened */
	FLOW_ACCEPTED_IN = 1,
	FLOW_INITIATED_OUT = 2, /* on sockets that the workload opened itself */
	FLOW_INITIATED_IN = 3,
	FLOW_MAX = 4,
};

/* What was done to a name or an attribute. */
enum change_operation {
	CHANGE_RENAME_FROM = 1, /* a rename is two records of one time: from, to */
	CHANGE_RENAME_TO = 2,
	CHANGE_LINK = 3,
	CHANGE_SYMLINK = 4,
	CHANGE_UNLINK = 5,
	CHANGE_MKDIR = 6,
	CHANGE_RMDIR = 7,
	CHANGE_MKNOD = 8,
	CHANGE_TRUNCATE = 9,
	CHANGE_MODE = 10,
	CHANGE_OWNER = 11,
	CHANGE_XATTR = 12,
	CHANGE_TIMES = 13,
	CHANGE_MOUNT = 14,
	CHANGE_UNMOUNT = 15,
	CHANGE_LINK_FROM = 16, /* the name that got a second one; with CHANGE_LINK, of one time */
	CHANGE_SYMLINK_TARGET = 17, /* what it holds, as given; with CHANGE_SYMLINK, of one time */
	CHANGE_FLAGS = 18,          /* of the inode, as chattr(1) sets them */
	CHANGE_REFUSED_OPEN = 19,   /* changes nothing: an open that was not allowed */
	CHANGE_REFUSED_WRITE = 20,  /* the same, of one that was to write; `detail`: open flags */
	CHANGE_EMPTY = 21, /* a part of what it holds; `detail`: how, as fallocate(2) has it */
};

/* Which extended attribute a CHANGE_XATTR is about; its `detail`. */
enum xattr_class {
	XATTR_OTHER = 0,
	XATTR_CAPABILITY = 1, /* security.capability: rights that a program gets */
	XATTR_SECURITY = 2,
	XATTR_TRUSTED = 3,
	XATTR_SYSTEM = 4, /* access control lists */
};

enum privilege_cause {
	PRIVILEGE_CALL = 1,      /* of the set*id family, capset */
	PRIVILEGE_EXEC = 2,      /* set-user-id, or file capabilities */
	PRIVILEGE_NAMESPACE = 3, /* setns, unshare, clone into another */
	PRIVILEGE_UNCAUSED = 4,  /* found at a fork: no call gave them */
};

enum namespace_kind {
	NAMESPACE_MOUNT = 1,
	NAMESPACE_PID = 2, /* for its children */
	NAMESPACE_NET = 4,
	NAMESPACE_IPC = 8,
	NAMESPACE_UTS = 16,
	NAMESPACE_USER = 32,
	NAMESPACE_CGROUP = 64,
	NAMESPACE_TIME = 128,
};

enum shared_operation {
	SHARED_CREATE = 1, /* shmget(2) made it */
	SHARED_OPEN = 2,   /* shmget(2) found it */
	SHARED_ATTACH = 3, /* shmat(2) */
	SHARED_MEMFD = 4,  /* memfd_create(2) made it */
};

/* Variables that change whose code a new program runs. */
enum environment_flag {
	ENVIRONMENT_PRELOAD = 1,
	ENVIRONMENT_AUDIT = 2,
	ENVIRONMENT_LIBRARY_PATH = 4,
	ENVIRONMENT_PYTHON = 8,  /* PYTHONPATH, PYTHONHOME, PYTHONSTARTUP */
	ENVIRONMENT_UNREAD = 16, /* not all of it was looked at */
};

/* A stack is two records: frame pointers skip the caller of a function that keeps none. */
enum stack_part {
	STACK_CHAIN = 0, /* the call's own address, then by frame pointers */
	STACK_WORDS = 1, /* the newest words of the stack itself */
};

/* What the agent asks of the kernel for one workload. */
enum mode_flag {
	MODE_STACKS = 1, /* a stack behind each first-seen record */
};

enum peer_direction {
	PEER_CONNECT = 1,
	PEER_DATAGRAM = 2,
	PEER_ACCEPT = 3,
	PEER_LISTEN = 4,
	PEER_BIND = 5,
};

/* Why something is missing. Counted per workload and CPU, never silent. */
enum loss_reason {
	LOSS_RING_FULL = 0,      /* no room for a record */
	LOSS_SEEN_FULL = 1,      /* the first-seen set refused a key: may repeat */
	LOSS_GRAMS_FULL = 2,     /* a 7-gram could not be counted */
	LOSS_TASK_STORAGE = 3,   /* a task could not be tagged: unseen from here on */
	LOSS_MEMBERS_FULL = 4,   /* a process could not be listed as a member */
	LOSS_READ_FAULT = 5,     /* kernel memory could not be read */
	LOSS_SOCKET_STORAGE = 6, /* a socket could not be tagged */
	LOSS_STOP_FAILED = 7,    /* a contained task could not be signalled */
	LOSS_FILES_FULL = 8,     /* a file could not be put into a class: its bytes are `other` */
	LOSS_STACK = 9,          /* a stack could not be read */
	LOSS_ROUTES_FULL = 10,   /* a request could not be counted by its route or its client */
	LOSS_GPU = 11,           /* an allocation or an argument of the GPU driver's library */
	LOSS_CROWDS_FULL = 12,   /* beyond the pace, and not even counted by where it was */
	LOSS_MAX = 13,
};

/* What has an allowance of its own, per workload: nothing can be hidden behind a storm of another.
 * What exceeds it is no record, and is counted in its crowd.
 */
enum pace {
	PACE_FILES = 0,
	PACE_CHANGES = 1,
	PACE_ENDS = 2,   /* of processes, of their own accord */
	PACE_FAULTS = 3, /* of processes, by a signal */
	PACE_GRAVE = 4,  /* secrets, devices, and changes to code, weights, settings and rights */
	PACE_PLACES = 5, /* what is seen of a directory in spite of a storm */
	PACE_PEERS = 6,
	PACE_MAX = 7,
};

/* What a function of the GPU driver's library does; the lowest byte of an attachment's cookie. */
enum gpu_act {
	GPU_LAUNCH = 1,
	GPU_SEND = 2,
	GPU_FETCH = 3,
	GPU_COPY = 4,
	GPU_COPY_BLOCK = 5, /* two or three dimensions, in a structure */
	GPU_ALLOCATE = 6,
	GPU_FREE = 7,
	GPU_CONTEXT = 8,
	GPU_MODULE = 9,       /* code in memory */
	GPU_MODULE_FILE = 10, /* code in a file */
	GPU_SHARE = 11,       /* handles that another process can use, made or taken */
	GPU_LOOKUP = 12,      /* the driver told where a function of it is */
	GPU_COPY_BATCH = 13,  /* many copies in one call, their sizes in an array */
};

/* What is counted per workload, in totals. */
enum counter {
	COUNT_SYSCALLS = 0,
	COUNT_FORKS = 1,
	COUNT_EXECS = 2,
	COUNT_EXITS = 3,
	COUNT_CRASHES = 4, /* thread groups ended by a fatal signal */
	COUNT_OPENS = 5,
	COUNT_CONNECTS = 6,
	COUNT_ACCEPTS = 7,
	COUNT_READ_BYTES = 8, /* returned by read-like calls, files and sockets alike */
	COUNT_WRITE_BYTES = 9,
	COUNT_SENT_ACCEPTED = 10,  /* IP bytes out on sockets the workload accepted */
	COUNT_SENT_INITIATED = 11, /* IP bytes out on sockets the workload opened itself */
	COUNT_RECEIVED = 12,       /* IP bytes in */
	COUNT_DENIED = 13,
	COUNT_STOPPED = 14,      /* stop signals sent to contained tasks */
	COUNT_FAILED_CALLS = 15, /* calls that returned an error */
	COUNT_CHANGES = 16,      /* names and attributes of files changed */
	COUNT_LISTINGS = 17,     /* directories read */
	COUNT_REFUSED = 18,      /* connects that were not answered */
	COUNT_OOM_KILLS = 19,
	COUNT_CORE_DUMPS = 20,
	COUNT_STRANGERS = 21,     /* opens by others of what it holds */
	COUNT_REQUESTS = 22,      /* read on accepted connections */
	COUNT_ANSWERED = 23,      /* of those, at their end: answered, cut, or given up */
	COUNT_UNASKED_BYTES = 24, /* sent on an accepted connection, no request being under way */
	COUNT_TLS = 25,           /* accepted connections that began with a TLS handshake */
	COUNT_UNREAD = 26,        /* accepted connections with bytes that could not be followed */
	COUNT_GPU_LAUNCHES = 27,  /* kernels and graphs given to the GPU, by the driver's library */
	COUNT_GPU_SENT_BYTES = 28,    /* host to device */
	COUNT_GPU_FETCHED_BYTES = 29, /* device to host */
	COUNT_GPU_COPIED_BYTES = 30,  /* whatever the direction is: the call does not say */
	COUNT_GPU_ALLOCATED_BYTES = 31,
	COUNT_GPU_FREED_BYTES = 32,
	COUNT_GPU_CONTEXTS = 33,
	COUNT_GPU_MODULES = 34,
	COUNT_SUMMARISED = 35, /* records that were not made, and are counted in their crowd */
	COUNT_GPU_CALLS = 36,  /* ioctl(2) on the device files of GPUs */
	COUNT_UNSKETCHED = 37, /* requests of a tapped workload that found no room for a sketch */
	COUNT_MAX = 38,
};

enum http_method {
	METHOD_OTHER = 0,
	METHOD_GET = 1,
	METHOD_HEAD = 2,
	METHOD_POST = 3,
	METHOD_PUT = 4,
	METHOD_DELETE = 5,
	METHOD_PATCH = 6,
	METHOD_OPTIONS = 7,
	METHOD_CONNECT = 8,
	METHOD_STREAM = 9, /* of HTTP/2, where its fields could not be read */
	METHOD_MAX = 10,
};

/* How a request was answered: the first digit of the status. */
enum answer_class {
	ANSWER_NONE = 0,          /* the connection ended before */
	ANSWER_INFORMATIONAL = 1, /* 101: it speaks another protocol from here on */
	ANSWER_SUCCESS = 2,
	ANSWER_REDIRECTION = 3,
	ANSWER_CLIENT_ERROR = 4,
	ANSWER_SERVER_ERROR = 5,
	ANSWER_UNREAD = 6, /* the answer, or a compressed status, could not be followed */
	ANSWER_DENIED = 7, /* of ANSWER_CLIENT_ERROR, counted there too: 401, 403, 404, 405 */
	ANSWER_MAX = 8,    /* a power of two is needed to bound it */
};

enum route_hash {
	ROUTE_OTHERS = 1,  /* those that found no room of their own */
	ROUTE_STREAMS = 2, /* of HTTP/2, where the path could not be read */
};

enum containment_level {
	CONTAIN_NONE = 0,
	CONTAIN_NETWORK = 1, /* nothing new leaves: connect, datagram, own sockets; acts are denied,
			      * or who does one is stopped after it: acts.bpf.c
			      */
	CONTAIN_FREEZE = 2,  /* and every thread stops at its next call */
	CONTAIN_LEVELS = 0xff,
	CONTAIN_CLIENTS = 0x100, /* beside a level: nothing goes to clients or comes from them */
};

/* Acts that the kernel answers by itself while they are not in `reflex_allowed`. Bits. */
enum reflex_act {
	REFLEX_EXEC = 1,    /* a program, by its inode */
	REFLEX_CONNECT = 2, /* TCP or UDP to an address and port */
	REFLEX_SECRET = 4,  /* a file in a place of secrets, by its inode */
	REFLEX_DRY = 8,     /* of a workload: told, and nothing done */
	REFLEX_NAME = 16,   /* of a key: programs by the beginning of their names */
	REFLEX_PORT = 32,   /* of a key: every public address, on a port */
};

enum reflex_grant { /* why something is allowed */
		    REFLEX_LEARNT = 1,
		    REFLEX_RELEASED = 2, /* by an operator, who gave back who was stopped for it */
};

enum reflex_outcome {
	REFLEX_LEFT = 0, /* it was learnt, or the workload has no such reflex */
	REFLEX_DENIED = 1,
	REFLEX_STOPPED = 2, /* after the act, where it cannot be denied */
	REFLEX_REHEARSED = 3,
	REFLEX_SPARED = 4, /* too many in its period: nothing was done */
};

enum task_role {
	ROLE_MAIN = 0,
	ROLE_UNKNOWN_CHILD = 1, /* ran a new program; the agent may name it later */
	ROLE_FIRST_NAMED = 2,   /* and up: named by an engine's profile */
	ROLE_WORKER = 0xffff,   /* a copy of a main process that ran no other program */
};

enum secrecy {
	SECRET_FILE = 1,
	SECRET_STORE = 2, /* of a container runtime: also where containers keep what is no secret */
};

enum protection {                    /* bits: what is kept of an approved model */
		  PROTECT_FILE = 1,  /* content, name and attributes of a file */
		  PROTECT_PLACE = 2, /* name of a link or directory, and what is seen there */
};

enum publisher { /* bits: what a program may all the same */
		 PUBLISH = 1,
		 PUBLISH_MOUNT = 2,
};

enum socket_origin {
	SOCKET_ACCEPTED = 0,  /* or not connected yet; a datagram socket that was spoken to first */
	SOCKET_INITIATED = 1, /* it connected, or sent the first datagram */
};

struct event_header {
	__u64 time_ns;  /* CLOCK_MONOTONIC */
	__u64 start_ns; /* CLOCK_BOOTTIME start of the thread group: with pid, an identity */
	__u64 cgroup;   /* cgroup v2 id */
	__u32 workload;
	__u32 pid; /* thread group, initial pid namespace */
	__u32 tid;
	__u32 ppid;
	__u32 uid;
	__u32 cpu;
	__u16 kind;
	__u16 flags;
	__u16 role;
	__u16 syscall; /* number at the hook; 0 where there is none */
	char comm[COMM_BYTES];
};

struct exec_event {
	struct event_header hdr;
	__u64 ino;
	__u32 dev;
	__u32 generation;
	__u32 mode;
	__u32 euid;
	__u64 capabilities; /* effective, after the exec */
	char path[PATH_BYTES];
};

/* A path longer than PATH_BYTES - 1 is told in two: its record holds the end. By the thread and by how
 * that end begins, the two belong together; which comes first is not promised.
 */
struct head_event {
	struct event_header hdr;    /* FLAG_TRUNCATED: even this is not its beginning */
	char link[HEAD_LINK_BYTES]; /* the first bytes that the other record holds */
	char text[HEAD_BYTES];      /* what comes before; NUL behind it */
};

struct args_event {
	struct event_header hdr;
	__u32 bytes;       /* in text */
	__u32 total;       /* in the process */
	__u32 environment; /* environment_flag */
	__u32 unused;
	__u64 reserved[2];
	char text[PATH_BYTES]; /* separated by NUL */
};

struct exit_event {
	struct event_header hdr;
	__u32 code;   /* of exit(2), when signal is 0 */
	__u32 signal; /* that ended the thread group */
	__u32 sent; /* the last signal that can end it, sent by a process or, FLAG_OOM, the kernel */
	__u32 sender; /* thread group */
	__u32 sender_uid;
	__u32 unused;
	char sender_comm[COMM_BYTES];
	__u64 reserved[17];
};

struct file_event {
	struct event_header hdr;
	__u64 ino;
	__u64 size;
	__u32 dev;
	__u32 generation;
	__u32 mode;
	__u32 open_flags;
	char path[PATH_BYTES];
};

struct mapping_event {
	struct event_header hdr;
	__u64 ino;
	__u64 address;
	__u32 dev;
	__u32 generation;
	__u32 prot;
	__u32 map_flags;
	char path[PATH_BYTES];
};

struct peer_event {
	struct event_header hdr;
	__u16 family;
	__u16 protocol;
	__u16 remote_port; /* host order */
	__u16 local_port;
	__u16 direction;
	__u16 path_bytes; /* AF_UNIX; an abstract name begins with NUL */
	__s32 result;
	__u8 remote[ADDRESS_BYTES]; /* network order; IPv4 in the first four */
	__u8 local[ADDRESS_BYTES];
	char path[UNIX_PATH_BYTES];
	__u32 reserved[5];
};

struct caller_event {
	struct event_header hdr;
	__u64 ino; /* of its program; 0: it ended, or is the kernel's own */
	__u32 dev;
	__u32 pid; /* thread group that connected */
	__u32 uid;
	__u32 unused[3];
	char path[PATH_BYTES]; /* of its program, from the accepting process's root */
};

struct name_event {
	struct event_header hdr;
	__u16 protocol;
	__u16 bytes; /* in name */
	__u32 unused;
	__u64 reserved[3];
	char name[PATH_BYTES]; /* as in the question: each part behind its length; lower case */
};

struct change_event {
	struct event_header hdr;
	__u64 ino; /* where a descriptor names the file; 0 where a path does, as the next two */
	__u32 dev;
	__u32 generation;
	__u32 operation; /* change_operation */
	__u32 detail; /* new mode, owner, length, flags: as the call's own argument; xattr_class */
	__u64 hash;   /* of path and root: the first-seen key's `first` */
	char path[PATH_BYTES];
};

struct stranger_event { /* the header names whose file it is, and who opened it */
	struct event_header hdr;
	__u64 ino;
	__u64 exe_ino;
	__u32 dev;
	__u32 exe_dev;
	__u32 generation;
	__u32 opener; /* its own workload; 0: nobody watches it */
	char path[HELD_BYTES];
	char exe[EXE_BYTES];
};

struct title_event {
	struct event_header hdr;
	char before[COMM_BYTES];
	char name[COMM_BYTES];
	__u64 reserved[18];
};

struct privilege_event {
	struct event_header hdr;
	__u64 capabilities_before; /* effective */
	__u64 capabilities;
	__u32 euid_before;
	__u32 euid;
	__u32 egid_before;
	__u32 egid;
	__u32 cause;      /* privilege_cause */
	__u32 namespaces; /* namespace_kind: those that are others now */
	__u64 reserved[17];
};

struct shared_event {
	struct event_header hdr;
	__u64 size;
	__u32 id;
	__u32 key;
	__u32 operation; /* shared_operation */
	__u32 mode;
	__u32 creator; /* thread group; 0: unread */
	__u32 owner;   /* uid */
	__u32 creator_workload;
	__u32 attach_flags;           /* of shmat(2) */
	char name[SHARED_NAME_BYTES]; /* of a memfd */
};

struct signal_event {
	struct event_header hdr;
	__u32 signal;
	__u32 target;   /* thread group */
	__s32 result;   /* enum of the kernel's trace point: 0 delivered, 1 ignored, 2 pending */
	__u32 workload; /* the target's; 0: nobody watches it */
	char comm[COMM_BYTES];
	char path[PATH_BYTES]; /* its program */
};

struct request_event {
	struct event_header hdr; /* of the process that made the listener */
	__u64 route;             /* as route_key's */
	__u8 remote[ADDRESS_BYTES];
	char method[8];
	__u16 family;
	__u8 version; /* 1 or 2 */
	__u8 peer;    /* peer_class */
	__u32 bytes;  /* of the path, before '?' */
	__u64 reserved;
	char path[ROUTE_BYTES];
};

struct stack_event {
	struct event_header hdr;
	__u16 part;   /* stack_part */
	__u8 of_kind; /* event_kind of the record it belongs to: same thread, same call */
	__u8 depth;   /* of addresses */
	__u32 child;  /* thread group that the call made, where of_kind is EVENT_EXEC */
	__u64 addresses[STACK_FRAMES];
};

struct gpu_event {
	struct event_header hdr;
	__u64 address; /* of the code, or of the function */
	__u64 prefix;  /* of code: a hash of its first GPU_PREFIX_BYTES, 0 if they were not read */
	__u64 bytes;   /* of code, where the call says it; else 0 */
	__u32 act;     /* gpu_act */
	__u32 detail;  /* of a GPU_SHARE: the function, by the agent's number */
	char name[PATH_BYTES]; /* file as given, or the function asked for */
};

struct reflex_event {
	struct event_header hdr;
	__u64 first; /* as reflex_key's */
	__u64 second;
	__u16 act;     /* reflex_act */
	__u16 outcome; /* reflex_outcome */
	__u16 port;
	__u16 protocol;
	__u16 family;
	__u16 unused;
	__u32 reserved;
	char path[PATH_BYTES]; /* of a program or file */
};

struct syscall_event {
	struct event_header hdr;
	__u64 args[SYSCALL_ARGS];
	__s64 result;
	__u32 native; /* of a foreign call: the 64-bit call that does the same, plus one; 0: unknown */
	__u32 unused;
	__u64 reserved[14];
};

/* Values and keys of maps, below. */

struct rights {
	__u64 capabilities; /* effective */
	__u32 euid;
	__u32 egid;
};

struct task_state { /* per task: what the hot path needs, in one look-up */
	__u64 word; /* the thread's last seven calls */
	__u32 workload;
	__u16 role;
	__u16 due; /* event_kind that the call at hand has told of and that lacks its stack */
	struct rights rights; /* as last looked at: what it has gained since shows */
	__u32 child;          /* thread group that the call at hand made */
	__u32 reserved;
};

struct member { /* per thread group: the same facts for hooks without a task */
	__u32 workload;
	__u16 role;
	__u16 reserved;
};

/* One cache line. A word stays where it was put; its owner is written after it, once both are there.
 */
struct gram_bucket {
	__u64 words[GRAM_WAYS];  /* 0: free; all ones: the agent is taking it out */
	__u64 owners[GRAM_WAYS]; /* GRAM_OWNED | workload << 16 | role */
};

struct seen_key {
	__u64 first;  /* inode, or the upper half of an address */
	__u64 second; /* the lower half */
	__u32 workload;
	__u32 dev;        /* or the port */
	__u32 generation; /* or family and protocol */
	__u16 role;
	__u8 kind;   /* event_kind */
	__u8 access; /* read, write, create; or direction */
};

struct crowd_key {   /* what records that were not made have in common */
	__u64 place; /* the directory's inode, or a hash of its path; the peer's network */
	__u32 dev;   /* the directory's */
	__u32 workload;
	__u16 role;
	__u8 kind;   /* event_kind */
	__u8 access; /* as in seen_key */
	__u32 grave;
};

struct crowd {
	struct event_header hdr; /* of the first */
	__u64 count;             /* not told one by one */
	__u64 latest_ns;
	__u64 placed_ns; /* since when `placed` of its directory were told in spite of a storm */
	__u64 ino;
	__u32 placed;
	__u32 dev;
	__u32 generation;
	__u32 detail;          /* a change's */
	char path[PATH_BYTES]; /* of the first */
};

struct containment {    /* per workload id; the only thing response writes in the kernel */
	__u64 until_ns; /* CLOCK_MONOTONIC; 0: no end */
	__u32 level;
	__u32 acts; /* that the kernel stopped a process after: from ACTS_MAX on, every thread stops */
};

struct reflex {          /* per workload id; written by the agent, ends by itself */
	__u64 until_ns;  /* CLOCK_MONOTONIC */
	__u64 period_ns; /* in which at most `limit` different acts are answered */
	__u32 limit;
	__u32 flags; /* reflex_act */
};

struct reflex_count {   /* per workload id; written by the kernel */
	__u64 start_ns; /* of the period */
	__u64 done;     /* denied or stopped, ever */
	__u64 spared;
	__u32 acts; /* different ones in this period; beyond the limit all are spared */
	__u32 unused;
};

struct reflex_key {   /* of what was learnt, or answered */
	__u64 first;  /* inode, the upper half of an address, or a name's first bytes */
	__u64 second; /* device, the lower half, or the next ones */
	__u32 workload;
	__u32 pid;  /* of who was stopped: each is an act of its own; else 0 */
	__u16 act;  /* reflex_act */
	__u16 port; /* host order; 0: any that the kernel may choose */
	__u16 protocol;
	__u16 family;
};

struct reflex_stop { /* by thread group: whom the kernel stopped after an act */
	struct reflex_key key;
	__u64 start_ns; /* CLOCK_BOOTTIME of the thread group */
	__u64 time_ns;
};

struct upload_budget {   /* per workload id; written by response, as above */
	__u64 until_ns;  /* CLOCK_MONOTONIC; 0: no end */
	__u64 window_ns; /* after which the count begins anew; 0: nothing is limited */
	__u64 limit_bytes[PEER_CLASS_MAX]; /* UNLIMITED_BYTES: as much as it likes */
};

struct upload_spent { /* per workload id and peer_class */
	__u64 start_ns;
	__u64 bytes;   /* let through since then */
	__u64 refused; /* bytes, since the budget began */
};

struct workload_mode { /* per workload id; the agent writes all but the first two */
	__u64 second;
	__u32 stacks;    /* in that second */
	__u32 flags;     /* mode_flag */
	__u64 salt[2];   /* of its sketches: secret, and another one each time they begin anew */
	__u32 tap_bytes; /* of a request's body; 0: not tapped */
	__u32 reserved;
};

struct socket_state {
	__u64 start_ns; /* of the thread group that connected it */
	__u32 workload;
	__u32 pid; /* that thread group; 0: there before the agent, or accepted */
	__u16 role;
	__u8 origin;   /* socket_origin */
	__u8 decided;  /* of a datagram socket: it is known who spoke first */
	__u8 peer;     /* of a stream: peer_class + 1 of its other end; 0: not looked at yet */
	__u8 prefixed; /* of a stream to port 53: a message's length was sent by itself */
	__u16 reserved;
};

struct route_key {   /* what requests have in common */
	__u64 route; /* hash of the path; digits, numbers in hexadecimal and long parts are one */
	__u32 workload;
	__u8 method; /* http_method */
	__u8 peer;   /* peer_class of the client */
	__u16 reserved;
};

struct route_counts {
	__u64 requests;
	__u64 answered;            /* at their end */
	__u64 answers[ANSWER_MAX]; /* by answer_class: HTTP/1 at their head, HTTP/2 at their end */
	__u64 bytes_in;
	__u64 bytes_out;
	__u64 busy_ns;             /* from a request's last byte to its answer's */
	__u32 waits[WAIT_BUCKETS]; /* to the answer's first byte, in 1,024 ns */
	__u32 gaps[GAP_BUCKETS];   /* between the packets of a streamed answer, in 1,024 ns */
	char method[8];
	char path[ROUTE_BYTES]; /* of the first such request */
};

/* Which 3-grams of bytes the beginnings of requests' bodies had, as far as that can be told from
 * the last byte of their salted hashes. One counter stands for some 65,536 of them.
 */
struct sketch {
	__u64 requests;
	__u32 counts[SKETCH_COUNTERS];
};

struct client_key {      /* an address: behind a proxy, all that it speaks for */
	__u32 remote[4]; /* network order; IPv4 as ::ffff: */
	__u32 workload;
};

struct client_counts {
	__u64 requests;
	__u64 bytes_in;
	__u64 errors;    /* answered 4xx or 5xx */
	__u64 period;    /* of 2^35 ns, which `inputs` are of */
	__u64 inputs[4]; /* a bit for each target and length of its requests, by hash */
};

struct asked {         /* a request whose answer has not ended */
	__u64 time_ns; /* of its last byte so far */
	__u64 route;
	__u8 method;
	__u8 reserved[7];
};

struct message {        /* how far one direction of a connection was read */
	__u64 now_ns;   /* of the packet at hand */
	__u64 began_ns; /* of the message's first byte */
	__u64 skip;     /* bytes of a body still to come */
	__u64 number;   /* being read */
	__u64 length;   /* of its body, as its head says */
	__u64 name;     /* hash of a header's name */
	__u64 bytes;    /* of the message so far */
	__u32 next;     /* sequence number of the byte that comes next */
	__u16 at;       /* in the line */
	__u16 status;
	__u8 state;
	__u8 flags;
	__u16 tap_left; /* bytes of a request's body that are still to become part of a sketch */
	__u16 tap_read; /* of those before, in a row */
	__u16 tap_last; /* the latest two of them */
};

struct stream {                 /* an accepted connection */
	struct message ways[2]; /* in, out */
	struct asked asked[ASKED_MAX];
	__u64 route;   /* of the request being read: its hash so far */
	__u64 target;  /* hash of all of it, with what follows '?' */
	__u64 literal; /* hash of the path's part at hand */
	__u64 normal;  /* the same, digits being one */
	__u64 last_ns; /* of the latest packet of a streamed answer */
	char method[8];
	__u32 remote[4];
	__u32 in;      /* requests, modulo 2^32 */
	__u32 out;     /* of those, answered to the end */
	__u32 deep;    /* under way beyond those remembered */
	__u32 highest; /* stream of HTTP/2 */
	__u32 path_bytes;
	__u32 workload;
	__u16 role;
	__u16 part_bytes;
	__u8 part_flags;
	__u8 peer;  /* peer_class */
	__u8 flags; /* stream_flag, in requests.bpf.h */
	__u8 family;
	__u8 bytes[2][READ_BYTES];
	char path[ROUTE_BYTES];
};

struct upload_key {      /* whom a workload sent to on its own connections */
	__u32 remote[4]; /* network order; IPv4 in the first */
	__u32 workload;
	__u16 port; /* host order */
	__u8 family;
	__u8 protocol;
};

struct file_key { /* a file, or a directory for all below it */
	__u64 ino;
	__u32 dev;        /* as the kernel numbers it: major << 20 | minor */
	__u32 generation; /* of the inode's number; 0 where only places are meant */
};

struct refusal { /* of a change to a protected file: the latest, and how many */
	__u64 time_ns;
	__u64 count;
	__u32 pid;
	char comm[16];
	__u32 reserved;
};

struct file_suffix { /* what follows a name's last dot, in lower case, right-aligned */
	char text[SUFFIX_BYTES];
};

struct file_holders { /* whose weights or shared memory a file is */
	__u64 workloads[HOLDER_WORDS];
	__u32 generation; /* 0: unknown */
	__u32 reserved;
};

struct gpu_pending {   /* a call of a thread into the driver that has not returned */
	__u64 place;   /* where its answer will be */
	__u64 bytes;   /* asked for; or where the name of a function is */
	__u32 pitched; /* the size is at `bytes` when it returns, times so many rows */
	__u32 act;
};

struct gpu_block { /* GPU memory that a process allocated */
	__u64 address;
	__u32 pid;
	__u32 unused;
};

struct gpu_block_size {
	__u64 bytes;
	__u32 workload;
	__u32 unused;
};

struct meta {
	__u32 abi;
	__u32 reserved;
	__u8 digest[32]; /* SHA-256 of the object that is attached */
};

#ifdef __bpf__
#define RECORD_SIZE(type) _Static_assert(sizeof(type) == RECORD_BYTES, #type " fills a slot")
RECORD_SIZE(struct exec_event);
RECORD_SIZE(struct head_event);
RECORD_SIZE(struct args_event);
RECORD_SIZE(struct exit_event);
RECORD_SIZE(struct file_event);
RECORD_SIZE(struct mapping_event);
RECORD_SIZE(struct peer_event);
RECORD_SIZE(struct caller_event);
RECORD_SIZE(struct name_event);
RECORD_SIZE(struct syscall_event);
RECORD_SIZE(struct change_event);
RECORD_SIZE(struct stranger_event);
RECORD_SIZE(struct title_event);
RECORD_SIZE(struct privilege_event);
RECORD_SIZE(struct shared_event);
RECORD_SIZE(struct stack_event);
RECORD_SIZE(struct signal_event);
RECORD_SIZE(struct request_event);
RECORD_SIZE(struct gpu_event);
RECORD_SIZE(struct reflex_event);
_Static_assert(sizeof(struct event_header) == 72, "header");
_Static_assert(sizeof(struct seen_key) == 32, "seen_key");
_Static_assert(sizeof(struct gram_bucket) == 64, "gram_bucket");
_Static_assert(sizeof(struct crowd_key) == 24, "crowd_key");
#endif

#endif
