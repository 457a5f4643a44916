#!/bin/sh
# run_live.sh [TEST ...]: live tests (tests/live/*.sh, *.py; not lib* or _*), one after the other, a time limit each.
# They find the programs under $BUILD (default build) and make their own homes in a temporary folder.
cd "$(dirname "$0")/../.." || exit 1
export BUILD="${BUILD:-build}"
if [ $# -eq 0 ]; then
	for test in tests/live/*.sh tests/live/*.py; do
		case ${test##*/} in '*'.*|lib*|_*) ;; *) set -- "$@" "$test" ;; esac
	done
fi
i=$#
while [ "$i" -gt 0 ]; do
	test=$1
	shift
	case $test in *.py) set -- "$@" "python3 $test" ;; *) set -- "$@" "$test" ;; esac
	i=$((i - 1))
done
exec tests/lib/stage.sh live "${LIVE_LIMIT:-120}" "${LIVE_JOBS:-1}" "$@"
