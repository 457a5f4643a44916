/* Backup: the box, the header and the identity of a backup file; a copy of a database that is written meanwhile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/text.h"
#include "core/backup.h"
#include "core/sign.h"
#include "ctl/backup_file.h"
#include "store/backup.h"

static const struct box_cost cheap = { 1, 8 };

static void key_of(const char *passphrase, uint8_t ret[BOX_KEY])
{
	static const uint8_t salt[BOX_SALT] = "0123456789abcde";

	assert_int_equal(box_key(slice_of(passphrase), salt, cheap, ret, NULL), 0);
}

/* What was made once opens for ever. */
static const char key_hex[] = "a3832c803addbc7a112d5dd8484fa9c0ca4560782263de81cba7962e130ccc9f";
static const char box_hex[] = "4c67ae21eed5a51f82676522b713be72104f2ec9ce666d154ece406fea79"
	"86338a24a836afb149710f923feb137aa9fb563655e8583762";

static void test_old_box(void **state)
{
	uint8_t key[BOX_KEY], box[BOX_HEADER + 14 + BOX_MORE];
	_cleanup_(buf_release) struct buf out = { 0 };

	(void)state;
	key_of("a passphrase", key);
	assert_int_equal(hex_get(slice_of(box_hex), box, sizeof(box)), 0);
	assert_int_equal(box_unlock(key, slice_of("beside"), (struct slice){ box, sizeof(box) }, &out, NULL), 0);
	assert_true(slice_equal(buf_slice(&out), slice_of("what is secret")));
}

static void test_key(void **state)
{
	uint8_t key[BOX_KEY], other[BOX_KEY];
	_cleanup_(buf_release) struct buf hex = { 0 };
	struct err err = { 0 };

	(void)state;
	key_of("a passphrase", key);
	key_of("a passphrasf", other);
	assert_memory_not_equal(key, other, BOX_KEY);
	hex_put(&hex, (struct slice){ key, BOX_KEY });
	assert_string_equal(buf_text(&hex), key_hex);
	assert_int_equal(box_key(slice_of("x"), key, (struct box_cost){ BOX_MOST_PASSES + 1, 8 }, other, &err), ERR_LIMIT);
	assert_int_equal(box_key(slice_of("x"), key, (struct box_cost){ 1, BOX_MOST_KIB + 1 }, other, &err), ERR_LIMIT);
	assert_int_equal(box_key(slice_of("x"), key, (struct box_cost){ 0, 8 }, other, &err), ERR_LIMIT);
}

static void round_trip(size_t n)
{
	_cleanup_(buf_release) struct buf plain = { 0 }, box = { 0 }, again = { 0 };
	uint8_t key[BOX_KEY];
	uint8_t *p = buf_reserve(&plain, n);

	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(i * 7 + i / 251);
	key_of("a passphrase", key);
	assert_int_equal(box_lock(key, slice_of("beside"), buf_slice(&plain), &box, NULL), 0);
	assert_int_equal(box_unlock(key, slice_of("beside"), buf_slice(&box), &again, NULL), 0);
	assert_true(slice_equal(buf_slice(&plain), buf_slice(&again)));
}

