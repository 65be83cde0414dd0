/* What a server asks of its GPU, a known number of times: user LIBRARY ACT COUNT, at a gate. */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int (*call)();

static void *library;
static unsigned long count;
static char host[4096];

static call named(const char *name)
{
	call found = (call)dlsym(library, name);

	if (!found) {
		fprintf(stderr, "%s\n", name);
		exit(3);
	}
	return found;
}

static void wait_for_line(const char *word)
{
	char line[16];

	puts(word);
	fflush(stdout);
	if (!fgets(line, sizeof(line), stdin))
		exit(4);
}

static void repeat(const char *name)
{
	call found = named(name);

	for (unsigned long i = 0; i < count; i++)
		found(host, NULL);
}

static void copy(void)
{
	uint64_t flat[16] = {}, solid[25] = {}, device;

	named("cuMemAlloc_v2")(&device, sizeof(host));
	for (unsigned long i = 0; i < count; i++) {
		named("cuMemcpyHtoD_v2")(device, host, (size_t)1000);
		named("cuMemcpyHtoDAsync_v2")(device, host, (size_t)24, NULL);
		named("cuMemcpyDtoH_v2")(host, device, (size_t)4096);
		named("cuMemcpyDtoHAsync_v2_ptsz")(host, device, (size_t)4, NULL);
	}
	flat[2] = 2, flat[9] = 1, flat[14] = 100, flat[15] = 7; /* device to host */
	named("cuMemcpy2D_v2")(flat);
	solid[4] = 1, solid[15] = 2, solid[22] = 10, solid[23] = 5, solid[24] = 3;
	named("cuMemcpy3D_v2")(solid);
}

/* More copies in one call than the probe adds up, with a loss told for the rest. */
static void batch(void)
{
	static size_t sizes[300];

	for (unsigned long i = 0; i < 300; i++)
		sizes[i] = i + 1;
	named("cuMemcpyBatchAsync")(sizes, sizes, sizes, (size_t)count);
}

static void allocate(void)
{
	uint64_t device[64], pitch, none;

	for (unsigned long i = 0; i < count; i++)
		named("cuMemAlloc_v2")(&device[i], (size_t)(1 << 20));
	named("cuMemAllocPitch_v2")(&device[count], &pitch, (size_t)700, (size_t)3, 4U);
	named("cuMemAlloc_v2")(&none, (size_t)1 << 50); /* refused: nothing to count */
	for (unsigned long i = 1; i < count; i++)
		named("cuMemFree_v2")(device[i]);
}

static void load(const char *path)
{
	static char image[1 << 20];
	FILE *file = fopen(path, "rb");
	void *module;

	if (!file || !fread(image, 1, sizeof(image) - 1, file))
		exit(5);
	named("cuModuleLoadData")(&module, image);
	wait_for_line("loaded");
}

static void look_up(void)
{
	call found;

	named("cuGetProcAddress_v2")("cuLaunchKernel", &found, 12000, (uint64_t)0, NULL);
	wait_for_line("looked");
	for (unsigned long i = 0; i < count; i++)
		found(NULL);
}

int main(int arguments, char **words)
{
	if (arguments < 4 || !(library = dlopen(words[1], RTLD_NOW)))
		return 2;
	count = strtoul(words[3], NULL, 10);
	wait_for_line("ready");
	if (!strcmp(words[2], "copy"))
		copy();
	else if (!strcmp(words[2], "batch"))
		batch();
	else if (!strcmp(words[2], "allocate"))
		allocate();
	else if (!strcmp(words[2], "load"))
		load(words[3]);
	else if (!strcmp(words[2], "look-up"))
		look_up();
	else
		repeat(words[2]);
	wait_for_line("done");
	return 0;
}
