/* The policy reader, then everything `policy check` does with what it takes.  The bytes before a NUL are the policy
 * text, those behind it SQL that stands for its schema files. */
#include <stdlib.h>
#include <string.h>

#include "ctl/policy_read.h"
#include "store/ddl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	_cleanup_(arena_release) struct arena a = {.cap = 64u << 20};
	_cleanup_(arena_release) struct arena again = {.cap = 64u << 20};
	_cleanup_(buf_release) struct buf b = {0};
	struct policy p, q;
	struct err err = {0};
	const uint8_t *nul = n > 0 ? memchr(data, 0, n) : NULL;
	struct slice text = {data, nul != NULL ? (size_t)(nul - data) : n};
	/* The folder does not exist, so no schema file of this machine is read. */
	if (policy_read_text("/nowhere/x/fuzz.policy", text, &a, &p, &err) != 0)
		return 0;
	if (nul != NULL && ddl_split((struct slice){nul + 1, n - text.n - 1}, &a, &p.statements, &p.nstatements, &err) != 0)
		p.nstatements = 0;
	policy_unsupported(&p, "fuzz.policy", &err);
	ddl_check(&p, NULL, &err);
	if (policy_put(&p, &b, &err) == 0 && policy_get(buf_slice(&b), &again, &q, &err) != 0)
		abort();
	return 0;
}
