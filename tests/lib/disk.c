/* Disk: see disk.h.  What is durable of a file is kept in memory, what was written since as a map of sectors. */
#include "disk.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/file.h"

#define SECTOR 512
#define FILES 8                          /* database, journal, write-ahead log, and what may come */

struct kept {                            /* one file of the victim */
	char path[160];
	struct buf durable;
	bool exists;                     /* on the disk */
	uint8_t *dirty;                  /* a byte a sector, written since the last sync */
	size_t sectors;
};

struct opened {
	sqlite3_file base;
	struct kept *kept;               /* NULL: not the victim's */
	sqlite3_file *real;              /* behind this struct */
};

static sqlite3_vfs *system_vfs;
static char victim[160];
static struct kept files[FILES];
static uint32_t count, strike, lasts;
static enum disk_fault kind;
static bool struck;

/* ---- the count */

static bool dead(const struct kept *k)
{
	return k != NULL && struck && kind == DISK_DIES;
}

/* One call that can be torn: SQLITE_OK, or the error that it meets. */
static int step(const struct kept *k)
{
	if (k == NULL)
		return SQLITE_OK;
	if (dead(k))
		return SQLITE_IOERR;
	count++;
	if (strike == 0 || count < strike || count >= strike + lasts)
		return SQLITE_OK;
	struck = true;
	return kind == DISK_FULL ? SQLITE_FULL : SQLITE_IOERR_WRITE;
}

static struct kept *kept_of(const char *path)
{
	if (path == NULL || victim[0] == '\0' || strncmp(path, victim, strlen(victim)) != 0 || strstr(path, "-shm") != NULL)
		return NULL;
	for (size_t i = 0; i < FILES; i++) {
		if (files[i].path[0] == '\0')
			snprintf(files[i].path, sizeof files[i].path, "%s", path);
		if (strcmp(files[i].path, path) == 0)
			return &files[i];
	}
	fprintf(stderr, "disk: more than %d files of %s\n", FILES, victim);
	abort();
}

static void mark(struct kept *k, uint64_t at, uint64_t n)
{
	size_t last = (size_t)((at + n + SECTOR - 1) / SECTOR);

	if (last > k->sectors) {
		uint8_t *more = realloc(k->dirty, last);

		if (more == NULL)
			abort();
		memset(more + k->sectors, 0, last - k->sectors);
		k->dirty = more;
		k->sectors = last;
	}
	for (size_t i = (size_t)(at / SECTOR); i < last; i++)
		k->dirty[i] = 1;
}

/* The disk now holds what the file is. */
static void settle(struct kept *k)
{
	struct err err;

	buf_clear(&k->durable);
	k->exists = file_exists(k->path);
	if (k->exists && file_read(k->path, 1u << 30, &k->durable, &err) != 0)
		abort();
	if (k->sectors > 0)
		memset(k->dirty, 0, k->sectors);
}

/* ---- an open file */

#define REAL(f) (((struct opened *)(f))->real)
#define KEPT(f) (((struct opened *)(f))->kept)

static int f_close(sqlite3_file *f)
{
	return REAL(f)->pMethods->xClose(REAL(f));
}

static int f_read(sqlite3_file *f, void *p, int n, sqlite3_int64 at)
{
	return dead(KEPT(f)) ? SQLITE_IOERR_READ : REAL(f)->pMethods->xRead(REAL(f), p, n, at);
}

static int f_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
	int rc = step(KEPT(f));

	if (rc == SQLITE_OK && KEPT(f) != NULL)
		mark(KEPT(f), (uint64_t)at, (uint64_t)n);
	return rc != SQLITE_OK ? rc : REAL(f)->pMethods->xWrite(REAL(f), p, n, at);
}

static int f_truncate(sqlite3_file *f, sqlite3_int64 size)
{
	int rc = step(KEPT(f));

	return rc != SQLITE_OK ? rc : REAL(f)->pMethods->xTruncate(REAL(f), size);
}

static int f_sync(sqlite3_file *f, int flags)
{
	int rc = step(KEPT(f));

	if (rc != SQLITE_OK)
		return rc;
	(void)flags;
	if (KEPT(f) != NULL)
		settle(KEPT(f));
	return SQLITE_OK;
}

static int f_size(sqlite3_file *f, sqlite3_int64 *ret)
{
	return dead(KEPT(f)) ? SQLITE_IOERR_FSTAT : REAL(f)->pMethods->xFileSize(REAL(f), ret);
}

static int f_lock(sqlite3_file *f, int level)
{
	return REAL(f)->pMethods->xLock(REAL(f), level);
}

static int f_unlock(sqlite3_file *f, int level)
{
	return REAL(f)->pMethods->xUnlock(REAL(f), level);
}

static int f_reserved(sqlite3_file *f, int *ret)
{
	return REAL(f)->pMethods->xCheckReservedLock(REAL(f), ret);
}

static int f_control(sqlite3_file *f, int op, void *arg)
{
	return REAL(f)->pMethods->xFileControl(REAL(f), op, arg);
}

static int f_sector(sqlite3_file *f)
{
	(void)f;
	return SECTOR;
}

/* None: a power cut may leave any sectors of a write. */
static int f_characteristics(sqlite3_file *f)
{
	(void)f;
	return 0;
}

static int f_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **ret)
{
	return REAL(f)->pMethods->xShmMap(REAL(f), page, size, extend, ret);
}