static void test_sizes(void **state)
{
	static const size_t sizes[] = { 0, 1, 100, BOX_PIECE - 1, BOX_PIECE, BOX_PIECE + 1, 3 * BOX_PIECE, 3 * BOX_PIECE + 5 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		round_trip(sizes[i]);
}

/* Whatever byte changes, wherever it is cut, whatever stands beside it: it does not open. */
static void test_tampered(void **state)
{
	_cleanup_(buf_release) struct buf box = { 0 };
	uint8_t key[BOX_KEY], other[BOX_KEY];

	(void)state;
	key_of("a passphrase", key);
	key_of("another one", other);
	assert_int_equal(box_lock(key, slice_of("beside"), slice_of("what is secret"), &box, NULL), 0);
	for (size_t i = 0; i < box.n; i++) {
		_cleanup_(buf_release) struct buf out = { 0 }, cut = { 0 };
		box.p[i] ^= 1;
		assert_int_equal(box_unlock(key, slice_of("beside"), buf_slice(&box), &out, NULL), ERR_SIGNATURE);
		box.p[i] ^= 1;
		assert_int_equal(box_unlock(key, slice_of("beside"), (struct slice){ box.p, i }, &cut, NULL), ERR_SIGNATURE);
	}
	_cleanup_(buf_release) struct buf a = { 0 }, b = { 0 }, c = { 0 };
	assert_int_equal(box_unlock(other, slice_of("beside"), buf_slice(&box), &a, NULL), ERR_SIGNATURE);
	assert_int_equal(box_unlock(key, slice_of("beside!"), buf_slice(&box), &b, NULL), ERR_SIGNATURE);
	buf_put_u8(&box, 0);
	assert_int_equal(box_unlock(key, slice_of("beside"), buf_slice(&box), &c, NULL), ERR_SIGNATURE);
}

/* A long box that ends after a whole piece is one that was cut. */
static void test_cut_at_piece(void **state)
{
	_cleanup_(buf_release) struct buf plain = { 0 }, box = { 0 }, out = { 0 };
	uint8_t key[BOX_KEY];

	(void)state;
	memset(buf_reserve(&plain, 2 * BOX_PIECE), 'x', 2 * BOX_PIECE);
	key_of("a passphrase", key);
	assert_int_equal(box_lock(key, slice_of(""), buf_slice(&plain), &box, NULL), 0);
	assert_int_equal(box_unlock(key, slice_of(""), (struct slice){ box.p, BOX_HEADER + BOX_PIECE + BOX_MORE }, &out, NULL), ERR_SIGNATURE);
}

/* ---- the header */

static const char header_hex[] =
	"74657272616365206261636b757020310a"
	"75000000"
	"c8b4e3c9c10f"
	"0d636976696c2d61666661697273"
	"09e99d92e79fb3e99587"
	"80a4a7da06"
	"81a4a7da06"
	"04030201"
	"0b"
	"0c"
	"0d"
	"0707070707070707070707070707070707070707070707070707070707070707"
	"01"
	"01"
	"c09fddc9c10f"
	"010203"
	"8001"
	"05"
	"03808004"
	"09090909090909090909090909090909"
	"d102"
	"8020";

static struct backup_header example(struct backup_link *link)
{
	struct backup_header h = { .unit = UINT64_C(532999101000), .line = "civil-affairs", .name = "青石镇", .tree_s = 1800000000,
		                   .wall_s = 1800000001, .epoch = 0x01020304, .sealed = 11, .met = 12, .outbox = 13, .wal = true,
		                   .nlinks = 1, .links = link, .cost = BOX_COST, .identity = 337, .database = 4096 };

	*link = (struct backup_link){ UINT64_C(532999000000), 1, 2, 3, 128, 5 };
	memset(h.outbox_head.at, 7, DIGEST_SIZE);
	memset(h.salt, 9, BOX_SALT);
	return h;
}

static void test_header(void **state)
{
	_cleanup_(buf_release) struct buf b = { 0 }, hex = { 0 }, again = { 0 };
	_cleanup_(arena_release) struct arena a = { 0 };
	struct backup_link link;
	struct backup_header h = example(&link), got;
	size_t n = 0;

	(void)state;
	assert_int_equal(backup_header_put(&h, &b, NULL), 0);
	hex_put(&hex, buf_slice(&b));
	assert_string_equal(buf_text(&hex), header_hex);
	assert_int_equal(backup_header_length((struct slice){ b.p, 21 }, &n, NULL), 0);
	assert_int_equal(n, b.n);
	assert_int_equal(backup_header_get(buf_slice(&b), &a, &got, NULL), 0);
	assert_int_equal(backup_header_put(&got, &again, NULL), 0);
	assert_true(slice_equal(buf_slice(&b), buf_slice(&again)));
}

static void test_header_bad(void **state)
{
	_cleanup_(buf_release) struct buf b = { 0 };
	struct backup_link link;
	struct backup_header h = example(&link), got;
	size_t ignored;

	(void)state;
	assert_int_equal(backup_header_put(&h, &b, NULL), 0);
	for (size_t n = 0; n < b.n; n++) {
		_cleanup_(arena_release) struct arena a = { 0 };
		assert_int_not_equal(backup_header_get((struct slice){ b.p, n }, &a, &got, NULL), 0);
	}
	b.p[0] ^= 1;
	assert_int_equal(backup_header_length(buf_slice(&b), &ignored, NULL), ERR_FORMAT);
	b.p[0] ^= 1;
	b.p[20] = 0xff;                          /* longer than any header */
	assert_int_equal(backup_header_length(buf_slice(&b), &ignored, NULL), ERR_DAMAGED);
}

static void test_files(void **state)
{
	const struct backup_file files[] = { { "one", slice_of("first") }, { "two", { NULL, 0 } } };
	static const char *const bad[] = { "", "../x", "a/b", ".hidden" };
	_cleanup_(buf_release) struct buf b = { 0 };
	_cleanup_(arena_release) struct arena a = { 0 };
	struct backup_file got[BACKUP_FILES];
	uint32_t n = 0;

	(void)state;
	assert_int_equal(backup_files_put(files, 2, &b, NULL), 0);
	assert_int_equal(backup_files_get(buf_slice(&b), &a, got, &n, NULL), 0);
	assert_int_equal(n, 2);
	assert_string_equal(got[0].name, "one");
	assert_true(slice_equal(got[0].content, slice_of("first")));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		_cleanup_(buf_release) struct buf named = { 0 };
		const struct backup_file one = { bad[i], slice_of("x") };
		assert_int_equal(backup_files_put(&one, 1, &named, NULL), 0);
		assert_int_equal(backup_files_get(buf_slice(&named), &a, got, &n, NULL), ERR_DAMAGED);
	}
}

