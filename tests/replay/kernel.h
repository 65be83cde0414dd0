/* What the probes that read requests ask of the kernel, for a program: included before all else. */
#ifndef INFERWARD_TESTS_KERNEL_H
#define INFERWARD_TESTS_KERNEL_H

#include <stdint.h>
#include <string.h>

/* The headers that these stand for. */
#define __VMLINUX_H__
#define __BPF_HELPERS__
#define __BPF_CORE_READ_H__
#define __BPF_TRACING_H__
#define __BPF_ENDIAN__

typedef uint8_t __u8;
typedef uint16_t __u16;
typedef uint32_t __u32;
typedef uint64_t __u64;
typedef int32_t __s32;
typedef int64_t __s64;

struct bpf_sock {
	__u32 protocol;
	__u32 dst_port;
};
struct bpf_tcp_sock {
	__u64 bytes_received;
};
struct __sk_buff {
	__u32 len;
	struct bpf_sock *sk;
};
struct task_struct {
	void *bpf_storage;
};
struct sock;

#define __weak __attribute__((weak))
#define SEC(name)
#undef __always_inline
#define __always_inline inline __attribute__((unused))
#define __noinline __attribute__((noinline))
#define __uint(name, value) int(*name)[value]
#define __type(name, value) typeof(value) *name
#define BPF_CORE_READ(...) 0
#define BPF_CORE_READ_INTO(...) 0
#define BPF_CORE_READ_STR_INTO(...) 0
#define barrier() asm volatile("" ::: "memory")
#define barrier_var(var) asm volatile("" : "+r"(var))
#define bpf_ntohl __builtin_bswap32
#define bpf_ntohs __builtin_bswap16
#define bpf_htons __builtin_bswap16

enum {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY,
	BPF_MAP_TYPE_PERCPU_HASH,
	BPF_MAP_TYPE_PERCPU_ARRAY,
	BPF_MAP_TYPE_LRU_HASH,
	BPF_MAP_TYPE_RINGBUF,
	BPF_MAP_TYPE_TASK_STORAGE,
	BPF_MAP_TYPE_SK_STORAGE,
	BPF_ANY = 0,
	BPF_NOEXIST = 1,
	BPF_F_NO_PREALLOC = 1,
	BPF_F_MMAPABLE = 1024,
	BPF_F_CLONE = 2,
	BPF_SK_STORAGE_GET_F_CREATE = 1,
	BPF_RB_NO_WAKEUP = 1,
	BPF_RB_FORCE_WAKEUP = 2,
};

void *bpf_map_lookup_elem(void *map, const void *key);
long bpf_map_update_elem(void *map, const void *key, const void *value, __u64 flags);
void *bpf_sk_storage_get(void *map, void *sk, void *value, __u64 flags);
void *bpf_task_storage_get(void *map, void *task, void *value, __u64 flags);
struct bpf_sock *bpf_sk_fullsock(struct bpf_sock *sk);
struct bpf_tcp_sock *bpf_tcp_sock(struct bpf_sock *sk);
long bpf_skb_load_bytes(struct __sk_buff *skb, __u32 at, void *to, __u32 bytes);
__u64 bpf_ktime_get_ns(void);
void *bpf_ringbuf_reserve(void *ring, __u64 bytes, __u64 flags);
void bpf_ringbuf_submit(void *record, __u64 flags);
__u32 bpf_get_smp_processor_id(void);
__u64 bpf_get_current_pid_tgid(void);
void *bpf_get_current_task(void);

#endif
