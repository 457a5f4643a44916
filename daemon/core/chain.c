#include "core/chain.h"

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "core/limits.h"

#define URI_KEY "terrace:"
#define URI_RECOVERY "terrace-recovery:"
#define URI_FORMER "terrace-former:"
#define URI_ANCHOR "terrace-anchor:"
#define DOMAIN_ANCHOR "terrace anchor 1"
#define URI_MOST 128u
#define BASIC_CONSTRAINTS_CRITICAL 1
#define USAGE (GNUTLS_KEY_DIGITAL_SIGNATURE | GNUTLS_KEY_KEY_CERT_SIGN)
/* GnuTLS knows the machine's clock only; dates are chain_dates' matter. */
#define VERIFY_FLAGS (GNUTLS_VERIFY_DISABLE_TIME_CHECKS | GNUTLS_VERIFY_DISABLE_TRUSTED_TIME_CHECKS | \
                      GNUTLS_VERIFY_DISABLE_CRL_CHECKS | GNUTLS_VERIFY_DO_NOT_ALLOW_X509_V1_CA_CRT)

static int broken(struct err *err, const char *what, int code)
{
	return err_set(err, ERR_CHAIN, "certificate: %s: %s", what, gnutls_strerror(code));
}

static int making(struct err *err, const char *what, int code)
{
	int kind = code == GNUTLS_E_MEMORY_ERROR ? ERR_NOMEM : ERR_BUG;

	return err_set(err, kind, "certificate: cannot %s: %s", what, gnutls_strerror(code));
}

static gnutls_datum_t datum_of(struct slice s)
{
	gnutls_datum_t d;

	/* GnuTLS takes inputs without const and does not write to them. */
	memcpy(&d.data, &s.p, sizeof(d.data));
	d.size = (unsigned int)s.n;
	return d;
}

static void crt_release(gnutls_x509_crt_t *crt)
{
	if (*crt)
		gnutls_x509_crt_deinit(*crt);
}

static void crq_release(gnutls_x509_crq_t *crq)
{
	if (*crq)
		gnutls_x509_crq_deinit(*crq);
}

static void key_release(gnutls_x509_privkey_t *key)
{
	if (*key)
		gnutls_x509_privkey_deinit(*key);
}

static void pubkey_release(gnutls_pubkey_t *key)
{
	if (*key)
		gnutls_pubkey_deinit(*key);
}

/* ---- reading: certificates and requests say the same things by two sets of calls */

struct subject {
	gnutls_x509_crt_t crt;
	gnutls_x509_crq_t crq;           /* the one that is not NULL is read */
};

static int get_dn(const struct subject *s, const char *oid, unsigned int at, char *ret, size_t *n)
{
	return s->crt ? gnutls_x509_crt_get_dn_by_oid(s->crt, oid, at, 1, ret, n)
	              : gnutls_x509_crq_get_dn_by_oid(s->crq, oid, (int)at, 1, ret, n);
}

static int get_san(const struct subject *s, unsigned int at, char *ret, size_t *n)
{
	unsigned int critical, type;

	return s->crt ? gnutls_x509_crt_get_subject_alt_name(s->crt, at, ret, n, &critical)
	              : gnutls_x509_crq_get_subject_alt_name(s->crq, at, ret, n, &type, &critical);
}

/* One attribute of the subject as UTF-8, from its DER form (the text form is escaped): UTF8String or
 * PrintableString, short or one- or two-byte length.  Absent: "" and ret_n 0. */
static int read_dn(const struct subject *s, const char *oid, const char *what, char *ret, size_t size,
                   struct err *err)
{
	uint8_t raw[512];
	size_t n = sizeof(raw), second = 0;
	int code = get_dn(s, oid, 0, (char *)raw, &n);

	ret[0] = '\0';
	if (code == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
		return 0;
	if (code < 0)
		return broken(err, what, code);
	if (get_dn(s, oid, 1, NULL, &second) != GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
		return err_set(err, ERR_CHAIN, "certificate: more than one %s", what);
	struct reader r = reader_of((struct slice){ raw, n });
	uint8_t tag = read_u8(&r), length = read_u8(&r);
	size_t want = length;
	if (length == 0x81) {
		want = read_u8(&r);
	} else if (length == 0x82) {
		want = (size_t)read_u8(&r) << 8;
		want |= read_u8(&r);
	}
	struct slice text = read_bytes(&r, want);
	if (!reader_done(&r) || (tag != 0x0c && tag != 0x13) || (length > 0x82))
		return err_set(err, ERR_CHAIN, "certificate: %s is not plain text", what);
	if (text.n >= size || !utf8_valid(text))
		return err_set(err, ERR_CHAIN, "certificate: %s is longer than %zu bytes or not UTF-8", what, size - 1);
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] < ' ' || text.p[i] == 0x7f)
			return err_set(err, ERR_CHAIN, "certificate: control character in %s", what);
	memcpy(ret, text.p, text.n);
	ret[text.n] = '\0';
	return 0;
}

