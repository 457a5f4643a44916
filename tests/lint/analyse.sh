#!/bin/sh
# cppcheck over the sources, and with LINT_DEEP=1 clang-tidy (.clang-tidy); each first shows that it finds a planted bug.
cd "$(dirname "$0")/../.." || exit 1
passed=0 failed=0
plant=$(mktemp -d) || exit 1
trap 'rm -rf "$plant"' EXIT

cat >"$plant/plant.c" <<'END'
#include <stdlib.h>
#include <string.h>
int planted(int n);
int planted(int n)
{
	int a[4] = { 0 }, b;
	char *p = malloc(4);
	if (n > 3)
		return a[4];
	free(p);
	memset(p, 0, 4);
	return a[n] + b;
}
END

# verdict WHAT STATUS WANTED: counts one result.
verdict() {
	if { [ "$2" -eq 0 ] && [ "$3" = clean ]; } || { [ "$2" -ne 0 ] && [ "$3" = found ]; }; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "$1: $([ "$3" = found ] && echo 'does not find the planted bug' || echo 'findings above')"
	fi
}

# What is read before it is written is the compiler's and the sanitizers' to find: cppcheck guesses at it through loops.
run_cppcheck() {
	cppcheck -q -j2 --std=c11 --language=c --enable=warning,portability --inline-suppr --error-exitcode=1 --template=gcc \
		--suppress=uninitvar --suppress=uninitStructMember --suppress=missingIncludeSystem --suppress=normalCheckLevelMaxBranches --suppress=unknownMacro \
		-D__GNUC__ -Iinclude "$@"
}

# The findings only, without the paths that lead to them.
run_tidy() {
	! clang-tidy --quiet "$@" -- -std=gnu17 -D_GNU_SOURCE -DTERRACE_VERSION='"0"' -Iinclude 2>/dev/null | grep -E ' (error|warning): '
}

if command -v cppcheck >/dev/null; then
	run_cppcheck "$plant" >/dev/null 2>&1
	verdict cppcheck $? found
	run_cppcheck daemon 2>&1
	verdict cppcheck $? clean
elif [ "$LINT_DEEP" != 1 ]; then
	echo "cppcheck is missing"
	exit 77
fi
if [ "$LINT_DEEP" = 1 ]; then
	cp .clang-tidy "$plant/"
	run_tidy "$plant/plant.c" >/dev/null
	verdict clang-tidy $? found
	for file in daemon/*/*.c; do
		run_tidy "$file"
		verdict "clang-tidy $file" $? clean
	done
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
