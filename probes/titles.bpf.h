/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* A short name as a first-seen key: all digits are one, since pools number their threads. */
#ifndef INFERWARD_TITLES_BPF_H
#define INFERWARD_TITLES_BPF_H

#include "record.bpf.h"

union short_name {
	char text[COMM_BYTES]; /* NUL behind its end, up to the last byte */
	__u64 words[2];
};

static __always_inline void title_key(struct seen_key *key, union short_name *name)
{
	for (int i = 0; i < COMM_BYTES; i++)
		if (name->text[i] >= '0' && name->text[i] <= '9')
			name->text[i] = '0';
	key->first = name->words[0];
	key->second = name->words[1];
}

#endif
