#!/bin/sh
# What the receiver of changes pays (goals P7 and P8): instructions of the calls that take them, from the signature to
# the commit, against the same statements prepared in one transaction, without and with the terms that follow; and wall
# times as the median of interleaved rounds.  Up: a township's deltas at the county; down: the county's feed.
# HOUSEHOLDS=N a smaller township (20,000; 3.5 persons each), ROUNDS=N (3), KEEP=FOLDER leaves databases and profiles.
cd "$(dirname "$0")/../.." || exit 1
: "${BUILD:=build}" "${HOUSEHOLDS:=20000}" "${ROUNDS:=3}"
bench=$BUILD/bench/bench_apply
command -v callgrind_annotate >/dev/null || { echo 'bench_apply: skipped, valgrind is missing'; exit 77; }
folder=${KEEP:-$(mktemp -d)} || exit 1
[ -n "$KEEP" ] && mkdir -p "$KEEP" || trap 'rm -rf "$folder"' EXIT
python3 tests/bench/workload.py db "$folder/plain" 1 --households "$HOUSEHOLDS" 2>/dev/null &&
	python3 tests/bench/workload.py changes "$folder" 1 --households "$HOUSEHOLDS" || exit 1
cp "$folder/plain" "$folder/empty" && sqlite3 "$folder/empty" 'DELETE FROM person; DELETE FROM household; VACUUM'
for base in plain empty; do sqlite3 "$folder/$base" 'PRAGMA wal_checkpoint(TRUNCATE)' >/dev/null; done
for t in household person; do
	sqlite3 -separator "$(printf '\t')" "$folder/plain" "SELECT 'I', '$t', * FROM $t"
done >"$folder/c3.tsv"
"$bench" prepare "$folder" "$folder/plain" "$folder/empty" "$folder/c1.sql" "$folder/c2.sql" >"$folder/prepared" || exit 1

plain() {          # CASE [valgrind …]
	case=$1; shift
	rm -f "$folder/run" "$folder/run-wal" "$folder/run-shm"
	cp "$folder/$([ "$case" = c3 ] && echo empty || echo plain)" "$folder/run"
	"$@" "$bench" plain "$folder/run" "$folder/$case.tsv"
}
apply() {          # CASE-WAY [valgrind …]
	case=$1; shift
	rm -rf "$folder/work" && mkdir "$folder/work" && cp "$folder"/*.key "$folder"/*.pem "$folder/work" &&
		cp -r "$folder/$case" "$folder/work"
	"$@" "$bench" apply "$folder/work" "$case"
}
counted() {        # OUT WHAT CASE: lines `CASE function instructions`
	"$2" "$3" valgrind --tool=callgrind --callgrind-out-file="$1" --toggle-collect=measured_plain \
		--toggle-collect=measured_apply --toggle-collect=measured_hash >/dev/null 2>&1
	callgrind_annotate --inclusive=yes "$1" | awk -v name="$3" 'match($0, /:measured_(plain|apply|hash) /) {
		what = substr($0, RSTART + 10, RLENGTH - 11); gsub(",", "", $1); if (!seen[what]++) print name, what, $1 }'
}
round=0
while [ $((round += 1)) -le "$ROUNDS" ]; do
	for set in c1 c2 c3; do
		echo "$set $(plain $set)"
		for way in up down; do echo "$set-$way $(apply $set-$way)"; done
	done
done >"$folder/times" || exit 1
for set in c1 c2 c3; do
	counted "$folder/profile-$set" plain $set
	for way in up down; do counted "$folder/profile-$set-$way" apply $set-$way; done
done >"$folder/counts"

awk -v folder="$folder" -v before="$(stat -c %s "$folder/plain")" -v after="$(stat -c %s "$folder/c3-up/town.db")" \
    -v outbox="$(sqlite3 "$folder/c3-up/town.db" 'SELECT sum(length(bytes)) FROM terrace_segment')" '
	function verdict(good_one) {
		good_one ? good++ : bad++
		return good_one ? "reached" : "MISSED"
	}
	function median(list,   n, i, j, v, t) {
		n = split(list, v, " ")
		for (i = 1; i <= n; i++) for (j = i + 1; j <= n; j++) if (v[j] + 0 < v[i] + 0) { t = v[i]; v[i] = v[j]; v[j] = t }
		return v[int((n + 1) / 2)]
	}
	function line(name, case, way, least, hash,   plain, mine, wall) {
		plain = n[case, "plain"]
		mine = n[case "-" way, "apply"] + (hash ? n[case "-" way, "hash"] : 0)
		if (!plain || !mine)
			exit bad = 1
		wall = median(times[case, "plain"]) / (median(times[case "-" way, "apply"]) + (hash ? median(times[case "-" way, "hash"]) : 0))
		printf "%-50s %5.1f %%  goal >= %d %%  %-7s  %d / %d instructions a row, wall %.0f %%\n", name, 100 * plain / mine, least,
		       verdict(100 * plain / mine >= least), mine / rows[case], plain / rows[case], 100 * wall
	}
	BEGIN {
		while ((getline < (folder "/counts")) > 0) n[$1, $2] = $3
		while ((getline < (folder "/times")) > 0)
			if ($2 == "plain") { times[$1, "plain"] = times[$1, "plain"] " " $3; rows[$1] = $4 }
			else { times[$1, "apply"] = times[$1, "apply"] " " $3; times[$1, "hash"] = times[$1, "hash"] " " $5 }
		split("up down", ways, " ")
		text["c1"] = "1,000 updates"; text["c2"] = "10,000 mixed"
		for (w = 1; w <= 2; w++) for (c = 1; c <= 2; c++) {
			line("P7 C" c " " ways[w] ", " text["c" c], "c" c, ways[w], 75, 0)
			line("P7 C" c " " ways[w] ", terms too", "c" c, ways[w], 58, 1)
		}
		for (w = 1; w <= 2; w++)
			line("P8 C3 " ways[w] ", a township into an empty node", "c3", ways[w], 70, 0)
		while ((getline < (folder "/prepared")) > 0) sealed = $2
		printf "%-50s %5.1f %%  goal <= 30 %%  %-7s  %.1f %% of it segments that wait to go up\n", "P2 file growth, every row sealed",
		       100 * (after - before) / before, verdict(100 * (after - before) / before <= 30), 100 * outbox / before
		printf "%-50s %5.2f s\n", "   sealing every row", sealed
		printf "bench_apply: %d passed, %d failed\n", good, bad
		exit bad > 0
	}'
