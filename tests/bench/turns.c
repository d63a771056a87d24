// The STARTER of a benchmark's pool: becomes each of some starters in turn, and has the time written down at which it began and ended.
//
//   turns ARGUMENT...      as a startd calls it; the ability probe (-classad) gets the first starter
//
// DIRECTORY/list names the starters, one a line. To DIRECTORY/count a byte is added for every run, whose number chooses the line. To
// DIRECTORY/runs goes, for every run: the starter, its pid, and CLOCK_MONOTONIC in ns just before its exec and at its end.
//
// The process that the startd knows is the starter itself. Its end is watched through a pidfd by a process that belongs to nobody: its
// parent is init, its environment is empty (HTCondor finds a starter's processes by either), and it sleeps all the time.
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef DIRECTORY
#define DIRECTORY "/srv/data/turns"
#endif
enum { MOST = 8, LONGEST = 256 };

extern char **environ;

static long long now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void must(int holds, const char *what)
{
	if (holds)
		return;
	perror(what);
	_exit(99);
}

// The number of this run, from 0.
static long long count(void)
{
	struct stat status;
	int file = open(DIRECTORY "/count", O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
	must(file >= 0 && flock(file, LOCK_EX) == 0 && fstat(file, &status) == 0, "count");
	must(write(file, ".", 1) == 1, "count");
	close(file);
	return status.st_size;
}

// Waits for the end of the starter, and writes the line.
static void watch(const char *starter, pid_t pid, int pidfd, int begun)
{
	char line[LONGEST + 64];
	long long start = 0;
	struct pollfd end = { .fd = pidfd, .events = POLLIN };
	int runs = open(DIRECTORY "/runs", O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);

	must(runs >= 0 && read(begun, &start, sizeof start) == sizeof start, "watch");
	must(poll(&end, 1, -1) == 1, "poll");
	int length = snprintf(line, sizeof line, "%s\t%d\t%lld\t%lld\n", starter, (int)pid, start, now());
	must(write(runs, line, (size_t)length) == length, "runs");
	_exit(0);
}

int main(int argc, char **argv)
{
	static char starters[MOST][LONGEST];
	size_t known = 0;
	FILE *list = fopen(DIRECTORY "/list", "re");

	must(list != NULL, DIRECTORY "/list");
	while (known < MOST && fgets(starters[known], LONGEST, list)) {
		starters[known][strcspn(starters[known], "\n")] = 0;
		known++;
	}
	fclose(list);
	must(known > 0, "no starters");
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "-classad") == 0) {
			execv(starters[0], argv);
			must(0, starters[0]);
		}
	}

	char *starter = starters[(size_t)count() % known];
	int begun[2], pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	pid_t self = getpid();
	must(pidfd >= 0 && pipe2(begun, O_CLOEXEC) == 0, "pidfd");
	pid_t middle = fork();
	must(middle >= 0, "fork");
	if (middle == 0) {
		if (fork() != 0)
			_exit(0);
		for (char **variable = environ; *variable; variable++)
			memset(*variable, 0, strlen(*variable));
		setsid();
		// nothing of the startd's is held open
		for (int fd = 0; fd < 256; fd++)
			if (fd != pidfd && fd != begun[0] && fd != STDERR_FILENO)
				close(fd);
		watch(starter, self, pidfd, begun[0]);
	}
	must(waitpid(middle, NULL, 0) == middle, "wait");
	close(pidfd);
	close(begun[0]);
	long long start = now();
	must(write(begun[1], &start, sizeof start) == sizeof start, "pipe");
	execv(starter, argv);
	must(0, starter);
}
