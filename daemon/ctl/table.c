/* JSON for people: an array of objects is a table, an object is lines, what is deeper is indented.  A table that is
 * wider than the terminal breaks the cells of its widest columns, or becomes lines where that would leave too little.  What
 * came from elsewhere cannot move the cursor: control characters are shown as spaces. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/text.h"
#include "ctl/ctl.h"

#define COLUMNS 32                       /* of a table; more than that becomes lines */
#define LEAST   10                       /* columns of the terminal that a broken cell keeps */
#define GAP     2
#define INNER   160                      /* of a table inside lines, where there is no terminal; others stay a line a row */
#define DEEPEST 8

struct sheet {
	struct buf *b;
	size_t width;
	bool chinese;
};

/* ---- headings */

static const struct {
	const char *key, *english, *chinese;
} headings[] = {
	{ "id", "ID", "编号" },
	{ "at", "TIME", "时间" },
	{ "since", "SINCE", "起始" },
	{ "until", "UNTIL", "截止" },
	{ "as_of", "AS OF", "截至" },
	{ "unit", "UNIT", "单位" },
	{ "name", "NAME", "名称" },
	{ "line", "LINE", "条线" },
	{ "level", "LEVEL", "层级" },
	{ "epoch", "EPOCH", "运行期" },
	{ "kind", "KIND", "类型" },
	{ "register", "REGISTER", "台账" },
	{ "key", "KEY", "主键" },
	{ "group", "GROUP", "字段组" },
	{ "kept", "KEPT", "保留" },
	{ "lost", "LOST", "落选" },
	{ "base", "BASE", "基准" },
	{ "rule", "RULE", "规则" },
	{ "policy", "POLICY", "策略" },
	{ "state", "STATE", "状态" },
	{ "from", "FROM", "来自" },
	{ "by", "BY", "由" },
	{ "values", "VALUES", "内容" },
	{ "value", "VALUE", "值" },
	{ "reason", "REASON", "原因" },
	{ "note", "NOTE", "说明" },
	{ "actor", "ACTOR", "操作人" },
	{ "issuer", "ISSUER", "发布单位" },
	{ "version", "VERSION", "版本" },
	{ "active", "ACTIVE", "生效" },
	{ "staged", "STAGED", "待生效" },
	{ "failed", "FAILED", "失败" },
	{ "effective", "EFFECTIVE", "生效日期" },
	{ "registers", "REGISTERS", "台账" },
	{ "groups", "GROUPS", "字段组" },
	{ "rules", "RULES", "规则" },
	{ "log_pending", "LOG PENDING", "未封装" },
	{ "upstream", "UPSTREAM", "上级" },
	{ "children", "CHILDREN", "下级" },
	{ "parent", "PARENT", "上级" },
	{ "url", "URL", "地址" },
	{ "online", "ONLINE", "在线" },
	{ "last_contact", "LAST CONTACT", "最近联系" },
	{ "next_contact", "NEXT CONTACT", "下次联系" },
	{ "sealed", "SEALED", "已封装" },
	{ "applied", "APPLIED", "已应用" },
	{ "settled", "SETTLED", "已归档" },
	{ "pending_segments", "PENDING", "待传段" },
	{ "pending_bytes", "PENDING BYTES", "待传字节" },
	{ "oldest_unsettled_s", "OLDEST UNSETTLED (S)", "最久未归档(秒)" },
	{ "digest", "DIGEST", "摘要" },
	{ "quarantine", "QUARANTINE", "隔离区" },
	{ "markers", "MARKERS", "删除标记" },
	{ "conflicts_open", "OPEN CONFLICTS", "未结冲突" },
	{ "proposals_open", "OPEN PROPOSALS", "未结申报" },
	{ "returns_open", "OPEN RETURNS", "未结退回" },
	{ "issues_open", "OPEN ISSUES", "未结问题" },
	{ "next", "NEXT", "下一步" },
	{ "error", "ERROR", "错误" },
	{ "text", "TEXT", "内容" },
	{ "peer", "PEER", "对方" },
	{ "segment", "SEGMENT", "数据段" },
	{ "columns", "COLUMNS", "字段" },
	{ "column", "COLUMN", "字段" },
	{ "tick", "TICK", "序号" },
	{ "check", "CHECK", "检查项" },
	{ "advice", "WHAT TO DO", "处理办法" },
	{ "done", "DONE", "已完成" },
	{ "left", "LEFT", "仍有" },
	{ "units", "UNITS", "单位" },
	{ "home", "HOME", "节点目录" },
	{ "expires", "EXPIRES", "失效日期" },
	{ "writes", "WRITES", "对登记的影响" },
	{ "direct", "DIRECT", "直接下级" },
	{ "revoked", "REVOKED", "已吊销" },
	{ "serial", "SERIAL", "证书编号" },
	{ "enrolled", "ENROLLED", "加入时间" },
	{ "certificate_until", "CERTIFICATE ENDS", "证书有效期至" },
	{ "via", "VIA", "经由" },
	{ "standing", "STANDING", "现值" },
	{ "title", "TITLE", "标题" },
	{ "count", "COUNT", "数量" },
	{ "bytes", "BYTES", "字节" },
	{ "position", "POSITION", "位置" },
	{ "author", "AUTHOR", "登记单位" },
	{ "started", "STARTED", "开始时间" },
	{ "rows", "ROWS", "行" },
	{ "differ", "DIFFERING ROWS", "不同行数" },
	{ "will", "WHAT WILL BE DONE", "处理办法" },
	{ "with", "WITH", "对方" },
	{ "compared", "COMPARED", "比对时间" },
	{ "hash", "HASH", "哈希" },
	{ "more", "MORE", "另有" },
	{ "neighbours", "NEIGHBOURS", "上下级" },
	{ "superior", "SUPERIOR", "是上级" },
	{ "findings", "FINDINGS", "发现" },
	{ "database", "DATABASE", "数据库" },
	{ "segments", "SEGMENTS", "数据段" },
	{ "not_authentic", "NOT AUTHENTIC", "不可信" },
	{ "triggers_missing", "TRIGGERS MISSING", "缺少触发器" },
	{ "object", "OBJECT", "对象" },
	{ "stream", "STREAM", "流" },
	{ "row", "ROW", "数据行" },
	{ "kept_lost", "KEPT → LOST", "保留 → 落选" },
	{ "proposed", "PROPOSED", "申报" },
	{ "waits", "WAITS", "等待" },
	{ "tries", "TRIES", "已试" },
	{ "kept_by", "KEPT: BY", "保留值来自" },
	{ "lost_by", "LOST: BY", "落选值来自" },
	{ "standing_by", "STANDING: BY", "现值来自" },
	{ "decided_by", "DECIDED BY", "裁定单位" },
	{ "same", "UNCHANGED", "相同字段" },
	{ "up", "UPWARD", "上报" },
	{ "tables", "TABLES", "数据核对" },
	{ "open", "OPEN", "未结" },
	{ "reasons", "REASONS", "原因" },
	{ "mode", "MODE", "方式" },
	{ "evidence", "EVIDENCE", "证据" },
	{ "says", "SAYS", "证据内容" },
	{ "hash", "HASH", "摘要值" },
	{ "history", "HISTORY", "经过" },
	{ "event", "WHAT HAPPENED", "事项" },
	{ "code", "CODE", "代码" },
	{ "message", "MESSAGE", "说明" },
	{ "statements", "STATEMENTS", "语句" },
	{ "ceiling", "CEILING", "上限" },
	{ "floor", "FLOOR", "下限" },
	{ "waiting_for_it", "WAITING FOR IT", "待下发" },
	{ "alive", "LIVES", "存在" },
	{ "why", "WHY", "原因" },
	{ "say", "SAYS", "说明" },
	{ "payload_bytes", "PAYLOAD BYTES", "内容字节" },
	{ "changes", "CHANGES", "变更" },
	{ "authentic", "AUTHENTIC", "真实" },
	{ "previous", "PREVIOUS", "前一段" },
	{ "follows", "FOLLOWS", "接续" },
	{ "wall", "CLOCK", "本机时间" },
	{ "codec", "CODEC", "压缩" },
	{ "stored_bytes", "STORED BYTES", "存储字节" },
	{ "raw_bytes", "RAW BYTES", "原始字节" },
	{ "final", "FINAL", "末段" },
	{ "continues", "CONTINUES", "接续运行期" },
	{ "items", "ITEMS", "文书" },
	{ "parts", "PARTS", "部分" },
	{ "to", "TO", "给" },
	{ "direction", "DIRECTION", "方向" },
	{ "made", "MADE", "生成时间" },
	{ "age_s", "AGE, SECONDS", "已过秒数" },
	{ "deltas", "DELTAS", "上报段" },
	{ "states", "STATES", "状态段" },
	{ "file", "FILE", "文件" },
	{ "life", "LIFE", "登记次" },
	{ "acting", "ACTING", "代行" },
	{ "whole", "WHOLE", "完整" },
	{ "origin", "ORIGIN", "来源" },
	{ "vouched", "VOUCHED", "转报" },
	{ "tree_time", "TREE TIME", "统一时间" },
	{ "records", "RECORDS", "记录" },
	{ "held", "HELD", "现值" },
	{ "failing", "FAILING RULES", "不符合的规则" },
	{ "refuse", "REFUSES", "拒绝" },
	{ "proposals", "PROPOSALS", "申报件" },
};

