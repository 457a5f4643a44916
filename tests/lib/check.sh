#!/bin/sh
# check.sh STAGE ... : builds, then runs the stages (targets of the Makefile) to the end, whatever fails; the last line
# sums what they counted.  Called by `make check` and `make check-deep`.
: "${MAKE:=make}" "${RESULTS:=build/results}"
start=$(date +%s)
rm -rf "$RESULTS"
mkdir -p "$RESULTS"
echo "== build"
if ! $MAKE --no-print-directory all tests; then
	echo "the build failed"
	echo "0 passed, 1 failed"
	exit 1
fi
for stage; do
	echo "== $stage"
	$MAKE --no-print-directory "$stage" || echo "$stage" >>"$RESULTS/failed-stages"
done
echo "== all, $(($(date +%s) - start)) s"
[ ! -e "$RESULTS/failed-stages" ] || echo "failed: $(paste -sd ' ' "$RESULTS/failed-stages")"
for file in "$RESULTS"/*; do
	case ${file##*/} in lock|failed-stages|log.*) ;; *) cat "$file" ;; esac
done | awk -v broken="$(cat "$RESULTS/failed-stages" 2>/dev/null | wc -l)" '
	{ p += $1; f += $2 }
	END {
		if (broken && !f) f = broken    # a stage that broke before it could count
		printf "%d passed, %d failed\n", p, f
		exit f > 0
	}'
