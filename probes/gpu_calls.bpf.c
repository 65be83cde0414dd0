/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Calls to the driver of a GPU, as the kernel sees them: ioctl(2) on its device files.
 *
 * Called from sys_exit with the descriptor, by ioctl(2) alone. Told by the device's number, so that
 * a node of any name, in any container, is the same device. What a program hands to the GPU itself,
 * through memory that it shares with it, is no call: CUDA launches a kernel so.
 */
#include "record.bpf.h"
#include "file_classes.bpf.h"

/* Returns 0; a global function, so that the verifier checks it by itself. */
__noinline int gpu_called(__u32 workload, __u32 fd)
{
	__u32 major = fd_major(fd);

	if (major && bpf_map_lookup_elem(&gpu_majors, &major))
		total_add(workload, COUNT_GPU_CALLS, 1);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
