/* Access: owner, group and mode of a database, its folder and its journals, as the daemon's user meets them. */
#include "ctl/access.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/home.h"
#include "base/text.h"

#define GROUPS 64
#define OURS   "/var/lib/terrace/"       /* what the unit files let the daemon write */

struct who {
	char name[64];
	uid_t uid;
	gid_t groups[GROUPS];
	int ngroups;
};

static void who_find(struct who *w)
{
	struct passwd pw, *found = NULL;
	char text[1024];

	*w = (struct who){ .uid = geteuid(), .ngroups = GROUPS };
	if (getpwnam_r(HOME_USER, &pw, text, sizeof(text), &found) != 0 || !found)
		if (getpwuid_r(w->uid, &pw, text, sizeof(text), &found) != 0)
			found = NULL;
	if (!found) {
		snprintf(w->name, sizeof(w->name), "uid %u", (unsigned int)w->uid);
		w->ngroups = 0;
		return;
	}
	snprintf(w->name, sizeof(w->name), "%s", found->pw_name);
	w->uid = found->pw_uid;
	if (getgrouplist(found->pw_name, found->pw_gid, w->groups, &w->ngroups) < 0)
		w->ngroups = GROUPS;
}

static bool may(const struct who *w, const struct stat *st, unsigned int bits)
{
	unsigned int shift = 0;

	if (w->uid == 0)
		return true;
	for (int i = 0; i < w->ngroups; i++)
		if (w->groups[i] == st->st_gid)
			shift = 3;
	if (w->uid == st->st_uid)
		shift = 6;
	return ((st->st_mode >> shift) & bits) == bits;
}

static const char *group_name(gid_t gid, char ret[64])
{
	struct group gr, *found = NULL;
	char text[4096];

	snprintf(ret, 64, "%u", (unsigned int)gid);
	if (getgrgid_r(gid, &gr, text, sizeof(text), &found) == 0 && found)
		snprintf(ret, 64, "%s", found->gr_name);
	return ret;
}

/* The first thing in the way, owned by the caller; NULL where all is well. */
static char *in_the_way(const struct who *w, const char *database, const char *folder)
{
	static const char *const ends[] = { "", "-wal", "-shm", "-journal" };
	struct stat st;

	if (stat(folder, &st))
		return text_printf("%s: %s", folder, strerror(errno));
	if (!may(w, &st, 07))
		return text_printf("%s cannot make journal files in %s (owner %u, group %u, mode %04o)", w->name, folder,
		                   (unsigned int)st.st_uid, (unsigned int)st.st_gid, (unsigned int)st.st_mode & 07777u);
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		_cleanup_(free_pointer) char *path = text_printf("%s%s", database, ends[i]);
		if (path && !stat(path, &st) && !may(w, &st, 06))
			return text_printf("%s cannot read and write %s (owner %u, group %u, mode %04o)", w->name, path,
			                   (unsigned int)st.st_uid, (unsigned int)st.st_gid, (unsigned int)st.st_mode & 07777u);
	}
	return NULL;
}

/* In single quotes for a shell. */
static char *quoted(const char *path)
{
	_cleanup_(buf_release) struct buf b = { 0 };

	buf_put_u8(&b, '\'');
	for (const char *p = path; *p; p++)
		if (*p == '\'')
			buf_printf(&b, "'\\''");
		else
			buf_put_u8(&b, (uint8_t)*p);
	buf_put_u8(&b, '\'');
	return b.failed ? NULL : strdup(buf_text(&b));
}

/* Who shares the file's group can make journals that the application can open, and the other way round. */
static json_t *commands(const struct who *w, const char *database, const char *folder)
{
	_cleanup_(free_pointer) char *file = quoted(database), *in = quoted(folder), *first = NULL, *second = NULL;
	json_t *list = json_array();
	struct stat st;
	char group[64];

	if (!file || !in)
		return list;
	if (stat(database, &st) == 0 && st.st_gid != 0)
		first = text_printf("usermod -aG %s %s && chgrp %s %s", group_name(st.st_gid, group), w->name, group, in);
	else
		first = text_printf("chgrp %s %s %s*", w->name, in, file);
	second = text_printf("chmod g+rwxs %s && chmod g+rw %s*", in, file);
	if (first)
		json_array_append_new(list, json_string(first));
	if (second)
		json_array_append_new(list, json_string(second));
	return list;
}

/* Under the home of who owns the folder: the unit files hide such. */
static bool in_a_home(const char *folder)
{
	struct passwd pw, *found = NULL;
	char text[1024];
	struct stat st;

	if (stat(folder, &st) || getpwuid_r(st.st_uid, &pw, text, sizeof(text), &found) != 0 || !found)
		return false;
	size_t n = strlen(found->pw_dir);
	return n > 1 && !strncmp(folder, found->pw_dir, n) && (folder[n] == '/' || folder[n] == '\0');
}

int access_look(const char *database, json_t **ret, struct err *err)
{
	const char *slash = strrchr(database, '/');
	_cleanup_(free_pointer) char *why = NULL, *drop_in = NULL;
	_cleanup_(free_pointer) char *folder = slash ? strndup(database, slash > database ? (size_t)(slash - database) : 1) : strdup(".");
	struct who w;

	if (!folder)
		return err_set(err, ERR_NOMEM, "out of memory");
	who_find(&w);
	why = in_the_way(&w, database, folder);
	if (strncmp(folder, OURS, strlen(OURS)) && strcmp(w.name, HOME_USER) == 0)
		drop_in = text_printf("[Service]\nReadWritePaths=%s\n%s", folder, in_a_home(folder) ? "ProtectHome=no\n" : "");
	*ret = json_pack("{s:s, s:b, s:s?, s:o, s:s?}", "user", w.name, "ok", why == NULL, "why", why, "commands",
	                 why ? commands(&w, database, folder) : json_array(), "drop_in", drop_in);
	return *ret ? 0 : err_set(err, ERR_NOMEM, "out of memory");
}

void access_say(struct ctl *c, const json_t *access)
{
	const char *why = json_string_value(json_object_get(access, "why")), *drop_in = json_string_value(json_object_get(access, "drop_in"));
	size_t i;
	json_t *one;

	if (why)
		ctl_say(c, "%s.  As root:", "%s。请以 root 执行：", why);
	json_array_foreach(json_object_get(access, "commands"), i, one)
		ctl_say(c, "  %s", "  %s", json_string_value(one));
	if (drop_in)
		ctl_say(c, "The service needs a drop-in, /etc/systemd/system/terraced%s.service.d/database.conf:\n%s",
		        "服务需要附加配置 /etc/systemd/system/terraced%s.service.d/database.conf：\n%s", strcmp(c->home, CTL_HOME) ? "@" : "",
		        drop_in);
}
