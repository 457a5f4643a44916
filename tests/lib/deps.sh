#!/bin/sh
# deps.sh MODE NEEDED [WANTED]: sees to Debian packages.  NEEDED is a list without which nothing is built, WANTED what
# tests use besides.  As root it installs what is missing; otherwise it prints the one line that does.
#   MODE install: fails when anything is missing (make deps, make demo)
#   MODE check:   goes on without WANTED packages, and says so, unless NO_SKIP=1 (make check)
mode=$1 needed=$2 wanted=$3

missing() {
	for package in $1; do
		dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || printf '%s ' "$package"
	done
}

if ! command -v dpkg-query >/dev/null; then
	echo "deps: no dpkg here; this builds on Debian 12. Needed, by Debian's names: $needed $wanted" >&2
	exit 0
fi
lack_needed=$(missing "$needed") lack_wanted=$(missing "$wanted")
[ -n "$lack_needed$lack_wanted" ] || exit 0

if [ "$(id -u)" -eq 0 ]; then
	echo "deps: installing $lack_needed$lack_wanted"
	export DEBIAN_FRONTEND=noninteractive
	log=$(mktemp)
	# shellcheck disable=SC2086
	if { apt-get update && apt-get install -y --no-install-recommends $lack_needed $lack_wanted; } >"$log" 2>&1; then
		rm -f "$log"
		exit 0
	fi
	tail -n 30 "$log" >&2
	rm -f "$log"
	echo "deps: apt-get failed; see above" >&2
	exit 1
fi

echo "deps: missing packages; install them with:"
echo "    sudo apt-get install -y --no-install-recommends $lack_needed$lack_wanted"
if [ -z "$lack_needed" ] && [ "$mode" = check ] && [ "${NO_SKIP:-0}" != 1 ]; then
	echo "deps: going on; tests that need $lack_wanted are skipped"
	exit 0
fi
exit 1
