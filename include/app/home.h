/* Home: makes what a node's folder holds; terracectl's init and join use it.
 *
 *   terraced.conf          written with the values given
 *   identity/ (0700)       sign.seed (64 hexadecimal digits), tls.key, chain.pem; at a root recovery.seed, to be
 *                          carried away
 *   spool/ (0700), lock    control.sock while a daemon runs
 *
 * Nothing that exists is written over; a step that was cut off is done again by the same call.  As root the home is
 * handed to the user `terrace` where there is one. */
#ifndef APP_HOME_H
#define APP_HOME_H

#include "core/backup.h"
#include "core/enroll.h"
#include "core/sign.h"
#include "base/clock.h"

#define HOME_IDENTITY "identity"
#define HOME_SEED     "sign.seed"
#define HOME_KEY      "tls.key"
#define HOME_CHAIN    "chain.pem"
#define HOME_RECOVERY "recovery.seed"
#define HOME_SPOOL    "spool"
#define HOME_LOCK     "lock"
#define HOME_CONTROL  "control.sock"
#define HOME_USER     "terrace"
#define ROOT_YEARS    20

struct home_options {
	const char *home;
	uint64_t unit;
	const char *name, *line;
	bool root;                       /* signs itself, makes the recovery key */
	const char *listen, *console, *database;         /* NULL = left out of the conf file, or its default */
	const char *const *urls;         /* NULL-terminated; NULL = none */
	struct source source;
};

/* ERR_REFUSED where the home has a terraced.conf of another unit, or, with root, a certificate already. */
int home_init(const struct home_options *o, struct err *err);

struct home_joined {
	bool kept_upstream;              /* terraced.conf had an upstream block already: compare its addresses */
	uint64_t parent;                 /* UNIT_NONE: a request was written */
};

/* Enrolment by stick: with `request` the home and its keys are made and the request is written there; with `answer` the
 * chain that the parent's `invite --answer` wrote is read from there.  One of them, the other NULL. */
struct home_stick {
	const char *request, *answer;
};

/* Makes the home where there is none (unit, name and line are the invitation's), asks the parent, stores the chain and
 * adds the upstream block.  stick: NULL = by the line.  database: for a new home, may be NULL.  ERR_BUSY while a daemon runs on it. */
int home_join(const char *home, const struct invitation *i, const struct home_stick *stick, const char *database,
              const char *listen, const char *const *urls, struct home_joined *ret, struct err *err);

/* New keys for a root, whose own were lost or are to be replaced: a top certificate in the place of the one in chain.pem, with
 * an anchor by the recovery key in the file.  The folder identity is exchanged whole; the one before is kept beside it, as
 * identity.before.  ERR_BUSY while a daemon runs on it. */
int home_anchor(const char *home, const char *recovery, const struct source *source, struct err *err);

/* HOME/lock for the life of a daemon or of a change to the home; ERR_BUSY names who should be asked. */
int home_lock(const char *home, int *ret_fd, struct err *err);

/* What a backup takes along of a home: terraced.conf and the identity's files but the recovery key, which is not to be
 * on this machine.  Put back with the modes they need, as the home's owner's; each that stands is kept aside under `aside`,
 * a suffix. */
#define HOME_FILES 4u
int home_pack(const char *home, struct buf *ret, struct err *err);
int home_unpack(const char *home, const struct backup_file *files, uint32_t n, const char *aside, struct err *err);
/* Only terraced.conf, where the home has none; makes the folders. */
int home_unpack_conf(const char *home, const struct backup_file *files, uint32_t n, struct err *err);

/* Parts of the identity folder, permissions checked. */
int identity_seed_read(const char *folder, struct sign_key *ret, struct err *err);
int identity_seed_read_file(const char *path, struct sign_key *ret, struct err *err);    /* another such file; anybody's mode */
int identity_key_read(const char *folder, struct buf *ret_pem, struct err *err);

#endif
