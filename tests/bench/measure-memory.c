// Runs each command of a list with a job that sleeps, and reports the memory of all processes of the command except the job.
//
//   measure-memory [-n RUNS] OUTPUT LIST
//
// Every 2 ms the descendants are looked at: of each the peak of its resident set so far (VmHWM) and its proportional set (Pss), both
// summed over the processes. The job is the process called bench-job. Printed, tab-separated: per command name, runs, failures, number of
// processes beside the job while it runs, largest sum of peaks and largest sum of proportional sets, in MiB; medians over the runs. Pages
// that two processes share count twice in the first sum, so it is an upper bound.
#define _GNU_SOURCE
#include "commands.h"

#include <ctype.h>
#include <dirent.h>
#include <err.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_PROCESSES = 4096, MAX_RUNS = 100, INTERVAL_NS = 2000000 };

struct process {
	pid_t pid, parent;
	bool job, outside, ours;         // outside: the job, or this program before it has become the command
};

struct sum {
	double processes, peak_mib, proportional_mib;
};

// The value in KiB of the line of /proc/PID/FILE that starts with KEY; 0 when the process is gone.
static double read_kib(pid_t pid, const char *file, const char *key)
{
	char path[64], line[256];
	double value = 0;

	snprintf(path, sizeof path, "/proc/%d/%s", pid, file);
	FILE *status = fopen(path, "re");
	if (!status)
		return 0;
	while (fgets(line, sizeof line, status))
		if (strncmp(line, key, strlen(key)) == 0 && sscanf(line + strlen(key), "%lf", &value) == 1)
			break;
	fclose(status);
	return value;
}

static bool read_process(pid_t pid, struct process *process)
{
	char path[64], text[512] = "";

	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	FILE *stat = fopen(path, "re");
	if (!stat)
		return false;
	size_t length = fread(text, 1, sizeof text - 1, stat);
	fclose(stat);
	text[length] = '\0';
	char *after_name = strrchr(text, ')'), state;
	bool job = strstr(text, "(bench-job)") != NULL;
	*process = (struct process){ .pid = pid, .job = job, .outside = job || strstr(text, "(measure-memory)") };
	return after_name && sscanf(after_name + 1, " %c %d", &state, &process->parent) == 2 && state != 'Z';
}

static int list_processes(struct process *list)
{
	int count = 0;
	DIR *proc = opendir("/proc");
	if (!proc)
		err(1, "/proc");
	for (struct dirent *entry; count < MAX_PROCESSES && (entry = readdir(proc));)
		if (isdigit((unsigned char)entry->d_name[0]))
			count += read_process(atoi(entry->d_name), &list[count]);
	closedir(proc);
	return count;
}

// A process is ours when it is a child of this program or of one of ours; a number may be lower than its parent's, so until nothing changes.
static void mark_descendants(struct process *list, int count)
{
	for (bool changed = true; changed;) {
		changed = false;
		for (int i = 0; i < count; i++) {
			bool ours = list[i].parent == getpid();
			for (int j = 0; j < count && !ours; j++)
				ours = list[j].ours && list[j].pid == list[i].parent;
			changed |= ours && !list[i].ours;
			list[i].ours |= ours;
		}
	}
}

static void look(struct sum *most)
{
	static struct process list[MAX_PROCESSES];
	struct sum seen = { 0 };
	int count = list_processes(list);
	bool job_runs = false;

	mark_descendants(list, count);
	for (int i = 0; i < count; i++) {
		job_runs |= list[i].ours && list[i].job;
		if (!list[i].ours || list[i].outside)
			continue;
		seen.processes++;
		seen.peak_mib += read_kib(list[i].pid, "status", "VmHWM:") / 1024;
		seen.proportional_mib += read_kib(list[i].pid, "smaps_rollup", "Pss:") / 1024;
	}
	if (job_runs && seen.processes > most->processes)
		most->processes = seen.processes;
	if (seen.peak_mib > most->peak_mib)
		most->peak_mib = seen.peak_mib;
	if (seen.proportional_mib > most->proportional_mib)
		most->proportional_mib = seen.proportional_mib;
}

static bool measure(const struct command *command, const char *output, struct sum *most)
{
	siginfo_t ended = { 0 };
	pid_t pid = start(command, output);

	*most = (struct sum){ 0 };
	while (waitid(P_PID, (id_t)pid, &ended, WEXITED | WNOHANG | WNOWAIT) == 0 && ended.si_pid == 0) {
		look(most);
		nanosleep(&(struct timespec){ .tv_nsec = INTERVAL_NS }, NULL);
	}
	return finish(pid).status == 0;
}

int main(int argc, char **argv)
{
	int runs = 5, option;

	while ((option = getopt(argc, argv, "n:")) != -1)
		runs = option == 'n' ? atoi(optarg) : 0;
	if (argc != optind + 2 || runs < 1 || runs > MAX_RUNS)
		errx(2, "see the head of measure-memory.c");
	read_commands(argv[optind + 1]);
	prepare_runs();

	for (int i = 0; i < command_count; i++) {
		double processes[MAX_RUNS], peak[MAX_RUNS], proportional[MAX_RUNS];
		int count = 0;
		for (int run = 0; run < runs; run++) {
			struct sum most;
			if (!measure(&commands[i], argv[optind], &most))
				continue;
			processes[count] = most.processes;
			peak[count] = most.peak_mib;
			proportional[count++] = most.proportional_mib;
		}
		printf("%s\t%d\t%d\t%.0f\t%.2f\t%.2f\n", commands[i].name, count, runs - count, quantile(processes, count, 0.5),
		       quantile(peak, count, 0.5), quantile(proportional, count, 0.5));
		fflush(stdout);
	}
	return 0;
}
