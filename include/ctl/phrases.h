/* Phrases: what reports, events and errors say, in the reader's language.  Documents and logs are English; where a
 * table or a line is for people who read Chinese, it passes through here, at the edge.
 *
 * The catalogue's left side is the English text as the code has it, printf conversions included; a conversion stands
 * for whatever was put there (digits for a number), which is translated in turn.  The right side names them {1}, {2}.
 * What the catalogue does not have stays as it is; tests/lint/phrases.py names the texts that ought to be there. */
#ifndef CTL_PHRASES_H
#define CTL_PHRASES_H

#include "base/bytes.h"

struct phrase {
	const char *english, *chinese;
};

/* Ended by an empty row; words and sentences of reports, texts of events, errors,
 * what is wrong with a policy. */
extern const struct phrase phrases_words[], phrases_events[], phrases_errors[], phrases_policy[];

/* Appends the text for a reader of Chinese, or of English.  A text in both languages, "… / …", gives the reader's
 * half.  Returns whether it is wholly in the reader's language. */
bool phrase_put(struct buf *b, const char *text, bool chinese);
/* The English word of a Chinese one (`--kind 冲突`); the text itself where there is none. */
const char *phrase_english(const char *text);

#endif