static int f_shm_lock(sqlite3_file *f, int at, int n, int flags)
{
	return REAL(f)->pMethods->xShmLock(REAL(f), at, n, flags);
}

static void f_shm_barrier(sqlite3_file *f)
{
	REAL(f)->pMethods->xShmBarrier(REAL(f));
}

static int f_shm_unmap(sqlite3_file *f, int remove)
{
	return REAL(f)->pMethods->xShmUnmap(REAL(f), remove);
}

static const sqlite3_io_methods methods = {
	2, f_close, f_read, f_write, f_truncate, f_sync, f_size, f_lock, f_unlock, f_reserved, f_control, f_sector,
	f_characteristics, f_shm_map, f_shm_lock, f_shm_barrier, f_shm_unmap, NULL, NULL,
};

/* ---- the VFS */

static int v_open(sqlite3_vfs *v, const char *path, sqlite3_file *f, int flags, int *ret_flags)
{
	struct opened *o = (struct opened *)f;
	int rc;

	(void)v;
	o->base.pMethods = NULL;
	o->real = (sqlite3_file *)(o + 1);
	o->kept = kept_of(path);
	if (dead(o->kept))
		return SQLITE_CANTOPEN;
	rc = system_vfs->xOpen(system_vfs, path, o->real, flags, ret_flags);
	if (o->real->pMethods != NULL)
		o->base.pMethods = &methods;
	return rc;
}

/* A name that goes with its folder's sync is gone from the disk; without, a power cut may bring it back. */
static int v_delete(sqlite3_vfs *v, const char *path, int sync)
{
	struct kept *k = kept_of(path);
	int rc = step(k);

	(void)v;
	if (rc != SQLITE_OK)
		return rc;
	rc = system_vfs->xDelete(system_vfs, path, sync);
	if (rc == SQLITE_OK && k != NULL && sync)
		settle(k);
	return rc;
}

void disk_start(void)
{
	static sqlite3_vfs disk;

	system_vfs = sqlite3_vfs_find(NULL);
	disk = *system_vfs;
	disk.zName = "disk";
	disk.szOsFile = (int)sizeof(struct opened) + system_vfs->szOsFile;
	disk.xOpen = v_open;
	disk.xDelete = v_delete;
	sqlite3_vfs_register(&disk, 1);
}

void disk_arm(const char *path, uint32_t at, enum disk_fault fault)
{
	static const char *const parts[] = { "", "-wal", "-journal" };

	for (size_t i = 0; i < FILES; i++) {
		buf_release(&files[i].durable);
		free(files[i].dirty);
		files[i] = (struct kept){ 0 };
	}
	snprintf(victim, sizeof victim, "%s", path);
	count = 0;
	strike = at;
	lasts = 1;
	kind = fault;
	struck = false;
	for (size_t i = 0; i < 3; i++) {
		char name[180];

		snprintf(name, sizeof name, "%s%s", path, parts[i]);
		settle(kept_of(name));
	}
}

void disk_refuse(uint32_t times)
{
	lasts = times;
}

void disk_mend(void)
{
	strike = 0;
}

void disk_rest(void)
{
	victim[0] = '\0';
	strike = 0;
	struck = false;
}

uint32_t disk_count(void)
{
	return count;
}

bool disk_struck(void)
{
	return struck;
}

/* ---- after the power cut */

static uint64_t draw(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return *state >> 33;
}

bool disk_put(const char *path, struct slice content)
{
	FILE *f = fopen(path, "wb");
	bool ok = f != NULL && fwrite(content.p, 1, content.n, f) == content.n;

	return f != NULL && fclose(f) == 0 && ok;
}

/* Any sectors of what was written since the last sync reached the disk: all, none, or each by chance. */
static bool cut(struct kept *k, uint64_t *seed)
{
	_cleanup_(buf_release) struct buf now = { 0 }, left = { 0 };
	uint64_t how = draw(seed) % 3;
	bool there = file_exists(k->path);
	struct err err;

	if (there && file_read(k->path, 1u << 30, &now, &err) != 0)
		return false;
	if (!there && (!k->exists || how == 1)) {        /* a deleted name: gone, or back */
		unlink(k->path);
		return true;
	}
	buf_put(&left, k->durable.p, k->durable.n);
	for (size_t i = 0; there && i < k->sectors; i++) {
		size_t at = i * SECTOR, n = at < now.n ? MIN((size_t)SECTOR, now.n - at) : 0;

		if (!k->dirty[i] || n == 0 || how == 0 || (how == 2 && draw(seed) % 2 == 0))
			continue;
		while (left.n < at + n)
			buf_put_u8(&left, 0);
		memcpy(left.p + at, now.p + at, n);
	}
	if (!k->exists && left.n == 0 && how != 1) {
		unlink(k->path);
		return true;
	}
	if (there && how == 1)
		return true;             /* all of it, its length too */
	return disk_put(k->path, buf_slice(&left));
}

bool disk_power_cut(uint64_t seed)
{
	char shm[180];
	bool ok = true;

	for (size_t i = 0; i < FILES && ok; i++)
		ok = files[i].path[0] == '\0' || cut(&files[i], &seed);
	snprintf(shm, sizeof shm, "%s-shm", victim);
	unlink(shm);
	victim[0] = '\0';
	struck = false;
	return ok;
}
