# Sourced by `launch`: the C programs, and the places in which the commands run. A place is a mount namespace with a directory of $work as
# /srv: there are the job, the static root, the configurations and ads, and what the starters write.
# shellcheck shell=bash disable=SC2154  # here, work, ours, with_ours: from launch

compile() {
    local flags=(-std=gnu17 -Wall -Wextra -Werror -O2 -static)
    gcc "${flags[@]}" -o "$work/bench-job" "$here/job.c"
    gcc "${flags[@]}" -o "$work/floor" "$here/floor.c"
    gcc "${flags[@]}" -o "$work/measure-time" "$here/measure-time.c" "$here/commands.c"
    gcc "${flags[@]}" -o "$work/measure-memory" "$here/measure-memory.c" "$here/commands.c"
    # one file with a name in every place: the job of any of them writes its time into it
    : >"$work/stamp"
    chmod 666 "$work/stamp"
    chmod 755 "$work"
}

# accounts ROOT SRV: passwd and group for a root without the accounts that the commands use
accounts() {
    local account id
    cp "$1/etc/passwd" "$1/etc/group" "$2/"
    for account in condor:64001 alice:64002; do
        id=${account#*:} account=${account%:*}
        grep -q "^$account:" "$2/passwd" && continue
        echo "$account:x:$id:$id::/nonexistent:/bin/sh" >>"$2/passwd"
        grep -q "^$account:" "$2/group" || echo "$account:x:$id:" >>"$2/group"
    done
}

# static_root DIRECTORY: a root that has nothing but what HTCondor asks of a named chroot, and the job under its own path
static_root() {
    mkdir -p "$1"/{bin,dev/shm,etc,proc,run,srv/execute,srv/scratch,tmp,var/tmp}
    chmod 1777 "$1/tmp" "$1/var/tmp" "$1/dev/shm"
    cp "$work/bench-job" "$1/srv/"
    cp "$2/passwd" "$2/group" "$1/etc/"
}

# open_place NAME ROOT: $NAME_namespace becomes the path of its mount namespace; its /srv is $work/NAME
open_place() {
    local name=$1 root=$2 srv=$work/$1 condor alice pid
    mkdir -p "$srv"/{execute,log,lock,spool,run,out,scratch/tmp,scratch/var/tmp,bundle}
    cp "$work/bench-job" "$work/floor" "$srv/"
    ! $with_ours || install -m 755 "$ours" "$srv/starter"
    ln "$work/stamp" "$srv/out/stamp"
    accounts "$root" "$srv"
    static_root "$srv/root" "$srv"
    condor=$(awk -F: '$1 == "condor" { print $3 ":" $4 }' "$srv/passwd")
    alice=$(awk -F: '$1 == "alice" { print $3 }' "$srv/passwd")
    chown "$condor" "$srv"/{execute,log,lock,spool,run,out}
    chown "$alice" "$srv"/scratch/{,tmp,var,var/tmp}
    declare -g "${name}_uid=$alice"
    write_inputs "$srv" "$alice"

    local binds=(-b "$srv:/srv" -b "$srv/passwd:/etc/passwd" -b "$srv/group:/etc/group")
    # shellcheck disable=SC2016  # for the inner shell
    unshare --mount "$here/../pool/pivot" -r "${binds[@]}" "$root" sh -c ': >/srv/ready; exec sleep infinity' &
    pid=$!
    until [ -e "$srv/ready" ]; do
        kill -0 "$pid" 2>/dev/null || die "the place $name can't be made"
        sleep 0.05
    done
    declare -g "${name}_namespace=/proc/$pid/ns/mnt"
}
