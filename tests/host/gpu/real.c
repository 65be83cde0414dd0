/* Work for a real GPU, a known number of times: real LIBRARY COUNT, at a gate. Exits with 77 where
 * the driver has no GPU, and tells its name otherwise.
 */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

typedef int (*call)();

static void *library;
static char host[1 << 20];
static const char ptx[] = ".version 6.0\n.target sm_50\n.address_size 64\n"
			  ".visible .entry nothing()\n{\n\tret;\n}\n";

static call named(const char *name)
{
	call found = (call)dlsym(library, name);

	if (!found)
		exit(3);
	return found;
}

static void must(int result, const char *what)
{
	if (!result)
		return;
	fprintf(stderr, "%s: CUDA error %d\n", what, result);
	exit(5);
}

static void wait_for_line(const char *word)
{
	char line[16];

	puts(word);
	fflush(stdout);
	if (!fgets(line, sizeof(line), stdin))
		exit(4);
}

int main(int arguments, char **words)
{
	void *context, *module, *function;
	char name[100] = "?";
	uint64_t device;
	int gpus = 0;

	if (arguments < 3 || !(library = dlopen(words[1], RTLD_NOW)))
		return 2;
	if (named("cuInit")(0U) || named("cuDeviceGetCount")(&gpus) || !gpus)
		return 77;
	must(named("cuDeviceGetName")(name, (int)sizeof(name), 0), "name");
	wait_for_line("ready");
	must(named("cuDevicePrimaryCtxRetain")(&context, 0), "context");
	must(named("cuCtxSetCurrent")(context), "context");
	must(named("cuMemAlloc_v2")(&device, sizeof(host)), "allocation");
	must(named("cuModuleLoadData")(&module, ptx), "module");
	must(named("cuModuleGetFunction")(&function, module, "nothing"), "function");
	for (unsigned long i = strtoul(words[2], NULL, 10); i; i--) {
		must(named("cuMemcpyHtoD_v2")(device, host, (size_t)1000), "copy");
		must(named("cuMemcpyDtoH_v2")(host, device, (size_t)4096), "copy");
		must(named("cuLaunchKernel")(function, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL),
		     "launch");
	}
	must(named("cuCtxSynchronize")(), "end");
	wait_for_line(name);
	return 0;
}