static int read_text(const char *text, uint8_t *ret, size_t size)
{
	size_t n = 0;

	return base64url_get(slice_of(text), ret, size, &n) == 0 && n == size ? 0 : -1;
}

static int read_key_text(const char *text, uint8_t ret[SIGN_PUBLIC_SIZE])
{
	return read_text(text, ret, SIGN_PUBLIC_SIZE);
}

/* One of an anchor's; false: it is none. */
static bool read_anchor(const char *uri, struct facts *f, uint8_t signature[SIGN_SIZE])
{
	uint8_t both[DIGEST_SIZE + SIGN_PUBLIC_SIZE];

	if (!strncmp(uri, URI_FORMER, strlen(URI_FORMER))) {
		if (f->nformer == CHAIN_FORMER || read_text(uri + strlen(URI_FORMER), both, sizeof(both)))
			return false;
		memcpy(f->former[f->nformer].pin.at, both, DIGEST_SIZE);
		memcpy(f->former[f->nformer++].sign_public, both + DIGEST_SIZE, SIGN_PUBLIC_SIZE);
		return true;
	}
	if (f->anchored || strncmp(uri, URI_ANCHOR, strlen(URI_ANCHOR)) || read_text(uri + strlen(URI_ANCHOR), signature, SIGN_SIZE))
		return false;
	f->anchored = true;
	return true;
}

/* What the recovery key signs. */
static void put_anchor(const struct facts *f, struct buf *b)
{
	buf_put_varint(b, f->unit);
	buf_put_text(b, f->line);
	buf_put(b, f->pin.at, DIGEST_SIZE);
	buf_put(b, f->sign_public, SIGN_PUBLIC_SIZE);
	buf_put(b, f->recovery_public, SIGN_PUBLIC_SIZE);
	buf_put_varint(b, f->nformer);
	for (uint32_t i = 0; i < f->nformer; i++) {
		buf_put(b, f->former[i].pin.at, DIGEST_SIZE);
		buf_put(b, f->former[i].sign_public, SIGN_PUBLIC_SIZE);
	}
}

/* With the pin known: the anchor is whole and signed, or there is none. */
static int check_anchor(const struct facts *f, const uint8_t signature[SIGN_SIZE], struct err *err)
{
	_cleanup_(buf_release) struct buf b = { 0 };
	char unit[UNIT_TEXT_SIZE];

	if (!f->anchored && f->nformer == 0)
		return 0;
	put_anchor(f, &b);
	if (b.failed)
		return err_set(err, ERR_NOMEM, "certificate: out of memory");
	if (!f->anchored || f->nformer == 0 || !f->has_recovery ||
	    !sign_check(f->recovery_public, DOMAIN_ANCHOR, buf_slice(&b), signature))
		return err_set(err, ERR_CHAIN, "certificate of %s: its anchor is not signed by its recovery key", unit_text(f->unit, unit));
	return 0;
}

