/* Heal: one mechanism for a restored disk, a new machine, a new neighbour, digests that differ (design protocol §6).
 *
 * The plain heal: both sides let everything in the child's scope pass once more.  The hello agrees on numbers that
 * were never used, with a hash that both can compute, so that no late copy of a segment fits any more. */
#include "engine/contact.h"

#include <stdio.h>

#include "base/log.h"

#define DOMAIN_HEAL "terrace heal 1"

int heal_start(struct engine *e, uint64_t peer, const char *why, struct err *err)
{
	struct link l;
	bool found = false;
	int rc = link_get(e->db, peer, &l, &found, err);

	if (rc != 0 || !found)
		return rc;
	if (l.healed)
		event(e, LOG_LEVEL_NOTICE, "heal", peer, NULL, "the link heals: %s", why);
	l.healed = false;
	if (peer == e->parent)
		e->hello_due = true;
	return link_put(e->db, &l, err);
}

/* What both sides take for the hash of the number they start from: BLAKE2b-256 of the domain with its NUL, then the
 * number of the heal (8 bytes, little-endian). */
static struct digest heal_hash(int64_t heal)
{
	uint8_t bytes[8];

	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)((uint64_t)heal >> 8 * i);
	return digest_two((struct slice){ (const uint8_t *)DOMAIN_HEAL, sizeof DOMAIN_HEAL },
	                  (struct slice){ bytes, sizeof bytes });
}

int heal_begin(struct engine *e, struct link *l, const struct heal_numbers *n, struct err *err)
{
	bool up = l->peer == e->parent;
	int rc = dirty_drop(e->db, l->peer, err);

	l->heal = n->number;
	l->position = up ? n->feed : n->up;
	l->built = l->fed = up ? n->up : n->feed;
	l->position_hash = l->fed_hash = heal_hash(n->number);
	l->healed = true;
	if (rc == 0)
		rc = cursor_start(e->db, l->peer, e->catalog, err);
	if (rc != 0)
		return rc;
	event(e, LOG_LEVEL_NOTICE, "heal", l->peer, NULL, "the link heals: all rows of unit %012llu pass once more",
	      (unsigned long long)(up ? e->unit : l->peer));
	if (up) {                                /* what the parent may have lost: the certificates below, with the next hello */
		e->hello_due = e->hello_due || e->nchildren > 0;
		rc = peer_told(e->db, UNIT_NONE, err);
		return rc == 0 ? dirty_broadcasts_up(e->db, l->peer, e->unit, err) : rc;
	}
	rc = broadcasts_down(e, l->peer, err);
	if (rc == 0)
		rc = dirty_items_again(e->db, l->peer, err);
	return rc == 0 ? dirty_item(e->db, l->peer, ITEM_HEALED, n->number, err) : rc;
}

static void healing_name(uint64_t child, char ret[32])
{
	snprintf(ret, 32, "healing/%012llu", (unsigned long long)child);
}

bool heal_going_on(struct engine *e, uint64_t child)
{
	char name[32];

	healing_name(child, name);
	return meta_number(e->db, name, 0) != 0;
}

int heal_mark(struct engine *e, uint64_t child, bool going_on, struct err *err)
{
	char name[32];

	if (!going_on && !heal_going_on(e, child))
		return 0;
	healing_name(child, name);
	return meta_put_number(e->db, name, going_on, err);
}

int heal_restored(struct engine *e, struct err *err)
{
	int rc = link_unheal(e->db, UNIT_NONE, err);

	if (rc == 0)
		rc = meta_put_number(e->db, "restored", 1, err);
	for (uint32_t i = 0; i < e->nchildren && rc == 0; i++)
		rc = heal_mark(e, e->children[i], true, err);

	if (rc != 0)
		return rc;
	event(e, LOG_LEVEL_WARNING, "alarm", UNIT_NONE, NULL, "restored: this node's file is older than what its neighbours have of it; "
	      "every link heals");
	e->fresh = true;                         /* the next seal opens an epoch */
	if (e->parent == UNIT_NONE)
		return 0;
	e->ready = false;
	e->hello_due = true;
	return 0;
}
