// The job of the benchmarks: writes the time at which it runs to its standard output or behind a file's end, sleeps when told to, ends.
//
//   bench-job [SECONDS [FILE]]
//
// The clock is the same for all processes and namespaces of the machine, so whoever measures can subtract.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct timespec t;
	char text[32];

	clock_gettime(CLOCK_MONOTONIC, &t);
	int length = snprintf(text, sizeof text, "%lld\n", t.tv_sec * 1000000000LL + t.tv_nsec);
	int to = argc > 2 ? open(argv[2], O_WRONLY | O_APPEND | O_CLOEXEC) : STDOUT_FILENO;
	if (write(to, text, (size_t)length) != length)
		return 1;
	if (argc > 1)
		sleep((unsigned)atoi(argv[1]));
	return 0;
}