static void put_plain(struct buf *b, const char *text, bool lines)
{
	for (const char *p = text; *p; p++) {
		bool c1 = (uint8_t)p[0] == 0xc2 && (uint8_t)p[1] >= 0x80 && (uint8_t)p[1] <= 0x9f;
		bool keep = lines && (*p == '\n' || *p == '\t');
		buf_put_u8(b, (uint8_t)(c1 || (!keep && ((uint8_t)*p < ' ' || *p == 0x7f)) ? ' ' : *p));
		p += c1;
	}
}

static void put_heading(struct buf *b, const char *key, bool chinese)
{
	for (size_t i = 0; i < ARRAY_SIZE(headings); i++)
		if (!strcmp(headings[i].key, key)) {
			buf_printf(b, "%s", chinese ? headings[i].chinese : headings[i].english);
			return;
		}
	if (strchr(key, ' ')) {                  /* one that a view made */
		put_plain(b, key, false);
		return;
	}
	for (const char *p = key; *p; p++)
		buf_put_u8(b, (uint8_t)(*p >= 'a' && *p <= 'z' ? *p - 'a' + 'A' : *p == '_' ? ' ' : *p));
}

/* ---- one cell */

int time_of(const char *text, int64_t *ret_ms)
{
	struct tm tm = { 0 };
	const char *end = strlen(text) == 20 && text[10] == 'T' ? strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm) : NULL;

	if (!end || *end)
		return -1;
	*ret_ms = (int64_t)timegm(&tm) * 1000;
	return 0;
}

