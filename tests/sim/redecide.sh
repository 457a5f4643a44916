#!/bin/bash
# Every record that random histories leave, at every node, is decided again from itself alone (tests/lib/redecide.py); and a
# false record is noticed.  redecide.sh [HISTORIES]
set -eu
sim=${BUILD:-build}/tests/sim
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
"$sim" --from 20001 --seeds "${1:-20}" --records "$dir/records" >"$dir/out" 2>&1 || { cat "$dir/out"; exit 1; }
python3 tests/lib/redecide.py --tamper "$dir/records"
python3 tests/lib/redecide.py "$dir/records"
