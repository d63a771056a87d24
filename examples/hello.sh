# What a job sees of the machine. Runs in the sandbox.
echo "I am $(id -un 2>/dev/null || id -u), process $$, in $(pwd)"
echo
echo "1. Only my own processes (ps):"
ps -e -o pid,user,args
echo
echo "2. A /tmp of my own, empty ($(ls -A /tmp | wc -l) entries), where my files end with me:"
echo secret >/tmp/mine && ls -l /tmp
echo
echo "3. The root that I asked for by name (ls /):"
ls /
echo
echo "4. And nobody else's sandbox (ls $(dirname "$_CONDOR_SCRATCH_DIR")/..):"
ls "$(dirname "$_CONDOR_SCRATCH_DIR")/.."