/* ---- the file */

static char folder[] = "/tmp/terrace-backup-XXXXXX";

static const char *in(const char *name)
{
	static char path[4][200];
	static int at;

	at = (at + 1) % 4;
	snprintf(path[at], sizeof(path[at]), "%s/%s", folder, name);
	return path[at];
}

static int extract(const char *path)
{
	struct backup_source s;
	int rc = backup_source_open(path, &s, NULL);
	_cleanup_(fd_close) int fd = -1;
	char out[] = "/tmp/terrace-backup-out-XXXXXX";

	fd = mkstemp(out);
	unlink(out);
	if (rc == 0)
		rc = backup_source_extract(&s, fd, "out", NULL);
	backup_source_close(&s);
	return rc;
}

static void test_file(void **state)
{
	_cleanup_(buf_release) struct buf head = { 0 }, database = { 0 }, whole = { 0 };
	struct backup_link link;
	struct backup_header h = example(&link);

	(void)state;
	memset(buf_reserve(&database, BACKUP_PIECE + 4096), 'd', BACKUP_PIECE + 4096);
	h.identity = 3;
	h.database = database.n;
	assert_int_equal(file_write(in("db"), buf_slice(&database), 0600, NULL), 0);
	assert_int_equal(backup_header_put(&h, &head, NULL), 0);
	assert_int_equal(backup_file_write(in("file"), buf_slice(&head), slice_of("box"), in("db"), NULL), 0);
	assert_true(backup_file_is(in("file")));
	assert_false(backup_file_is(in("db")));
	assert_int_equal(extract(in("file")), 0);
	assert_int_equal(file_read(in("file"), SIZE_MAX, &whole, NULL), 0);
	for (size_t i = head.n; i < whole.n; i += i < head.n + 5 || i > whole.n - 40 ? 1 : 60013) {
		whole.p[i] ^= 4;
		assert_int_equal(file_write(in("bad"), buf_slice(&whole), 0600, NULL), 0);
		assert_int_equal(extract(in("bad")), ERR_DAMAGED);
		whole.p[i] ^= 4;
		assert_int_equal(file_write(in("bad"), (struct slice){ whole.p, i }, 0600, NULL), 0);
		assert_int_equal(extract(in("bad")), ERR_DAMAGED);
	}
	buf_put_u8(&whole, 0);
	assert_int_equal(file_write(in("bad"), buf_slice(&whole), 0600, NULL), 0);
	assert_int_equal(extract(in("bad")), ERR_DAMAGED);
}

/* ---- the copy */

static void run(sqlite3 *sql, const char *text)
{
	assert_int_equal(sqlite3_exec(sql, text, NULL, NULL, NULL), SQLITE_OK);
}

