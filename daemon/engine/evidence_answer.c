/* Evidence: a child asks for signed deltas of its own scope that it does not keep any more. */
#include "engine/contact.h"
#include "store/reports.h"

struct answering {
	struct buf *answer;
	size_t most;
};

static int one_segment(void *arg, int64_t id, struct slice bytes)
{
	struct answering *a = arg;

	(void)id;
	if (a->answer->n > 0 && a->answer->n + bytes.n > a->most)
		return 1;
	if (a->answer->n == 0)
		buf_put_u8(a->answer, CONTACT_FORMAT);
	buf_put_slice(a->answer, bytes);
	return 0;
}

int engine_evidence_answer(struct engine *e, const struct facts *peer, uint64_t author, struct mark mark, uint32_t skip,
                           size_t most, struct buf *answer, struct err *err)
{
	struct answering a = { answer, most };
	char unit[UNIT_TEXT_SIZE], other[UNIT_TEXT_SIZE];
	int rc;

	if (!unit_contains(peer->unit, author))
		return err_set(err, ERR_SCOPE, "unit %s may not ask for what unit %s signed: it lies outside its scope",
		               unit_text(peer->unit, unit), unit_text(author, other));
	rc = report_evidence(e->db, author, mark, skip, one_segment, &a, err);
	if (rc == 0 && answer->n == 0 && skip == 0)
		rc = err_set(err, ERR_NOT_FOUND, "the segments of unit %s sealed as number %llu are not kept here (any more)",
		             unit_text(author, unit), (unsigned long long)mark.tick);
	return rc;
}
