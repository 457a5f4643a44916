#!/bin/bash
# tests/lib/compare.py, the judge of every live test, can say no: equal databases pass, each planted difference is found.
cd "$(dirname "$0")/../.." || exit 1
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
passed=0 failed=0
county=532999000000 town=532999101000 village=532999101203
workload="python3 tests/bench/workload.py"

fresh() {    # the three levels, equal
	rm -f "$dir"/*.db*
	cp "$dir/base/c.db" "$dir/base/t.db" "$dir/base/v.db" "$dir/"
}

# judge WANTED WHAT [OPTION ...]
judge() {
	local wanted=$1 what=$2
	shift 2
	python3 tests/lib/compare.py "$@" $county="$dir/c.db" $town="$dir/t.db" $village="$dir/v.db" >"$dir/out" 2>&1
	local status=$?
	if [ $status -eq "$wanted" ]; then passed=$((passed + 1)); else
		failed=$((failed + 1))
		echo "failed: $what: exit $status instead of $wanted"
		sed 's/^/    /' "$dir/out"
	fi
}

mkdir "$dir/base"
{
	$workload db "$dir/base/c.db" 1 2 --households 60 --cases 20
	$workload db "$dir/base/t.db" 1 --households 60 --cases 20 --unit $town
	$workload db "$dir/base/v.db" 1 --households 60 --cases 20 --unit $village
} 2>/dev/null

fresh
judge 0 "three equal levels"
sqlite3 "$dir/v.db" "CREATE TABLE terrace_x(a); INSERT INTO terrace_x VALUES(1)"
judge 0 "tables of Terrace do not count"

while IFS='|' read -r db what sql; do
	fresh
	sqlite3 "$dir/$db.db" "$sql"
	judge 1 "$what"
done <<END
v|one value differs|UPDATE person SET income=income+1 WHERE id=(SELECT min(id) FROM person)
t|a row is missing in the middle|DELETE FROM household WHERE code=(SELECT min(code) FROM household)
c|a row is missing at the top|DELETE FROM person WHERE id=(SELECT min(id) FROM person WHERE village_code='$village')
v|a row too many below|INSERT INTO household(code,village_code) VALUES('x','$village')
v|a row outside the scope|INSERT INTO household(code,village_code) VALUES('x','532999101204')
c|a row outside the county|INSERT INTO household(code,village_code) VALUES('x','532998101204')
v|a number became text|UPDATE relief_case SET vehicles=CAST(coalesce(vehicles,'x') AS BLOB)
v|NULL became an empty text|UPDATE relief_case SET decided_on=coalesce(decided_on,''), category=coalesce(category,'')
t|a register is missing|DROP TABLE relief_case
v|a column more|ALTER TABLE household ADD COLUMN y
t|a unit was moved away|UPDATE person SET village_code='532999102201' WHERE id=(SELECT min(id) FROM person)
END

fresh
sqlite3 "$dir/v.db" "UPDATE person SET income=1, remark='x'"
judge 0 "other columns than those asked for" --columns person=name,phone
judge 1 "the columns asked for" --columns person=name,remark
judge 0 "a register that is skipped" --skip person
judge 2 "a unit of eleven digits" 53299910120="$dir/v.db"
judge 2 "no such file" 532999101204="$dir/none.db"
mkdir "$dir/home"
mv "$dir/v.db" "$dir/home/there.db"
printf 'unit = "%s"\ndatabase = "there.db"\n' $village >"$dir/home/terraced.conf"
python3 tests/lib/compare.py $town="$dir/t.db" $village="$dir/home" --skip person >/dev/null
if [ $? -eq 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "failed: a home"; fi
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