static int64_t number(const char *path, const char *text)
{
	sqlite3 *sql;
	sqlite3_stmt *s;
	int64_t n;

	assert_int_equal(sqlite3_open(path, &sql), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(sql, text, -1, &s, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(s), SQLITE_ROW);
	n = sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	sqlite3_close(sql);
	return n;
}

struct writer {
	sqlite3 *sql;
	int64_t slices, written;
	bool for_ever;
};

/* Between two slices the application moves an amount from one row to another: the sum holds at every instant. */
static void write_meanwhile(void *arg, int64_t done, int64_t all)
{
	struct writer *w = arg;

	(void)done;
	(void)all;
	w->slices++;
	if (w->for_ever || w->slices <= 5) {
		run(w->sql, "BEGIN IMMEDIATE; UPDATE t SET n = n - 1 WHERE id = 1; UPDATE t SET n = n + 1 WHERE id = 20000; COMMIT");
		w->written++;
	}
}

static void copy_in(const char *mode, bool for_ever, int want)
{
	struct writer w = { .for_ever = for_ever };
	_cleanup_(buf_release) struct buf none = { 0 };
	char text[80];
	bool wal = false;

	unlink(in("live"));
	assert_int_equal(sqlite3_open(in("live"), &w.sql), SQLITE_OK);
	snprintf(text, sizeof(text), "PRAGMA journal_mode = %s", mode);
	run(w.sql, text);
	run(w.sql, "CREATE TABLE t(id INTEGER PRIMARY KEY, n, text); WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c "
	           "WHERE i < 20000) INSERT INTO t SELECT i, 100, hex(zeroblob(150)) FROM c");
	assert_int_equal(file_write(in("copy"), buf_slice(&none), 0600, NULL), 0);
	assert_int_equal(backup_copy(in("live"), in("copy"), write_meanwhile, &w, &wal, NULL), want);
	assert_int_equal(wal, strcmp(mode, "WAL") == 0);
	if (want == 0) {
		assert_int_equal(number(in("copy"), "SELECT sum(n) FROM t"), 2000000);
		assert_int_equal(number(in("copy"), "SELECT count(*) FROM t"), 20000);
		assert_false(file_exists(in("copy-wal")));
	}
	assert_true(w.written >= 3);
	sqlite3_close(w.sql);
}

static void test_copy_wal(void **state)
{
	(void)state;
	copy_in("WAL", true, 0);
}

static void test_copy_rollback(void **state)
{
	(void)state;
	copy_in("DELETE", false, 0);
	copy_in("DELETE", true, ERR_BUSY);       /* never quiet: given up, and said */
}

static void test_settle(void **state)
{
	sqlite3 *sql;
	bool wal = false;

	(void)state;
	unlink(in("live"));
	assert_int_equal(sqlite3_open(in("live"), &sql), SQLITE_OK);
	run(sql, "PRAGMA journal_mode = WAL; CREATE TABLE t(a); INSERT INTO t VALUES(1)");
	assert_int_equal(backup_settle(in("live"), &wal, NULL), ERR_BUSY);
	sqlite3_close(sql);
	assert_int_equal(backup_settle(in("live"), &wal, NULL), 0);
	assert_true(wal);
	assert_int_equal(number(in("live"), "SELECT count(*) FROM t"), 1);
}

static int make_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) == NULL || sign_init(NULL) != 0;
}

static int remove_folder(void **state)
{
	static const char *const names[] = { "db", "file", "bad", "live", "live-wal", "live-shm", "live-journal", "copy" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		unlink(in(names[i]));
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_key),        cmocka_unit_test(test_old_box),      cmocka_unit_test(test_sizes),     cmocka_unit_test(test_tampered),
		cmocka_unit_test(test_cut_at_piece), cmocka_unit_test(test_header),  cmocka_unit_test(test_header_bad),
		cmocka_unit_test(test_files),      cmocka_unit_test(test_file),      cmocka_unit_test(test_copy_wal),
		cmocka_unit_test(test_copy_rollback), cmocka_unit_test(test_settle),
	};

	return cmocka_run_group_tests_name("test_backup", tests, make_folder, remove_folder);
}
