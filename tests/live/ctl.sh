#!/bin/sh
# terracectl on one running node and on bad input: init, policy, plain SQL by the sqlite3 shell, the reports, every
# exit status.  What is refused changes nothing.
cd "$(dirname "$0")/../.." || exit 1
BUILD=${BUILD:-build}
command -v sqlite3 >/dev/null || { echo "sqlite3 is missing"; exit 77; }
[ -x "$BUILD/terraced" ] && [ -x "$BUILD/terracectl" ] || { echo "$BUILD/terraced is not built"; exit 77; }
BUILD=$(realpath "$BUILD")
export LC_ALL=C.UTF-8 TZ=UTC
unset LANG LC_MESSAGES
dir=$(mktemp -d /tmp/terrace-ctl-XXXXXX) || exit 1
home=$dir/county
daemon=
child=
passed=0 failed=0

stop_daemon() {
	[ -n "$daemon" ] && kill "$daemon" 2>/dev/null && wait "$daemon" 2>/dev/null
	daemon=
}
trap 'stop_daemon; [ -z "$child" ] || kill "$child" 2>/dev/null; rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM

expect() {   # WHAT STATUS
	if [ "$2" -eq 0 ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "failed: $1"
		sed 's/^/    out: /' "$dir/out" | head -8
		sed 's/^/    err: /' "$dir/err" | head -4
	fi
}

ctl() { "$BUILD/terracectl" --home "$home" "$@" >"$dir/out" 2>"$dir/err"; }

# gives STATUS PATTERN WORDS...: the exit status, and a line of output or the error that matches.  An error is one line.
gives() {
	want=$1 pattern=$2
	shift 2
	ctl "$@"
	status=$?
	[ $status -eq "$want" ] && cat "$dir/out" "$dir/err" | grep -qe "$pattern" &&
		{ [ $status -lt 2 ] || [ "$(wc -l <"$dir/err")" -eq 1 ] || grep -q "AUTHENTIC" "$dir/out"; }
	expect "$* gives $want and \"$pattern\" (gave $status)" $?
}

# json WORDS... -- EXPRESSION: the document, as Python sees it under the name j.
json() {
	words=
	while [ "$1" != -- ]; do words="$words $1"; shift; done
	ctl --json $words
	python3 -c 'import json, sys; j = json.load(open(sys.argv[1])); sys.exit(not eval(sys.argv[2]))' "$dir/out" "$2"
	expect "--json$words: $2" $?
}

# until SECONDS COMMAND...
until_true() {
	tries=$(($1 * 20))
	shift
	while ! "$@" >/dev/null 2>&1; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || return 1
		sleep .05
	done
}

sql() { sqlite3 -cmd '.timeout 5000' "$home/registers.db" "$1" 2>"$dir/sql-err"; }

start_daemon() {   # HOME
	"$BUILD/terraced" --home "$1" >>"$dir/log" 2>&1 &
	daemon=$!
	until_true 5 "$BUILD/terracectl" --home "$1" sync
}

# ---- the line itself
gives 2 "no command"
gives 2 "such command" nonsense
gives 0 "terracectl \[--home" --help
gives 0 "policy publish" policy --help
gives 0 "terracectl init" init --help
gives 0 "^terracectl [0-9]" --version
"$BUILD/terracectl" --help | sed -n 's/^  \([a-z][a-z ]*[a-z]\).*/\1/p' >"$dir/commands"
[ "$(wc -l <"$dir/commands")" -gt 20 ]
expect "--help lists the commands" $?
missing=
for page in terracectl.1; do
	sed -n 's/^  \([a-z]*\).*/\1/p' "$dir/commands" | sort -u >"$dir/words"
	while read -r word; do
		grep -q "^[*]$word\|, [*]$word\|[*]$word " "daemon/man/$page.scd" || missing="$missing $word"
	done <"$dir/words"
done
[ -z "$missing" ]
expect "every command stands in terracectl(1):$missing" $?
"$BUILD/terracectl" --help >"$dir/en"
LC_ALL=zh_CN.UTF-8 "$BUILD/terracectl" --help | grep -q "退出状态"
expect "help is Chinese under zh" $?

# ---- no home yet; bad units; init
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
gives 4 "init or join" status
gives 4 "no home" sync
gives 2 "12 digits\|digits" init --root --unit 53299900000x --name x
[ ! -e "$home" ]
expect "init with a bad unit makes no home" $?
gives 2 "12 digits\|digits" init --root --unit 53299900000 --name x
gives 2 "name is missing" init --root --unit 532999000000
gives 2 "unit is missing" init --root --name x
gives 2 "" init --root --unit 532999000000 --name x --url http://plain.example
gives 0 "terraced --home" init --root --unit 532999000000 --name 剑云县 --url "https://127.0.0.1:$port" --listen "127.0.0.1:$port"
gives 4 "certificate already\|is the home of" init --root --unit 532999000000 --name 剑云县
gives 4 "is the home of" init --unit 532999000001 --name x
gives 4 "start terraced" status
gives 3 "not running" sync
gives 3 "not running" invite 532999101000
gives 1 "not running" doctor
[ "$(stat -c %a "$home/identity")" = 700 ] && [ "$(stat -c %a "$home/identity/sign.seed")" = 600 ]
expect "keys are the owner's alone" $?

# ---- bad homes: nothing starts on them
cp -r "$home" "$dir/unknown" && echo 'colour = "green"' >>"$dir/unknown/terraced.conf"
"$BUILD/terraced" --home "$dir/unknown" --check >"$dir/out" 2>"$dir/err"
[ $? -eq 2 ] && grep -q "terraced.conf:[0-9]*:.*colour" "$dir/err"
expect "an unknown key is named with file and line" $?
gives 2 "terraced.conf:[0-9]*:.*colour" --home "$dir/unknown" status
cp -r "$home" "$dir/text" && echo "this is no database, and longer than a header of one: 0123456789 0123456789 0123456789" >"$dir/text/registers.db"
timeout 5 "$BUILD/terraced" --home "$dir/text" >"$dir/out" 2>"$dir/err"
[ $? -ge 4 ] && grep -q "registers.db" "$dir/err"
expect "a database that is not SQLite is refused by name" $?
gives 5 "registers.db" --home "$dir/text" status
grep -q "this is no database" "$dir/text/registers.db"
expect "and stays as it is" $?

# ---- a node at work
start_daemon "$home"
expect "the daemon starts" $?
timeout 5 "$BUILD/terraced" --home "$home" >"$dir/out" 2>"$dir/err"
[ $? -eq 4 ] && grep -q "in use" "$dir/err"
expect "a second daemon on the home is refused" $?
[ "$(stat -c %a "$home/control.sock")" = 660 ]
expect "the control socket is the group's" $?
gives 1 "bad-no-key.policy:[0-9]" policy check tests/conf/bad-no-key.policy
gives 4 "bad-no-key.policy:[0-9]" policy publish tests/conf/bad-no-key.policy
gives 4 "no-such-file" policy check "$dir/no-such-file"
json policy list -- 'j == []'
gives 0 "policy publish" policy check conf/policies/relief.policy
gives 0 "Next: .*policy status" policy publish conf/policies/relief.policy
gives 4 "version" policy publish conf/policies/relief.policy
until_true 5 sql "SELECT 1 FROM household LIMIT 1"
expect "the tables are there" $?
json policy list -- 'len(j) == 1 and j[0]["state"] == "active" and j[0]["issuer"] == "532999000000" and j[0]["version"] == 1'
json policy status -- 'j[0]["unit"] == "532999000000" and j[0]["active"] == 1'
json policy show 532999000000:1 -- '"register household" in j["text"]'
gives 4 "not known" policy show 532999000000:9
gives 2 "ISSUER:VERSION" policy show relief

sql "INSERT INTO household(code, village_code, head_name, population, category, phone)
     VALUES('532999101201000001', '532999101201', '李桂英', 4, '一般户', '13800000001'),
           ('532999101201000002', '532999101201', '王大有', 2, '一般户', '13800000002')"
expect "rows by the sqlite3 shell" $?
gives 0 "settled" sync --wait 5
sql "UPDATE household SET poverty_cause='因病' WHERE code='532999101201000001'; DELETE FROM household WHERE code='532999101201000002'"
gives 0 "settled" sync --wait 5
json status -- 'set(j) >= {"unit", "name", "level", "epoch", "policy", "log_pending", "upstream", "children", "quarantine", "conflicts_open", "proposals_open", "returns_open"}'
json status -- 'set(j["upstream"]) >= {"url", "state", "last_contact", "sealed", "applied", "settled", "pending_segments", "pending_bytes", "oldest_unsettled_s"}'
json status -- 'j["unit"] == "532999000000" and j["name"] == "剑云县" and j["level"] == "county" and j["log_pending"] == 0'
json status --tree -- 'j["children"] == []'
gives 2 "such option" status --nonsense
gives 0 "UNIT" status
LC_ALL=zh_CN.UTF-8 "$BUILD/terracectl" --home "$home" status >"$dir/out" 2>"$dir/err"
grep -q "单位" "$dir/out"
expect "status is Chinese under zh" $?
json why household 532999101201000001 -- '"poverty_cause" in json.dumps(j) and "因病" in json.dumps(j, ensure_ascii=False)'
gives 0 "因病" why household 532999101201000001 --group check
gives 4 "no-such" why household no-such
gives 4 "no-such" why no-such 1
gives 4 "532999101201" why --unit 532999101201
json log -- 'len(j) > 2 and {"id", "at", "kind", "level", "peer", "segment", "text"} <= set(j[0])'
json log --kind policy -- 'len(j) > 0 and all(e["kind"] == "policy" for e in j)'
json log --since 2999-01-01 -- 'j == []'
gives 2 "since" log --since yesterday
gives 0 "^id,at,kind" log --csv
grep -c 李桂英 "$dir/log" | grep -qx 0
expect "no personal datum in the daemon's log" $?
timeout 2 "$BUILD/terracectl" --home "$home" log --follow >"$dir/followed" 2>"$dir/err" &
follower=$!
sleep .4
sql "UPDATE household SET poverty_cause='因残' WHERE code='532999101201000001'"
ctl invite 532999101000 --name 青石镇
wait "$follower"
grep -q "invited by" "$dir/followed"
expect "log --follow shows what comes" $?

# ---- the lists, empty and with ids that are not there
for family in conflicts proposals returns issues quarantine; do
	json $family list -- 'j == []'
	gives 0 "none" $family
done
for family in conflicts returns issues proposals; do
	gives 4 "no .*999" $family show 999
	gives 2 "not a number" $family show x
done
gives 4 "999" conflicts close 999 --note text
gives 2 "note is missing" conflicts close 999
gives 4 "999" issues close 999 --note text
gives 4 "999" quarantine drop 999 --reason text
gives 0 "" quarantine retry
json quarantine retry -- 'j["left"] is False and j["actor"]'
json reconcile -- 'j["actor"] and j["done"] and all(not r["differ"] for r in j["registers"]) and len(j["registers"]) == 3'
ctl reconcile
expect "reconcile gives 0 where nothing differs" $?
gives 4 "no-such" reconcile --register no-such
sqlite3 -cmd '.timeout 5000' -cmd '.dbconfig enable_trigger off' "$home/registers.db" >"$dir/out" \
	"UPDATE household SET poverty_cause='因学' WHERE code='532999101201000001'"
expect "a program writes with triggers switched off" $?
gives 1 "532999101201000001" reconcile --register household
json reconcile status -- 'j["done"] and [r["key"] for r in j["rows"]] == ["532999101201000001"] and sum(r["differ"] for r in j["registers"]) == 1'
echo "{}" >"$dir/plan.none"
gives 1 "written to" reconcile --plan "$dir/plan"
gives 2 "no other option" reconcile --apply "$dir/plan" --register household
gives 2 "goes with" reconcile --keep-local
gives 0 "" reconcile --apply "$dir/plan"
gives 4 "stale" reconcile --apply "$dir/plan"
sed 's/"hash": *"./"hash":"z/' "$dir/plan" >"$dir/plan.false"
gives 5 "was changed" reconcile --apply "$dir/plan.false"
gives 5 "no plan" reconcile --apply "$dir/plan.none"
gives 0 "Nothing differs" reconcile

# ---- the signed evidence
json segment list -- 'len(j) >= 3'
id=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))[-1]["id"])' "$dir/out")
gives 0 "" segment dump "$id"
json segment dump "$id" -- 'isinstance(j, dict)'
gives 4 "999999" segment dump 999999
sql "SELECT writefile('$dir/segment', bytes) FROM terrace_segment WHERE id = $id" >/dev/null
gives 0 "" segment verify "$dir/segment"
cp "$dir/segment" "$dir/forged"
printf 'X' | dd of="$dir/forged" bs=1 seek=$(($(stat -c %s "$dir/forged") - 3)) conv=notrunc 2>/dev/null
gives 5 "" segment verify "$dir/forged"
head -c 20 "$dir/segment" >"$dir/short"
gives 5 "" segment verify "$dir/short"
gives 0 "" verify

