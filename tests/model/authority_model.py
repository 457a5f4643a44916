#!/usr/bin/env python3
"""Reference model of design/authority.md: the rule, the state of a row, and whole trees of nodes that exchange it.

  authority_model.py check [N] [SEED]      N random histories of whole trees (moves, deletes, key clashes, proposals, rulings, locks,
                                           policies in flight, restores, late enrolment, loss, repetition, reordering), N/5 with a node
                                           that forges rulings, and N/10 sets of permutations; every property of Tree.check must hold at
                                           rest, no honest ruling is called forged, no forged one stands.  Prints the seeds that fail
  authority_model.py algebra [N]           N triples of states: merging is commutative, associative, idempotent; the order of arrival
                                           does not matter; who has seen is greater; a superior that has seen the same is greater
  authority_model.py vectors [N] [SEED]    one JSON document: N (100) cases of every clause, N/10 of listed features, and every
                                           pair of writers (pairs.py); the format is below
  authority_model.py story [NAME]          a few readable stories of a village, a township and a county
  authority_model.py mutants [N] [H]       breaks each clause in turn; N vectors a clause, algebra or H histories must notice each

The C implementation is compared with `vectors` (seen, order, open, decide, put, ruling, bad_mark) and with the states of whole histories.
A version is five marks, highest level first; a mark is (tick, epoch token), (0, 0) where nothing was seen.  A unit is a string whose
length is its depth ("r" province or whatever is on top, "r12" two levels below).  `epochs` names, for each token, the token and the tick
that it continues from.  Order alone decides what is held; Seen alone decides what is recorded.  No clock appears anywhere.

Files: rule.py (the rule), tree.py (nodes and links), histories.py (check, algebra), vectors.py, stories.py, mutants.py.

Vectors: one object of arrays, one entry a line; entries name entries of other arrays by their index from 0; integers are below 2^53.
  MARKS     [tick, token, tick, token, ...] from the top, zeros at the end left out      ID  [unit, tick, token]: a value, or a life
  clauses   "RULE VERDICT WHY"          epochs   [token, former token, last tick of the former that counts]
  policies  {group, or "create" and "delete" in place of "row": five letters from the top, o(wn) p(ropose) r(ead)}; of the row's two
            rights p stands where the level has not the right and is listed under `propose`
  values    [group, unit, "d"ecision or "p"roposal, MARKS, life ID, columns, policy, flags, base ID, asserts MARKS, saw]: left out from the
            end where 0, "", null, []; flags: w(hole) r(uling) a(cting); policy: index in the case's list; saw: [[life ID, group, MARKS]]
  states    [[values], [life IDs that are known]] of one row
  cases     [node, from: "a"bove or "b"elow (+ "w" inside a whole row, + "h": the node was restored and heals this link,
            + "p": the row has been in the author's scope before), state or null,
            incoming value, [policies], what the author has reported active [[tick, token, policy]], what locks and rules say ("" nothing),
            the node's next mark [tick, token],
            then asked: clause, [losing values], ruling or null, state after (as a set; the ruling is merged in),
            how: on_conflict of the group ["max" or "min", column] or null, and then the decision that settles the conflict, or null]
  bad_marks [level of the node, MARKS, greatest MARKS met, answer]
"""
import json
import sys

from histories import algebra, check
from mutants import mutants
from pairs import pairs
from stories import story
from vectors import mark_cases, pack, vectors

def main():
    what, numbers = (sys.argv[1:] or ["help"])[0], [int(x) for x in sys.argv[2:] if x.isdigit()]
    if what == "check":
        sys.exit(check(*(numbers + [5000, 0][len(numbers):])) > 0)
    if what == "algebra":
        sys.exit(algebra(*(numbers or [20000])) > 0)
    if what == "vectors":
        n, seed = numbers + [100, 1][len(numbers):]
        doc = pack([*vectors(n, seed), *pairs()], list(mark_cases(n, seed)))
        line = lambda x: json.dumps(x, separators=(",", ":"), ensure_ascii=False)
        print("{%s}" % ",\n".join('"%s":[\n%s]' % (name, ",\n".join(map(line, rows))) for name, rows in doc.items()))
    elif what == "story":
        story((sys.argv[2:] or [""])[0])
    elif what == "mutants":
        sys.exit(mutants(*numbers) > 0)
    else:
        sys.exit(__doc__)

if __name__ == "__main__":
    main()