/* The SAN URIs: exactly one with the unit and its signing key, at most one with the recovery key, an anchor's, no other. */
static int read_uris(const struct subject *s, struct facts *f, uint8_t signature[SIGN_SIZE], struct err *err)
{
	char uri[URI_MOST], want[sizeof(URI_KEY) + UNIT_TEXT_SIZE + 1], unit[UNIT_TEXT_SIZE];
	bool has_key = false;

	snprintf(want, sizeof(want), URI_KEY "%s:", unit_text(f->unit, unit));
	for (unsigned int i = 0;; i++) {
		size_t n = sizeof(uri) - 1;
		int type = get_san(s, i, uri, &n);
		if (type == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
			break;
		if (type != GNUTLS_SAN_URI || n >= sizeof(uri))
			return err_set(err, ERR_CHAIN, "certificate of %s: alternative name %u is not one of Terrace's", unit, i + 1);
		uri[n] = '\0';
		if (!has_key && !strncmp(uri, want, strlen(want)) && !read_key_text(uri + strlen(want), f->sign_public))
			has_key = true;
		else if (!f->has_recovery && !strncmp(uri, URI_RECOVERY, strlen(URI_RECOVERY)) &&
		         !read_key_text(uri + strlen(URI_RECOVERY), f->recovery_public))
			f->has_recovery = true;
		else if (!read_anchor(uri, f, signature))
			return err_set(err, ERR_CHAIN, "certificate of %s: alternative name %u is not one of Terrace's", unit, i + 1);
	}
	return has_key ? 0 : err_set(err, ERR_CHAIN, "certificate of %s: the signing key (%s…) is missing", unit, want);
}

static int read_subject(const struct subject *s, struct facts *f, uint8_t signature[SIGN_SIZE], struct err *err)
{
	char unit[64];
	int r = read_dn(s, GNUTLS_OID_X520_COMMON_NAME, "common name", unit, sizeof(unit), err);

	if (!r)
		r = read_dn(s, GNUTLS_OID_X520_ORGANIZATIONAL_UNIT_NAME, "organizational unit", f->line, sizeof(f->line), err);
	if (!r)
		r = read_dn(s, GNUTLS_OID_X520_ORGANIZATION_NAME, "organization", f->name, sizeof(f->name), err);
	if (r)
		return r;
	if (unit_parse(slice_of(unit), &f->unit, NULL))
		return err_set(err, ERR_CHAIN, "certificate: common name \"%.40s\" is not a unit code", unit);
	if (!f->line[0])
		return err_set(err, ERR_CHAIN, "certificate of %s: no business line (OU)", unit);
	return read_uris(s, f, signature, err);
}

static int check_key(const struct subject *s, const char *unit, struct err *err)
{
	_cleanup_(pubkey_release) gnutls_pubkey_t key = NULL;
	gnutls_ecc_curve_t curve = GNUTLS_ECC_CURVE_INVALID;
	int code = gnutls_pubkey_init(&key);

	if (!code)
		code = s->crt ? gnutls_pubkey_import_x509(key, s->crt, 0) : gnutls_pubkey_import_x509_crq(key, s->crq, 0);
	if (code)
		return broken(err, "public key", code);
	if (gnutls_pubkey_get_pk_algorithm(key, NULL) != GNUTLS_PK_ECDSA ||
	    gnutls_pubkey_export_ecc_raw(key, &curve, NULL, NULL) < 0 || curve != GNUTLS_ECC_CURVE_SECP256R1)
		return err_set(err, ERR_CHAIN, "certificate of %s: its key is not ECDSA P-256", unit);
	return 0;
}

static int read_crt(gnutls_x509_crt_t crt, struct facts *f, struct err *err)
{
	struct subject s = { .crt = crt };
	uint8_t serial[20], signature[SIGN_SIZE];
	size_t n = sizeof(serial), size = DIGEST_SIZE, pin_size = DIGEST_SIZE;
	char unit[UNIT_TEXT_SIZE];

	*f = (struct facts){ 0 };
	int r = read_subject(&s, f, signature, err);
	if (r)
		return r;
	unit_text(f->unit, unit);
	if (gnutls_x509_crt_get_signature_algorithm(crt) != GNUTLS_SIGN_ECDSA_SHA256)
		return err_set(err, ERR_CHAIN, "certificate of %s: not signed with ECDSA and SHA-256", unit);
	r = check_key(&s, unit, err);
	if (r)
		return r;
	if (gnutls_x509_crt_get_serial(crt, serial, &n) || n == 0)
		return err_set(err, ERR_CHAIN, "certificate of %s: bad serial number", unit);
	for (size_t i = 0; i < n; i++)
		snprintf(f->serial + 2 * i, 3, "%02x", serial[i]);
	f->from_s = gnutls_x509_crt_get_activation_time(crt);
	f->until_s = gnutls_x509_crt_get_expiration_time(crt);
	if (f->until_s < f->from_s)
		return err_set(err, ERR_CHAIN, "certificate of %s: ends before it begins", unit);
	int code = gnutls_x509_crt_get_fingerprint(crt, GNUTLS_DIG_SHA256, f->fingerprint.at, &size);
	if (!code)
		code = gnutls_x509_crt_get_key_id(crt, GNUTLS_KEYID_USE_SHA256, f->pin.at, &pin_size);
	return code ? broken(err, "fingerprint", code) : check_anchor(f, signature, err);
}

/* issuer's signature under crt, its right to issue, and the names; equal pointers: self-signed. */
static int check_link(gnutls_x509_crt_t crt, const struct facts *f, gnutls_x509_crt_t issuer, const struct facts *by,
                      struct err *err)
{
	unsigned int status = 0, ca = 0, path = 0;
	char unit[UNIT_TEXT_SIZE], above[UNIT_TEXT_SIZE];
	int path_length = -1;

	unit_text(f->unit, unit);
	unit_text(by->unit, above);
	if (crt != issuer && (f->unit == by->unit || !unit_contains(by->unit, f->unit)))
		return err_set(err, ERR_CHAIN, "certificate of %s: issued by %s, which is not above it", unit, above);
	if (strcmp(f->line, by->line))
		return err_set(err, ERR_CHAIN, "certificate of %s: line \"%s\", its issuer's is \"%s\"", unit, f->line, by->line);
	if (gnutls_x509_crt_get_basic_constraints(issuer, &path, &ca, &path_length) < 0 || !ca)
		return err_set(err, ERR_CHAIN, "certificate of %s: may not issue", above);
	int code = gnutls_x509_crt_verify(crt, &issuer, 1, VERIFY_FLAGS, &status);
	if (code < 0 || status || !gnutls_x509_crt_check_issuer(crt, issuer))
		return err_set(err, ERR_CHAIN, "certificate of %s: not signed by the certificate of %s that follows it", unit, above);
	return 0;
}

static int check_chain(const gnutls_x509_crt_t *crt, uint32_t n, const struct digest *top_pin, struct chain *c,
                       struct err *err)
{
	char unit[UNIT_TEXT_SIZE];
	int r = 0;

	*c = (struct chain){ .n = n };
	for (uint32_t i = 0; i < n && !r; i++)
		r = read_crt(crt[i], &c->at[i], err);
	for (uint32_t i = 0; i < n && !r; i++) {
		uint32_t above = MIN(i + 1, n - 1);
		if (above != i && (c->at[i].has_recovery || c->at[i].anchored))
			return err_set(err, ERR_CHAIN, "certificate of %s: a recovery key is the top node's alone",
			               unit_text(c->at[i].unit, unit));
		r = check_link(crt[i], &c->at[i], crt[above], &c->at[above], err);
	}
	if (!r && top_pin && !digest_equal(&c->at[n - 1].pin, top_pin))
		return err_set(err, ERR_CHAIN, "chain of %s: its top certificate (%s) is not this tree's",
		               unit_text(c->at[0].unit, unit), c->at[n - 1].name);
	return r;
}

static int check_size(size_t bytes, uint32_t n, struct err *err)
{
	if (bytes > LIMIT_CHAIN_BYTES)
		return err_set(err, ERR_LIMIT, "chain: %zu bytes, at most %u are allowed", bytes, LIMIT_CHAIN_BYTES);
	if (n == 0)
		return err_set(err, ERR_CHAIN, "chain: no certificate");
	if (n > LIMIT_CHAIN)
		return err_set(err, ERR_LIMIT, "chain: %u certificates, at most %u are allowed", n, LIMIT_CHAIN);
	return 0;
}

static void crts_release(gnutls_x509_crt_t *crt, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		gnutls_x509_crt_deinit(crt[i]);
}

int chain_read(struct slice pem, const struct digest *top_pin, struct chain *ret, struct err *err)
{
	gnutls_x509_crt_t crt[LIMIT_CHAIN];
	unsigned int n = LIMIT_CHAIN;
	gnutls_datum_t text = datum_of(pem);
	struct chain c;
	int r = check_size(pem.n, 1, err);

	if (r)
		return r;
	int code = gnutls_x509_crt_list_import(crt, &n, &text, GNUTLS_X509_FMT_PEM,
	                                       GNUTLS_X509_CRT_LIST_IMPORT_FAIL_IF_EXCEED);
	if (code == GNUTLS_E_SHORT_MEMORY_BUFFER)
		return err_set(err, ERR_LIMIT, "chain: more than %u certificates", LIMIT_CHAIN);
	if (code <= 0)
		return broken(err, "not readable as PEM", code);
	r = check_chain(crt, (uint32_t)code, top_pin, &c, err);
	crts_release(crt, (uint32_t)code);
	if (!r)
		*ret = c;
	return r;
}

int chain_read_der(const struct slice *der, uint32_t n, const struct digest *top_pin, struct chain *ret,
                   struct err *err)
{
	gnutls_x509_crt_t crt[LIMIT_CHAIN];
	uint32_t have = 0;
	size_t bytes = 0;
	struct chain c;
	int code = 0;

	for (uint32_t i = 0; i < n; i++)
		bytes += MIN(der[i].n, (size_t)LIMIT_CHAIN_BYTES + 1);
	int r = check_size(bytes, n, err);
	if (r)
		return r;
	while (have < n && !code) {
		gnutls_datum_t one = datum_of(der[have]);
		code = gnutls_x509_crt_init(&crt[have]);
		if (code)
			break;
		code = gnutls_x509_crt_import(crt[have++], &one, GNUTLS_X509_FMT_DER);
	}
	r = code ? broken(err, "not readable as DER", code) : check_chain(crt, n, top_pin, &c, err);
	crts_release(crt, have);
	if (!r)
		*ret = c;
	return r;
}

bool chain_follows(const struct facts *known, const struct facts *now)
{
	if (now->unit != known->unit || strcmp(now->line, known->line) || !known->has_recovery || !now->anchored ||
	    memcmp(now->recovery_public, known->recovery_public, SIGN_PUBLIC_SIZE))
		return false;
	for (uint32_t i = 0; i < now->nformer; i++)
		if (digest_equal(&now->former[i].pin, &known->pin))
			return true;
	return false;
}

int chain_dates(const struct chain *c, int64_t tree_time_s, struct err *err)
{
	const struct facts *f = &c->at[0];
	char unit[UNIT_TEXT_SIZE], date[RFC3339_SIZE];

	if (tree_time_s > f->until_s)
		return err_set(err, ERR_EXPIRED, "certificate of %s: expired %s", unit_text(f->unit, unit),
		               time_rfc3339(f->until_s * 1000, date));
	if (tree_time_s < f->from_s)
		return err_set(err, ERR_EXPIRED, "certificate of %s: begins %s only", unit_text(f->unit, unit),
		               time_rfc3339(f->from_s * 1000, date));
	return 0;
}

/* ---- making */

static int put_datum(gnutls_datum_t *d, int code, const char *what, struct buf *ret, struct err *err)
{
	if (code)
		return making(err, what, code);
	buf_put(ret, d->data, d->size);
	gnutls_memset(d->data, 0, d->size);
	gnutls_free(d->data);
	return ret->failed ? err_set(err, ERR_NOMEM, "certificate: out of memory") : 0;
}

static int load_key(struct slice pem, gnutls_x509_privkey_t *ret, struct err *err)
{
	gnutls_datum_t text = datum_of(pem);
	int code = gnutls_x509_privkey_init(ret);

	if (!code)
		code = gnutls_x509_privkey_import2(*ret, &text, GNUTLS_X509_FMT_PEM, NULL, GNUTLS_PKCS_PLAIN);
	return code ? err_set(err, ERR_CHAIN, "TLS key: not readable: %s", gnutls_strerror(code)) : 0;
}

static void key_uri(uint64_t unit, const uint8_t key[SIGN_PUBLIC_SIZE], struct buf *b)
{
	char text[UNIT_TEXT_SIZE];

	buf_printf(b, unit ? URI_KEY "%s:" : URI_RECOVERY, unit_text(unit, text));
	base64url_put(b, (struct slice){ key, SIGN_PUBLIC_SIZE });
}

int chain_key_new(struct buf *ret_pem, struct err *err)
{
	_cleanup_(key_release) gnutls_x509_privkey_t key = NULL;
	gnutls_datum_t pem = { 0 };
	int code = gnutls_x509_privkey_init(&key);

	if (!code)
		code = gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA,
		                                    GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
	if (!code)
		code = gnutls_x509_privkey_export2_pkcs8(key, GNUTLS_X509_FMT_PEM, NULL, GNUTLS_PKCS_PLAIN, &pem);
	return put_datum(&pem, code, "make a key", ret_pem, err);
}

int chain_request(struct slice key_pem, uint64_t unit, const char *line, const char *name,
                  const uint8_t sign_public[SIGN_PUBLIC_SIZE], struct buf *ret_pem, struct err *err)
{
	_cleanup_(key_release) gnutls_x509_privkey_t key = NULL;
	_cleanup_(crq_release) gnutls_x509_crq_t crq = NULL;
	_cleanup_(buf_release) struct buf uri = { 0 };
	gnutls_datum_t pem = { 0 };
	char code_text[UNIT_TEXT_SIZE];
	int r = load_key(key_pem, &key, err);

	if (r)
		return r;
	unit_text(unit, code_text);
	key_uri(unit, sign_public, &uri);
	int code = gnutls_x509_crq_init(&crq);
	if (!code)
		code = gnutls_x509_crq_set_version(crq, 1);
	if (!code)
		code = gnutls_x509_crq_set_dn_by_oid(crq, GNUTLS_OID_X520_COMMON_NAME, 0, code_text, 12);
	if (!code)
		code = gnutls_x509_crq_set_dn_by_oid(crq, GNUTLS_OID_X520_ORGANIZATIONAL_UNIT_NAME, 0, line,
		                                     (unsigned int)strlen(line));
	if (!code && name[0])
		code = gnutls_x509_crq_set_dn_by_oid(crq, GNUTLS_OID_X520_ORGANIZATION_NAME, 0, name,
		                                     (unsigned int)strlen(name));
	if (!code)
		code = gnutls_x509_crq_set_subject_alt_name(crq, GNUTLS_SAN_URI, uri.p, (unsigned int)uri.n, GNUTLS_FSAN_SET);
	if (!code)
		code = gnutls_x509_crq_set_key(crq, key);
	if (!code)
		code = gnutls_x509_crq_sign2(crq, key, GNUTLS_DIG_SHA256, 0);
	if (!code)
		code = gnutls_x509_crq_export2(crq, GNUTLS_X509_FMT_PEM, &pem);
	return put_datum(&pem, code, "make a request", ret_pem, err);
}

static int load_request(struct slice pem, gnutls_x509_crq_t *ret, struct facts *f, struct err *err)
{
	gnutls_datum_t text = datum_of(pem);
	int code = gnutls_x509_crq_init(ret);

	if (!code)
		code = gnutls_x509_crq_import(*ret, &text, GNUTLS_X509_FMT_PEM);
	if (code)
		return err_set(err, ERR_FORMAT, "certificate request: not readable: %s", gnutls_strerror(code));
	if (gnutls_x509_crq_verify(*ret, 0) < 0)
		return err_set(err, ERR_SIGNATURE, "certificate request: not signed with its own key");
	struct subject s = { .crq = *ret };
	uint8_t signature[SIGN_SIZE];
	char unit[UNIT_TEXT_SIZE];
	size_t size = DIGEST_SIZE;
	*f = (struct facts){ 0 };
	int r = read_subject(&s, f, signature, err);
	if (!r)
		r = check_key(&s, unit_text(f->unit, unit), err);
	if (!r && (f->has_recovery || f->anchored || f->nformer))
		r = err_set(err, ERR_CHAIN, "certificate request of %s: asks for a recovery key", unit);
	if (!r && gnutls_x509_crq_get_key_id(*ret, GNUTLS_KEYID_USE_SHA256, f->pin.at, &size))
		r = err_set(err, ERR_CHAIN, "certificate request of %s: bad key", unit);
	return r;
}

int chain_request_read(struct slice request_pem, struct facts *ret, struct err *err)
{
	_cleanup_(crq_release) gnutls_x509_crq_t crq = NULL;
	struct facts f;

	if (request_pem.n > LIMIT_ENROLL_BODY)
		return err_set(err, ERR_LIMIT, "certificate request: %zu bytes, at most %u are allowed", request_pem.n,
		               LIMIT_ENROLL_BODY);
	int r = load_request(request_pem, &crq, &f, err);
	if (!r)
		*ret = f;
	return r;
}

/* The anchor's alternative names. */
static int add_anchor(gnutls_x509_crt_t crt, const struct facts *f, const uint8_t signature[SIGN_SIZE])
{
	int code = 0;

	for (uint32_t i = 0; i <= f->nformer && !code; i++) {
		_cleanup_(buf_release) struct buf uri = { 0 };
		uint8_t both[DIGEST_SIZE + SIGN_PUBLIC_SIZE];

		buf_printf(&uri, "%s", i < f->nformer ? URI_FORMER : URI_ANCHOR);
		if (i < f->nformer) {
			memcpy(both, f->former[i].pin.at, DIGEST_SIZE);
			memcpy(both + DIGEST_SIZE, f->former[i].sign_public, SIGN_PUBLIC_SIZE);
			base64url_put(&uri, (struct slice){ both, sizeof(both) });
		} else {
			base64url_put(&uri, (struct slice){ signature, SIGN_SIZE });
		}
		code = uri.failed ? GNUTLS_E_MEMORY_ERROR :
		       gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_URI, uri.p, (unsigned int)uri.n, GNUTLS_FSAN_APPEND);
	}
	return code;
}

