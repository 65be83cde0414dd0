/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Who sent a process the signal it died of: known when it is sent, told when it ends. */
#ifndef INFERWARD_SIGNALS_BPF_H
#define INFERWARD_SIGNALS_BPF_H

#include "record.bpf.h"

struct sender {
	__u32 signal;
	__u32 pid; /* thread group */
	__u32 uid;
	__u32 oom; /* the kernel's choice, for want of memory */
	char comm[COMM_BYTES];
};

/* By thread group of the receiver; one that lives on is forgotten in time. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, struct sender);
} senders __weak SEC(".maps");

static __always_inline void sender_tell(struct exit_event *event, __u32 tgid)
{
	struct sender *sender = bpf_map_lookup_elem(&senders, &tgid);

	if (!sender)
		return;
	event->sent = sender->signal;
	event->sender = sender->pid;
	event->sender_uid = sender->uid;
	__builtin_memcpy(event->sender_comm, sender->comm, COMM_BYTES);
	if (sender->oom)
		event->hdr.flags |= FLAG_OOM;
	bpf_map_delete_elem(&senders, &tgid);
}

#endif
