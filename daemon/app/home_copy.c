/* Home: what a backup takes along of it, and putting it back. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/home.h"
#include "app/settings.h"
#include "base/file.h"
#include "base/text.h"
#include "core/limits.h"

#define FILE_MOST (256u << 10)

static const struct {
	const char *name;
	bool identity;                   /* in its folder */
	mode_t mode;
} parts[HOME_FILES] = {
	{ SETTINGS_FILE, false, 0640 },
	{ HOME_SEED, true, 0600 },
	{ HOME_KEY, true, 0600 },
	{ HOME_CHAIN, true, 0644 },
};

static char *path_of(const char *home, size_t part)
{
	return parts[part].identity ? text_printf("%s/%s/%s", home, HOME_IDENTITY, parts[part].name) :
	                              text_printf("%s/%s", home, parts[part].name);
}

static void files_release(struct buf (*contents)[HOME_FILES])
{
	for (size_t i = 0; i < HOME_FILES; i++) {
		if ((*contents)[i].p)
			bytes_wipe((*contents)[i].p, (*contents)[i].room);
		buf_release(&(*contents)[i]);
	}
}

int home_pack(const char *home, struct buf *ret, struct err *err)
{
	_cleanup_(files_release) struct buf contents[HOME_FILES] = { 0 };
	struct backup_file files[HOME_FILES];
	int r = 0;

	for (size_t i = 0; !r && i < HOME_FILES; i++) {
		_cleanup_(free_pointer) char *path = path_of(home, i);
		r = path ? file_read(path, FILE_MOST, &contents[i], err) : err_set(err, ERR_NOMEM, "home: out of memory");
		files[i] = (struct backup_file){ parts[i].name, buf_slice(&contents[i]) };
	}
	return r ? r : backup_files_put(files, HOME_FILES, ret, err);
}

static int find(const struct backup_file *files, uint32_t n, size_t part, struct slice *ret, struct err *err)
{
	for (uint32_t i = 0; i < n; i++)
		if (!strcmp(files[i].name, parts[part].name)) {
			*ret = files[i].content;
			return 0;
		}
	return err_set(err, ERR_DAMAGED, "the backup's identity lacks %s", parts[part].name);
}

/* As root the files are the home's owner's. */
static int write_part(const char *home, size_t part, struct slice content, const char *aside, struct err *err)
{
	_cleanup_(free_pointer) char *path = path_of(home, part), *kept = path ? text_printf("%s%s", path, aside ? aside : "") : NULL;
	struct stat st;
	int r;

	if (!path || !kept)
		return err_set(err, ERR_NOMEM, "home: out of memory");
	if (aside && rename(path, kept) && errno != ENOENT)
		return err_set(err, ERR_IO, "%s: cannot be kept as %s: %s", path, kept, strerror(errno));
	r = file_write(path, content, parts[part].mode, err);
	if (!r && geteuid() == 0 && (stat(home, &st) || lchown(path, st.st_uid, st.st_gid)))
		r = err_set(err, ERR_IO, "%s: cannot be given to the home's owner: %s", path, strerror(errno));
	return r;
}

int home_unpack(const char *home, const struct backup_file *files, uint32_t n, const char *aside, struct err *err)
{
	struct slice content[HOME_FILES];
	int r = 0;

	for (size_t i = 1; !r && i < HOME_FILES; i++)
		r = find(files, n, i, &content[i], err);
	for (size_t i = 1; !r && i < HOME_FILES; i++)
		r = write_part(home, i, content[i], aside, err);
	return r;
}

static int make_folder(const char *home, const char *name, struct err *err)
{
	_cleanup_(free_pointer) char *path = path_join(home, name);
	struct stat st;
	int r = path ? file_make_folder(path, 0700, err) : err_set(err, ERR_NOMEM, "home: out of memory");

	if (!r && geteuid() == 0 && (stat(home, &st) || lchown(path, st.st_uid, st.st_gid)))
		r = err_set(err, ERR_IO, "%s: cannot be given to the home's owner: %s", path, strerror(errno));
	return r;
}

int home_unpack_conf(const char *home, const struct backup_file *files, uint32_t n, struct err *err)
{
	struct slice content;
	int r = find(files, n, 0, &content, err);

	if (!r)
		r = make_folder(home, HOME_IDENTITY, err);
	if (!r)
		r = make_folder(home, HOME_SPOOL, err);
	return r ? r : write_part(home, 0, content, NULL, err);
}
