/* Enrolment: the invitation line that a person carries, and the body of POST /v1/enroll.  terrace-wire(7) cites
 * this page.
 *
 * Invitation line: "terrace:1:" and the base64url (no padding) of
 *   varint count of addresses, 1..8; each a length-prefixed https:// URL
 *   32 bytes   pin: SHA-256 of the issuing node's SubjectPublicKeyInfo (it survives renewal)
 *   32 bytes   one-time secret
 *   varint     unit that is invited
 *   length-prefixed business line, length-prefixed name of the unit (may be empty)
 *   4 bytes    the first four of BLAKE2b-256 of all that precedes: a mistyped or cut line is named as such
 * Body of the request: byte 1 (format), 32 bytes secret, varint unit, length-prefixed certificate request (PEM).
 * Body of the answer: the certificates as a PEM bundle, the new node's first, the top node's last.
 * Body of POST /v1/renew: byte 1 (format), length-prefixed certificate request (PEM); the answer is the same. */
#ifndef CORE_ENROLL_H
#define CORE_ENROLL_H

#include "core/digest.h"
#include "core/unit.h"

#define ENROLL_URLS 8u
#define ENROLL_SECRET_SIZE 32
#define ENROLL_LINE_TEXT "terrace:1:"

struct invitation {
	uint32_t nurls;
	char url[ENROLL_URLS][256];
	struct digest pin;
	uint8_t secret[ENROLL_SECRET_SIZE];
	uint64_t unit;
	char line[65], name[193];
};

/* Appends the line without a line end; ERR_USAGE where an address or a text does not fit. */
int invitation_put(const struct invitation *i, struct buf *b, struct err *err);
/* White space around the line is allowed.  ERR_FORMAT, ERR_LIMIT. */
int invitation_get(struct slice text, struct invitation *ret, struct err *err);
/* https://HOST[:PORT] and nothing behind it; ERR_USAGE with the text. */
int url_check(const char *url, struct err *err);

struct enroll_request {
	uint8_t secret[ENROLL_SECRET_SIZE];
	uint64_t unit;
	struct slice request_pem;        /* a view into the body */
};

void enroll_put(const struct enroll_request *r, struct buf *b);
int enroll_get(struct slice body, struct enroll_request *ret, struct err *err);

void renew_put(struct slice request_pem, struct buf *b);
int renew_get(struct slice body, struct slice *ret_request_pem, struct err *err);       /* a view into the body */

#endif
