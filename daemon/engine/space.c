/* Space: soft and hard mark of the disk, and the reserve. */
#include "engine/space.h"

#include <sys/statvfs.h>

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "engine/self.h"

#define SAY_MS 60000

uint64_t space_free_mb(const char *path)
{
	struct statvfs v;

	return statvfs(path, &v) == 0 ? (uint64_t)v.f_bavail * v.f_frsize >> 20 : 0;
}

static bool below(uint64_t free_mb, uint32_t mark, bool was)
{
	return mark != 0 && free_mb < (was ? mark + mark / 4u + 1 : mark);
}

enum space space_state(uint64_t free_mb, uint32_t soft_mb, uint32_t hard_mb, enum space was)
{
	if (below(free_mb, hard_mb, was == SPACE_HARD))
		return SPACE_HARD;
	return below(free_mb, soft_mb, was != SPACE_GOOD) ? SPACE_SOFT : SPACE_GOOD;
}

const char *space_name(enum space s)
{
	return s == SPACE_HARD ? "hard" : s == SPACE_SOFT ? "soft" : "good";
}

enum space engine_space(struct engine *e)
{
	return e->space;
}

/* ---- the reserve: blocks that are ours before the disk is full */

static char *reserve_path(const struct engine *e)
{
	return text_printf("%s" SPACE_SUFFIX, e->options.database);
}

static void reserve_make(struct engine *e)
{
	_cleanup_(free_pointer) char *path = reserve_path(e);

	e->reserved = path != NULL && file_reserve(path, SPACE_RESERVE);
}

static void reserve_give_back(struct engine *e)
{
	_cleanup_(free_pointer) char *path = reserve_path(e);

	if (e->reserved && path != NULL)
		file_remove(path, NULL);
	e->reserved = false;
}

/* What the write-ahead log holds goes into the file, and its room is the disk's again; nobody is waited for. */
static void shrink(struct engine *e)
{
	sqlite3_busy_timeout(e->db->sql, 0);
	sqlite3_wal_checkpoint_v2(e->db->sql, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	sqlite3_busy_timeout(e->db->sql, DB_BUSY_MS);
}

static void say(struct engine *e, uint64_t free_mb)
{
	int64_t now = steady_ms(e);

	if (e->space == e->space_said || (e->space_said_ms != 0 && now - e->space_said_ms < SAY_MS))
		return;
	e->space_said = e->space;
	e->space_said_ms = now;
	if (e->space == SPACE_HARD)
		event(e, LOG_LEVEL_ERROR, "alarm", UNIT_NONE, NULL, "the disk is nearly full (%llu MB are free): nothing is sealed or taken until "
		      "there is room; what the application writes waits in its log. Make room", (unsigned long long)free_mb);
	else if (e->space == SPACE_SOFT)
		event(e, LOG_LEVEL_WARNING, "alarm", UNIT_NONE, NULL, "the disk fills (%llu MB are free): segments of subordinates are refused "
		      "until there is room. Make room", (unsigned long long)free_mb);
	else
		event(e, LOG_LEVEL_NOTICE, "alarm", UNIT_NONE, NULL, "the disk has room again (%llu MB are free)", (unsigned long long)free_mb);
}

int64_t space_look(struct engine *e)
{
	uint32_t soft = e->options.space_soft_mb, hard = e->options.space_hard_mb;
	int64_t now = steady_ms(e);
	uint64_t free_mb;

	if (soft == 0 && hard == 0)
		return SPACE_LOOK_MS;
	if (now < e->next_space_ms && !e->db->full)
		return e->next_space_ms - now;
	e->next_space_ms = now + SPACE_LOOK_MS;
	free_mb = space_free_mb(e->options.database);
	e->space = space_state(free_mb, soft, hard, e->space);
	if (e->db->full) {
		e->space = SPACE_HARD;
		reserve_give_back(e);
		e->db->full = false;
	}
	if (e->space == SPACE_HARD)
		shrink(e);
	else if (e->space == SPACE_GOOD && !e->reserved)
		reserve_make(e);
	say(e, free_mb);
	return SPACE_LOOK_MS;
}
