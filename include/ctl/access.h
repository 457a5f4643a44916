/* Access: whether the daemon's user can use a database that belongs to an application, and the commands that let it. */
#ifndef CTL_ACCESS_H
#define CTL_ACCESS_H

#include "ctl/ctl.h"

/* {user, ok, why, commands: [...], drop_in}; why: the first thing that is in the way, or null.  The user is `terrace`
 * where there is one, else the one who asks. */
int access_look(const char *database, json_t **ret, struct err *err);
/* The commands and the drop-in, for people; nothing where all is well. */
void access_say(struct ctl *c, const json_t *access);

#endif
