/* Memory is short: in every parser and decoder the n-th allocation fails, n = 1, 2 … until it passes untouched, once that one
 * alone and once all from it on.  No crash, the right word for it, nothing kept.  And the peak: whatever bytes come, a
 * decoder stays below its cap.  The inputs are the corpora of the fuzzers, whole and altered.
 *
 * malloc and its kin are wrapped by the linker (Makefile), in our own code only: libraries keep theirs. */
#include <dirent.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "app/settings.h"
#include "base/file.h"
#include "base/text.h"
#include "core/change.h"
#include "core/enroll.h"
#include "core/limits.h"
#include "core/policy.h"
#include "core/ranges.h"
#include "core/segment.h"
#include "ctl/policy_read.h"
#include "engine/hello.h"

#define CORPUS "tests/fuzz/corpus/"
#define PEAK (8u << 20)                  /* far below the caps: inputs of some KB, whatever their numbers claim */
#define SLACK (1u << 20)
#define ALTERED 200

/* ---- the allocator that counts and fails */

static struct {
	bool on, all;
	uint64_t count, fail;            /* allocations since armed; the one that fails, 0 = none */
	int64_t bytes, peak;
	size_t live;
	void *pieces[65536];             /* those of them that live; others are a library's */
} heap;

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void __real_free(void *p);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void __wrap_free(void *p);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t n);

static bool fails(void)
{
	if (!heap.on)
		return false;
	heap.count++;
	return heap.fail != 0 && (heap.count == heap.fail || (heap.all && heap.count > heap.fail));
}

static void *taken(void *p)
{
	if (heap.on && p != NULL) {
		if (heap.live == ARRAY_SIZE(heap.pieces))
			abort();
		heap.pieces[heap.live++] = p;
		heap.bytes += (int64_t)malloc_usable_size(p);
		heap.peak = MAX(heap.peak, heap.bytes);
	}
	return p;
}

static void given(void *p)
{
	for (size_t i = heap.live; heap.on && p != NULL && i > 0; i--)
		if (heap.pieces[i - 1] == p) {
			heap.pieces[i - 1] = heap.pieces[--heap.live];
			heap.bytes -= (int64_t)malloc_usable_size(p);
			return;
		}
}

void *__wrap_malloc(size_t n)
{
	return fails() ? NULL : taken(__real_malloc(n));
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : taken(__real_calloc(n, size));
}

void *__wrap_realloc(void *p, size_t n)
{
	void *q;

	if (fails())
		return NULL;
	given(p);
	q = __real_realloc(p, n);
	taken(q != NULL ? q : p);
	return q;
}

void __wrap_free(void *p)
{
	given(p);
	__real_free(p);
}

char *__wrap_strndup(const char *text, size_t n)
{
	size_t length = strnlen(text, n);
	char *copy = __wrap_malloc(length + 1);

	if (copy != NULL) {
		memcpy(copy, text, length);
		copy[length] = '\0';
	}
	return copy;
}

char *__wrap_strdup(const char *text)
{
	return __wrap_strndup(text, strlen(text));
}

/* ---- what is tried: each takes bytes and keeps nothing */

static int try_segment(struct slice bytes, struct err *err)
{
	_cleanup_(arena_release) struct arena a = { .cap = LIMIT_DECODED };
	_cleanup_(buf_release) struct buf raw = { .cap = LIMIT_SEGMENT_RAW };
	struct segment s;
	struct payload p;
	int rc = segment_parse(bytes, &a, &s, err);

	if (rc == 0)
		rc = segment_inflate(&s, &raw, err);
	if (rc == 0 && (s.header.kind == SEGMENT_DELTA || s.header.kind == SEGMENT_STATE))
		rc = payload_decode(buf_slice(&raw), &a, &p, err);
	return rc;
}

static int try_payload(struct slice bytes, struct err *err)
{
	_cleanup_(arena_release) struct arena a = { .cap = LIMIT_DECODED };
	struct payload p;

	return payload_decode(bytes, &a, &p, err);
}