/* All fields but key and issuer.  The serial is a positive number of exactly 16 bytes. */
static int fill(gnutls_x509_crt_t crt, const struct facts *f, const uint8_t serial[16])
{
	_cleanup_(buf_release) struct buf uri = { 0 }, recovery = { 0 };
	char unit[UNIT_TEXT_SIZE];
	uint8_t number[16];

	memcpy(number, serial, sizeof(number));
	number[0] = (number[0] & 0x3f) | 0x40;
	key_uri(f->unit, f->sign_public, &uri);
	key_uri(UNIT_NONE, f->recovery_public, &recovery);
	int code = gnutls_x509_crt_set_version(crt, 3);
	if (!code)
		code = gnutls_x509_crt_set_serial(crt, number, sizeof(number));
	if (!code)
		code = gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, unit_text(f->unit, unit), 12);
	if (!code)
		code = gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_ORGANIZATIONAL_UNIT_NAME, 0, f->line,
		                                     (unsigned int)strlen(f->line));
	if (!code && f->name[0])
		code = gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_ORGANIZATION_NAME, 0, f->name,
		                                     (unsigned int)strlen(f->name));
	if (!code)
		code = gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_URI, uri.p, (unsigned int)uri.n, GNUTLS_FSAN_SET);
	if (!code && f->has_recovery)
		code = gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_URI, recovery.p, (unsigned int)recovery.n,
		                                            GNUTLS_FSAN_APPEND);
	if (!code)
		code = gnutls_x509_crt_set_activation_time(crt, (time_t)f->from_s);
	if (!code)
		code = gnutls_x509_crt_set_expiration_time(crt, (time_t)f->until_s);
	if (!code)
		code = gnutls_x509_crt_set_basic_constraints(crt, BASIC_CONSTRAINTS_CRITICAL, -1);
	if (!code)
		code = gnutls_x509_crt_set_key_usage(crt, USAGE);
	return code;
}