static bool put_time(struct buf *b, const char *text)
{
	char local[RFC3339_SIZE];
	int64_t ms;

	if (time_of(text, &ms))
		return false;
	buf_printf(b, "%s", time_local(ms, local));
	return true;
}

static void put_cell(struct buf *b, const json_t *j, bool chinese, int deep)
{
	const char *key;
	json_t *value;
	size_t i;

	if (json_is_string(j)) {
		if (!put_time(b, json_string_value(j)))
			put_plain(b, json_string_value(j), false);
	} else if (json_is_boolean(j)) {
		buf_printf(b, "%s", json_is_true(j) ? (chinese ? "是" : "yes") : chinese ? "否" : "no");
	} else if (json_is_integer(j)) {
		buf_printf(b, "%lld", (long long)json_integer_value(j));
	} else if (json_is_real(j)) {
		buf_printf(b, "%.15g", json_real_value(j));
	} else if (json_is_array(j) && deep < DEEPEST && json_array_size(j)) {
		json_array_foreach(j, i, value) {
			buf_printf(b, i ? ", " : "");
			put_cell(b, value, chinese, deep + 1);
		}
	} else if (json_is_object(j) && deep < DEEPEST) {
		bool first = true;
		buf_printf(b, deep ? "(" : "");
		json_object_foreach((json_t *)(uintptr_t)j, key, value) {
			if (deep == 0 && json_is_null(value))
				continue;
			buf_printf(b, first ? "" : " ");
			put_plain(b, key, false);
			buf_put_u8(b, '=');
			put_cell(b, value, chinese, deep + 1);
			first = false;
		}
		buf_printf(b, deep ? ")" : "");
	} else {
		buf_put_u8(b, '-');
	}
}

void table_cell(struct buf *b, const json_t *value, bool chinese)
{
	put_cell(b, value, chinese, 0);
}

/* ---- tables */

struct column {
	const char *key;
	size_t width, least;
};

