/* terracectl: the table of its commands, the global options and the exit status. */
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/rand.h"
#include "core/sign.h"
#include "ctl/ctl.h"
#include "ctl/phrases.h"
#include "engine/report.h"

struct command {
	const char *name;                /* one word or two */
	int (*run)(struct ctl *c, struct err *err);
	const char *usage, *help, *help_zh;
};

static const struct command commands[] = {
	{ "init", cmd_init,
	  "--unit CODE --name NAME [--line L] [--root] [--listen A:P] [--url U]... [--console A:P] [--database FILE]",
	  "makes a home; --root: the top of the tree, signs itself and makes the recovery key",
	  "建立节点目录；--root 为最高级，自签证书并生成恢复密钥" },
	{ "invite", cmd_invite, "UNIT [--name NAME] [--hours N] | --file CSV | --answer REQUEST --out FILE",
	  "prints the line with which a unit below joins; the CSV has UNIT,NAME a line; or answers a request that came by stick",
	  "打印下级加入用的邀请行；CSV 每行为 代码,名称；或答复带来的申请" },
	{ "join", cmd_join, "LINE [--database FILE] [--listen A:P] [--url U]... [--request FILE | --answer FILE]",
	  "enrols this node at its superior; makes the home where there is none; LINE - reads it from standard input; by stick: "
	  "--request first, then --answer",
	  "用邀请行加入上级；没有节点目录时自动建立；LINE 为 - 时从标准输入读取；无网络时先 --request 后 --answer" },
	{ "policy check", cmd_policy_check, "FILE", "checks the text of a policy", "检查策略文件" },
	{ "policy publish", cmd_policy_publish, "FILE", "checks, signs and sends a policy to every node below",
	  "检查、签名并向所有下级发布策略" },
	{ "policy list", cmd_report, "", "policies known here", "列出本节点的策略" },
	{ "policy show", cmd_report, "[ISSUER:VERSION]", "the text of a policy", "显示策略原文" },
	{ "policy status", cmd_report, "", "every descendant's active, staged and failed version", "各下级的策略版本状态" },
	{ "status", cmd_report, "[--tree]", "this node; with --tree every descendant", "本节点状态；--tree 含全部下级" },
	{ "sync", cmd_sync, "[--wait SECONDS]",
	  "seals now and contacts the superior; with --wait until everything is settled and applied",
	  "立即封装并联系上级；--wait 等到全部归档和应用" },
	{ "log", cmd_log, "[--unit U] [--kind K] [--since T] [--csv] [--follow]",
	  "the sync log, a line an event; --follow goes on as they come", "同步日志；--follow 持续显示" },
	{ "why", cmd_why, "REGISTER KEY [--group G] [--evidence] | --unit U",
	  "explains a row, with --evidence by the signed segments behind it; explains why a unit is late",
	  "解释一行数据的由来，--evidence 附签名证据；解释某单位为何滞后" },
	{ "conflicts list", cmd_report, "[--register R] [--unit U] [--since T] [--all]", "conflicts on record", "冲突记录" },
	{ "conflicts show", cmd_report, "ID", "one conflict, both values and the rule", "一条冲突的详情" },
	{ "conflicts close", cmd_conflicts_close, "ID --note TEXT", "closes a conflict with a note", "办结冲突并写明说明" },
	{ "proposals list", cmd_report, "[--register R] [--unit U] [--since T]", "the review queue; `here`: this level decides",
	  "待审申报件；here 表示由本级审批" },
	{ "proposals show", cmd_report, "ID", "one proposal and what stands", "一条申报件及现有内容" },
	{ "proposals accept", cmd_proposals_accept, "ID... | --all [--register R] [--unit U] [--count N]",
	  "makes what was proposed this level's decision; several need their number: --count N", "审批通过；多件须用 --count N 确认件数" },
	{ "proposals reject", cmd_proposals_reject, "ID... --reason TEXT | --all [--register R] [--unit U] [--count N] --reason TEXT",
	  "what stands is said again; the reason goes to the author as a return", "退回并说明原因；原因随件退回填报单位" },
	{ "returns list", cmd_report, "[--register R] [--unit U] [--since T] [--all]", "what superiors sent back", "上级退回的内容" },
	{ "returns show", cmd_report, "ID", "one of them, with the reason", "一条退回的详情和原因" },
	{ "issues list", cmd_report, "[--register R] [--unit U] [--since T] [--all]", "findings for people", "待人工处理的问题" },
	{ "issues show", cmd_report, "ID", "one of them", "一条问题的详情" },
	{ "issues close", cmd_issues_close, "ID --note TEXT", "closes it with a note", "办结问题并写明说明" },
	{ "quarantine list", cmd_report, "[--all]", "changes that the table does not take yet", "隔离区中的变更" },
	{ "quarantine retry", cmd_quarantine_retry, "[ID]", "tries all of them again, or one", "全部重试，或只重试一条" },
	{ "quarantine drop", cmd_quarantine_drop, "ID --reason TEXT", "gives one up: the table keeps what it shows until another value comes",
	  "放弃一条并写明原因：表中内容保持不变，直到有新值" },
	{ "reconcile", cmd_reconcile, "[status] [--with UNIT] [--register R] [--unit U] [--plan FILE] [--wait SECONDS] | --apply FILE [--keep-local]",
	  "compares every table with the record and with the neighbours, row by row; --plan writes what could be done, --apply does it",
	  "逐行核对各表与记录及上下级；--plan 写出处理方案，--apply 按方案执行；status 显示上次结果" },
	{ "adopt", cmd_adopt, "[--keep REGISTER=mine|superior|review]... [--out PLAN] | --apply PLAN [--now] [--wait SECONDS]",
	  "an application's own tables that had rows before their policy came: shows a plan, or applies it",
	  "接入业务程序已有数据的表：先出方案，再按方案执行" },
	{ "release", cmd_release, "[--force]", "takes every trigger, view and table of Terrace out of the database; the data stays",
	  "从数据库中删除 Terrace 的全部触发器、视图和表，业务数据保留" },
	{ "schema begin", cmd_schema_begin, "", "an upgrade of the application begins: capture is paused, nothing is exchanged",
	  "业务程序升级开始：暂停采集和收发" },
	{ "schema end", cmd_schema_end, "", "it has ended: capture goes on, every table is audited", "升级结束：恢复采集并逐行核对" },
	{ "bundle export", cmd_bundle_export, "--to UNIT --out FILE",
	  "what the line to the superior or to a subordinate would have carried, in a file that this unit alone can open",
	  "把本应经线路传给上级或下级的内容写成交换包，只有对方能打开" },
	{ "bundle import", cmd_bundle_import, "FILE", "takes such a file; then bring one back", "导入交换包；之后请带回一个" },
	{ "bundle inspect", cmd_bundle_inspect, "FILE", "who made it, when, what is in it; takes nothing", "查看由谁、何时生成及其内容，不导入" },
	{ "units import", cmd_units_import, "FILE [--encoding gb18030]", "publishes the list of units; a line is CODE,NAME (at the top)",
	  "发布单位名单；每行为 代码,名称（仅最高级）" },
	{ "units list", cmd_report, "", "the units of the tree", "列出单位" },
	{ "peers", cmd_report, "", "enrolled descendants", "已加入的下级" },
	{ "peers revoke", cmd_peers_revoke, "UNIT [--reason TEXT]",
	  "its certificates are void from now on; what it sent before stays", "吊销下级证书；此前上报的内容保留" },
	{ "anchor", cmd_anchor, "--recovery FILE", "new keys for the top of the tree, vouched for by its recovery key; the daemon is stopped",
	  "最高级更换密钥，由恢复密钥担保；须先停止后台程序" },
	{ "leave", cmd_leave, "[--wait SECONDS]", "leaves the tree in order: everything is sealed and settled first",
	  "有序退出：先将全部内容封装并归档" },
	{ "rejoin", cmd_rejoin, "UNIT", "two machines ran as one unit and one of them is stopped: the other goes on",
	  "两台机器使用同一身份且其中一台已停用后，由另一台继续" },
	{ "verify", cmd_report, "[--deep]", "chains, signatures, digests, the database", "核验证书链、签名、摘要和数据库" },
	{ "backup", cmd_backup, "FILE [--identity [--passphrase-file F]]",
	  "a copy of the database as it is now, in one file, the daemon running or not; --identity: the keys too, encrypted with a passphrase",
	  "把数据库此刻的内容备份为一个文件，后台程序可照常运行；--identity 连同密钥，用口令加密" },
	{ "restore", cmd_restore, "FILE [--identity [--passphrase-file F]] [--yes]",
	  "puts a backup back: says first what it will do, and asks; what it replaces is kept; the daemon must be stopped",
	  "恢复备份：先说明将做什么并询问；被替换的文件保留；须先停止后台程序" },
	{ "segment list", cmd_report, "[--author U]", "the signed segments kept here", "本节点保存的签名数据段" },
	{ "segment dump", cmd_report, "ID", "one segment, as text", "以文本显示一个数据段" },
	{ "segment verify", cmd_report, "FILE", "checks a segment's signature and chain", "核验数据段的签名和证书链" },
	{ "doctor", cmd_doctor, "", "checks the installation and says what to do", "检查安装并给出处理办法" },
};

