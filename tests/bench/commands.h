// The commands that a benchmark compares, and how one of them is started.
#ifndef COMMANDS_H
#define COMMANDS_H

#include <stdint.h>
#include <sys/types.h>

enum { MAX_COMMANDS = 64, MAX_WORDS = 64 };

struct command {
	char *name;
	char *place;                     // mount namespace it runs in, as a path, or "-" for the caller's own
	char *environment[MAX_WORDS + 1];
	char *argv[MAX_WORDS + 1];
};

extern struct command commands[MAX_COMMANDS];
extern int command_count;

// Reads FILE into commands[]: per line NAME, PLACE, then VARIABLE=VALUE and the words of the command (the first one a path), all separated by tabs.
void read_commands(const char *file);

// How a command went: times are CLOCK_MONOTONIC in ns.
struct run {
	int64_t started;                 // just before its exec
	int64_t ended;                   // when the process that was started was gone
	double cpu_ms;                   // user and system time, also of what it left behind
	int status;                      // as from wait()
};

// Call once, first: makes this process the parent of whatever a command leaves behind.
void prepare_runs(void);

// Starts a command with OUTPUT as its standard output (emptied first) and nothing of the caller's environment. It is killed when it takes
// longer than a minute.
pid_t start(const struct command *command, const char *output);

// Waits for a command that was started, then for everything it left.
struct run finish(pid_t pid);

// The value at FRACTION (0 to 1) of COUNT values, which get sorted; between two values, the point between them.
double quantile(double *values, int count, double fraction);

#endif
