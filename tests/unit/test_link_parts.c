/* The parts of link/ by themselves: pauses, tries, spool, ledger, control socket. */
#include "link_fixture.c"

/* ---- small parts */

static void count_up(void *arg, void *p, size_t n)
{
	uint64_t *next = arg;

	memcpy(p, next, MIN(n, sizeof(*next)));
	(*next)++;
}

static void full(void *arg, void *p, size_t n)
{
	(void)arg;
	memset(p, 0xff, n);
}

static void test_backoff(void **state)
{
	uint64_t next = UINT64_C(123456789);
	struct source counting = { .random = count_up, .arg = &next }, random = source_system(), top = { .random = full };
	struct backoff a = { 0 }, b = { 0 };
	int64_t sum = 0;

	(void)state;
	for (int i = 0; i < 100; i++)
		assert_in_range(backoff_next(&a, &random), 0, BACKOFF_MOST_MS);
	for (int i = 0; i < 2000; i++) {
		backoff_reset(&b);
		int64_t first = backoff_next(&b, &random);
		assert_in_range(first, 0, BACKOFF_LEAST_MS);
		sum += first;
	}
	assert_in_range(sum / 2000, BACKOFF_LEAST_MS / 2 - 300, BACKOFF_LEAST_MS / 2 + 300);
	backoff_reset(&a);
	backoff_reset(&b);
	int64_t x = backoff_next(&a, &counting);
	next--;
	assert_int_equal(x, backoff_next(&b, &counting));
	for (int i = 0; i < 64; i++)
		assert_in_range(backoff_next(&b, &top), 0, BACKOFF_MOST_MS);
}

static void test_tries(void **state)
{
	struct tries *t = calloc(1, sizeof(*t));
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x0a000001) }, b = a;

	(void)state;
	b.sin_addr.s_addr = htonl(0x0a000002);
	for (int i = 0; i < 5; i++)
		assert_true(tries_allow(t, (struct sockaddr *)&a, 1000 + i));
	assert_false(tries_allow(t, (struct sockaddr *)&a, 60000));
	assert_true(tries_allow(t, (struct sockaddr *)&b, 60000));
	assert_true(tries_allow(t, (struct sockaddr *)&a, 61000));
	free(t);
}

static void test_spool(void **state)
{
	struct spool_room room = { .folder = folder };
	struct spool s;
	struct slice all_of_it;
	uint8_t piece[1000];

	(void)state;
	spool_init(&s, &room);
	for (int i = 0; i < 3000; i++) {
		memset(piece, i & 0xff, sizeof(piece));
		assert_int_equal(spool_put(&s, piece, sizeof(piece), NULL), 0);
	}
	assert_true(s.fd >= 0 && room.used == 0);
	assert_int_equal(spool_slice(&s, &all_of_it, NULL), 0);
	assert_int_equal(all_of_it.n, 3000000);
	for (int i = 0; i < 3000; i++)
		assert_true(all_of_it.p[i * 1000 + 999] == (i & 0xff));
	spool_clear(&s);
	assert_int_equal(spool_put(&s, "x", 1, NULL), 0);
	assert_int_equal(spool_slice(&s, &all_of_it, NULL), 0);
	assert_true(all_of_it.n == 1 && room.used == 1);
	spool_release(&s);
	assert_true(room.used == 0);
	room.folder = "/no/such/folder";
	spool_init(&s, &room);
	assert_int_equal(spool_put(&s, piece, 1, NULL), 0);
	room.used = SPOOL_MEMORY_ALL;
	assert_int_equal(spool_put(&s, piece, 1, NULL), ERR_IO);
	spool_release(&s);
}

static int count_call(struct engine *e, void *arg, struct err *err)
{
	(void)e;
	(*(int *)arg)++;
	return *(int *)arg == 3 ? err_set(err, ERR_POLICY, "the third") : 0;
}

static int run_slow(struct engine *e, struct job *job, struct err *err)
{
	(void)job;
	(void)err;
	fake_sleep(e, 5);
	return 0;
}

static void drop_job(struct job *job)
{
	free(job);
}

static void test_ledger(void **state)
{
	_cleanup_(free_pointer) char *database = path_join(folder, "some.db");
	struct engine engine = { 0 };
	struct ledger *l;
	struct err e = { 0 };
	int calls = 0;

	(void)state;
	assert_int_equal(ledger_start(&engine, database, &l, &e), 0);
	for (int i = 0; i < 4; i++)
		ledger_call(l, count_call, &calls, 1000, &e);
	assert_int_equal(calls, 4);
	assert_int_equal(e.code, ERR_POLICY);
	usleep(150000);
	assert_int_equal(engine.hints, 0);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(file_write(database, slice_of("x"), 0600, &e), 0);
		usleep(30000);
	}
	assert_true(engine.hints >= 3);
	assert_true(fake_now() - ledger_alive(l) < 1500);
	struct job *job = calloc(1, sizeof(*job));
	job->run = run_slow;
	job->done = drop_job;
	engine.stop = false;
	for (int i = 0; i < 30; i++) {
		struct job *more = calloc(1, sizeof(*more));
		*more = *job;
		assert_int_equal(ledger_post(l, more), 0);
	}
	assert_int_equal(ledger_call(l, count_call, &calls, 20, &e), ERR_BUSY);
	assert_int_equal(calls, 4);
	ledger_stop(l);
	assert_int_equal(ledger_post(l, job), ERR_STOPPING);
	assert_int_equal(ledger_call(l, count_call, &calls, 20, &e), ERR_STOPPING);
	free(job);
	ledger_release(l);
	unlink(database);
}

