/* What people see of the lists: they fit 80 columns in both languages whatever the values are, nothing that is cut is
 * cut silently, nothing is half translated; three tables and a few sentences to the letter. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/text.h"
#include "ctl/phrases.h"
#include "ctl/view.h"

#define LONG_TEXT "剑云县青石镇西河村委会西河第9村民小组128号，户主常年在外务工，电话联系，家属来电，情况待核实，房屋存在漏雨已申报改造"
#define WHO(unit, level) "{\"level\":\"" level "\",\"unit\":\"" unit "\",\"epoch\":4247711093,\"tick\":2}"
#define SIDE(unit, level, values) "{\"level\":\"" level "\",\"unit\":\"" unit "\",\"epoch\":4247711093,\"tick\":2,\"values\":" values "}"
#define KEPT SIDE("532999101000", "township", "{\"category\":\"低保户\",\"address\":\"" LONG_TEXT "\",\"n\":1,\"same\":\"x\",\"more\":1}")
#define LOST SIDE("532999101202", "village", "{\"category\":\"特困户\",\"address\":\"不同的" LONG_TEXT "\",\"n\":2,\"same\":\"x\",\"more\":2}")
#define CONFLICT "{\"id\":1234567,\"at\":\"2026-11-25T07:43:47Z\",\"kind\":\"edited-while-deleted\",\"register\":\"household\"," \
	"\"key\":\"532999101202000016," LONG_TEXT "\",\"group\":\"family\",\"kept\":" KEPT ",\"lost\":" LOST ",\"base\":" \
	WHO("532999101000", "township") ",\"rule\":2,\"policy\":[{\"issuer\":\"532999000000\",\"version\":1}],\"state\":\"closed\"}"
#define SHORT "{\"id\":1,\"at\":\"2026-11-25T07:43:47Z\",\"kind\":\"superseded\",\"register\":\"aid\",\"key\":\"7\",\"group\":\"main\"," \
	"\"kept\":" SIDE("532999101000", "township", "{\"sum\":5,\"note\":\"\"}") ",\"lost\":" \
	SIDE("532999101202", "village", "{\"sum\":6,\"note\":\"\"}") ",\"base\":null,\"rule\":6,\"policy\":[],\"state\":\"open\"}"

static const struct {
	const char *words[3];
	const char *json;
} documents[] = {
	{ { "conflicts", "list" }, "[" CONFLICT "," SHORT "]" },
	{ { "conflicts", "show", "1" }, CONFLICT },
	{ { "proposals" },
	  "[{\"id\":281474976710655,\"register\":\"household\",\"key\":\"" LONG_TEXT "\",\"group\":\"decision\",\"from\":{\"unit\":"
	  "\"532999101202\",\"level\":\"village\"},\"values\":{\"category\":\"" LONG_TEXT "\",\"n\":null},\"standing\":" KEPT
	  ",\"reason\":null,\"state\":\"open\",\"unit\":\"532999101202\",\"since\":\"2026-11-25T07:43:47Z\",\"here\":false,"
	  "\"decided_by\":{\"unit\":\"532999000000\",\"level\":\"county\",\"name\":\"剑云县\"},\"failing\":[{\"rule\":\"floor\",\"say\":\"" LONG_TEXT
	  " / below the floor\",\"refuse\":true}]}]" },
	{ { "returns", "list" },
	  "[{\"id\":12,\"register\":\"household\",\"key\":\"532999101202000016\",\"group\":\"family\",\"by\":{\"unit\":\"532999101000\","
	  "\"level\":\"township\"},\"reason\":\"" LONG_TEXT " / below the floor\",\"at\":\"2026-11-25T07:43:47Z\"}]" },
	{ { "issues" },
	  "[{\"id\":3,\"kind\":\"bad-unit\",\"register\":\"household\",\"key\":\"x\",\"unit\":null,\"text\":\"the unit is NULL / 单位为空\","
	  "\"since\":\"2026-11-25T07:43:47Z\",\"state\":\"open\",\"note\":null,\"actor\":null}]" },
	{ { "quarantine" },
	  "[{\"id\":3,\"register\":\"person\",\"key\":\"" LONG_TEXT "\",\"alive\":true,\"why\":\"foreign key person.household: its parent "
	  "row is missing\",\"since\":\"2026-11-25T07:43:47Z\",\"tries\":1200}]" },
	{ { "log" },
	  "[{\"id\":99,\"at\":\"2026-11-25T07:43:47Z\",\"kind\":\"apply\",\"level\":\"info\",\"peer\":\"532999101202\",\"segment\":\"delta "
	  "532999101202/county #2\",\"text\":\"27 changes: 23 taken, 0 taken over, 2 kept, 0 diverted, 0 refused, 2 aside, 0 old, 0 passed, "
	  "0 asked; 0 in quarantine\"},{\"id\":100,\"at\":\"2026-11-25T07:43:48Z\",\"kind\":\"alarm\",\"level\":\"error\",\"peer\":null,"
	  "\"segment\":null,\"text\":\"register household: 4 triggers were missing (table rebuilt?); they stand again, and the rows are "
	  "audited\"}]" },
	{ { "peers" },
	  "[{\"unit\":\"532999101202\",\"name\":\"上寨村民委员会\",\"level\":\"village\",\"direct\":true,\"revoked\":false,\"serial\":"
	  "\"4cc96b7bdba38eaf139a6a2e7257345d\",\"enrolled\":\"2026-11-25T07:43:45Z\"}]" },
	{ { "policy", "status" },
	  "[{\"unit\":\"532999101202\",\"name\":\"上寨村民委员会\",\"issuer\":\"532999000000\",\"active\":12,\"staged\":13,\"failed\":14,"
	  "\"as_of\":\"2026-11-25T07:43:45Z\",\"writes\":\"a newer version could not be taken: what it writes is judged by the version that "
	  "is active there\"}]" },
	{ { "policy", "list" },
	  "[{\"issuer\":\"532999000000\",\"version\":2,\"state\":\"failed\",\"at\":\"2026-11-25T07:43:45Z\",\"note\":\"" LONG_TEXT "\"}]" },
	{ { "segment", "list" },
	  "[{\"id\":1024,\"kind\":\"delta\",\"author\":\"532999101202\",\"stream\":\"county\",\"position\":1024,\"epoch\":4247711093,\"tick\":"
	  "1025,\"at\":\"2026-11-25T07:43:45Z\",\"origin\":\"532999101202\",\"bytes\":1048576,\"settled\":\"2026-11-25T07:43:45Z\"}]" },
	{ { "status", "--tree" },
	  "{\"unit\":\"532999000000\",\"name\":\"剑云县\",\"level\":\"county\",\"epoch\":1,\"policy\":[{\"issuer\":\"532999000000\",\"active\":2,"
	  "\"staged\":3}],\"log_pending\":0,\"upstream\":{\"url\":\"https://county-office.prefecture.example:8447\",\"state\":\"silent\","
	  "\"last_contact\":\"2026-11-25T07:43:45Z\",\"sealed\":5,\"applied\":4,\"settled\":3,\"pending_segments\":2,\"pending_bytes\":99,"
	  "\"oldest_unsettled_s\":7300},\"children\":[{\"unit\":\"532999101000\",\"name\":\"青石镇\",\"level\":\"township\",\"online\":true,"
	  "\"last_contact\":\"2026-11-25T07:43:45Z\",\"applied\":1000,\"settled\":1000,\"pending_segments\":20,\"policy\":[],\"digest\":"
	  "\"differs\",\"as_of\":\"2026-11-25T07:43:45Z\",\"via\":\"532999000000\",\"sealed\":1200,\"pending_bytes\":1,\"oldest_unsettled_s\":"
	  "900000,\"quarantine\":2,\"conflicts_open\":17,\"proposals_open\":3,\"returns_open\":4,\"issues_open\":5,\"digest_at\":null,\"next\":"
	  "\"silent: check power and network there, then terracectl doctor\"}],\"quarantine\":0,\"conflicts_open\":17,\"proposals_open\":0,"
	  "\"returns_open\":0,\"issues_open\":0,\"next\":\"open conflicts: terracectl conflicts list\"}" },
	{ { "why", "--unit", "532999101000" },
	  "{\"unit\":\"532999101000\",\"name\":\"青石镇\",\"level\":\"township\",\"last_contact\":\"2026-11-25T07:43:45Z\",\"applied\":1,"
	  "\"settled\":1,\"pending_segments\":0,\"policy\":[],\"digest\":\"equal\",\"as_of\":\"2026-11-25T07:43:45Z\",\"reasons\":[\"no contact "
	  "for 3 h\",\"20 segments (300 KB) wait there to go up, the oldest for 5 days\",\"policy version 3 of unit 532999000000 could not be "
	  "taken there; version 2 goes on\"],\"next\":\"silent: check power and network there, then terracectl doctor\"}" },
	{ { "why", "aid", "7" },
	  "{\"register\":\"aid\",\"key\":\"7\",\"unit\":\"532999101202\",\"alive\":true,\"life\":null,\"quarantine\":true,\"groups\":[{\"group\":"
	  "\"row\",\"held\":" SIDE("532999101202", "village", "{\"alive\":true,\"unit\":\"532999101202\"}") ",\"proposals\":[]},{\"group\":\"main\","
	  "\"held\":{\"level\":\"township\",\"unit\":\"532999101000\",\"epoch\":1,\"tick\":3,\"values\":{\"note\":\"" LONG_TEXT LONG_TEXT "\"},\"mode\":"
	  "\"ruling\",\"acting\":true,\"vouched\":true,\"actor\":\"wang\",\"base\":" WHO("532999101202", "village") ",\"policy\":[{\"issuer\":"
	  "\"532999000000\",\"version\":1}],\"segment\":{\"name\":\"delta 532999101000/county #3\",\"id\":13,\"authentic\":true,\"by\":\"the "
	  "unit's certificate\",\"hash\":\"00\",\"wall\":\"2026-11-25T07:43:45Z\",\"says\":{\"values\":{\"note\":\"" LONG_TEXT "\"}}}},\"proposals\":[]},"
	  "{\"group\":\"other\",\"held\":null,\"proposals\":[" SIDE("532999101202", "village", "{\"n\":1}") "]}],\"records\":[" CONFLICT "," SHORT "]}" },
};

static void show(const char *const *words, const char *json, bool chinese, struct buf *ret, bool *ret_cut)
{
	struct ctl c = { .home = "/nonexistent", .chinese = chinese, .words = words };
	_cleanup_(json_release) json_t *document = json_loads(json, 0, NULL), *view = NULL;

	assert_non_null(document);
	while (c.nwords < 3 && words[c.nwords])
		c.nwords++;
	view = view_of(&c, document, ret_cut);
	assert_non_null(view);
	table_put(ret, view, 80, chinese);
}

static void every_list_fits_80_columns(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2 * ARRAY_SIZE(documents); i++) {
		_cleanup_(buf_release) struct buf b = { 0 };
		char *at = NULL;
		bool cut;
		show(documents[i / 2].words, documents[i / 2].json, i % 2, &b, &cut);
		/* A table, not the lines into which one falls that does not fit. */
		if (documents[i / 2].json[0] == '[')
			assert_null(strstr(buf_text(&b), "\n\n"));
		assert_true(cut == (strstr(buf_text(&b), "…") != NULL));
		for (char *line = strtok_r((char *)b.p, "\n", &at); line; line = strtok_r(NULL, "\n", &at)) {
			assert_true(utf8_valid(slice_of(line)));
			if (utf8_width(line) > 80)
				fail_msg("%s %s: %zu columns: %s", documents[i / 2].words[0], documents[i / 2].words[1] ? documents[i / 2].words[1] : "",
				         utf8_width(line), line);
		}
	}
}