static int try_policy(struct slice bytes, struct err *err)
{
	_cleanup_(arena_release) struct arena a = { .cap = LIMIT_DECODED };
	struct policy p;

	return policy_get(bytes, &a, &p, err);
}

static int try_policy_text(struct slice bytes, struct err *err)
{
	_cleanup_(arena_release) struct arena a = { .cap = LIMIT_DECODED };
	struct policy p;

	return policy_read_text("/nowhere/x/memory.policy", bytes, &a, &p, err);
}

static int try_ranges(struct slice bytes, struct err *err)
{
	_cleanup_(arena_release) struct arena a = { .cap = LIMIT_DECODED };
	struct reader r = reader_of(bytes);
	struct spans s;

	spans_get(&r, &a, &s);
	if (a.failed)
		return err_set(err, ERR_NOMEM, "memory is short");
	return r.bad ? err_set(err, ERR_FORMAT, "malformed") : 0;
}

static int try_hello(struct slice bytes, struct err *err)
{
	struct reader r = reader_of(bytes);
	struct hello h;

	hello_get(&r, &h);
	return r.bad ? err_set(err, ERR_FORMAT, "malformed") : 0;
}

static int try_invitation(struct slice bytes, struct err *err)
{
	struct invitation i;

	return invitation_get(bytes, &i, err);
}

static char home[] = "/tmp/test_memory.XXXXXX";

static int try_settings(struct slice bytes, struct err *err)
{
	struct settings s;
	int rc;

	(void)bytes;
	rc = settings_read(home, &s, err);
	if (rc == 0)
		settings_release(&s);
	return rc;
}

/* ---- the trial */

struct trial {
	const char *name;
	int (*run)(struct slice bytes, struct err *err);
	uint64_t faults, runs;
	int64_t peak;
	size_t foreign;                  /* pieces that a library was given and frees itself */
	char said[600];
};

static int run(struct trial *t, struct slice bytes, uint64_t fail, bool all)
{
	struct err err = { 0 };
	heap.count = 0;
	heap.fail = fail;
	heap.all = all;
	heap.bytes = heap.peak = 0;
	heap.live = 0;
	heap.on = true;
	int rc = t->run(bytes, &err);
	heap.on = false;
	t->runs++;
	t->peak = MAX(t->peak, heap.peak);
	snprintf(t->said, sizeof(t->said), "%s", err.text);
	if (heap.live > t->foreign)
		fail_msg("%s: %zu pieces of memory are kept after allocation %llu failed", t->name, heap.live, (unsigned long long)fail);
	if (rc != 0 && (err.code != rc || !*err.text))
		fail_msg("%s: code %s without a sentence", t->name, err_name(rc));
	return rc;
}

static void starve(struct trial *t, const char *what, struct slice bytes)
{
	int right = run(t, bytes, 0, false);
	uint64_t n = heap.count;

	if (right == ERR_NOMEM)
		fail_msg("%s %s: no memory although there is", t->name, what);
	for (uint64_t i = 1; i <= n; i++)
		for (int all = 0; all < 2; all++) {
			int rc = run(t, bytes, i, all != 0);
			t->faults++;
			if (rc != right && rc != ERR_NOMEM)
				fail_msg("%s %s: allocation %llu of %llu fails: %s instead of no-memory: %s", t->name, what, (unsigned long long)i,
				         (unsigned long long)n, err_name(rc), t->said);
		}
}

