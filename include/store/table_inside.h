/* Inside of table: shared by table.c and table_keys.c alone. */
#ifndef STORE_TABLE_INSIDE_H
#define STORE_TABLE_INSIDE_H

#include "store/table.h"

struct writer {                          /* an UPDATE or INSERT of one set of columns */
	struct writer *next;
	bool insert;
	bool *mask;
	sqlite3_stmt *statement;
};

struct key_check {                       /* one foreign key: a query that finds a row which breaks it */
	struct key_check *next;
	bool as_parent;                  /* checked when the register's row is deleted */
	char *text;                      /* for people: "person.household -> household" */
	const struct foreign_key *key;
	sqlite3_stmt *statement;
};

struct reg_table {
	const struct reg *reg;
	sqlite3_stmt *read, *remove;
	struct writer *writers;
	bool keys_known;
	struct key_check *checks;
};

struct foreign_key {
	char *child, *parent;
	uint32_t n;
	char *from[16], *to[16];
};

struct table {
	struct db *db;
	struct reg_table *regs;
	uint32_t nregs;
	bool keys_known;
	struct arena arena;
	uint32_t nkeys;
	struct foreign_key keys[256];
};

int table_of(struct table *t, const struct reg *r, struct reg_table **ret, struct err *err);
/* " WHERE a = ?first AND …" of the register's key; alias: "" or "c.". */
void table_where_key(struct buf *sql, const struct reg *r, const char *alias, int first);
void table_bind_key(sqlite3_stmt *s, int first, struct key key);

#endif
