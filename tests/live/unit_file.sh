#!/bin/sh
# The service files as systemd reads them: copies with the built binary verify without a word, hold what they must, and
# the user and folder files apply to an empty root.  A planted mistake is found.
cd "$(dirname "$0")/../.." || exit 1
BUILD=${BUILD:-build}
command -v systemd-analyze >/dev/null || { echo "systemd is missing"; exit 77; }
[ -x "$BUILD/terraced" ] || { echo "$BUILD/terraced is not built"; exit 77; }
binary=$(realpath "$BUILD/terraced")
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
passed=0 failed=0

expect() {   # WHAT STATUS
	if [ "$2" -eq 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "failed: $1"; fi
}

# verify FILE: no complaint at all (systemd-analyze 252 exits 0 on an unknown key and only warns).
verify() {
	out=$(systemd-analyze verify --man=no "$1" 2>&1)
	status=$?
	[ -z "$out" ] || echo "$out" | sed 's/^/    /'
	[ $status -eq 0 ] && [ -z "$out" ]
}

for unit in terraced.service terraced@.service; do
	sed "s,/usr/sbin/terraced,$binary," "systemd/$unit" >"$dir/$unit"
	grep -q "^ExecStart=$binary --home /var/lib/terrace/" "$dir/$unit"
	expect "$unit starts the daemon with a home" $?
	verify "$dir/$unit"
	expect "systemd-analyze verify $unit" $?
	for line in Type=notify User=terrace WatchdogSec=60 TimeoutStopSec=5 Restart=on-failure LimitCORE=0 NoNewPrivileges=yes \
	    ProtectSystem=strict ProtectHome=yes PrivateTmp=yes MemoryDenyWriteExecute=yes CapabilityBoundingSet= \
	    ReadWritePaths=/var/lib/terrace SystemCallFilter=@system-service; do
		grep -qx "$line" "systemd/$unit"
		expect "$unit has $line" $?
	done
done
[ "$(grep -vE '^#|^Description|/var/lib/terrace/' systemd/terraced.service)" = \
  "$(grep -vE '^#|^Description|/var/lib/terrace/' systemd/terraced@.service)" ]
expect "both units are the same but for the home" $?

sed 's/^NoNewPrivileges=/NoNewPrivilege=/' "$dir/terraced.service" >"$dir/planted.service"
! verify "$dir/planted.service" >/dev/null
expect "a misspelt key is found" $?

# An empty root; systemd-sysusers and systemd-tmpfiles want an absolute one.
mkdir -p "$dir/root/etc" "$dir/root/var/lib"
systemd-sysusers --root="$dir/root" "$(realpath systemd/terrace.sysusers)" && grep -q '^terrace:' "$dir/root/etc/passwd"
expect "systemd-sysusers makes the user" $?
if [ "$(id -u)" -eq 0 ]; then
	systemd-tmpfiles --root="$dir/root" --create "$(realpath systemd/terrace.tmpfiles)" &&
		[ "$(stat -c %a "$dir/root/var/lib/terrace")" = 750 ]
	expect "systemd-tmpfiles makes the folder" $?
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
