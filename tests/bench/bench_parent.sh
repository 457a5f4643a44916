#!/bin/sh
# One county and its villages connected by long poll (goal P12): memory and processor of the county's daemon at rest, and
# deltas of one row a second.  CHILDREN=N (500; FULL=1: 2,000), WRITERS=N (32), DELTAS=N each (40).
# The load is made on the same machine: the daemon's own processor time says what a core of its own would carry.
cd "$(dirname "$0")/../.." || exit 1
[ -n "$FULL" ] && : "${CHILDREN:=2000}"
: "${BUILD:=build}" "${CHILDREN:=500}" "${WRITERS:=32}" "${DELTAS:=40}"
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
home=$folder/county
ctl() { "$BUILD/terracectl" --home "$home" "$@"; }
ctl init --unit 532999000000 --name county --line bench --root --listen "127.0.0.1:$port" --url "https://127.0.0.1:$port" \
	>"$folder/said" || { cat "$folder/said"; exit 1; }
"$BUILD/terraced" --home "$home" 2>"$folder/first.log" & daemon=$!
until [ -S "$home/control.sock" ]; do sleep .1; kill -0 "$daemon" 2>/dev/null || { cat "$folder/first.log"; exit 1; }; done
ctl policy publish conf/policies/relief.policy >"$folder/said" || { cat "$folder/said"; kill "$daemon"; exit 1; }
kill "$daemon"; wait "$daemon"
"$BUILD/bench/bench_parent" "$BUILD/terraced" "$home" "$folder" "$CHILDREN" "$WRITERS" "$DELTAS" >"$folder/out" ||
	{ tail -5 "$folder/county.log"; exit 1; }
awk '
	function goal(what, value, limit, unit, least,   fits) {
		fits = least ? value >= limit : value <= limit
		printf "P12  %-58s %8.1f %s, goal %s %g: %s\n", what, value, unit, least ? ">=" : "<=", limit, fits ? "reached" : "MISSED"
		fits ? good++ : bad++
	}
	$1 == "idle" { n = $2; alone = $3; with = $4; cpu = $5 }
	$1 == "deltas" { deltas = $2; seconds = $3; used = $4 }
	END {
		if (!n || !deltas) { print "bench_parent: no figures"; exit 1 }
		each = (with - alone) / n
		goal("memory with " n " children (" sprintf("%.0f", each) " KiB each)", with / 1024, 256, "MiB", 0)
		if (n < 2000) goal("memory with 2000 children, extrapolated", (alone + each * 2000) / 1024, 256, "MiB", 0)
		goal("processor with " n " children at rest, of a core", cpu, 2, "%", 0)
		goal("deltas of one row a second, beside the load", deltas / seconds, 2000, "", 1)
		printf "P12  %-58s %8.1f us, %.0f a second of one core\n", "processor time of a delta", used / deltas * 1e6, deltas / used
		printf "bench_parent: %d passed, %d failed\n", good, bad
		exit bad > 0
	}' "$folder/out"
