#!/bin/sh
# Bytes and time of a reconciliation with 0, 1 and 100 differing rows of 90,000 (goals P9 and P10): the rounds, without
# HTTPS, until every differing row is named on both sides.  ROWS=N another size.
cd "$(dirname "$0")/../.." || exit 1
: "${BUILD:=build}" "${ROWS:=90000}"
"$BUILD/bench/bench_reconcile" "$ROWS" | awk -v rows="$ROWS" '
	function goal(name, what, value, most, unit) {
		printf "%-4s %-52s %8.1f %s, goal %d: %s\n", name, what, value, unit, most, value <= most ? "reached" : "MISSED"
		value <= most ? good++ : bad++
	}
	{ bytes[$1] = $3; ms[$1] = $4; rounds[$1] = $2 }
	END {
		if (!(100 in bytes)) { print "bench_reconcile: no figures"; exit 1 }
		goal("P9", "equal, of " rows " rows, content bytes", bytes[0], 64, "B")
		goal("P9", "equal, time", ms[0], 10, "ms")
		goal("P10", "1 row differs, " rounds[1] " rounds, " ms[1] " ms", bytes[1], 2048, "B")
		goal("P10", "100 rows differ, " rounds[100] " rounds, " ms[100] " ms", bytes[100], 45 * 1024, "B")
		printf "reconcile: %d passed, %d failed\n", good, bad
	}'
