/* Ctl: what the commands of terracectl share.  A command is a row of the table in main.c; it takes its options, does
 * its work or asks the daemon, and prints one JSON document, as it is (--json) or as a table for people. */
#ifndef CTL_CTL_H
#define CTL_CTL_H

#include "base/err.h"
#include "base/json.h"

#define CTL_HOME    "/var/lib/terrace/default"
#define CTL_WORDS   64                   /* words of a command, at most */
#define CTL_WAIT_MS 120000               /* how long the daemon may take for a command */
#define CTL_SEVERAL 8                    /* values of an option that may stand several times */

struct ctl {
	const char *home;
	bool json, chinese;
	const char *const *words;        /* the whole command as given, without the global options */
	uint32_t nwords;
	const char *argv[CTL_WORDS + 1]; /* what stands behind the command's name; NULL-terminated */
	uint32_t argc;
	int status;                      /* of the program where no error comes: 1 = something was found, 5 = not authentic */
	int error_status;                /* of the program where one comes, instead of the error's own; 0 = its own */
};

/* An option of a command: `--name VALUE`, `--name=VALUE`, or `--name` where flag is set. */
struct ctl_option {
	const char *name;
	const char **value;              /* CTL_SEVERAL + 1 of them where several, NULL-terminated */
	bool *flag, several;
};

/* Takes the options out of c->argv and checks that least to most words are left; ERR_USAGE. */
int ctl_options(struct ctl *c, const struct ctl_option *options, uint32_t n, uint32_t least, uint32_t most,
                struct err *err);

/* Gives the words to the daemon of c->home.  Raises c->status to 1 where the daemon says so; the daemon's refusal is an error. */
int ctl_call(struct ctl *c, const char *const *words, uint32_t nwords, json_t **ret, struct err *err);
int ctl_call_for(struct ctl *c, const char *const *words, uint32_t nwords, int wait_ms, json_t **ret, struct err *err);

/* The same with a file in memory (base/file.h) that goes along; -1 = none. */
int ctl_call_with(struct ctl *c, const char *const *words, uint32_t nwords, int file, int wait_ms, json_t **ret, struct err *err);

/* A report of c->home, the daemon running or not (engine/report.h). */
int ctl_report(const struct ctl *c, const char *const *words, uint32_t n, json_t **ret, int *ret_status, struct err *err);

/* The same with segments that a superior sent (report_home.fetched). */
int ctl_report_with(const struct ctl *c, const char *const *words, uint32_t n, struct slice fetched, json_t **ret,
                    int *ret_status, struct err *err);

/* The document: with --json as it is, else as a table, or line by line. */
int ctl_print(struct ctl *c, const json_t *document, struct err *err);
/* To standard output.  Ends the program quietly where the reader has gone (`| head`). */
int ctl_write(const struct buf *b, struct err *err);
/* A line for people; nothing with --json. */
void ctl_say(const struct ctl *c, const char *english, const char *chinese, ...)
	__attribute__((format(printf, 2, 4), format(printf, 3, 4)));
/* The same on standard error, where standard output is for a script. */
void ctl_note(const struct ctl *c, const char *english, const char *chinese, ...)
	__attribute__((format(printf, 2, 4), format(printf, 3, 4)));
const char *ctl_words(const struct ctl *c, const char *english, const char *chinese);
/* "terracectl --home DIR", or without the option where the home is the usual one; owned by the caller. */
char *ctl_name(const struct ctl *c);
/* The command that starts this home's daemon; owned by the caller. */
char *ctl_start(const struct ctl *c);

/* table.c: the document as lines of text.  width: columns of the terminal, 0 = no limit. */
void table_put(struct buf *b, const json_t *document, size_t width, bool chinese);

/* One value as a cell has it. */
void table_cell(struct buf *b, const json_t *value, bool chinese);

/* The same as comma-separated values; ERR_USAGE where it is no list. */
int csv_put(struct buf *b, const json_t *document, struct err *err);
/* RFC 3339, UTC, seconds, as documents have it; 0 or -1. */
int time_of(const char *text, int64_t *ret_ms);

/* A passphrase, from the file (`-`: standard input; its first line), or asked on the terminal without echo, twice where it
 * is a new one.  Wiped by the caller. */
#define PASSPHRASE_LEAST 8u
#define PASSPHRASE_MOST  1024u
int passphrase_read(const struct ctl *c, const char *file, bool new, struct buf *ret, struct err *err);
/* A question that is answered with y; without a terminal ERR_REFUSED, which says that --yes is needed. */
int ctl_confirm(const struct ctl *c, const char *english, const char *chinese, struct err *err);

/* The commands; each fills err and returns its code, or 0. */
int cmd_init(struct ctl *c, struct err *err);
int cmd_join(struct ctl *c, struct err *err);
int cmd_anchor(struct ctl *c, struct err *err);
int cmd_policy_check(struct ctl *c, struct err *err);
int cmd_policy_publish(struct ctl *c, struct err *err);
int cmd_invite(struct ctl *c, struct err *err);
int cmd_sync(struct ctl *c, struct err *err);
int cmd_peers_revoke(struct ctl *c, struct err *err);
int cmd_rejoin(struct ctl *c, struct err *err);
int cmd_leave(struct ctl *c, struct err *err);
int cmd_units_import(struct ctl *c, struct err *err);
int cmd_proposals_accept(struct ctl *c, struct err *err);
int cmd_proposals_reject(struct ctl *c, struct err *err);
int cmd_conflicts_close(struct ctl *c, struct err *err);
int cmd_issues_close(struct ctl *c, struct err *err);
int cmd_quarantine_retry(struct ctl *c, struct err *err);
int cmd_quarantine_drop(struct ctl *c, struct err *err);
int cmd_reconcile(struct ctl *c, struct err *err);
int cmd_adopt(struct ctl *c, struct err *err);
int cmd_release(struct ctl *c, struct err *err);
int cmd_schema_begin(struct ctl *c, struct err *err);
int cmd_schema_end(struct ctl *c, struct err *err);
int cmd_bundle_export(struct ctl *c, struct err *err);
int cmd_bundle_import(struct ctl *c, struct err *err);
int cmd_bundle_inspect(struct ctl *c, struct err *err);
int cmd_backup(struct ctl *c, struct err *err);
int cmd_restore(struct ctl *c, struct err *err);
int cmd_doctor(struct ctl *c, struct err *err);
int cmd_report(struct ctl *c, struct err *err);  /* whatever only reads: engine/report.h */
int cmd_why(struct ctl *c, struct err *err);     /* the same, and evidence from the superior */
int cmd_log(struct ctl *c, struct err *err);     /* the same, and --follow */

#endif
