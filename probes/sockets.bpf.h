/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The kernel's socket behind an open file. */
#ifndef INFERWARD_SOCKETS_BPF_H
#define INFERWARD_SOCKETS_BPF_H

#include "path.bpf.h"
#include "classes.bpf.h"
#include "subjects.bpf.h"

#define S_IFMT_MASK 0170000
#define S_IFSOCK_TYPE 0140000

/* NULL if the file is no socket. */
static __always_inline struct sock *sock_of(struct file *file)
{
	struct socket *socket;

	if (!file || (BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT_MASK) != S_IFSOCK_TYPE)
		return NULL;
	socket = BPF_CORE_READ(file, private_data);
	return BPF_CORE_READ(socket, sk);
}

static __always_inline int sock_family(struct sock *sk)
{
	return BPF_CORE_READ(sk, __sk_common.skc_family);
}

#endif
