# Runs on the node, as its only service: sets podman up with the programs under test, and does what the disk asks for.
# All that is said goes to the second serial port, where it is counted.
stty -F /dev/ttyS1 raw -echo
exec >/dev/ttyS1 2>&1 </dev/null
echo "vm: $(uname -r), systemd $(systemctl --version | sed -n '1s/.*(\(.*\))/\1/p'), up for $(cut -d. -f1 /proc/uptime) s"

monitor=$(sed -n 's/.*conmote.monitor=\([^ ]*\).*/\1/p' /proc/cmdline)
mkdir -p /usr/local/libexec/conmote /etc/containers
cp /conmote/bin/* /usr/local/libexec/conmote
printf '[engine]\nconmon_path = ["%s"]\n' "$monitor" >/etc/containers/containers.conf
export CI=true TESTS_LIMIT=60 SMALL_RUNTIME=/conmote/tests/small-runtime CONMON_BINARY="$monitor"
cd /root || exit

if [ -e /conmote/command ]; then
    bash /conmote/command
    echo "vm: status $?"
fi
while read -r program arguments; do
    echo "     Running $program"
    begin=$(cut -d. -f1 /proc/uptime)
    # What a test says comes at once, so that it is known of one that hangs, too.
    # shellcheck disable=SC2086
    timeout -k 5 600 "/conmote/tests/$program" --test-threads 1 --nocapture $arguments </dev/null
    echo "vm: $program took $(($(cut -d. -f1 /proc/uptime) - begin)) s"
done </conmote/plan
echo "@END@"