static const struct command report = { "", cmd_report, "...", "", "" };       /* one that the table does not list */

static const struct command *find(const struct ctl *c, uint32_t *ret_own)
{
	char both[128];

	for (uint32_t own = 2; own; own--) {
		if (c->nwords < own)
			continue;
		snprintf(both, sizeof(both), own == 2 ? "%s %s" : "%s", c->words[0], own == 2 ? c->words[1] : "");
		for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
			if (!strcmp(commands[i].name, both)) {
				*ret_own = own;
				return &commands[i];
			}
	}
	return NULL;
}

/* `conflicts` alone is `conflicts list`. */
static const struct command *find_list(const struct ctl *c)
{
	size_t n = c->nwords ? strlen(c->words[0]) : 0;

	for (size_t i = 0; n && i < ARRAY_SIZE(commands); i++)
		if (!strncmp(commands[i].name, c->words[0], n) && !strcmp(commands[i].name + n, " list") &&
		    (c->nwords == 1 || c->words[1][0] == '-'))
			return &commands[i];
	return NULL;
}

/* ---- help */

static void help_line(const struct ctl *c, const struct command *k)
{
	printf("  %s%s%s\n      %s\n", k->name, *k->usage ? " " : "", k->usage, ctl_words(c, k->help, k->help_zh));
}

