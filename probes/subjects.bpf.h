/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The subjects that a hook hands a call to. Each lives in its own file and is
 * verified once, by itself; the static linker joins them.
 */
#ifndef INFERWARD_SUBJECTS_BPF_H
#define INFERWARD_SUBJECTS_BPF_H

#include "vmlinux.h"

struct socket_state;

extern int file_opened(__u32 fd, __u32 call);
extern int socket_connected(__u32 fd, __s32 result, __u64 name, __u32 length);
extern int socket_reached(__u64 file_address, __s32 result, __u64 name, __u32 length);
extern int socket_listens(__u64 file_address);
extern int socket_bound(__u64 file_address);
extern int descriptor_opened(__u32 fd, __u32 listening);
extern int socket_made(__u32 family, __u32 flagged_type, __u32 protocol, __s32 result);
extern int connect_failed(__s32 error);
extern int unix_reached(__u64 sk_address, __s32 result, __u64 name, __u32 length);
extern int unix_offered(__u64 sk_address, __u32 direction);
extern int unix_accepted(__u64 sk_address);
extern int unix_sent(__u64 address, __u32 length, __s32 result);
extern int unix_message_sent(__u64 message_address, __s32 result);
extern int messages_moved(__u64 vector, __u32 count, __u32 direction);
extern int requests_submitted(__u64 addresses, __u32 count);
extern int socket_accepted(__u32 fd, __u32 call);
extern int request_packet(struct __sk_buff *skb, struct socket_state *socket, __u32 way);
extern int names_asked(struct __sk_buff *skb, __u32 transport, __u32 protocol);
extern int directory_listed(__u32 fd, __u32 call);
extern int stranger_opened(__u32 fd, __u32 call);
extern int memory_mapped(__u64 address, __u64 length, __u32 prot, __u32 map_flags, __u32 fd);
extern int environment_read(void);
extern int gpu_called(__u32 workload, __u32 fd);
extern int name_changed(__u32 call, __u64 first, __u64 second, __u64 third, __u64 fourth);
extern int ring_changed(__u64 request, __u32 operation);
extern int memory_protected(__u64 address, __u32 prot, __u32 call);
extern int memfd_made(__u32 fd);
extern int segment_used(__u32 id, __u32 flags, __u32 call);
extern int rights_changed(__u32 cause);
extern int namespaces_entered(__u32 fd, __u64 flags);
extern int namespaces_born(__u64 nsproxy_address, __u64 user);
extern int stack_submit(__u64 stack_pointer);
extern int stack_connecting(void);
extern int upload_refused(__u32 workload, __u32 peer, __u32 bytes);
extern int thread_stop(void);
extern int act_done(__u32 workload);
extern int act_called(__u64 registers, __u32 number, __s64 result);
extern int act_open_called(__u64 registers, __u32 number, __u32 fd);
extern int act_opened(__u32 fd, __u64 flags);
extern int act_on_socket(__u64 file_address, __u32 act);
extern int act_asked(__u64 request, __u32 operation, __u32 hidden);
extern int act_completed(__u64 file_address, __u32 operation, __u32 result);

#endif