/* No English sentence is left: two words of it, side by side, that are no option, name or value of the documents. */
static void nothing_is_half_translated(void **state)
{
	static const char *const left[] = { "the ", " of ", " is ", "waits", "taken", "wrote", "closed", "open", "superseded", "edited",
		                            "version", "silent", "differs", "missing", "KEPT", "TIME", "REASON", "NEXT", "township", "village" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(documents); i++) {
		_cleanup_(buf_release) struct buf b = { 0 };
		bool cut;
		show(documents[i].words, documents[i].json, true, &b, &cut);
		for (size_t k = 0; k < ARRAY_SIZE(left); k++)
			if (strstr(buf_text(&b), left[k]))
				fail_msg("\"%s\" in %s", left[k], buf_text(&b));
	}
}

static void golden(const char *const *words, const char *json, bool chinese, const char *expected)
{
	_cleanup_(buf_release) struct buf b = { 0 };
	bool cut;

	show(words, json, chinese, &b, &cut);
	assert_string_equal(buf_text(&b), expected);
}

static void tables_to_the_letter(void **state)
{
	static const char *const conflicts[] = { "conflicts", NULL, NULL }, *const returns[] = { "returns", NULL, NULL },
	                  *const show_one[] = { "conflicts", "show", "1" };

	(void)state;
	golden(conflicts, "[" SHORT "]", false,
	       "ID  TIME              KIND        ROW         KEPT → LOST\n"
	       "1   2026-11-25 07:43  superseded  aid 7 main  sum: 5 → 6\n");
	golden(conflicts, "[" SHORT "]", true,
	       "编号  时间              类型    数据行      保留 → 落选\n"
	       "1     2026-11-25 07:43  被取代  aid 7 main  sum: 5 → 6\n");
	golden(returns,
	       "[{\"id\":2,\"register\":\"aid\",\"key\":\"7\",\"group\":\"main\",\"by\":{\"unit\":\"532999000000\",\"level\":\"county\"},"
	       "\"reason\":\"低于标准 / below the floor\",\"at\":\"2026-11-25T07:43:47Z\"}]", false,
	       "ID  TIME              ROW         BY            REASON\n"
	       "2   2026-11-25 07:43  aid 7 main  532999000000  below the floor\n");
	golden(show_one, SHORT, false,
	       "ID         1\n"
	       "TIME       2026-11-25 07:43:47\n"
	       "KIND       superseded\n"
	       "REGISTER   aid\n"
	       "KEY        7\n"
	       "GROUP      main\n"
	       "KEPT: BY   532999101000 (township), write 2 of run 4247711093\n"
	       "LOST: BY   532999101202 (village), write 2 of run 4247711093\n"
	       "BASE       -\n"
	       "RULE       the value that stood counts more, and this writer had not seen it\n"
	       "POLICY     -\n"
	       "STATE      open\n"
	       "VALUES\n"
	       "  COLUMN  KEPT  LOST\n"
	       "  sum     5     6\n"
	       "UNCHANGED  note=(empty)\n");
}

