/* The identity folder: read with its permissions checked. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/home.h"
#include "app/settings.h"
#include "base/file.h"
#include "base/text.h"
#include "core/limits.h"

static int check_private(const char *path, struct err *err)
{
	struct stat st;

	if (stat(path, &st))
		return err_set(err, ERR_NOT_FOUND, "%s: missing; make the home with terracectl init or join", path);
	if (st.st_mode & 077)
		return err_set(err, ERR_CONFIG, "%s: others may read it (mode %04o); chmod go-rwx it", path,
		               (unsigned int)st.st_mode & 07777u);
	if (geteuid() && st.st_uid != geteuid())
		return err_set(err, ERR_CONFIG, "%s: belongs to another user (uid %u)", path, (unsigned int)st.st_uid);
	return 0;
}

static int read_private(const char *folder, const char *name, size_t most, struct buf *ret, struct err *err)
{
	_cleanup_(free_pointer) char *path = path_join(folder, name);

	if (!path)
		return err_set(err, ERR_NOMEM, "identity: out of memory");
	int r = check_private(path, err);
	return r ? r : file_read(path, most, ret, err);
}

static int seed_of(const char *name, struct buf *text, struct sign_key *ret, struct err *err)
{
	uint8_t seed[SIGN_SEED_SIZE];
	struct slice hex = buf_slice(text);

	while (hex.n && (hex.p[hex.n - 1] == '\n' || hex.p[hex.n - 1] == '\r'))
		hex.n--;
	int r = hex_get(hex, seed, sizeof(seed)) ? err_set(err, ERR_DAMAGED, "%s: not 64 hexadecimal digits", name) : 0;
	if (!r)
		sign_key_from_seed(seed, ret);
	bytes_wipe(text->p, text->n);
	bytes_wipe(seed, sizeof(seed));
	return r;
}

int identity_seed_read(const char *folder, struct sign_key *ret, struct err *err)
{
	_cleanup_(free_pointer) char *path = path_join(folder, HOME_SEED);
	_cleanup_(buf_release) struct buf text = { 0 };
	int r = path ? read_private(folder, HOME_SEED, 256, &text, err) : err_set(err, ERR_NOMEM, "identity: out of memory");

	return r ? r : seed_of(path, &text, ret, err);
}

int identity_seed_read_file(const char *path, struct sign_key *ret, struct err *err)
{
	_cleanup_(buf_release) struct buf text = { 0 };
	int r = file_read(path, 256, &text, err);

	return r ? r : seed_of(path, &text, ret, err);
}

int identity_key_read(const char *folder, struct buf *ret_pem, struct err *err)
{
	return read_private(folder, HOME_KEY, LIMIT_CHAIN_BYTES, ret_pem, err);
}

/* The pin of a key: what a request made with it says. */
static int key_pin(const struct identity *i, struct digest *ret, struct err *err)
{
	_cleanup_(buf_release) struct buf request = { 0 };
	struct facts f = { 0 };
	int r = chain_request(buf_slice(&i->tls_key_pem), i->unit, i->line, "", i->sign.public_key, &request, err);

	if (!r)
		r = chain_request_read(buf_slice(&request), &f, err);
	if (!r)
		*ret = f.pin;
	return r;
}

static int check_together(const struct settings *s, const char *folder, const struct identity *i, struct err *err)
{
	char shown[UNIT_TEXT_SIZE], wanted[UNIT_TEXT_SIZE];
	const struct facts *leaf = &i->chain.at[0];
	struct digest pin;

	if (leaf->unit != s->unit || strcmp(leaf->line, s->line))
		return err_set(err, ERR_CONFIG, "%s/%s: the certificate is for %s, line \"%s\"; %s says %s, \"%s\"", folder, HOME_CHAIN,
		               unit_text(leaf->unit, shown), leaf->line, SETTINGS_FILE, unit_text(s->unit, wanted), s->line);
	if (memcmp(leaf->sign_public, i->sign.public_key, SIGN_PUBLIC_SIZE))
		return err_set(err, ERR_CONFIG, "%s: %s and %s do not belong together", folder, HOME_SEED, HOME_CHAIN);
	int r = key_pin(i, &pin, err);
	if (!r && !digest_equal(&pin, &leaf->pin))
		r = err_set(err, ERR_CONFIG, "%s: %s and %s do not belong together", folder, HOME_KEY, HOME_CHAIN);
	if (!r && i->chain.n > 1 && !s->has_upstream)
		r = err_set(err, ERR_CONFIG, "%s/%s: upstream is missing; %s has a parent, %s", s->home, SETTINGS_FILE,
		            unit_text(s->unit, shown), unit_text(i->chain.at[1].unit, wanted));
	return r;
}

int identity_read(const struct settings *s, struct identity *ret, struct err *err)
{
	_cleanup_(free_pointer) char *folder = path_join(s->home, HOME_IDENTITY), *chain = NULL;
	struct identity i = { .unit = s->unit };
	int r;

	if (!folder || !(chain = path_join(folder, HOME_CHAIN)))
		return err_set(err, ERR_NOMEM, "identity: out of memory");
	memcpy(i.line, s->line, sizeof(i.line));
	memcpy(i.name, s->name, sizeof(i.name));
	r = check_private(folder, err);
	if (!r)
		r = identity_seed_read(folder, &i.sign, err);
	if (!r)
		r = identity_key_read(folder, &i.tls_key_pem, err);
	if (!r && !file_exists(chain))
		r = err_set(err, ERR_CONFIG, "%s: no certificate yet; ask the superior unit for an invitation and give terracectl join",
		            s->home);
	if (!r)
		r = file_read(chain, LIMIT_CHAIN_BYTES, &i.chain_pem, err);
	if (!r && chain_read(buf_slice(&i.chain_pem), NULL, &i.chain, err))
		r = err_prefix(err, "%s: ", chain);
	if (!r)
		r = check_together(s, folder, &i, err);
	if (r) {
		identity_release(&i);
		return r;
	}
	i.parent = i.chain.n > 1 ? i.chain.at[1].unit : UNIT_NONE;
	*ret = i;
	return 0;
}

int identity_renew(const char *home, const struct identity *before, struct slice chain_pem, struct identity *ret,
                   struct err *err)
{
	_cleanup_(free_pointer) char *folder = path_join(home, HOME_IDENTITY), *path = NULL;
	struct identity i = *before;

	if (!folder || !(path = path_join(folder, HOME_CHAIN)))
		return err_set(err, ERR_NOMEM, "identity: out of memory");
	i.tls_key_pem = i.chain_pem = (struct buf){ 0 };
	buf_put(&i.tls_key_pem, before->tls_key_pem.p, before->tls_key_pem.n);
	buf_put(&i.chain_pem, chain_pem.p, chain_pem.n);
	int r = i.tls_key_pem.failed || i.chain_pem.failed ? err_set(err, ERR_NOMEM, "identity: out of memory") :
	        chain_read(chain_pem, NULL, &i.chain, err);
	if (!r)
		r = file_write(path, chain_pem, 0644, err);
	if (r) {
		identity_release(&i);
		return r;
	}
	i.parent = i.chain.n > 1 ? i.chain.at[1].unit : UNIT_NONE;
	*ret = i;
	return 0;
}
