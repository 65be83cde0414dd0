/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Every map, once. Weak, so that each subject's file may include this and the
 * static linker (bpftool gen object) keeps one of each. All are pinned by the
 * loader: they outlive the daemon.
 */
#ifndef INFERWARD_MAPS_BPF_H
#define INFERWARD_MAPS_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "events.h"
#include "multiplex.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct task_state);
} tasks __weak SEC(".maps");

/* The same membership by thread group, for hooks where no task storage can be
 * reached (cgroup programs before 6.x) and for the agent to read.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 32768);
	__type(key, __u32);
	__type(value, struct member);
} members __weak SEC(".maps");

/* Which sequences of calls were made, and how often on each CPU: grams.bpf.h. The agent maps both
 * into its memory.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, GRAM_BUCKETS);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct gram_bucket);
} grams __weak SEC(".maps");

/* Row by row: one CPU's lie together, and no line is two CPUs'. As many rows as the host may have
 * CPUs: the loader makes room.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, GRAM_BUCKETS *GRAM_WAYS);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, __u64);
} gram_counts __weak SEC(".maps");

/* Least recently used goes first: an evicted key is reported again, never missed. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 131072);
	__type(key, struct seen_key);
	__type(value, __u64);
} seen __weak SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, MAX_WORKLOADS *COUNT_MAX);
	__type(key, __u32);
	__type(value, __u64);
} totals __weak SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, MAX_WORKLOADS *LOSS_MAX);
	__type(key, __u32);
	__type(value, __u64);
} losses __weak SEC(".maps");

/* Bytes by what the file is, and by where the peer is and who opened the connection. Row by row:
 * one workload's numbers lie together.
 */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, MAX_WORKLOADS *FILE_CLASS_MAX *FILE_DIRECTION_MAX);
	__type(key, __u32);
	__type(value, __u64);
} file_bytes __weak SEC(".maps");

/* enum file_class by file. The least recently used goes first: it is guessed anew when needed. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct file_key);
	__type(value, __u32);
} file_classes __weak SEC(".maps");

/* enum file_class by the end of a name; written by the agent, once. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 512);
	__type(key, struct file_suffix);
	__type(value, __u32);
} suffix_classes __weak SEC(".maps");

/* Whom a file belongs to that nobody else has to open: weights and shared memory. By the agent. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, struct file_key);
	__type(value, struct file_holders);
} held_files __weak SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, MAX_WORKLOADS *PEER_CLASS_MAX *FLOW_MAX);
	__type(key, __u32);
	__type(value, __u64);
} peer_bytes __weak SEC(".maps");

/* Connections, by where the peer is; of the flows only the two outward ones are used. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, MAX_WORKLOADS *PEER_CLASS_MAX *FLOW_MAX);
	__type(key, __u32);
	__type(value, __u64);
} peer_connections __weak SEC(".maps");

/* Bytes by peer, on connections that the workload opened itself. Least recently used goes first:
 * a peer that was forgotten begins anew.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, struct upload_key);
	__type(value, __u64);
} uploads __weak SEC(".maps");

/* Connections that a workload accepted, as far as HTTP is spoken on them: made at the first byte. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct stream);
} streams __weak SEC(".maps");

/* Of those, the ones that speak HTTP/2: beside their entry in `streams`. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct multiplex);
} multiplexes __weak SEC(".maps");

/* Requests by route. Who reads it takes out those that stand still before it is full. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct route_key);
	__type(value, struct route_counts);
} routes __weak SEC(".maps");

/* Of tapped workloads alone, by route: most hosts have none, and then no memory is taken. Who reads
 * it takes out those that stand still.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 512);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct route_key);
	__type(value, struct sketch);
} sketches __weak SEC(".maps");

/* Requests by client. Least recently used goes first: one that was forgotten begins anew. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct client_key);
	__type(value, struct client_counts);
} clients __weak SEC(".maps");

/* Up to when each allowance is spent, CLOCK_MONOTONIC; row by row: one workload's lie together. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_WORKLOADS *PACE_MAX);
	__type(key, __u32);
	__type(value, __u64);
} paces __weak SEC(".maps");

/* What exceeded its allowance, by where it was. Who reads it takes out those that stand still. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct crowd_key);
	__type(value, struct crowd);
} crowds __weak SEC(".maps");

/* Records submitted, by kind: what the ring's reader must have received. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, EVENT_MAX);
	__type(key, __u32);
	__type(value, __u64);
} submitted __weak SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_WORKLOADS);
	__type(key, __u32);
	__type(value, struct containment);
} contained __weak SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_WORKLOADS);
	__type(key, __u32);
	__type(value, struct upload_budget);
} budgets __weak SEC(".maps");

/* Row by row: one workload's classes lie together. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_WORKLOADS *PEER_CLASS_MAX);
	__type(key, __u32);
	__type(value, struct upload_spent);
} spent __weak SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_WORKLOADS);
	__type(key, __u32);
	__type(value, struct reflex);
} reflexes __weak SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_WORKLOADS);
	__type(key, __u32);
	__type(value, struct reflex_count);
} reflex_counts __weak SEC(".maps");

/* What each workload with a reflex was learnt to do, by enum reflex_grant: by the agent. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 32768);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct reflex_key);
	__type(value, __u32);
} reflex_allowed __weak SEC(".maps");

/* When each act was answered first: an act again and again is one. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct reflex_key);
	__type(value, __u64);
} reflex_done __weak SEC(".maps");

/* Who was stopped, and for what, until it is given back or ends. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, struct reflex_stop);
} reflex_stops __weak SEC(".maps");

/* Major numbers of the device files of GPUs, nearly all given out as drivers load: by the agent. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, __u32);
} gpu_majors __weak SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_WORKLOADS);
	__type(key, __u32);
	__type(value, struct workload_mode);
} modes __weak SEC(".maps");

/* Threads in a connect(2) whose peer was told of: a cgroup program cannot read their stack. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, __u64);
	__type(value, __u32);
} connecting __weak SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, int);
	__type(value, struct socket_state);
} sockets __weak SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct meta);
} meta __weak SEC(".maps");

/* 16,384 records: 2 s of a storm at 8,000 first-seen files a second. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 << 20);
} ring __weak SEC(".maps");

#endif