/* Names the keys of both ends, signs, writes. */
static int finish(gnutls_x509_crt_t crt, gnutls_x509_crt_t issuer, gnutls_x509_privkey_t key, struct buf *ret_pem,
                  struct err *err)
{
	uint8_t mine[20], theirs[20];
	size_t n = sizeof(mine), m = sizeof(theirs);
	gnutls_datum_t pem = { 0 };

	int code = gnutls_x509_crt_get_key_id(crt, 0, mine, &n);
	if (!code)
		code = gnutls_x509_crt_set_subject_key_id(crt, mine, n);
	if (!code)
		code = gnutls_x509_crt_get_key_id(issuer, 0, theirs, &m);
	if (!code)
		code = gnutls_x509_crt_set_authority_key_id(crt, theirs, m);
	if (!code)
		code = gnutls_x509_crt_sign2(crt, issuer, key, GNUTLS_DIG_SHA256, 0);
	if (!code)
		code = gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &pem);
	return put_datum(&pem, code, "sign", ret_pem, err);
}

static int set_text(char *to, size_t size, const char *text, const char *what, struct err *err)
{
	size_t n = strlen(text);

	if (n >= size || !utf8_valid(slice_of(text)))
		return err_set(err, ERR_USAGE, "%s \"%.40s\": longer than %zu bytes or not UTF-8", what, text, size - 1);
	memcpy(to, text, n + 1);
	return 0;
}

