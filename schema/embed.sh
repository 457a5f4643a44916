#!/bin/sh
# embed.sh FILE.sql ... : prints a C file that defines schema_steps[] (include/store/schema.h), one row a file, in
# the order given.  Uses awk only.
LC_ALL=C awk '
BEGIN { print "/* Made by schema/embed.sh. */\n#include \"store/schema.h\"\n\nconst struct schema_step schema_steps[] = {" }
FNR == 1 {
	if (open) print "\t},"
	open = 1
	name = FILENAME
	sub(/.*\//, "", name)
	sub(/\.sql$/, "", name)
	printf "\t{ \"%s\",\n", name
}
{
	gsub(/\\/, "\\\\")
	gsub(/"/, "\\\"")
	gsub(/\r/, "")
	printf "\t\t\"%s\\n\"\n", $0
}
END {
	if (open) print "\t},"
	else print "\t{ 0, 0 },"
	print "};\n"
	printf "const size_t schema_step_count = %s;\n", open ? "sizeof(schema_steps) / sizeof(schema_steps[0])" : "0"
}' "$@" </dev/null
