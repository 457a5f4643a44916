#!/bin/sh
# Bytes on the wire of the workload's change sets (goals P3 to P6), sealed in segments: payload, header and signature,
# without HTTPS and receipts.
cd "$(dirname "$0")/../.." || exit 1
: "${BUILD:=build}"
WORKLOAD=tests/bench/workload.py
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
python3 "$WORKLOAD" changes "$folder" 1 && python3 "$WORKLOAD" db "$folder/town.db" 1 || exit 1
python3 - "$folder" <<'END' || exit 1
import os, sqlite3, sys
folder = sys.argv[1]
db = sqlite3.connect(folder + "/town.db")
with open(folder + "/c3.ops", "w") as f:
    for table in ("household", "person"):
        for row in db.execute("SELECT * FROM %s" % table):
            f.write("\t".join(["I", table] + ["" if v is None else str(v) for v in row]) + "\n")
for name in ("c1", "c2"):
    os.rename("%s/%s.tsv" % (folder, name), "%s/%s.ops" % (folder, name))
with open(folder + "/c1.ops") as f:
    for i, line in zip(range(20), f):
        with open("%s/one%02d.ops" % (folder, i), "w") as one:
            one.write(line)
END
"$BUILD/bench/bench_wire" "$folder"/one*.ops >"$folder/one" || exit 1
"$BUILD/bench/bench_wire" "$folder"/c1.ops "$folder"/c2.ops "$folder"/c3.ops | tee "$folder/sets" || exit 1
awk -v one="$folder/one" '
	function goal(name, value, most, unit) {
		printf "%-4s %-34s %9.2f %s, goal %s: %s\n", name, what[name], value, unit, most, value <= most ? "reached" : "MISSED"
		value <= most ? good++ : bad++
	}
	BEGIN {
		what["P3"] = "1,000 updates of two columns"; what["P4"] = "10,000 mixed changes"
		what["P5"] = "a township of 90,000 rows"; what["P6"] = "one change, mean of 20"
		while ((getline line < one) > 0) { split(line, field); total += field[6]; n++ }
	}
	{ bytes[$1] = $6; rows[$1] = $2 }
	END {
		goal("P3", bytes["c1.ops"] / rows["c1.ops"], 8.5, "B/row")
		goal("P4", bytes["c2.ops"] / rows["c2.ops"], 17, "B/row")
		goal("P5", bytes["c3.ops"] / 1e6, 3.5, "MB")
		goal("P6", total / n, 220, "B")
		printf "bench_wire: %d passed, %d failed\n", good, bad
		exit bad > 0
	}' "$folder/sets"
