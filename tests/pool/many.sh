# Sourced by `soak` and `storm`: many jobs in each of the places where there can be a pool, and what may not be left of them.
# shellcheck shell=bash disable=SC2154  # here: from the programs

# Runs the program in each place that is wanted.
outside() {
    local program starter='' suites=() kinds_of_pool=() jobs=500 seconds=1500 out
    program=$(basename "$0") out=$here/../../target/$program
    while [ $# -gt 0 ]; do
        case $1 in
        --starter) starter=$2 ;;
        --suite) suites+=("$2") ;;
        --as) kinds_of_pool+=("$2") ;;
        --jobs) jobs=$2 ;;
        --seconds) seconds=$2 ;;
        --out) out=$2 ;;
        *) sed -n '2,/^set/s/^# \{0,1\}//p' "$0" && exit 2 ;;
        esac
        shift 2 || exit 2
    done
    [ -n "$starter" ] || { sed -n '2,/^set/s/^# \{0,1\}//p' "$0"; exit 2; }
    [ ${#suites[@]} -gt 0 ] || suites=(trixie sid)
    [ ${#kinds_of_pool[@]} -gt 0 ] || kinds_of_pool=(root user)
    local suite as failed=0
    for suite in "${suites[@]}"; do
        for as in "${kinds_of_pool[@]}"; do
            local place=$out/$suite-$as options=() binds=()
            mkdir -p "$place/logs"
            find "$place" -mindepth 1 -delete
            mkdir "$place/logs"
            if [ "$starter" != stock ]; then
                binds+=(-b "$starter:/opt/starter")
                options+=(-s /opt/starter)
            fi
            if [ "$as" = user ]; then options+=(-u alice); fi
            echo "== $suite, $as: $jobs jobs"
            "$here/enter" -b "$here:/opt/pool" -b "$place:/opt/out" ${binds[@]+"${binds[@]}"} "$suite" \
                "/opt/pool/$program" --prepare "$seconds" ${options[@]+"${options[@]}"} -- "$as" "$jobs" || failed=1
        done
    done
    exit $failed
}

run_as() {
    local user=$1
    shift
    (cd "/home/$user" && exec setpriv --reuid "$user" --regid "$user" --init-groups env "HOME=/home/$user" "$@")
}

# What the last job of that sort would leave in the machine.
mounts() { cut -d' ' -f5- /proc/self/mountinfo | sort; }
processes() { grep -lsz '^_CONDOR_SCRATCH_DIR=' /proc/[0-9]*/environ 2>/dev/null | cut -d/ -f3; }

faults=0
fault() {
    faults=$((faults + 1))
    [ $faults -gt 40 ] || echo "  wrong: $*"
}

# Nothing of a job may be left once the last one has ended; a starter has some seconds to be gone.
left() {
    local _
    for _ in $(seq 20); do
        [ -z "$(ls "$1")" ] && [ -z "$(processes)" ] && break
        sleep 0.5
    done
    [ -z "$(ls "$1")" ] || fault "left in EXECUTE: $(ls "$1")"
    local process
    for process in $(processes); do fault "left: process $process $(tr '\0' ' ' <"/proc/$process/cmdline")"; done
    [ "$(mounts)" = "$2" ] || fault "mounts changed: $(diff <(echo "$2") <(mounts) || true)"
}