static void says(const char *text, bool chinese, const char *expected, bool whole)
{
	_cleanup_(buf_release) struct buf b = { 0 };

	bool is_whole = phrase_put(&b, text, chinese);

	assert_string_equal(buf_text(&b), expected);
	assert_int_equal(is_whole, whole);
}

static void sentences_are_found_by_their_form(void **state)
{
	(void)state;
	says("register aid has no row 7, and none is on record", true, "台账 aid 没有主键为 7 的行，也没有记录", true);
	says("a row of register aid waits: foreign key aid.unit: its parent row is missing", true,
	     "台账 aid 有一行等待：外键 aid.unit：缺少它所属的上级行", true);
	says("x.policy:3: register aid has no group b", true, "x.policy:3: 台账 aid 没有字段组 b", true);
	says("a/x.policy:12: group family: columns are missing", true, "a/x.policy:12: 字段组 family：缺少 columns", true);
	says("terraced.conf:3: no key or block is called colour", true, "terraced.conf:3: 没有名为 colour 的键或块", true);
	says("something new of the lower floors", true, "something new of the lower floors", false);
	says("低于标准 / below the floor", true, "低于标准", true);
	says("低于标准 / below the floor", false, "below the floor", true);
	says("either / or", false, "either / or", true);
	says("%s %d {1}", true, "%s %d {1}", false);
	says("no such invitation", false, "no such invitation", true);
	assert_string_equal(phrase_english("冲突"), "conflict");
	assert_string_equal(phrase_english("conflict"), "conflict");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_list_fits_80_columns), cmocka_unit_test(nothing_is_half_translated),
		cmocka_unit_test(tables_to_the_letter), cmocka_unit_test(sentences_are_found_by_their_form),
	};

	setenv("TZ", "UTC", 1);
	tzset();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
