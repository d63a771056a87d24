// The least work that gives a job its isolation: the system calls alone, without policy, configuration, log or report.
//
//   floor mounts SCRATCH UID COMMAND...
//       new mount and PID namespace, private /tmp and /var/tmp from SCRATCH, private /dev/shm, own /proc
//   floor cell EXECUTE UID COMMAND...
//       what a cell of Cloister asks of the kernel: a sandbox made below EXECUTE and removed afterwards; all of the above; IPC, UTS and
//       cgroup namespaces too; the other sandboxes out of sight; a new root that the old one is detached from; an init that reaps in
//       front of the job; no new privileges, no capabilities
//
// The job runs as UID, with UID as its only group, and its exit status is passed on.
#define _GNU_SOURCE
#include <fcntl.h>
#include <grp.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// For launcher and cell alike: an error in either ends it with a status no job of the benchmark has.
#define TRY(call)                                                                                                      \
	do {                                                                                                           \
		if ((call) < 0) {                                                                                      \
			perror(#call);                                                                                 \
			_exit(125);                                                                                    \
		}                                                                                                      \
	} while (0)

static pid_t clone_into(uint64_t namespaces)
{
	struct clone_args args = { .flags = namespaces, .exit_signal = SIGCHLD };
	return (pid_t)syscall(SYS_clone3, &args, sizeof args);
}

static int wait_for(pid_t child)
{
	int status;
	TRY(waitpid(child, &status, 0));
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static _Noreturn void become_job(const char *directory, uid_t uid, char **command)
{
	TRY(setsid());
	TRY(setgroups(0, NULL));
	TRY(setresgid(uid, uid, uid));
	TRY(setresuid(uid, uid, uid));
	TRY(chdir(directory));
	execv(command[0], command);
	perror(command[0]);
	_exit(127);
}

static void mount_private_directories(const char *tmp, const char *var_tmp)
{
	TRY(mount(tmp, "/tmp", NULL, MS_BIND, NULL));
	TRY(mount(var_tmp, "/var/tmp", NULL, MS_BIND, NULL));
	TRY(mount("tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, NULL));
	TRY(mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL));
}

static int run_with_mounts(const char *scratch, uid_t uid, char **command)
{
	pid_t job = clone_into(CLONE_NEWNS | CLONE_NEWPID);
	TRY(job);
	if (job == 0) {
		TRY(mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL));
		TRY(chdir(scratch));
		mount_private_directories("tmp", "var/tmp");
		become_job(scratch, uid, command);
	}
	return wait_for(job);
}

// The sandbox is taken out of EXECUTE, EXECUTE is covered, and the sandbox comes back under its own path.
static void hide_other_sandboxes(const char *execute, const char *name)
{
	int sandbox = open_tree(AT_FDCWD, name, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	TRY(sandbox);
	TRY(mount("none", execute, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755"));
	TRY(chdir(execute));
	TRY(mkdir(name, 0700));
	TRY(move_mount(sandbox, "", AT_FDCWD, name, MOVE_MOUNT_F_EMPTY_PATH));
	TRY(close(sandbox));
	TRY(mount(NULL, execute, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV, NULL));
}

static _Noreturn void become_cell(const char *execute, const char *name, uid_t uid, char **command)
{
	char sandbox[4096];
	snprintf(sandbox, sizeof sandbox, "%s/%s", execute, name);

	TRY(mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL));
	hide_other_sandboxes(execute, name);
	TRY(chdir(sandbox));
	mount_private_directories("tmp", "var/tmp");

	// the new root is stacked on the old one, then the old one is taken from below it
	TRY(mount("/", "/mnt", NULL, MS_BIND | MS_REC, NULL));
	TRY(chdir("/mnt"));
	TRY(syscall(SYS_pivot_root, ".", "."));
	TRY(umount2(".", MNT_DETACH));

	pid_t job = fork();
	TRY(job);
	if (job == 0) {
		for (unsigned long capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; capability++)
			TRY(prctl(PR_CAPBSET_DROP, capability, 0, 0, 0));
		TRY(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
		become_job(sandbox, uid, command);
	}
	_exit(wait_for(job));
}

static int run_in_cell(const char *execute, uid_t uid, char **command)
{
	static const char *const directories[] = { ".", "tmp", "var", "var/tmp" };
	enum { COUNT = sizeof directories / sizeof *directories };
	char name[32];

	snprintf(name, sizeof name, "dir_%d", getpid());
	TRY(chdir(execute));
	TRY(mkdir(name, 0700));
	int sandbox = open(name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	TRY(sandbox);
	for (int i = 1; i < COUNT; i++)
		TRY(mkdirat(sandbox, directories[i], 0700));
	for (int i = 0; i < COUNT; i++)
		TRY(fchownat(sandbox, directories[i], uid, uid, 0));

	pid_t init = clone_into(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP);
	TRY(init);
	if (init == 0)
		become_cell(execute, name, uid, command);
	int status = wait_for(init);

	for (int i = COUNT - 1; i > 0; i--)
		TRY(unlinkat(sandbox, directories[i], AT_REMOVEDIR));
	TRY(rmdir(name));
	return status;
}

int main(int argc, char **argv)
{
	if (argc < 5)
		return 2;
	uid_t uid = (uid_t)atoi(argv[3]);
	if (strcmp(argv[1], "mounts") == 0)
		return run_with_mounts(argv[2], uid, argv + 4);
	return run_in_cell(argv[2], uid, argv + 4);
}
