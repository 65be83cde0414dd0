/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Acts of contained workloads that are stopped after, not denied before: acts.bpf.c. */
#ifndef INFERWARD_ACTS_BPF_H
#define INFERWARD_ACTS_BPF_H

#include "record.bpf.h"
#include "subjects.bpf.h"

enum socket_act {
	ACT_CONNECT,
	ACT_OFFER, /* bound, or listening */
	ACT_SEND,
	ACT_SEND_TO, /* with the name of whom */
};

#endif
