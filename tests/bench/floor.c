// The least work that gives a job its isolation: the system calls alone, without policy, configuration, log or report.
//
//   floor mounts SCRATCH UID COMMAND...
//       new mount and PID namespace, private /tmp and /var/tmp from SCRATCH, private /dev/shm, own /proc
//   floor cell EXECUTE UID COMMAND...
//       what the whole default cell of Cloister asks of the kernel: a sandbox with two files made below EXECUTE and removed afterwards;
//       all of the above; IPC, UTS and cgroup namespaces too; a /dev and a /sys of the job's own; the other sandboxes and the daemons'
//       directories out of sight; a new root that the old one is detached from; an init without rights that reaps in front of the job;
//       a limit on processes, no capabilities, Landlock scopes, a filter of system calls
//
// The job runs as UID, with UID as its only group, and its exit status is passed on.
#define _GNU_SOURCE
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/keyctl.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
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

static int new_filesystem(const char *kind, const char *const *options, unsigned attributes)
{
	int context = fsopen(kind, FSOPEN_CLOEXEC);
	TRY(context);
	for (; *options; options += 2)
		TRY(fsconfig(context, FSCONFIG_SET_STRING, options[0], options[1], 0));
	TRY(fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0));
	int made = fsmount(context, FSMOUNT_CLOEXEC, attributes);
	TRY(made);
	TRY(close(context));
	return made;
}
#define OPTIONS(...) ((const char *const[]){ __VA_ARGS__ __VA_OPT__(, ) NULL })

enum { HARMLESS = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, SEALED = HARMLESS | MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOEXEC };

static int copy_of(int dir, const char *path, unsigned flags)
{
	int copy = open_tree(dir, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | flags);
	TRY(copy);
	return copy;
}

static void restrict_to(int mount, uint64_t attributes)
{
	struct mount_attr set = { .attr_set = attributes };
	TRY(mount_setattr(mount, "", AT_EMPTY_PATH, &set, sizeof set));
}

static void attach(int mount, int dir, const char *path)
{
	TRY(move_mount(mount, "", dir, path, MOVE_MOUNT_F_EMPTY_PATH));
	TRY(close(mount));
}

static void fill_dev(int dev)
{
	static const struct {
		const char *name;
		int major, minor;
	} nodes[] = { { "null", 1, 3 }, { "zero", 1, 5 }, { "full", 1, 7 }, { "random", 1, 8 }, { "urandom", 1, 9 }, { "tty", 5, 0 } };
	static const char *const links[][2] = { { "/proc/self/fd", "fd" }, { "/proc/self/fd/0", "stdin" }, { "/proc/self/fd/1", "stdout" },
						{ "/proc/self/fd/2", "stderr" }, { "pts/ptmx", "ptmx" } };

	umask(0);
	for (size_t i = 0; i < sizeof nodes / sizeof *nodes; i++)
		TRY(mknodat(dev, nodes[i].name, S_IFCHR | 0666, makedev(nodes[i].major, nodes[i].minor)));
	umask(022);
	for (size_t i = 0; i < sizeof links / sizeof *links; i++)
		TRY(symlinkat(links[i][0], dev, links[i][1]));
	TRY(mkdirat(dev, "shm", 0755));
	attach(new_filesystem("tmpfs", OPTIONS("mode", "1777"), HARMLESS), dev, "shm");
	TRY(mkdirat(dev, "pts", 0755));
	attach(new_filesystem("devpts", OPTIONS("ptmxmode", "0666", "mode", "0620"), MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC), dev, "pts");
	restrict_to(dev, MOUNT_ATTR_NOSUID | MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOEXEC);
}

// The daemons' directories and others that a job has no business in, as far as they are there.
static void cover(int root)
{
	static const char *const hidden[] = { "srv/lock", "srv/log", "srv/run", "srv/spool", "var/lib/systemd/coredump", "var/mail" };
	int nothing = -1;

	for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++) {
		if (faccessat(root, hidden[i], F_OK, 0) != 0)
			continue;
		if (nothing < 0)
			nothing = new_filesystem("tmpfs", OPTIONS("mode", "0000"), SEALED);
		int copy = i == 0 ? dup(nothing) : copy_of(nothing, "", AT_EMPTY_PATH);
		attach(copy, root, hidden[i]);
	}
}

// A copy of the machine's tree becomes the root. What the job has of its own replaces the machine's, which is detached together with the
// old tree.
static void enter_view(const char *execute, const char *name)
{
	char inner[256];
	snprintf(inner, sizeof inner, "%s/scratch", name);

	TRY(mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL));
	TRY(chdir(execute));
	int sandbox = open(inner, O_PATH | O_CLOEXEC), system = open("/sys", O_PATH | O_CLOEXEC);
	TRY(sandbox);
	TRY(system);
	int own = copy_of(sandbox, "", AT_EMPTY_PATH), tmp = copy_of(sandbox, "tmp", 0), var_tmp = copy_of(sandbox, "var/tmp", 0);
	restrict_to(own, HARMLESS);
	restrict_to(tmp, HARMLESS);
	restrict_to(var_tmp, HARMLESS);
	int root = copy_of(AT_FDCWD, "/", AT_RECURSIVE);
	TRY(move_mount(root, "", AT_FDCWD, execute, MOVE_MOUNT_F_EMPTY_PATH));
	static const char *const replaced[] = { "dev", "sys", "proc" };
	for (size_t i = 0; i < sizeof replaced / sizeof *replaced; i++)
		TRY(move_mount(root, replaced[i], sandbox, "", MOVE_MOUNT_T_EMPTY_PATH));

	int dev = new_filesystem("tmpfs", OPTIONS("mode", "0755", "size", "64k"), MOUNT_ATTR_NOSUID);
	TRY(move_mount(dev, "", root, "dev", MOVE_MOUNT_F_EMPTY_PATH));
	fill_dev(dev);
	int sys = copy_of(system, "", AT_EMPTY_PATH);
	restrict_to(sys, SEALED);
	attach(sys, root, "sys");
	attach(tmp, root, "tmp");
	attach(var_tmp, root, "var/tmp");
	cover(root);

	int empty = new_filesystem("tmpfs", OPTIONS("mode", "0755"), HARMLESS);
	TRY(mkdirat(empty, name, 0755));
	TRY(mkdirat(empty, inner, 0755));
	TRY(move_mount(empty, "", root, execute + 1, MOVE_MOUNT_F_EMPTY_PATH));
	TRY(move_mount(own, "", empty, inner, MOVE_MOUNT_F_EMPTY_PATH));
	restrict_to(empty, HARMLESS | MOUNT_ATTR_RDONLY);
	static const char *const files[] = { ".job.ad", ".machine.ad" };
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		int file = copy_of(own, files[i], 0);
		restrict_to(file, SEALED);
		attach(file, own, files[i]);
	}

	// the new root is stacked on the old one, then the old one is taken from below it
	TRY(fchdir(root));
	TRY(syscall(SYS_pivot_root, ".", "."));
	TRY(umount2(".", MNT_DETACH));
	TRY(chdir("/"));
}

