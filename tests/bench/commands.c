// Reads the list of commands, starts one of them in its place, and waits for all it left.
#define _GNU_SOURCE
#include "commands.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { TIMEOUT_S = 60 };

struct command commands[MAX_COMMANDS];
int command_count;

static pid_t running;
static int64_t *started;         // shared with the child, who sets it

static int64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static bool is_variable(const char *word)
{
	const char *equals = strchr(word, '='), *slash = strchr(word, '/');
	return equals && (!slash || equals < slash) && word[0] != '-';
}

static void parse(char *line, struct command *command)
{
	int variables = 0, words = 0;

	command->name = strsep(&line, "\t");
	command->place = strsep(&line, "\t");
	for (char *word; (word = strsep(&line, "\t"));) {
		if (words == MAX_WORDS || variables == MAX_WORDS - 1)
			errx(1, "%s: too many words", command->name);
		if (words == 0 && is_variable(word))
			command->environment[variables++] = word;
		else
			command->argv[words++] = word;
	}
	if (words == 0)
		errx(1, "%s: no command", command->name);
	command->environment[variables] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
}

void read_commands(const char *file)
{
	FILE *list = fopen(file, "re");
	if (!list)
		err(1, "%s", file);
	for (;;) {
		char *line = NULL;
		size_t size = 0;
		if (getline(&line, &size, list) < 0)
			break;
		if (command_count == MAX_COMMANDS)
			errx(1, "%s: more than %d commands", file, MAX_COMMANDS);
		line[strcspn(line, "\n")] = '\0';
		parse(line, &commands[command_count++]);
	}
	fclose(list);
}

static void kill_running(int signal)
{
	(void)signal;
	kill(running, SIGKILL);
}

void prepare_runs(void)
{
	started = mmap(NULL, sizeof *started, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (started == MAP_FAILED)
		err(1, "mmap");
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		err(1, "prctl");
	signal(SIGALRM, kill_running);
}

static _Noreturn void become(const struct command *command, const char *output)
{
	int in = open("/dev/null", O_RDONLY), out = open(output, O_WRONLY | O_TRUNC);
	if (in < 0 || out < 0)
		err(126, "%s", output);
	if (strcmp(command->place, "-") != 0) {
		int place = open(command->place, O_RDONLY | O_CLOEXEC);
		if (place < 0 || setns(place, CLONE_NEWNS) < 0)
			err(126, "%s", command->place);
	}
	dup2(in, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	close_range(3, ~0U, 0);
	*started = now();
	execve(command->argv[0], command->argv, command->environment);
	err(127, "%s", command->argv[0]);
}

pid_t start(const struct command *command, const char *output)
{
	running = fork();
	if (running < 0)
		err(1, "fork");
	if (running == 0)
		become(command, output);
	alarm(TIMEOUT_S);
	return running;
}

static double milliseconds(const struct rusage *usage)
{
	return (double)(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) * 1e3 +
	       (double)(usage->ru_utime.tv_usec + usage->ru_stime.tv_usec) / 1e3;
}

struct run finish(pid_t pid)
{
	struct run run = { 0 };
	struct rusage usage;
	int status;

	while (wait4(pid, &run.status, 0, &usage) < 0)
		if (errno != EINTR)
			err(1, "wait4");
	run.ended = now();
	run.started = *started;
	run.cpu_ms = milliseconds(&usage);
	for (;;) {
		pid_t orphan = wait4(-1, &status, 0, &usage);
		if (orphan > 0)
			run.cpu_ms += milliseconds(&usage);
		else if (errno != EINTR)
			break;
	}
	alarm(0);
	return run;
}

static int compare(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;
	return (a > b) - (a < b);
}

double quantile(double *values, int count, double fraction)
{
	if (count == 0)
		return 0;
	qsort(values, (size_t)count, sizeof *values, compare);
	double position = fraction * (count - 1);
	int below = (int)position;
	double above = below + 1 < count ? values[below + 1] : values[below];
	return values[below] + (position - below) * (above - values[below]);
}