static int set_facts(struct facts *f, uint64_t unit, const char *line, const char *name, int64_t from_s,
                     int64_t until_s, struct err *err)
{
	f->unit = unit;
	f->from_s = from_s;
	f->until_s = until_s;
	int r = set_text(f->line, sizeof(f->line), line, "line", err);
	if (!r && !line[0])
		r = err_set(err, ERR_USAGE, "the business line has no name");
	return r ? r : set_text(f->name, sizeof(f->name), name, "name", err);
}

int chain_issue(struct slice request_pem, uint64_t unit, const char *line, const char *name,
                struct slice issuer_key_pem, struct slice issuer_cert_pem, const uint8_t serial[16],
                int64_t from_s, int64_t until_s, struct buf *ret_pem, struct err *err)
{
	_cleanup_(crq_release) gnutls_x509_crq_t crq = NULL;
	_cleanup_(crt_release) gnutls_x509_crt_t crt = NULL, issuer = NULL;
	_cleanup_(key_release) gnutls_x509_privkey_t key = NULL;
	_cleanup_(pubkey_release) gnutls_pubkey_t public_key = NULL;
	gnutls_datum_t text = datum_of(issuer_cert_pem);
	struct facts f, by;
	char asked[UNIT_TEXT_SIZE], wanted[UNIT_TEXT_SIZE];

	int r = load_request(request_pem, &crq, &f, err);
	if (!r)
		r = load_key(issuer_key_pem, &key, err);
	if (r)
		return r;
	int code = gnutls_x509_crt_init(&issuer);
	if (!code)
		code = gnutls_x509_crt_import(issuer, &text, GNUTLS_X509_FMT_PEM);
	if (code)
		return broken(err, "issuer's not readable", code);
	r = read_crt(issuer, &by, err);
	if (r)
		return r;
	if (f.unit != unit || strcmp(f.line, line))
		return err_set(err, ERR_REFUSED, "certificate request of %s, line \"%s\": %s, \"%s\" was expected",
		               unit_text(f.unit, asked), f.line, unit_text(unit, wanted), line);
	if (by.unit == unit || !unit_contains(by.unit, unit) || strcmp(by.line, line))
		return err_set(err, ERR_SCOPE, "certificate for %s, line \"%s\": not below this node", unit_text(unit, wanted), line);
	r = set_facts(&f, unit, line, name, from_s, until_s, err);
	if (r)
		return r;
	code = gnutls_x509_crt_init(&crt);
	if (!code)
		code = gnutls_pubkey_init(&public_key);
	if (!code)
		code = gnutls_pubkey_import_x509_crq(public_key, crq, 0);
	if (!code)
		code = gnutls_x509_crt_set_pubkey(crt, public_key);
	if (!code)
		code = fill(crt, &f, serial);
	return code ? making(err, "issue", code) : finish(crt, issuer, key, ret_pem, err);
}

