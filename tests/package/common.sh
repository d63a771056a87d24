# Sourced by what runs inside a pool.
# shellcheck shell=bash

die() {
    {
        echo "FAILED: $*"
        condor_q -allusers -af:j JobStatus HoldReason RequestedChroot
        condor_q -allusers -better-analyze | tail -n 40
        for log in /var/log/condor/StarterLog*; do echo "== $log" && tail -n 8 "$log"; done
    } >&2
    exit 1
}
note() { echo "-- $*"; }

# within SECONDS COMMAND...: waits until it succeeds
within() {
    local seconds=$1 _
    shift
    for _ in $(seq $((seconds * 4))); do
        "$@" >/dev/null 2>&1 && return
        sleep 0.25
    done
    "$@" && return
    die "not within $seconds s: $*"
}

as_alice() { (cd /home/alice && setpriv --reuid alice --regid alice --init-groups env HOME=/home/alice USER=alice "$@"); }

# submit NAME LINE...: a job of alice's with these lines; its number in $job
submit() {
    local name=$1
    shift
    printf '%s\n' "log = $name.log" "output = $name.out" "error = $name.err" 'should_transfer_files = YES' "$@" queue >"/home/alice/$name.sub"
    chown alice: "/home/alice/$name.sub"
    job=$(as_alice condor_submit -terse "$name.sub" | sed 's/ .*//')
}

# history ATTRIBUTE: of the last job
history() { condor_history "$job" -limit 1 -af "$1"; }
over() { [ -n "$(condor_history "$job" -limit 1 -af ClusterId)" ]; }
status_is() { [ "$(condor_q "$job" -af JobStatus)" = "$1" ]; }
exits() { within 60 over; [ "$(history ExitCode)" = "$1" ] || die "job $job: exit code $(history ExitCode), not $1"; }

# small_root DIRECTORY: a root with a shell and the programs that the tests use
small_root() {
    local program file
    mkdir -p "$1"/{bin,etc,tmp,proc,dev,sys}
    for program in sh cat ls id; do
        install -D "$(realpath "$(type -P $program)")" "$1/bin/$program"
        for file in $(ldd "$(type -P $program)" | grep -o '/[^ ]*'); do install -D "$(realpath "$file")" "$1$file"; done
    done
    basename "$1" >"$1/etc/name"
}
