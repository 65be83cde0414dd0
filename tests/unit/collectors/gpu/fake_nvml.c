/* A driver library of two GPUs with known readings, speaking NVML's C interface.
 *
 * Only the functions the product calls; the others are absent, as in an old driver. FAKE_NVML
 * chooses what goes wrong: "unloaded", "empty", "lost", "old", "denied".
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	SUCCESS = 0,
	NOT_SUPPORTED = 3,
	NO_PERMISSION = 4,
	INSUFFICIENT_SIZE = 7,
	NOT_FOUND = 6,
	DRIVER_NOT_LOADED = 9,
	TIMEOUT = 10,
	FUNCTION_NOT_FOUND = 13,
	GPU_IS_LOST = 15
};

struct memory {
	unsigned long long total, free, used;
};

struct utilization {
	unsigned int gpu, memory;
};

struct process {
	unsigned int pid;
	unsigned long long memory;
	unsigned int gpu_instance, compute_instance;
};

struct event {
	void *device;
	unsigned long long type, data;
	unsigned int gpu_instance, compute_instance;
};

/* Two GPUs, and an instance of the second. */
static long handles[3] = {0, 1, 2};
static int events_left = 2;

static int mode(const char *name)
{
	const char *asked = getenv("FAKE_NVML");

	return asked && !strcmp(asked, name);
}

int nvmlInitWithFlags(unsigned int flags)
{
	(void)flags;
	return mode("unloaded") ? DRIVER_NOT_LOADED : mode("denied") ? NO_PERMISSION : SUCCESS;
}

int nvmlShutdown(void)
{
	return SUCCESS;
}

const char *nvmlErrorString(int error)
{
	(void)error;
	return "as the driver words it";
}

int nvmlDeviceGetCount_v2(unsigned int *count)
{
	*count = mode("empty") ? 0 : 2;
	return SUCCESS;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned int index, void **device)
{
	*device = &handles[index];
	return mode("lost") ? GPU_IS_LOST : SUCCESS;
}

int nvmlDeviceGetName(void *device, char *name, unsigned int length)
{
	(void)device;
	snprintf(name, length, "Fake GPU");
	return SUCCESS;
}

int nvmlDeviceGetUUID(void *device, char *uuid, unsigned int length)
{
	snprintf(uuid, length, "GPU-%ld", *(long *)device);
	return SUCCESS;
}

int nvmlDeviceGetMemoryInfo(void *device, struct memory *memory)
{
	memory->total = 80ULL << 30;
	memory->used = (*(long *)device + 1) << 30;
	memory->free = memory->total - memory->used;
	return SUCCESS;
}

int nvmlDeviceGetUtilizationRates(void *device, struct utilization *rates)
{
	rates->gpu = 37;
	rates->memory = 11;
	return *(long *)device ? NOT_SUPPORTED : SUCCESS;
}

int nvmlDeviceGetClockInfo(void *device, int clock, unsigned int *mhz)
{
	*mhz = clock == 1 ? 1410 : 0;
	return *(long *)device ? NOT_SUPPORTED : SUCCESS;
}

int nvmlDeviceGetMaxClockInfo(void *device, int clock, unsigned int *mhz)
{
	*mhz = clock == 1 ? 1980 : 0;
	return *(long *)device ? NOT_SUPPORTED : SUCCESS;
}

int nvmlDeviceGetMigMode(void *device, unsigned int *current, unsigned int *pending)
{
	*current = *pending = *(long *)device;
	return SUCCESS;
}

int nvmlDeviceGetIndex(void *device, unsigned int *index)
{
	*index = *(long *)device;
	return SUCCESS;
}

int nvmlDeviceGetMaxMigDeviceCount(void *device, unsigned int *count)
{
	*count = *(long *)device ? 7 : 0;
	return SUCCESS;
}

int nvmlDeviceGetMigDeviceHandleByIndex(void *device, unsigned int index, void **instance)
{
	(void)device;
	*instance = &handles[2];
	return index == 3 ? SUCCESS : NOT_FOUND;
}

int nvmlDeviceGetTotalEccErrors(void *device, int type, int counter, unsigned long long *count)
{
	*count = 5;
	return *(long *)device ? NOT_SUPPORTED : type == 1 && counter == 0 ? SUCCESS : NO_PERMISSION;
}

int nvmlEventSetCreate(void **set)
{
	*set = handles;
	events_left = 2;
	return mode("old") ? FUNCTION_NOT_FOUND : SUCCESS;
}

int nvmlDeviceRegisterEvents(void *device, unsigned long long types, void *set)
{
	return *(long *)device || types != 8 || set != handles ? NOT_SUPPORTED : SUCCESS;
}

int nvmlEventSetWait_v2(void *set, struct event *event, unsigned int wait_ms)
{
	(void)set;
	if (!events_left || wait_ms)
		return TIMEOUT;
	*event = (struct event){&handles[0], 8, events_left-- == 2 ? 79 : 31, 0, 0};
	return SUCCESS;
}

int nvmlEventSetFree(void *set)
{
	return set == handles ? SUCCESS : NO_PERMISSION;
}

static int list(void *device, unsigned int *count, struct process *found)
{
	if (*(long *)device == 2) {
		int room = found && *count;

		*count = 1;
		if (!room)
			return INSUFFICIENT_SIZE;
		found[0] = (struct process){400, 1299709, 3, 0};
		return SUCCESS;
	}
	if (*(long *)device) {
		*count = 0;
		return SUCCESS;
	}
	if (!found || *count < 2) {
		*count = 2;
		return INSUFFICIENT_SIZE;
	}
	*count = 2;
	found[0] = (struct process){100, 7919, 0, 0};
	found[1] = (struct process){200, 104729, 0, 0};
	return SUCCESS;
}

int nvmlDeviceGetComputeRunningProcesses_v3(void *device, unsigned int *count,
					    struct process *found)
{
	return mode("old") ? FUNCTION_NOT_FOUND : list(device, count, found);
}

int nvmlDeviceGetComputeRunningProcesses_v2(void *device, unsigned int *count,
					    struct process *found)
{
	return list(device, count, found);
}
