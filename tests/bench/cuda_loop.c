/* Prints its pid, then does what each line of standard input asks for ("NAME COUNT"), and prints
 * the nanoseconds that took: calls of a driver's library that lies beside the program.
 */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

typedef int (*call)();

static void *library;
static char host[4096];

static call named(const char *name)
{
	call found = (call)dlsym(library, name);

	if (!found)
		exit(65);
	return found;
}

static void do_launch(long count)
{
	call launch = named("cuLaunchKernel");

	while (count--)
		launch(host);
}

static void do_fetch(long count)
{
	call fetch = named("cuMemcpyDtoH_v2");

	while (count--)
		fetch(host, (uint64_t)(uintptr_t)host, (size_t)0);
}

static void do_allocate(long count)
{
	call allocate = named("cuMemAlloc_v2"), release = named("cuMemFree_v2");
	uint64_t place;

	while (count--) {
		allocate(&place, (size_t)64);
		release(place);
	}
}

static const struct {
	const char *name;
	void (*act)(long count);
} deeds[] = {
	{"launch", do_launch},
	{"fetch", do_fetch},
	{"allocate", do_allocate},
};

int main(int arguments, char **words)
{
	struct timespec begin, end;
	char path[4096], name[16];
	long count;

	snprintf(path, sizeof(path), "%.*s/libcuda.so.1",
		 (int)(strrchr(words[arguments - 1], '/') - words[arguments - 1]),
		 words[arguments - 1]);
	library = dlopen(path, RTLD_NOW);
	if (!library) {
		fprintf(stderr, "%s\n", dlerror());
		return 66;
	}
	printf("%d\n", getpid());
	fflush(stdout);
	while (scanf("%15s %ld", name, &count) == 2) {
		void (*act)(long) = NULL;

		for (unsigned int i = 0; i < sizeof(deeds) / sizeof(*deeds); i++)
			if (!strcmp(deeds[i].name, name))
				act = deeds[i].act;
		if (!act)
			return 64;
		clock_gettime(CLOCK_MONOTONIC, &begin);
		act(count);
		clock_gettime(CLOCK_MONOTONIC, &end);
		printf("%ld\n",
		       (end.tv_sec - begin.tv_sec) * 1000000000L + end.tv_nsec - begin.tv_nsec);
		fflush(stdout);
	}
	return 0;
}