/* Of the commands that begin with the words given; without words all. */
static bool help(const struct ctl *c)
{
	const struct command *one;
	uint32_t own;
	bool any = false;

	if (c->nwords && (one = find(c, &own)) != NULL) {
		printf("terracectl %s%s%s\n    %s\n", one->name, *one->usage ? " " : "", one->usage, ctl_words(c, one->help, one->help_zh));
		return true;
	}
	if (!c->nwords)
		printf("terracectl [--home DIR] [--json] COMMAND ...\n\n%s\n",
		       ctl_words(c, "  --home DIR   the node's home (default " CTL_HOME ")\n"
		                    "  --json       print one JSON document\n"
		                    "  --help       this; with a command, of that command\n"
		                    "  --version    print the version\n"
		                    "\nExit status: 0 done, 1 done and something was found, 2 usage, 3 the daemon is not running,\n"
		                    "4 refused, 5 damaged or not authentic.\n",
		                 "  --home DIR   节点目录（默认 " CTL_HOME "）\n"
		                 "  --json       输出一个 JSON 文档\n"
		                 "  --help       帮助；跟命令时为该命令的帮助\n"
		                 "  --version    版本\n"
		                 "\n退出状态：0 完成，1 完成但有发现，2 用法错误，3 后台程序未运行，4 被拒绝，5 已损坏或不可信。\n"));
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		size_t n = c->nwords ? strlen(c->words[0]) : 0;
		if (n && (strncmp(commands[i].name, c->words[0], n) || (commands[i].name[n] && commands[i].name[n] != ' ')))
			continue;
		help_line(c, &commands[i]);
		any = true;
	}
	return any;
}

/* ---- the line */

static bool prefers_chinese(void)
{
	static const char *const names[] = { "LC_ALL", "LC_MESSAGES", "LANG" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const char *value = getenv(names[i]);
		if (value && *value)
			return !strncmp(value, "zh", 2);
	}
	return false;
}

struct line {
	const char *words[CTL_WORDS];
	bool help, version;
};