# ---- units, invitations, peers
printf '532999101000,青石镇\n532999101201,南村\n' >"$dir/units.csv"
gives 0 "" units import "$dir/units.csv"
json units list -- '[u["unit"] for u in j] == ["532999101000", "532999101201"] or len(j) == 3'
printf '53299910100x,青石镇\n' >"$dir/bad.csv"
gives 5 ":1: .*CODE,NAME" units import "$dir/bad.csv"
printf '代码,名称\r\n\r\n532999101000,"青石镇 ""新区"""\r\n532999101201,\r\n' >"$dir/bad.csv"
gives 5 ":4: the name is missing" units import "$dir/bad.csv"
printf '532999101000,青石镇\n532999101201,南村\n532999101000,青石镇\n' >"$dir/bad.csv"
gives 5 "532999101000 stands twice" units import "$dir/bad.csv"
printf '532999101000,青石镇\n533100000000,别县\n' >"$dir/bad.csv"
gives 5 "line 2 .*outside" units import "$dir/bad.csv"
printf '\n' >"$dir/bad.csv"
gives 5 "empty" units import "$dir/bad.csv"
printf '532999101000,青石镇\n532999101201,南村\n' | iconv -t GB18030 >"$dir/gb.csv"
gives 5 ":1: not UTF-8.*--encoding gb18030" units import "$dir/gb.csv"
gives 2 "utf-8 or gb18030" units import "$dir/gb.csv" --encoding big5
gives 0 "" units import "$dir/gb.csv" --encoding gb18030
json units list -- '[u["name"] for u in j if u["unit"] == "532999101201"] == ["南村"]'
printf '532999101000,青石镇\n532999101201,"南村,一组"\n' >"$dir/units.csv"
gives 0 "" units import "$dir/units.csv"
json units list -- '[u["name"] for u in j if u["unit"] == "532999101201"] == ["南村,一组"]'
gives 0 "^terrace:1:" invite 532999101000 --name 青石镇
json invite 532999102000 --name 白水镇 --hours 1 -- 'j["line"].startswith("terrace:1:") and j["unit"] == "532999102000" and j["actor"]'
gives 2 "digits" invite 53299910100x
gives 2 "digits" invite 53299910100
gives 4 "not below" invite 533000101000
gives 4 "not below" invite 532999000000
gives 2 "hours" invite 532999101000 --hours 0
county=$daemon
"$BUILD/terracectl" --home "$dir/alone" init --root --unit 532999101000 --name 青石镇 --url https://127.0.0.1:1 >"$dir/out" 2>"$dir/err"
start_daemon "$dir/alone"
gives 4 "not below" --home "$dir/alone" invite 532999102201
gives 0 "terrace:1:" --home "$dir/alone" invite 532999101201
stop_daemon
daemon=$county
json peers -- 'j == []'
gives 4 "" peers revoke 532999101000

