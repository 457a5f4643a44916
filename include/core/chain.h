/* Chain: a node's certificate and those of its superiors up to the top (design protocol §1).
 *
 * Parsing and checking only, no I/O, GnuTLS's own time checks off.  A certificate says: CN = unit code,
 * OU = line, SAN URI terrace:<unit>:<base64url Ed25519 key>, and, in the top node's, a second SAN URI
 * terrace-recovery:<base64url key>.  One that takes another's place (its key was rotated or lost) says so by an anchor: up to
 * CHAIN_FORMER SAN URIs terrace-former:<base64url of pin and signing key> of those before it, newest first, and
 * terrace-anchor:<base64url signature> by the recovery key, which stays; it is over varint unit, length-prefixed line, pin,
 * signing key, recovery key, varint count, the former ones; domain "terrace anchor 1".  Containment (a certificate may issue only for strict descendants of its
 * unit), the line and every signature are checked at every use; dates only where the caller asks. */
#ifndef CORE_CHAIN_H
#define CORE_CHAIN_H

#include "core/digest.h"
#include "core/sign.h"
#include "core/unit.h"

#define CHAIN_FORMER 3u
struct former {
	struct digest pin;
	uint8_t sign_public[SIGN_PUBLIC_SIZE];
};

struct facts {                           /* what one certificate says */
	uint64_t unit;
	char line[65];
	char name[193];                  /* the unit's name, O of the subject; may be empty */
	uint8_t sign_public[SIGN_PUBLIC_SIZE];
	bool has_recovery;
	uint8_t recovery_public[SIGN_PUBLIC_SIZE];
	bool anchored;                   /* the anchor is signed by the recovery key that this certificate names */
	uint32_t nformer;
	struct former former[CHAIN_FORMER];
	char serial[41];                 /* hexadecimal */
	int64_t from_s, until_s;         /* validity, seconds since 1970 */
	struct digest fingerprint;       /* SHA-256 of the DER form */
	struct digest pin;               /* SHA-256 of SubjectPublicKeyInfo */
};

struct chain {                           /* leaf first, top node's self-signed certificate last */
	uint32_t n;
	struct facts at[6];              /* LIMIT_CHAIN */
};

/* PEM bundle, leaf first, ≤ LIMIT_CHAIN_BYTES.  Checks signatures link by link, strict containment, one line,
 * that the last is self-signed, and, where top is not NULL, that the last one's pin is *top. */
int chain_read(struct slice pem, const struct digest *top_pin, struct chain *ret, struct err *err);
/* The same for DER certificates as TLS hands them over. */
int chain_read_der(const struct slice *der, uint32_t n, const struct digest *top_pin, struct chain *ret,
                   struct err *err);
/* Whether the leaf is within its dates at tree time; ERR_EXPIRED with the date. */
int chain_dates(const struct chain *c, int64_t tree_time_s, struct err *err);

/* Whether the top certificate `now` takes the place of `known`: an anchor by the recovery key that `known` names. */
bool chain_follows(const struct facts *known, const struct facts *now);

/* ---- making keys, requests and certificates (ECDSA P-256 for TLS); used by init, join and the issuing parent */

/* A new P-256 key as PEM (PKCS #8). */
int chain_key_new(struct buf *ret_pem, struct err *err);
/* A certificate request: CN, OU, O and SAN as above, signed with the key. */
int chain_request(struct slice key_pem, uint64_t unit, const char *line, const char *name,
                  const uint8_t sign_public[SIGN_PUBLIC_SIZE], struct buf *ret_pem, struct err *err);
/* What a request asks for, its own signature checked. */
int chain_request_read(struct slice request_pem, struct facts *ret, struct err *err);
/* Issues for a checked request; issuer's key and certificate as PEM.  serial: 16 random bytes. */
int chain_issue(struct slice request_pem, uint64_t unit, const char *line, const char *name,
                struct slice issuer_key_pem, struct slice issuer_cert_pem, const uint8_t serial[16],
                int64_t from_s, int64_t until_s, struct buf *ret_pem, struct err *err);
/* The top node's self-signed certificate. */
int chain_self_signed(struct slice key_pem, uint64_t unit, const char *line, const char *name,
                      const uint8_t sign_public[SIGN_PUBLIC_SIZE], const uint8_t recovery_public[SIGN_PUBLIC_SIZE],
                      const uint8_t serial[16], int64_t from_s, int64_t until_s, struct buf *ret_pem,
                      struct err *err);
/* A top certificate with an anchor, for a new key in the place of `before`; ERR_REFUSED where recovery is not its recovery
 * key. */
int chain_anchor(struct slice key_pem, const struct facts *before, const uint8_t sign_public[SIGN_PUBLIC_SIZE],
                 const struct sign_key *recovery, const uint8_t serial[16], int64_t from_s, int64_t until_s,
                 struct buf *ret_pem, struct err *err);
/* curl's pinned form: sha256//base64. */
void chain_pin_text(const struct digest *pin, struct buf *b);

#endif