/* What a broken cell of that column keeps at least: units and keys are not torn, sentences keep room. */
static size_t least_of(const char *key, size_t width)
{
	static const struct {
		const char *key;
		size_t least;
	} rows[] = {
		{ "id", 15 },     { "unit", 12 },     { "from", 12 }, { "by", 12 },   { "peer", 12 },     { "issuer", 12 },
		{ "author", 12 }, { "row", 18 },      { "next", 16 }, { "text", 24 }, { "kept_lost", 28 }, { "proposed", 24 },
		{ "reason", 20 }, { "key", 12 },      { "event", 40 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (!strcmp(rows[i].key, key))
			return MIN(width, rows[i].least);
	return MIN(width, (size_t)LEAST);
}

static void pad(struct buf *b, size_t n)
{
	while (n--)
		buf_put_u8(b, ' ');
}

/* Bytes of the text that fit into so many columns. */
static size_t fitting(const char *text, size_t columns)
{
	size_t n = 0;

	while (text[n]) {
		size_t length = 1;
		char one[5] = { 0 };
		while (length < 4 && ((uint8_t)text[n + length] & 0xc0) == 0x80)
			length++;
		memcpy(one, text + n, length);
		size_t w = utf8_width(one);
		if (w > columns)
			break;
		columns -= w;
		n += length;
	}
	return n;
}

/* The first part of the text that fits, broken at a space where there is one; *text moves behind it. */
static void put_part(struct buf *b, const char **text, size_t width)
{
	const char *from = *text;
	size_t n = fitting(from, width), stop = n, before = b->n;

	while (from[n] && from[n] != ' ' && stop && from[stop - 1] != ' ')
		stop--;
	if (from[n] && from[n] != ' ' && stop > n / 3)
		n = stop;
	buf_put(b, from, n);
	*text = from + n + strspn(from + n, " ");
	while (b->n > before && b->p[b->n - 1] == ' ')
		b->n--;
}

static uint32_t find_columns(const json_t *rows, struct column *columns)
{
	uint32_t n = 0;
	const char *key;
	json_t *row, *value;
	size_t i;

	json_array_foreach(rows, i, row)
		json_object_foreach(row, key, value) {
			uint32_t at = 0;
			while (at < n && strcmp(columns[at].key, key))
				at++;
			if (at == n && n == COLUMNS)
				return COLUMNS + 1;
			if (at == n)
				columns[n++] = (struct column){ .key = key };
		}
	return n;
}

static void measure(const struct sheet *s, const json_t *rows, struct column *c)
{
	_cleanup_(buf_release) struct buf b = { 0 };
	json_t *row;
	size_t i;

	put_heading(&b, c->key, s->chinese);
	c->width = utf8_width(buf_text(&b));
	json_array_foreach(rows, i, row) {
		buf_clear(&b);
		put_cell(&b, json_object_get(row, c->key), s->chinese, 0);
		c->width = MAX(c->width, utf8_width(buf_text(&b)));
	}
	c->least = least_of(c->key, c->width);
}

/* Takes from the widest until all fit; below what a column should keep only where nothing else helps. */
static bool fit(struct column *c, uint32_t n, size_t width)
{
	size_t all = n ? (n - 1) * GAP : 0;

	for (uint32_t i = 0; i < n; i++)
		all += c[i].width;
	for (int hard = 0; hard < 2; hard++)
		while (width && all > width) {
			struct column *most = NULL;
			for (uint32_t i = 0; i < n; i++)
				if (c[i].width > (hard ? MIN(c[i].least, (size_t)LEAST) : c[i].least) && (!most || c[i].width > most->width))
					most = &c[i];
			if (!most)
				break;
			most->width--;
			all--;
		}
	return !width || all <= width;
}

static void put_lines(const struct sheet *s, const json_t *object, size_t indent, int deep);
static void put_wrapped(const struct sheet *s, const json_t *value, size_t from);

/* The line, without the white space at its end. */
static void end_line(struct buf *b)
{
	while (b->n && b->p[b->n - 1] == ' ')
		b->n--;
	buf_put_u8(b, '\n');
}

/* One row, in as many lines as its cells need. */
static void put_row(struct buf *b, const struct column *c, uint32_t n, struct buf *cells, size_t indent)
{
	const char *left[COLUMNS];
	bool more = true;

	for (uint32_t k = 0; k < n; k++)
		left[k] = buf_text(&cells[k]);
	while (more) {
		more = false;
		pad(b, indent);
		for (uint32_t k = 0; k < n; k++) {
			_cleanup_(buf_release) struct buf part = { 0 };
			put_part(&part, &left[k], c[k].width);
			buf_printf(b, "%s", buf_text(&part));
			pad(b, c[k].width - MIN(utf8_width(buf_text(&part)), c[k].width) + GAP);
			more |= *left[k] != '\0';
		}
		end_line(b);
	}
}

/* A single row with a text of several lines, as a policy, is no table. */
static bool is_page(const json_t *rows)
{
	const char *key;
	json_t *value;

	json_object_foreach(json_array_get(rows, 0), key, value) {
		const char *text = json_string_value(value);
		if (text && strchr(text, '\n'))
			return json_array_size(rows) == 1;
	}
	return false;
}

static bool put_table(const struct sheet *s, const json_t *rows, size_t indent)
{
	struct buf cells[COLUMNS] = { 0 };
	struct column c[COLUMNS];
	uint32_t n = find_columns(rows, c);
	size_t width = s->width || !indent ? s->width : INNER;
	json_t *row;
	size_t i;

	if (n > COLUMNS || is_page(rows))
		return false;
	for (uint32_t k = 0; k < n; k++)
		measure(s, rows, &c[k]);
	if (!fit(c, n, width > indent ? width - indent : width))
		return false;
	for (uint32_t k = 0; k < n; k++)
		put_heading(&cells[k], c[k].key, s->chinese);
	put_row(s->b, c, n, cells, indent);
	json_array_foreach(rows, i, row) {
		for (uint32_t k = 0; k < n; k++) {
			buf_clear(&cells[k]);
			put_cell(&cells[k], json_object_get(row, c[k].key), s->chinese, 0);
		}
		put_row(s->b, c, n, cells, indent);
	}
	for (uint32_t k = 0; k < n; k++)
		buf_release(&cells[k]);
	return true;
}

static void put_rows(const struct sheet *s, const json_t *rows, size_t indent, int deep)
{
	json_t *row;
	size_t i;

	if (json_is_object(json_array_get(rows, 0)) && put_table(s, rows, indent))
		return;
	json_array_foreach(rows, i, row) {
		if (json_is_object(row)) {
			buf_printf(s->b, i ? "\n" : "");
			put_lines(s, row, indent, deep + 1);
			continue;
		}
		pad(s->b, indent);
		put_wrapped(s, row, indent);
	}
}

/* ---- lines */

static bool is_deep(const json_t *value)
{
	return json_is_object(value) ? json_object_size(value) > 0 :
	       json_is_object(json_array_get(value, 0)) || (json_is_array(value) && json_array_size(value) > 1);
}

/* The cell in as many lines as it needs, each from that column of the terminal on. */
static void put_wrapped(const struct sheet *s, const json_t *value, size_t from)
{
	_cleanup_(buf_release) struct buf cell = { 0 };
	size_t width = !s->width ? SIZE_MAX : s->width > from + LEAST ? s->width - from : LEAST;

	put_cell(&cell, value, s->chinese, 0);
	const char *left = buf_text(&cell);
	do {
		_cleanup_(buf_release) struct buf part = { 0 };
		put_part(&part, &left, width);
		buf_put(s->b, part.p, part.n);
		end_line(s->b);
		if (*left)
			pad(s->b, from);
	} while (*left);
}

static void put_line(const struct sheet *s, const char *heading, size_t column, const json_t *value, size_t indent)
{
	const char *text = json_string_value(value);

	pad(s->b, indent);
	buf_printf(s->b, "%s", heading);
	if (text && strchr(text, '\n')) {
		buf_put_u8(s->b, '\n');
		put_plain(s->b, text, true);
		buf_put_u8(s->b, '\n');
	} else {
		pad(s->b, column - utf8_width(heading) + GAP);
		put_wrapped(s, value, indent + column + GAP);
	}
}

static void put_lines(const struct sheet *s, const json_t *object, size_t indent, int deep)
{
	_cleanup_(buf_release) struct buf heading = { 0 };
	size_t column = 0;
	const char *key;
	json_t *value;

	for (int measuring = 1; measuring >= 0; measuring--)
		json_object_foreach((json_t *)(uintptr_t)object, key, value) {
			buf_clear(&heading);
			put_heading(&heading, key, s->chinese);
			bool below = deep < DEEPEST && is_deep(value);
			if (measuring) {
				column = MAX(column, below ? 0 : utf8_width(buf_text(&heading)));
			} else if (!below) {
				put_line(s, buf_text(&heading), column, value, indent);
			} else {
				pad(s->b, indent);
				buf_printf(s->b, "%s\n", buf_text(&heading));
				if (json_is_array(value))
					put_rows(s, value, indent + GAP, deep + 1);
				else
					put_lines(s, value, indent + GAP, deep + 1);
			}
		}
}

void table_put(struct buf *b, const json_t *document, size_t width, bool chinese)
{
	const struct sheet s = { .b = b, .width = width, .chinese = chinese };

	if (json_is_array(document) && json_array_size(document)) {
		put_rows(&s, document, 0, 0);
	} else if (json_is_array(document)) {
		buf_printf(b, "%s\n", chinese ? "（无）" : "(none)");
	} else if (json_is_object(document)) {
		put_lines(&s, document, 0, 0);
	} else {
		put_cell(b, document, chinese, 0);
		buf_put_u8(b, '\n');
	}
}
