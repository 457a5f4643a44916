#!/bin/sh
# What capture costs the application (goals P1 and P2): instructions a row over the same statements without capture,
# counted by cachegrind, so that they repeat; wall times of 90,000 rows as the median of interleaved pairs.
# OPS=N probes a kind (4,000), ROUNDS=N pairs (5).
cd "$(dirname "$0")/../.." || exit 1
: "${BUILD:=build}" "${OPS:=4000}" "${ROUNDS:=5}"
bench=$BUILD/bench/bench_capture
command -v valgrind >/dev/null || { echo 'bench_capture: skipped, valgrind is missing'; exit 77; }
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
python3 tests/bench/workload.py db "$folder/plain" 1 >/dev/null && python3 tests/bench/workload.py probes "$folder" 1 || exit 1
for kind in u i; do head -n "$OPS" "$folder/${kind}10k.tsv" >"$folder/$kind.tsv"; done
sqlite3 "$folder/plain" 'PRAGMA journal_mode=DELETE; VACUUM' >/dev/null
unique='CREATE UNIQUE INDEX person_one ON person(id_number, name, household);
        CREATE UNIQUE INDEX household_one ON household(address, head_name, phone);'
cp "$folder/plain" "$folder/plain-unique" && sqlite3 "$folder/plain-unique" "$unique" || exit 1
cp "$folder/plain" "$folder/empty-plain" && sqlite3 "$folder/empty-plain" 'DELETE FROM person; DELETE FROM household; VACUUM'
for pair in plain:capture plain-unique:capture-unique empty-plain:empty-capture; do
	cp "$folder/${pair%:*}" "$folder/${pair#*:}"
	"$bench" install "$folder/${pair#*:}" >"$folder/install-${pair#*:}" || exit 1
	for base in "$folder/${pair%:*}" "$folder/${pair#*:}"; do
		sqlite3 "$base" 'PRAGMA wal_checkpoint(TRUNCATE); PRAGMA journal_mode=DELETE' >/dev/null
	done
done

fresh() { rm -f "$folder/run" "$folder/run-wal" "$folder/run-shm"; cp "$folder/$1" "$folder/run"; }
instructions() {   # BASE FILE COUNT [all]
	fresh "$1"
	valgrind --tool=cachegrind --cache-sim=no --cachegrind-out-file=/dev/null "$bench" ops "$folder/run" "$folder/$2" "$3" $4 \
		2>&1 | awk '/I +refs:/ { gsub(",", "", $NF); print $NF }'
}
count() {          # NAME BASE FILE [all]: a line `NAME instructions`
	echo "$1 $((($(instructions "$2" "$3" "$OPS" "$4") - $(instructions "$2" "$3" 0 "$4")) / OPS))"
}
for base in plain capture; do
	count "update $base" $base u.tsv
	count "insert $base" $base i.tsv
	count "all $base" $base u.tsv all
	count "update+unique $base" $base-unique u.tsv
	count "insert+unique $base" $base-unique i.tsv
done >"$folder/counts"
round=0
while [ $((round += 1)) -le "$ROUNDS" ]; do
	for base in plain capture; do
		fresh $base && echo "bulk-update $base $("$bench" bulk-update "$folder/run")"
		fresh empty-$base && echo "bulk-insert $base $("$bench" bulk-insert "$folder/plain" "$folder/run")"
	done
done >"$folder/times"
fresh plain
before=$(stat -c %s "$folder/run")
"$bench" adopt "$folder/run" >"$folder/adopt" || exit 1
sqlite3 "$folder/run" 'PRAGMA wal_checkpoint(TRUNCATE)' >/dev/null
after=$(stat -c %s "$folder/run")
outbox=$(sqlite3 "$folder/run" 'SELECT sum(length(bytes)) FROM terrace_segment')

awk -v folder="$folder" -v before="$before" -v after="$after" -v outbox="$outbox" '
	function goal(name, value, most, detail) {
		printf "%-44s %6.2f%s goal <= %.2f%s  %-7s %s\n", name, value, unit, most, unit, value <= most ? "reached" : "MISSED", detail
		value <= most ? good++ : bad++
	}
	function median(name, base,   n, i, j, v, t) {
		n = split(times[name, base], v, " ")
		for (i = 1; i <= n; i++) for (j = i + 1; j <= n; j++) if (v[j] + 0 < v[i] + 0) { t = v[i]; v[i] = v[j]; v[j] = t }
		return v[int((n + 1) / 2)]
	}
	function counted(kind, most, text) {
		goal(text, n[kind, "capture"] / n[kind, "plain"], most, sprintf("%d / %d instructions a row", n[kind, "capture"], n[kind, "plain"]))
	}
	function timed(kind, most, text) {
		goal(text, median(kind, "capture") / median(kind, "plain"), most,
		     sprintf("%.3f / %.3f s", median(kind, "capture"), median(kind, "plain")))
	}
	BEGIN {
		while ((getline < (folder "/counts")) > 0) n[$1, $2] = $3
		while ((getline < (folder "/times")) > 0) times[$1, $2] = times[$1, $2] " " $3
		unit = "x"
		counted("update", 1.5, "P1 two-column update")
		counted("insert", 1.4, "P1 insert")
		counted("update+unique", 1.5, "P1 two-column update, one more unique key")
		counted("insert+unique", 1.4, "P1 insert, one more unique key")
		counted("all", 2.3, "P1 all columns set, two changed")
		timed("bulk-update", 2, "P1 90,000 updates in bulk, wall")
		timed("bulk-insert", 1.4, "P1 90,000 inserts in bulk, wall")
		unit = "s"
		getline < (folder "/install-capture")
		goal("P2 switching capture on, 90,000 rows", $1, 0.5, $2 " triggers")
		unit = "%"
		goal("P2 file growth, every row sealed", 100 * (after - before) / before, 30,
		     sprintf("%.1f %% of it segments that wait to go up", 100 * outbox / before))
		printf "bench_capture: %d passed, %d failed\n", good, bad
		exit bad > 0
	}'
