# For a case's `drive`, which is run while its jobs are: waiting, by the event log. $1 is the cluster.
cluster=$1

# await EVENT [COUNT]: until the log has so many events of this number
await() {
    until [ "$(grep -c "^$1 (" log)" -ge "${2:-1}" ]; do sleep 0.2; done
}

# await_running [COUNT]: until the job has been started for the COUNTth time, and had time to set its traps and to be measured
await_running() {
    await 001 "${1:-1}"
    sleep 3
}
