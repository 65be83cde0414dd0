/* A library with one deed, called from a server: does it show in the stack of its verdict? */
#include <fcntl.h>
#include <unistd.h>

int deed_open_secret(const char *path)
{
	int file = open(path, O_RDONLY);

	if (file >= 0)
		close(file);
	return file >= 0;
}