/* Bytes flipped, cut, doubled: only the peak counts, and that nothing is kept. */
static void alter(struct trial *t, struct slice bytes)
{
	uint64_t random = 88172645463325252u;
	uint8_t *copy = __real_malloc(bytes.n + 1);

	for (int k = 0; k < ALTERED && bytes.n > 0; k++) {
		memcpy(copy, bytes.p, bytes.n);
		for (int flips = 0; flips < 1 + k % 4; flips++) {
			random ^= random << 13;
			random ^= random >> 7;
			random ^= random << 17;
			copy[random % bytes.n] = k % 2 ? 0xff : (uint8_t)(random >> 32);
		}
		run(t, (struct slice){ copy, k % 5 == 0 ? bytes.n / 2 : bytes.n }, 0, false);
	}
	__real_free(copy);
}

static void over_corpus(struct trial *t, const char *folder)
{
	char path[300];
	struct dirent *entry;
	int files = 0;

	snprintf(path, sizeof(path), CORPUS "%s", folder);
	DIR *d = opendir(path);
	assert_non_null(d);
	while ((entry = readdir(d)) != NULL) {
		_cleanup_(buf_release) struct buf bytes = { 0 };
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), CORPUS "%s/%s", folder, entry->d_name);
		assert_int_equal(file_read(path, 16u << 20, &bytes, NULL), 0);
		starve(t, entry->d_name, buf_slice(&bytes));
		alter(t, buf_slice(&bytes));
		files++;
	}
	closedir(d);
	assert_true(files > 0 && t->faults > 0);
}

static void report(const struct trial *t)
{
	print_message("    %s: %llu allocations failed, %llu runs, peak %lld KB\n", t->name, (unsigned long long)t->faults,
	              (unsigned long long)t->runs, (long long)t->peak >> 10);
	assert_true(t->peak < (int64_t)PEAK);
}

static void test_corpora(void **state)
{
	struct trial trials[] = {
		{ .name = "segment", .run = try_segment }, { .name = "payload", .run = try_payload }, { .name = "policy", .run = try_policy },
		{ .name = "policy_text", .run = try_policy_text, .foreign = 1 }, { .name = "ranges", .run = try_ranges },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(trials); i++) {
		over_corpus(&trials[i], trials[i].name);
		report(&trials[i]);
	}
}

static void test_hello(void **state)
{
	struct trial t = { .name = "hello", .run = try_hello };
	_cleanup_(buf_release) struct buf b = { 0 };
	struct hello h = { .epoch = 1 };

	(void)state;
	hello_put(&b, &h);
	starve(&t, "empty", buf_slice(&b));
	alter(&t, buf_slice(&b));
	report(&t);
	assert_true(t.peak < SLACK);
}

static void test_invitation(void **state)
{
	struct trial t = { .name = "invitation", .run = try_invitation };
	_cleanup_(buf_release) struct buf b = { 0 };
	const struct invitation i = { .nurls = 1, .url = { "https://127.0.0.1:8447" }, .unit = UINT64_C(532999001000), .line = "l", .name = "n" };

	(void)state;
	assert_int_equal(invitation_put(&i, &b, NULL), 0);
	starve(&t, "line", buf_slice(&b));
	alter(&t, buf_slice(&b));
	report(&t);
	assert_true(t.peak < SLACK);
}

static void test_settings(void **state)
{
	struct trial t = { .name = "terraced.conf", .run = try_settings, .foreign = 1 };
	_cleanup_(buf_release) struct buf b = { 0 };
	_cleanup_(free_pointer) char *path = NULL;

	(void)state;
	assert_non_null(mkdtemp(home));
	path = path_join(home, SETTINGS_FILE);
	assert_int_equal(file_read("conf/terraced.conf", 1u << 20, &b, NULL), 0);
	assert_int_equal(file_write(path, buf_slice(&b), 0600, NULL), 0);
	starve(&t, "conf/terraced.conf", (struct slice){ NULL, 0 });
	report(&t);
	assert_true(t.faults > 0 && t.peak < SLACK);
	assert_int_equal(file_remove(path, NULL), 0);
	assert_int_equal(rmdir(home), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_corpora), cmocka_unit_test(test_hello), cmocka_unit_test(test_invitation), cmocka_unit_test(test_settings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