int chain_self_signed(struct slice key_pem, uint64_t unit, const char *line, const char *name,
                      const uint8_t sign_public[SIGN_PUBLIC_SIZE], const uint8_t recovery_public[SIGN_PUBLIC_SIZE],
                      const uint8_t serial[16], int64_t from_s, int64_t until_s, struct buf *ret_pem,
                      struct err *err)
{
	_cleanup_(crt_release) gnutls_x509_crt_t crt = NULL;
	_cleanup_(key_release) gnutls_x509_privkey_t key = NULL;
	struct facts f = { .has_recovery = recovery_public != NULL };

	int r = load_key(key_pem, &key, err);
	if (!r)
		r = set_facts(&f, unit, line, name, from_s, until_s, err);
	if (r)
		return r;
	memcpy(f.sign_public, sign_public, SIGN_PUBLIC_SIZE);
	if (recovery_public)
		memcpy(f.recovery_public, recovery_public, SIGN_PUBLIC_SIZE);
	int code = gnutls_x509_crt_init(&crt);
	if (!code)
		code = gnutls_x509_crt_set_key(crt, key);
	if (!code)
		code = fill(crt, &f, serial);
	return code ? making(err, "sign", code) : finish(crt, crt, key, ret_pem, err);
}

int chain_anchor(struct slice key_pem, const struct facts *before, const uint8_t sign_public[SIGN_PUBLIC_SIZE],
                 const struct sign_key *recovery, const uint8_t serial[16], int64_t from_s, int64_t until_s,
                 struct buf *ret_pem, struct err *err)
{
	_cleanup_(crt_release) gnutls_x509_crt_t crt = NULL;
	_cleanup_(key_release) gnutls_x509_privkey_t key = NULL;
	_cleanup_(buf_release) struct buf said = { 0 };
	struct facts f = { .has_recovery = true, .anchored = true };
	uint8_t signature[SIGN_SIZE];
	size_t size = DIGEST_SIZE;

