/* Policy check: the line of what is wrong, what this version does not enforce, and the three checks in order. */
#include <string.h>

#include "ctl/policy_read.h"
#include "ctl/policy_text.h"
#include "store/ddl.h"

int policy_blame(const struct policy *p, const char *path, const struct policy_where *where, struct err *err)
{
	_cleanup_(arena_release) struct arena a = { 0 };
	struct policy_node *root;
	uint32_t line = 1;
	if (policy_text_scan(path, p->text, &a, &root, NULL, NULL) == 0 && root->first != NULL) {
		const struct policy_node *n = root->first, *inner;
		line = n->line;
		if (where->reg != NULL && (inner = policy_text_find(n, "register", where->reg)) != NULL)
			n = inner;
		line = n->line;
		if (where->kind != NULL && (inner = policy_text_find(n, where->kind, where->name)) != NULL)
			line = inner->line;
	}
	return err_prefix(err, "%s:%u: ", path, line);
}

/* What is read and signed but not enforced yet.  An issue that adds one takes its row away. */
static const struct unsupported {
	const char *path, *what;
} table[] = {
	{ "policy/expires", "expires" },
	{ "policy/report", "report" },
	{ "policy/calendar", "calendar" },
	{ "policy/codes/columns", "columns of a code list" },
	{ "policy/delegate", "delegate" },
	{ "policy/revoke", "revoke" },
	{ "policy/register/publish", "publish" },
	{ "policy/register/retention", "retention" },
	{ "policy/register/deadline", "deadline" },
};

static const struct unsupported *unsupported(const struct policy_node *n)
{
	char path[120];
	policy_text_path(n, path, sizeof(path));
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		const struct unsupported *u = &table[i];
		if (strcmp(u->path, path) != 0)
			continue;
		return u;
	}
	return NULL;
}

int policy_unsupported(const struct policy *p, const char *path, struct err *err)
{
	_cleanup_(arena_release) struct arena a = { 0 };
	struct policy_node *root;
	int code = policy_text_scan(path, p->text, &a, &root, NULL, err);
	const struct policy_node *n = code == 0 ? root->first : NULL;
	while (n != NULL) {
		const struct unsupported *u = unsupported(n);
		if (u != NULL)
			return err_set(err, ERR_POLICY,
				       "%s:%u: %s is not enforced by this version of terraced; take it out, "
				       "or wait for "
				       "a newer one",
				       path, n->line, u->what);
		/* In the order of the text: down, else along, else up and along. */
		if (n->first != NULL) {
			n = n->first;
			continue;
		}
		while (n != NULL && n->next == NULL)
			n = n->parent;
		if (n != NULL)
			n = n->next;
	}
	return code;
}

int policy_check(const char *path, struct arena *a, struct policy *ret, struct err *err)
{
	struct policy_where where;
	struct policy p;
	int code = policy_read(path, a, &p, err);
	if (code != 0 || (code = policy_unsupported(&p, path, err)) != 0)
		return code;
	if ((code = ddl_check(&p, &where, err)) != 0) {
		policy_blame(&p, path, &where, err);
		return code;
	}
	*ret = p;
	return 0;
}
