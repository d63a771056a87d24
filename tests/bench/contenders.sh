# Sourced by `launch`: what is compared. Writes the configurations, ads and the OCI bundle, and the list of commands.
# shellcheck shell=bash disable=SC2154  # from launch and places.sh

# write_inputs SRV UID: all files that the commands read
write_inputs() {
    local srv=$1 uid=$2 seconds
    cat >"$srv/base.conf" <<'CONF'
RELEASE_DIR = /usr
LOCAL_DIR = /srv
LOCAL_CONFIG_FILE =
LOCAL_CONFIG_DIR =
RUN = /srv/run
LOG = /srv/log
LOCK = /srv/lock
SPOOL = /srv/spool
EXECUTE = /srv/execute
BIN = /usr/bin
SBIN = /usr/sbin
LIBEXEC = /usr/libexec/condor
CONDOR_HOST = 127.0.0.1
NETWORK_INTERFACE = 127.0.0.1
FULL_HOSTNAME = pool.test
UID_DOMAIN = bench.test
FILESYSTEM_DOMAIN = bench.test
TRUST_UID_DOMAIN = True
STARTER_ALLOW_RUNAS_OWNER = True
use SECURITY: HOST_BASED
ALLOW_READ = *
ALLOW_WRITE = *
ALLOW_DAEMON = *
USE_PROCD = False
CONF
    cat >"$srv/mounts.conf" <<'CONF'
include : /srv/base.conf
MOUNT_UNDER_SCRATCH = /tmp,/var/tmp
CONF
    cat >"$srv/pidns.conf" <<'CONF'
include : /srv/mounts.conf
USE_PID_NAMESPACES = True
CONF
    # HTCondor's own init would have to be in the root
    cat >"$srv/chroot.conf" <<'CONF'
include : /srv/pidns.conf
USE_PID_NAMESPACE_INIT = False
NAMED_CHROOT = box=/srv/root
CONF
    for seconds in "" 1; do
        cat >"$srv/job$seconds.ad" <<AD
MyType = "Job"
ClusterId = 1
ProcId = 0
JobUniverse = 5
Owner = "alice"
User = "alice@bench.test"
NTDomain = ""
Cmd = "/srv/bench-job"
Arguments = "$seconds"
Environment = ""
Iwd = "/tmp"
In = "/dev/null"
Out = "/srv/out/stamp"
Err = "/dev/null"
RequestCpus = 1
RequestMemory = 64
AD
        { cat "$srv/job$seconds.ad"; echo 'RequestedChroot = "box"'; } >"$srv/chroot$seconds.ad"
        mkdir -p "$srv/bundle$seconds"
        cat >"$srv/bundle$seconds/config.json" <<JSON
{
    "ociVersion": "1.0.2",
    "process": {
        "user": { "uid": $uid, "gid": $uid },
        "args": ["/srv/bench-job"${seconds:+, \"$seconds\"}],
        "cwd": "/",
        "noNewPrivileges": true,
        "capabilities": { "bounding": [], "effective": [], "permitted": [] }
    },
    "root": { "path": "/srv/root" },
    "mounts": [
        { "destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "nodev", "noexec"] },
        { "destination": "/dev/shm", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "nodev"] },
        { "destination": "/tmp", "type": "bind", "source": "/srv/scratch/tmp", "options": ["bind"] },
        { "destination": "/var/tmp", "type": "bind", "source": "/srv/scratch/var/tmp", "options": ["bind"] }
    ],
    "linux": { "namespaces": [{ "type": "pid" }, { "type": "mount" }] }
}
JSON
    done
}

# entry NAME PLACE WORD...: one line of the list
entry() {
    local IFS=$'\t'
    echo "$*"
}

# starter NAME PLACE VARIANT PROGRAM SECONDS: the standalone mode, with HTCondor's own command line
starter() {
    local ad=job
    [ "$3" != chroot ] || ad=chroot
    entry "$1" "$2" CONDOR_CONFIG="/srv/$3.conf" "$4" -f -local-name p1 \
        -job-input-ad "/srv/$ad$5.ad" -job-output-ad /srv/out/out.ad
}

# contenders SECONDS: the list, with a job that sleeps so long; the first one is what the others are measured by
contenders() {
    local seconds=$1 place=$main_namespace job=(/srv/bench-job ${1:+"$1"})
    entry "floor: mounts, PID namespace" "$place" /srv/floor mounts /srv/scratch "$main_uid" "${job[@]}"
    entry "floor: all of a cell" "$place" /srv/floor cell /srv/execute "$main_uid" "${job[@]}"
    entry "the job alone" "$place" "${job[@]}"
    entry "bubblewrap" "$place" /usr/bin/bwrap --bind / / --bind /srv/scratch/tmp /tmp --bind /srv/scratch/var/tmp /var/tmp \
        --tmpfs /dev/shm --proc /proc --unshare-pid --die-with-parent --cap-drop ALL "${job[@]}"
    entry "crun" "$place" /usr/bin/crun --cgroup-manager=disabled run -b "/srv/bundle$seconds" bench
    if $with_ours; then
        starter "ours: mounts" "$place" mounts /srv/starter "$seconds"
        starter "ours: mounts, PID namespace" "$place" pidns /srv/starter "$seconds"
        starter "ours: the same again (A/A)" "$place" pidns /srv/starter "$seconds"
        starter "ours: named root" "$place" chroot /srv/starter "$seconds"
    fi
    if $with_stock; then
        starter "23.9.6: mounts" "$place" mounts /usr/sbin/condor_starter "$seconds"
        starter "23.9.6: mounts, PID namespace" "$place" pidns /usr/sbin/condor_starter "$seconds"
        starter "23.9.6: the same again (A/A)" "$place" pidns /usr/sbin/condor_starter "$seconds"
        starter "23.9.6: named root" "$place" chroot /usr/sbin/condor_starter "$seconds"
        starter "25.14.1: mounts" "$newer_namespace" mounts /usr/sbin/condor_starter "$seconds"
        starter "25.14.1: mounts, PID namespace" "$newer_namespace" pidns /usr/sbin/condor_starter "$seconds"
    fi
}

# count_calls: reads a list; writes name, system calls, files opened, programs executed, and processes made, the job's own included
count_calls() {
    local fields variables
    while IFS=$'\t' read -r -a fields; do
        variables=()
        [[ ${fields[2]} != *=* ]] || variables=("${fields[2]}")
        nsenter --mount="${fields[1]}" /usr/bin/env -i "${variables[@]}" /usr/bin/strace -f -qq -o /srv/trace \
            "${fields[@]:2+${#variables[@]}}" </dev/null >/dev/null 2>&1 || die "${fields[0]} fails under strace"
        nsenter --mount="${fields[1]}" /bin/cat /srv/trace | awk -v name="${fields[0]}" '
            $2 !~ /^(<\.\.\.|\+\+\+|---)/ { calls++ }
            /(open|openat|openat2)(\(| resumed)/ && / = [0-9]+/ { opened++ }
            / execve(\(| resumed)/ && / = 0$/ { executed++ }
            /(clone|clone3|fork|vfork)(\(| resumed)/ && / = [0-9]+/ { made++ }
            END { printf "%s\t%d\t%d\t%d\t%d\n", name, calls, opened, executed, made }'
    done
}