# ---- a parent that is not there, an invitation that is mistyped
gives 5 "" --home "$dir/town" join terrace:1:AAAA
ctl invite 532999101000 --name 青石镇
line=$(cat "$dir/out")
gives 5 "" --home "$dir/town" join "${line%???}xyz"
[ ! -e "$dir/town/terraced.conf" ]
expect "a mistyped invitation makes no home" $?

# ---- a township joins, and is written from both sides
town=$dir/town
gives 0 "terraced --home" --home "$town" join "$line"
gives 4 "" --home "$dir/other" join "$line"
start_daemon "$town"
child=$daemon daemon=$county
until_true 10 sh -c "sqlite3 '$town/registers.db' \"SELECT 1 FROM household WHERE code = '532999101201000001'\" | grep -q 1"
expect "the township has the county's rows" $?
json peers -- '[(p["unit"], p["direct"]) for p in j] == [("532999101000", True)]'
until_true 10 sh -c "'$BUILD/terracectl' --home '$home' --json policy status | python3 -c '
import json, sys
sys.exit([p[\"active\"] for p in json.load(sys.stdin)] != [1, 1])'"
expect "policy status knows the township's version" $?
sql "UPDATE household SET phone='1' WHERE code='532999101201000001'"
[ $? -ne 0 ] && grep -q "terrace: household.family: .*township" "$dir/sql-err"
expect "the county may not write what a township with a computer decides" $?
trigger=$(sql "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'household' AND name GLOB 'terrace_*_r*' AND sql LIKE '%\"phone\"%'")
sql "DROP TRIGGER $trigger; UPDATE household SET phone='1' WHERE code='532999101201000001'"
expect "a program gets past the trigger" $?
until_true 10 sh -c "'$BUILD/terracectl' --home '$home' returns; [ \$? -eq 1 ]"
json returns list -- 'j[0]["register"] == "household" and j[0]["group"] == "family" and j[0]["key"] == "532999101201000001" and set(j[0]["by"]) == {"unit", "level", "name"}'
id=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))[0]["id"])' "$dir/out")
json returns show "$id" -- '"1" in json.dumps(j["lost"]) and j["kind"] == "read-only" and j["why"]'
json why household 532999101201000001 --group family -- 'j["records"]'
gives 0 "settled" --home "$town" sync --wait 10
json --home "$town" status -- 'j["upstream"]["state"] == "connected" and j["upstream"]["url"].endswith(":'"$port"'") and j["upstream"]["pending_segments"] == 0'
until_true 15 sh -c "'$BUILD/terracectl' --home '$home' status --tree | grep -q equal"
expect "status --tree says that the township is equal" $?
json status --tree -- 'len(j["children"]) == 1 and j["children"][0]["digest"] == "equal" and j["children"][0]["online"]'
json --home "$town" reconcile -- 'j["done"] and j["neighbours"][0]["unit"] == "532999000000" and j["neighbours"][0]["digest"] == "equal"'
gives 0 "532999101000" reconcile
json --home "$town" doctor -- '{c["check"]: c["state"] for c in j}["parent'"'"'s certificate"] == "ok"'
sqlite3 "$town/registers.db" "UPDATE household SET poverty_cause='因灾'" >"$dir/out" 2>"$dir/err"
[ $? -ne 0 ] && grep -q "terrace: household.check: " "$dir/err"
expect "the township may not write what the county decides" $?
kill "$child" && wait "$child" 2>/dev/null
child=
gives 3 "not running" --home "$town" sync
sed -i 's,https://127.0.0.1:[0-9]*,https://127.0.0.1:1,' "$town/terraced.conf"
json --home "$town" doctor -- '{c["check"]: c["state"] for c in j}["parent'"'"'s address"] == "failed"'