	if (!before->has_recovery || memcmp(before->recovery_public, recovery->public_key, SIGN_PUBLIC_SIZE))
		return err_set(err, ERR_REFUSED, "this is not the recovery key that the top certificate names");
	int r = load_key(key_pem, &key, err);
	if (!r)
		r = set_facts(&f, before->unit, before->line, before->name, from_s, until_s, err);
	if (r)
		return r;
	memcpy(f.sign_public, sign_public, SIGN_PUBLIC_SIZE);
	memcpy(f.recovery_public, recovery->public_key, SIGN_PUBLIC_SIZE);
	f.former[f.nformer].pin = before->pin;
	memcpy(f.former[f.nformer++].sign_public, before->sign_public, SIGN_PUBLIC_SIZE);
	for (uint32_t i = 0; i < before->nformer && f.nformer < CHAIN_FORMER; i++)
		f.former[f.nformer++] = before->former[i];
	int code = gnutls_x509_crt_init(&crt);
	if (!code)
		code = gnutls_x509_crt_set_key(crt, key);
	if (!code)
		code = fill(crt, &f, serial);
	if (!code)
		code = gnutls_x509_crt_get_key_id(crt, GNUTLS_KEYID_USE_SHA256, f.pin.at, &size);
	put_anchor(&f, &said);
	if (said.failed)
		return err_set(err, ERR_NOMEM, "certificate: out of memory");
	sign_make(recovery, DOMAIN_ANCHOR, buf_slice(&said), signature);
	if (!code)
		code = add_anchor(crt, &f, signature);
	return code ? making(err, "sign", code) : finish(crt, crt, key, ret_pem, err);
}

void chain_pin_text(const struct digest *pin, struct buf *b)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const uint8_t *p = pin->at;

	buf_put(b, "sha256//", 8);
	for (size_t i = 0; i < DIGEST_SIZE; i += 3) {
		uint32_t bits = (uint32_t)p[i] << 16 | (i + 1 < DIGEST_SIZE ? (uint32_t)p[i + 1] << 8 : 0) |
		                (i + 2 < DIGEST_SIZE ? p[i + 2] : 0);
		for (int at = 18; at >= 0; at -= 6)      /* 32 bytes leave two for the last group: no sixth letter there */
			buf_put_u8(b, i + 2 >= DIGEST_SIZE && at == 0 ? '=' : (uint8_t)letters[bits >> at & 63]);
	}
}
