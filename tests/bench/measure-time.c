// Runs each command of a list once per round, in an order that is new in every round, and reports times.
//
//   measure-time [-n ROUNDS] [-w WARMUP] [-r RAW] OUTPUT LIST
//
// OUTPUT is the file that the job writes its time into (see job.c); it splits the time of a run into "until the job" and "after it". A
// run that fails, or whose job wrote no time, counts as failed and enters no figure. Printed, tab-separated, in ms: per command name,
// runs, failures, then of the wall time median, minimum, 10 % and 90 % quantile, then the medians of the time until the job runs, of the
// time from there to the end, and of the CPU time. RAW gets one line per run: round, name, until the job, after it, CPU.
#include "commands.h"

#include <err.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { MAX_ROUNDS = 10000 };

struct series {
	double *wall, *before, *after, *cpu;
	int count, failed;
};

static struct series series[MAX_COMMANDS];

static int64_t read_stamp(const char *output)
{
	long long stamp = 0;
	FILE *file = fopen(output, "re");
	if (!file || fscanf(file, "%lld", &stamp) != 1)
		stamp = 0;
	if (file)
		fclose(file);
	return stamp;
}

static void measure(int which, int round, const char *output, FILE *raw)
{
	struct series *s = &series[which];
	struct run run = finish(start(&commands[which], output));
	int64_t stamp = read_stamp(output);

	if (round < 0)
		return;
	if (run.status != 0 || stamp < run.started || stamp > run.ended) {
		if (s->failed++ == 0)
			warnx("%s: failed (wait status %d, %s)", commands[which].name, run.status, stamp ? "the job ran" : "no job");
		return;
	}
	int i = s->count++;
	s->before[i] = (double)(stamp - run.started) / 1e6;
	s->after[i] = (double)(run.ended - stamp) / 1e6;
	s->wall[i] = s->before[i] + s->after[i];
	s->cpu[i] = run.cpu_ms;
	if (raw)
		fprintf(raw, "%d\t%s\t%.3f\t%.3f\t%.3f\n", round, commands[which].name, s->before[i], s->after[i], s->cpu[i]);
}

static void shuffle(int *order, int count)
{
	for (int i = count - 1; i > 0; i--) {
		int other = (int)(random() % (i + 1)), kept = order[i];
		order[i] = order[other];
		order[other] = kept;
	}
}

static double *room(int rounds)
{
	double *values = calloc((size_t)rounds, sizeof *values);
	if (!values)
		err(1, "calloc");
	return values;
}

int main(int argc, char **argv)
{
	int rounds = 40, warmup = 3, option, order[MAX_COMMANDS];
	FILE *raw = NULL;

	while ((option = getopt(argc, argv, "n:w:r:")) != -1) {
		if (option == 'n')
			rounds = atoi(optarg);
		else if (option == 'w')
			warmup = atoi(optarg);
		else if (option != 'r' || !(raw = fopen(optarg, "we")))
			errx(2, "see the head of measure-time.c");
	}
	if (argc != optind + 2 || rounds < 1 || rounds > MAX_ROUNDS)
		errx(2, "see the head of measure-time.c");
	const char *output = argv[optind];
	read_commands(argv[optind + 1]);
	prepare_runs();
	for (int i = 0; i < command_count; i++) {
		series[i] = (struct series){ room(rounds), room(rounds), room(rounds), room(rounds), 0, 0 };
		order[i] = i;
	}

	for (int round = -warmup; round < rounds; round++) {
		shuffle(order, command_count);
		for (int i = 0; i < command_count; i++)
			measure(order[i], round, output, raw);
	}

	for (int i = 0; i < command_count; i++) {
		struct series *s = &series[i];
		printf("%s\t%d\t%d\t%.3f\t%.3f\t%.3f\t%.3f\t%.3f\t%.3f\t%.3f\n", commands[i].name, s->count, s->failed,
		       quantile(s->wall, s->count, 0.5), quantile(s->wall, s->count, 0), quantile(s->wall, s->count, 0.1),
		       quantile(s->wall, s->count, 0.9), quantile(s->before, s->count, 0.5),
		       quantile(s->after, s->count, 0.5), quantile(s->cpu, s->count, 0.5));
	}
	return raw && fclose(raw) != 0;
}