# ---- what SQL users see
for view in terrace_conflicts terrace_proposals terrace_returns terrace_status terrace_units; do
	sql "SELECT count(*) FROM $view" >"$dir/out"
	expect "view $view reads" $?
done
! sql "DELETE FROM terrace_units"
expect "a view is read-only" $?
sql "SELECT level, superior FROM terrace_units WHERE unit = '532999101201'" | grep -qx 'village|532999101000'
expect "terrace_units knows level and superior" $?
sql "INSERT INTO household(code, village_code, head_name, population, category) VALUES('x', '533000101201', '外', 1, '一般户')"
sql "INSERT INTO household(code, village_code, head_name, population, category) VALUES('y', '53299910120x', '错', 1, '一般户')"
ctl sync --wait 5
json issues list -- 'len(j) == 2'
id=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))[0]["id"])' "$dir/out")
gives 1 "" issues
gives 0 "done, by" issues close "$id" --note "looked at"
json issues list -- 'len(j) == 1'
json issues show "$id" -- 'j["state"] == "closed" and j["note"] == "looked at" and j["actor"]'
json issues list --all -- 'len(j) == 2'

# ---- doctor, and the reports without a daemon
gives 1 "runs and answers" doctor
json doctor -- 'not [c for c in j if c["state"] == "failed"] and [c for c in j if c["check"] == "triggers"]'
stop_daemon
gives 3 "not running" sync
json status -- 'j["unit"] == "532999000000"'
# ---- a program that switches capture off: doctor says so, the next start finds what was written meanwhile
sql "SELECT 'DROP TRIGGER \"'||name||'\";' FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'household'" >"$dir/drop"
[ -s "$dir/drop" ] && sqlite3 "$home/registers.db" <"$dir/drop"
expect "the triggers of a register are dropped" $?
json doctor -- '[c for c in j if c["check"] == "triggers" and c["state"] == "failed"]'
gives 5 "triggers are missing" verify
sql "UPDATE household SET poverty_cause='因残' WHERE code='532999101201000001'"
start_daemon "$home"
ctl sync --wait 5
until_true 5 sh -c "'$BUILD/terracectl' --home '$home' segment dump \$('$BUILD/terracectl' --home '$home' --json segment list |
	python3 -c 'import json, sys; print([s[\"id\"] for s in json.load(sys.stdin) if s[\"kind\"] == \"delta\"][-1])') | grep 因残"
expect "what was written without triggers is found and sealed" $?
json log --kind alarm -- 'any("household" in e["text"] for e in j)'
gives 0 "" verify --deep
stop_daemon
head -c 65536 /dev/zero | tr '\0' Z | dd of="$home/registers.db" bs=4096 seek=8 conv=notrunc 2>/dev/null
ctl verify
[ $? -eq 5 ]
expect "verify finds a damaged database" $?

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
