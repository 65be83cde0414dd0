/* `storm files SECONDS RATE DIRECTORY` makes and opens distinct files, `storm forks SECONDS RATE`
 * forks: so often a second, or as fast as it can where the rate is 0. Either prints its pid, waits
 * for a line on standard input, prints at the end exactly how often it did it, and waits again.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define KEPT 512 /* files at a time: the storm is of names, not of space */

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

static long must(long result)
{
	if (result < 0) {
		perror("storm");
		exit(1);
	}
	return result;
}

static void pace(double began, long made, double rate)
{
	double early = rate > 0 ? began + made / rate - now() : 0;

	if (early > 0.001)
		usleep(early * 1e6);
}

/* An inode that is used again has another generation: every open is of a file never seen. */
static void make_file(long made)
{
	char name[64];

	snprintf(name, sizeof(name), "file-%ld", made);
	must(close(must(open(name, O_CREAT | O_EXCL | O_WRONLY, 0600))));
	if (made % KEPT != KEPT - 1)
		return;
	for (long i = made - KEPT + 1; i <= made; i++) {
		snprintf(name, sizeof(name), "file-%ld", i);
		must(unlink(name));
	}
}

static void make_fork(long made)
{
	pid_t child = must(fork());

	(void)made;
	if (!child)
		_exit(0);
	must(waitpid(child, NULL, 0));
}

int main(int count, char **words)
{
	double began, seconds, rate;
	long made = 0;
	int files;

	if (count < 4)
		return 64;
	files = !strcmp(words[1], "files");
	seconds = atof(words[2]);
	rate = atof(words[3]);
	if (files)
		must(count > 4 ? chdir(words[4]) : -1);
	printf("%d\n", getpid());
	fflush(stdout);
	if (getchar() == EOF)
		return 0;
	for (began = now(); now() < began + seconds; made++) {
		files ? make_file(made) : make_fork(made);
		pace(began, made, rate);
	}
	printf("%ld\n", made);
	fflush(stdout);
	getchar(); /* stays a member until all of it was counted */
	return 0;
}
