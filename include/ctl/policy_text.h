/* Policy text: the scan before libConfuse sees it, and the lines of its blocks and keys.
 *
 * libConfuse expands ${…} from the environment, lets a second value silently win, takes a file that was cut off
 * for a shorter one and forgets the lines of keys.  So the text is scanned first: UTF-8, no `${`, blocks, strings
 * and comments closed, every key and title once; comments are blanked in place, so that lines stay right. */
#ifndef CTL_POLICY_TEXT_H
#define CTL_POLICY_TEXT_H

#include "base/bytes.h"
#include "base/err.h"

/* A block `kind "title" { … }` or a key `kind = value`; the root has neither. */
struct policy_node {
	struct policy_node *next, *first, *last, *parent;
	const char *kind, *title;        /* title: NULL where none */
	bool block;
	uint32_t line, depth;
};

/* The tree, in the order of the text; *ret_plain (may be NULL) gets the text without its comments.  path names the
 * file in errors, which begin "path:line: ". */
int policy_text_scan(const char *path, struct slice text, struct arena *a, struct policy_node **ret,
                     struct buf *ret_plain, struct err *err);
/* First child of that kind (and, where not NULL, title); NULL = none. */
const struct policy_node *policy_text_find(const struct policy_node *in, const char *kind, const char *title);
/* Names inside policies, as paths: "register/group/lock"; returns ret. */
char *policy_text_path(const struct policy_node *n, char *ret, size_t size);

#endif