static void write_number(const char *path, const char *number)
{
	int file = open(path, O_WRONLY | O_CLOEXEC);
	TRY(file);
	TRY(write(file, number, strlen(number)));
	TRY(close(file));
}

// As long as that of Cloister; what the job of the benchmark calls is in none of its lines.
static void refuse_calls(void)
{
	enum { LINES = 307, FIRST_UNUSED = 1000 };
	struct sock_filter filter[LINES];
	int line = 0;

	filter[line++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	for (unsigned number = FIRST_UNUSED; line < LINES - 2; number++) {
		filter[line++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1);
		filter[line++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 1);
	}
	while (line < LINES)
		filter[line++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	TRY(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &(struct sock_fprog){ .len = LINES, .filter = filter }));
}

static void give_up_root(uid_t uid)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { 0 };

	TRY(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	TRY(setgroups(0, NULL));
	TRY(setresgid(uid, uid, uid));
	TRY(setresuid(uid, uid, uid));
	TRY(syscall(SYS_capset, &header, none));
	TRY(prctl(PR_SET_PDEATHSIG, SIGKILL));
}

static _Noreturn void become_job_of_cell(const char *sandbox, uid_t uid, char **command)
{
	struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY }, one = { 1, 1 };
	// no file system, no network; abstract sockets and signals
	uint64_t scopes[3] = { 0, 0, 3 };

	attach(new_filesystem("proc", OPTIONS(), HARMLESS | MOUNT_ATTR_NOEXEC), AT_FDCWD, "/proc");
	TRY(setsid());
	write_number("/proc/sys/kernel/pid_max", "1836");
	TRY(setrlimit(RLIMIT_STACK, &unlimited));
	TRY(setrlimit(RLIMIT_CORE, &one));
	TRY(syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL));
	give_up_root(uid);
	int rules = (int)syscall(SYS_landlock_create_ruleset, scopes, sizeof scopes, 0);
	TRY(rules);
	TRY(syscall(SYS_landlock_restrict_self, rules, 0));
	TRY(close(rules));
	refuse_calls();
	TRY(chdir(sandbox));
	execv(command[0], command);
	perror(command[0]);
	_exit(127);
}

static _Noreturn void become_cell(const char *execute, const char *name, uid_t uid, char **command)
{
	char sandbox[4096];
	snprintf(sandbox, sizeof sandbox, "%s/%s/scratch", execute, name);

	TRY(prctl(PR_SET_PDEATHSIG, SIGKILL));
	write_number("/proc/self/oom_score_adj", "800");
	enter_view(execute, name);
	for (unsigned long capability = 0; prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) >= 0; capability++)
		;

	pid_t job = fork();
	TRY(job);
	if (job == 0)
		become_job_of_cell(sandbox, uid, command);
	give_up_root(uid);
	TRY(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0));
	TRY(close_range(0, ~0U, 0));
	_exit(wait_for(job));
}

static int run_in_cell(const char *execute, uid_t uid, char **command)
{
	static const char *const directories[] = { "scratch", "scratch/tmp", "scratch/var", "scratch/var/tmp" };
	static const char *const files[] = { "scratch/.job.ad", "scratch/.machine.ad" };
	enum { DIRECTORIES = sizeof directories / sizeof *directories, FILES = sizeof files / sizeof *files };
	char name[32], text[256] = "";

	snprintf(name, sizeof name, "dir_%d", getpid());
	TRY(chdir(execute));
	TRY(mkdir(name, 0755));
	int slot = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	TRY(slot);
	TRY(flock(slot, LOCK_SH));
	for (int i = 0; i < DIRECTORIES; i++) {
		TRY(mkdirat(slot, directories[i], 0700));
		TRY(fchownat(slot, directories[i], uid, uid, 0));
	}
	for (int i = 0; i < FILES; i++) {
		int file = openat(slot, files[i], O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
		TRY(file);
		TRY(write(file, text, sizeof text));
		TRY(close(file));
	}

	pid_t init = clone_into(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP);
	TRY(init);
	if (init == 0)
		become_cell(execute, name, uid, command);
	int status = wait_for(init);

	for (int i = 0; i < FILES; i++)
		TRY(unlinkat(slot, files[i], 0));
	for (int i = DIRECTORIES - 1; i >= 0; i--)
		TRY(unlinkat(slot, directories[i], AT_REMOVEDIR));
	TRY(close(slot));
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
