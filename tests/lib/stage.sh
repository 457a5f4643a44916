#!/bin/bash
# stage.sh NAME LIMIT JOBS COMMAND ... : runs each command (one word list a string) with a time limit in seconds, JOBS
# at a time.  Prints one line a command, the output of one that fails, and `NAME: N passed, N failed`; the two
# numbers also go to $RESULTS/NAME.  What a command counts: cmocka's summary, or its own last line of the form
# `[name: ]N passed, N failed`, else one.  Exit 77 means skipped (the last line says why); with NO_SKIP=1 that fails.
# A script may ask for another limit with a line `# limit: SECONDS` among its first ten.
set -u
: "${RESULTS:=build/results}"

count() {   # LOG STATUS -> "passed failed"
	awk -v status="$2" '
	/^\[  PASSED  \] [0-9]+ test/ { cmocka = 1; passed += $4; next }
	/^\[  FAILED  \] [0-9]+ test/ { cmocka = 1; failed += $4; next }
	/^([^ ]+: )?[0-9]+ passed, [0-9]+ failed$/ { line = 1; n = split($0, w, " "); p = w[n - 3]; f = w[n - 1] }
	END {
		if (!cmocka && line) { passed = p; failed = f }
		if (!cmocka && !line && status == 0) passed = 1
		if (status != 0 && failed == 0) failed = 1
		print passed + 0, failed + 0
	}' "$1"
}

one() {     # NAME LIMIT COMMAND
	local name=$1 limit=$2 command=$3 log start status took passed failed word=ok own shown=${3#python3 }
	shown=${shown#"${BUILD:-build}/"}
	shown=${shown#tests/}
	shown=${shown%% -*}
	log=$(mktemp "$RESULTS/log.XXXXXX")
	own=$(head -n 10 "${command%% *}" 2>/dev/null | tr -d '\0' | sed -n 's/^# limit: \([0-9]*\).*/\1/p' | head -n 1)
	limit=${own:-$limit}
	start=$(date +%s)
	timeout -k 5 "$limit" sh -c "exec $command" >"$log" 2>&1 </dev/null
	status=$?
	took=$(($(date +%s) - start))
	read -r passed failed <<<"$(count "$log" $status)"
	if [ $status -eq 77 ]; then
		word=skipped passed=0 failed=0
		[ "${NO_SKIP:-0}" = 1 ] && word=FAILED failed=1
	elif [ "$failed" -gt 0 ] || [ $status -ne 0 ]; then
		word=FAILED
	fi
	(
		flock 9
		echo "$passed $failed" >>"$RESULTS/$name"
		case $word in
		ok)
			printf '  %-8s %-46s %s passed, %ss\n' ok "$shown" "$passed" $took ;;
		skipped)
			printf '  %-8s %-46s %s\n' skipped "$shown" "$(tail -n 1 "$log")" ;;
		FAILED)
			[ $status -eq 124 ] && echo "time limit of $limit s" >>"$log"
			printf '  %-8s %s (exit %s, %ss)\n' FAILED "$command" $status $took
			[ "$(wc -l <"$log")" -le 200 ] || echo "    | ... (the last 200 lines; all of them with: $command)"
			tail -n 200 "$log" | sed 's/^/    | /' ;;
		esac
	) 9>>"$RESULTS/lock"
	rm -f "$log"
}

if [ "$1" = --one ]; then
	one "$2" "$3" "$4"
	exit 0
fi
name=$1 limit=$2 jobs=$3
shift 3
mkdir -p "$RESULTS"
: >"$RESULTS/$name"
if [ $# -gt 0 ]; then
	printf '%s\0' "$@" | xargs -0 -P "$jobs" -n 1 "$0" --one "$name" "$limit"
fi
awk -v name="$name" '{ p += $1; f += $2 } END { printf "%s: %d passed, %d failed\n", name, p, f; exit f > 0 }' "$RESULTS/$name"