/* Global options stand anywhere before a `--`; the rest are the command's words. */
static int read_line(struct ctl *c, int argc, char **argv, struct line *l, struct err *err)
{
	bool only_words = false;

	for (int i = 1; i < argc; i++) {
		const char *word = argv[i];
		if (only_words || word[0] != '-' || !strcmp(word, "-")) {
			if (c->nwords == CTL_WORDS)
				return err_set(err, ERR_USAGE, "more than %d words", CTL_WORDS);
			l->words[c->nwords++] = word;
		} else if (!strcmp(word, "--home")) {
			if (++i == argc)
				return err_set(err, ERR_USAGE, "--home: the folder is missing");
			c->home = argv[i];
		} else if (!strncmp(word, "--home=", 7)) {
			c->home = word + 7;
		} else if (!strcmp(word, "--json")) {
			c->json = true;
		} else if (!strcmp(word, "--help") || !strcmp(word, "-h")) {
			l->help = true;
		} else if (!strcmp(word, "--version")) {
			l->version = true;
		} else if (c->nwords == CTL_WORDS) {
			return err_set(err, ERR_USAGE, "more than %d words", CTL_WORDS);
		} else {
			only_words = !strcmp(word, "--");
			l->words[c->nwords++] = word;
		}
	}
	c->words = l->words;
	return *c->home ? 0 : err_set(err, ERR_USAGE, "--home: the folder is missing");
}

static int run(struct ctl *c, const struct command **ret_usage, struct err *err)
{
	uint32_t own = 1;
	const struct command *k = find(c, &own);

	if (!k)
		k = find_list(c);
	if (!k && report_has(c->words, c->nwords))
		k = &report;
	if (!k && c->nwords == 0)
		return err_set(err, ERR_USAGE, "no command; terracectl --help lists them");
	if (!k)
		return err_set(err, ERR_USAGE, "%s%s%s: no such command; terracectl --help lists them", c->words[0],
		               c->nwords > 1 ? " " : "", c->nwords > 1 ? c->words[1] : "");
	for (uint32_t i = own; i < c->nwords; i++)
		c->argv[c->argc++] = c->words[i];
	int r = k->run(c, err);
	if (r == ERR_USAGE)
		*ret_usage = k;
	return r;
}

/* In Chinese a sentence that the catalogue lacks stands behind its kind. */
static void complain(const struct ctl *c, const struct err *e, const struct command *usage)
{
	_cleanup_(buf_release) struct buf text = { 0 }, kind = { 0 };
	char code[64];

	snprintf(code, sizeof(code), "code: %s", err_name(e->code));
	bool whole = phrase_put(&text, e->text, c->chinese);
	if (!whole && phrase_put(&kind, code, true) && strcmp(buf_text(&kind), code))
		fprintf(stderr, "terracectl: %s：%s", buf_text(&kind), buf_text(&text));
	else
		fprintf(stderr, "terracectl: %s", buf_text(&text));
	if (usage)
		fprintf(stderr, "%sterracectl %s %s", ctl_words(c, "; usage: ", "；用法："), usage->name, usage->usage);
	fputc('\n', stderr);
}

int main(int argc, char **argv)
{
	struct ctl c = { .home = CTL_HOME };
	struct line l = { .help = false };
	const struct command *usage = NULL;
	const struct rlimit no_core = { 0, 0 };
	struct err e = { 0 };

	setlocale(LC_ALL, "");
	signal(SIGPIPE, SIG_IGN);
	umask(027);
	setrlimit(RLIMIT_CORE, &no_core);        /* init and join have keys in memory */
	prctl(PR_SET_DUMPABLE, 0);
	c.chinese = prefers_chinese();
	int r = read_line(&c, argc, argv, &l, &e);
	if (!r && l.version)
		return printf("terracectl %s\n", TERRACE_VERSION) < 0;
	if (!r && l.help && help(&c))
		return fflush(stdout) ? 4 : 0;
	if (!r) {
		rand_start();
		r = sign_init(&e);
	}
	if (!r)
		r = run(&c, &usage, &e);
	if (!r && fflush(stdout))
		r = err_set(&e, ERR_IO, "standard output: cannot be written");
	if (!r)
		return c.status;
	e.code = e.code ? e.code : r;
	complain(&c, &e, usage);
	return c.error_status ? c.error_status : err_exit(e.code);
}
