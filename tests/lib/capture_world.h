/* A world for capture's tests: one file, the application's connection and the ledger's.  For cmocka tests. */
#ifndef CAPTURE_WORLD_H
#define CAPTURE_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "store/capture.h"

struct spec {                            /* a register as a test names it */
	const char *ddl, *name, *key, *unit;     /* key, columns: separated by '|' */
	const char *groups[4];           /* "name:column|column" */
};

struct world {
	char path[64];
	struct db *ledger;
	sqlite3 *app;
	struct catalog *c;
	struct arena arena;
};

extern const struct capture_modes all_own;

void world_open(struct world *w, const char *journal, const struct spec *specs, size_t n);
void world_close(struct world *w);
void world_load(struct world *w);                /* the catalog, anew */
void policy_store(struct world *w, const struct spec *specs, size_t n, uint64_t version);
void app_do(struct world *w, const char *sql);   /* the application; must pass */
void install(struct world *w, const struct reg *r, const struct capture_modes *m);
struct reg *reg_of(const struct world *w, const char *name);
const struct column *column_of(const struct reg *r, const char *name);
void cell_show(struct buf *b, struct cell c);    /* a cell as text in which different cells differ */
void log_clear(struct world *w);
/* The log since the last call, as text: `row 1`, `name 1`, `name 1 was 'x'`, `gone 1`, joined by `, `. */
const char *log_text(struct world *w);
/* The statement fails with a sentence that begins like `say`, and the log stays empty. */
void expect_abort(struct world *w, const char *sql, const char *say);
#define expect(w, sql, log) do { app_do(w, sql); assert_string_equal(log_text(w), log); } while (0)

#endif