/* A child that floods has its share and no more; whoever used less of the ledger's time comes first. */
static void test_queue(void **state)
{
	static struct queue q;
	struct job jobs[QUEUE_JOBS + 1] = { 0 };
	uint32_t at = 0, of_town = 0;

	(void)state;
	q = (struct queue){ 0 };
	assert_null(queue_take(&q));
	for (; at < QUEUE_SHARE; at++) {
		jobs[at].from = TOWN;
		assert_int_equal(queue_put(&q, &jobs[at]), 0);
	}
	jobs[at].from = TOWN;
	assert_int_equal(queue_put(&q, &jobs[at]), ERR_BUSY);
	jobs[at].from = TOWN_2;
	assert_int_equal(queue_put(&q, &jobs[at]), 0);
	assert_ptr_equal(queue_take(&q), &jobs[0]);
	queue_charge(&q, TOWN, 50000);
	assert_ptr_equal(queue_take(&q), &jobs[at]);     /* not the fifteen before it */
	queue_charge(&q, TOWN_2, 10);
	jobs[at].from = TOWN_2;
	for (int i = 0; i < 100; i++) {                  /* small jobs pass while the large ones are paid for */
		assert_int_equal(queue_put(&q, &jobs[at]), 0);
		struct job *next = queue_take(&q);
		queue_charge(&q, next->from, next->from == TOWN ? 50000 : 1000);
		of_town += next->from == TOWN;
		if (next->from == TOWN)
			assert_true(queue_remove(&q, &jobs[at]));
	}
	assert_true(of_town >= 1 && of_town <= 3);
	assert_false(queue_remove(&q, &jobs[at]));
	while (queue_take(&q))
		;
	/* Who rested begins where the others are: no credit for a night. */
	jobs[0].from = VILLAGE;
	jobs[1].from = TOWN;
	assert_int_equal(queue_put(&q, &jobs[0]), 0);
	assert_int_equal(queue_put(&q, &jobs[1]), 0);
	while (queue_take(&q))
		;
	/* Many children fill the queue but for the node's own part. */
	for (at = 0; at < QUEUE_JOBS - QUEUE_OWN; at++) {
		jobs[at].from = TOWN + at / 2;
		assert_int_equal(queue_put(&q, &jobs[at]), 0);
	}
	jobs[at].from = COUNTY;
	assert_int_equal(queue_put(&q, &jobs[at]), ERR_BUSY);
	for (; at < QUEUE_JOBS; at++) {
		jobs[at].from = SOURCE_OWN;
		assert_int_equal(queue_put(&q, &jobs[at]), 0);
	}
	jobs[at].from = SOURCE_OWN;
	assert_int_equal(queue_put(&q, &jobs[at]), ERR_BUSY);
	for (at = 0; queue_take(&q); at++)
		;
	assert_int_equal(at, QUEUE_JOBS);
	for (uint64_t from = 0; from < 3 * QUEUE_SOURCES; from++) {      /* more sources than places, one after the other */
		jobs[0].from = COUNTY + from;
		assert_int_equal(queue_put(&q, &jobs[0]), 0);
		assert_ptr_equal(queue_take(&q), &jobs[0]);
		queue_charge(&q, jobs[0].from, 100);
	}
}

/* ---- control */

static int order(const char *path, const char *const *words, uint32_t n, int *ret_exit, json_t **ret)
{
	struct err e = { 0 };
	int r = control_ask(path, words, n, 10000, ret_exit, ret, &e);

	if (r)
		fail_msg("%s", e.text);
	return r;
}

static void test_control(void **state)
{
	_cleanup_(free_pointer) char *path = path_join(folder, "control.sock");
	struct control_options o = { .path = path, .source = source_system() };
	struct control *control;
	struct stat st;
	struct host h;
	struct err e = { 0 };
	json_t *j = NULL;
	int status;

	(void)state;
	assert_int_equal(control_ask(path, (const char *[]){ "status" }, 1, 1000, &status, &j, &e), ERR_NOT_RUNNING);
	host_start(&h, &county, 0);
	o.ledger = h.ledger;
	assert_int_equal(control_start(&o, &control, &e), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0660);
	order(path, (const char *[]){ "peers", "list" }, 2, &status, &j);
	assert_int_equal(status, 0);
	assert_int_equal(json_integer_value(json_object_get(j, "words")), 2);
	assert_true(strlen(json_string_value(json_object_get(j, "actor"))) > 0);
	json_release(&j);
	order(path, (const char *[]){ "refuse" }, 1, &status, &j);
	assert_int_equal(status, 4);
	assert_string_equal(json_string_value(json_object_get(j, "code")), "refused");
	json_release(&j);
	order(path, (const char *[]){ "find" }, 1, &status, &j);
	assert_int_equal(status, 1);
	assert_null(json_object_get(j, "exit"));
	json_release(&j);
	h.engine.syncs_left = 4;
	order(path, (const char *[]){ "sync", "--wait", "5" }, 3, &status, &j);
	assert_int_equal(status, 0);
	json_release(&j);
	h.engine.syncs_left = 1000;
	order(path, (const char *[]){ "sync", "--wait", "1" }, 3, &status, &j);
	assert_int_equal(status, 1);
	json_release(&j);
	ledger_stop(h.ledger);
	control_stop(control);
	host_stop(&h);
	assert_int_equal(access(path, F_OK), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_backoff),
		cmocka_unit_test(test_tries),
		cmocka_unit_test(test_spool),
		cmocka_unit_test(test_ledger),
		cmocka_unit_test(test_queue),
		cmocka_unit_test(test_control),
	};

	return cmocka_run_group_tests_name("link parts", tests, set_up, tear_down);
}
