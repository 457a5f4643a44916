/* Story: a village, its neighbour, their township and the county, and what people do there.
 * Group `aid` has one column; all levels own everything unless a story says otherwise. */
#ifndef STORY_H
#define STORY_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/rule.h"

#define AID 1u
#define NGROUPS 2u

struct place {
	uint64_t unit;
	struct row *row;
	uint64_t tick;
	uint32_t epoch;
};

extern const char *const story_names[NGROUPS];
extern const struct cell zero;
extern struct arena arena;
extern struct place the_county, the_town, the_village, the_neighbour;
extern enum mode aid[LEVELS], create[LEVELS], delete[LEVELS];
extern bool newer_list, locked, checked, healing;
extern struct verdict last;

int story_begin(void **state);
int story_end(void **state);

const struct value *inserts(struct place *at);
const struct value *deletes(struct place *at);
const struct value *moves(struct place *at, uint64_t unit, enum kind kind);
const struct value *pays(struct place *at, int64_t sum, enum kind kind);
/* v comes to `at`, from a child or not, and `at` does what its verdict says; the ruling, where it ruled. */
const struct value *comes_from(bool below, struct place *at, const struct value *v, bool state);
const struct value *comes(struct place *at, const struct value *v, bool state);
int64_t amount(const struct place *at);
const struct value *everybody_has_a_row(void);   /* the village's, known to all */

#define EXPECT(number, verdict, reason, losers) do { \
	assert_string_equal(verdict_text(last.name), verdict); \
	assert_string_equal(why_text(last.why), reason); \
	assert_int_equal(last.rule, number); \
	assert_int_equal(last.nlosers, losers); \
} while (0)

#define STORY(name) cmocka_unit_test_setup_teardown(name, story_begin, story_end)

#endif
