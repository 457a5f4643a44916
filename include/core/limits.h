/* Every cap of a format or an input, once.  Each input meets its cap before it costs memory.
 * Source: design protocol §2, §4, §8; terrace-wire(7) and terrace-policy(5) cite this page. */
#ifndef CORE_LIMITS_H
#define CORE_LIMITS_H

#define LIMIT_SEGMENT_STORED   (16u << 20)      /* bytes of a stored payload */
#define LIMIT_SEGMENT_RAW      (16u << 20)      /* bytes of an inflated payload */
#define LIMIT_HEADER           8192u            /* header with its extensions */
#define LIMIT_HEADER_FIXED     99u              /* header before its extensions */
#define LIMIT_SEGMENT_CHANGES  5000u            /* where a sender cuts, and a reader's cap */
#define LIMIT_SEGMENT_PARTS    (1u << 17)       /* parts of all changes of a payload */
#define LIMIT_SEGMENT_CELLS    (1u << 20)       /* cells of all parts and keys of a payload */
#define LIMIT_SEGMENT_ITEMS    5000u
#define LIMIT_DECODED          (128u << 20)     /* memory of a decoded payload, whatever the caller allows */
#define LIMIT_DELTA_CUT        (64u << 10)      /* stored bytes where a delta is cut */
#define LIMIT_STATE_CUT        (256u << 10)     /* stored bytes where a state is cut */
#define LIMIT_ROW              (8u << 20)       /* changed groups of one row, else `too-large` */
#define LIMIT_KEY              4096u            /* encoded key of a row */
#define LIMIT_COLUMNS          1000u            /* of a register */
#define LIMIT_GROUPS           64u              /* of a register, group `row` counted */
#define LIMIT_REGISTERS        1000u
#define LIMIT_NAME             128u             /* bytes of a register, column, group name */
#define LIMIT_POLICY_TEXT      (256u << 10)
#define LIMIT_POLICY_BLOCKS    4096u
#define LIMIT_POLICY_LISTS     64u              /* in the extensions of one segment */
#define LIMIT_CHAIN            6u               /* certificates from the leaf to the top */
#define LIMIT_CHAIN_BYTES      16384u
#define LIMIT_ENROLL_BODY      8192u
#define LIMIT_HELLO_BODY       (4u << 20)
#define LIMIT_INVITE_LINE      2048u
#define LIMIT_RECEIPT          4096u
#define LIMIT_TICK             (UINT64_C(1) << 53)
#define LIMIT_TICK_JUMP        (UINT64_C(1) << 32)
#define LIMIT_VERSION          4096u            /* encoded version, `saw` included */
#define LIMIT_NEEDS            10000u           /* named in one receipt or hello */
#define LIMIT_REVIEW           20000u           /* proposals that one command decides */
#define LIMIT_REASON           1000u            /* bytes of a rejection's reason */
#define LIMIT_RECONCILE_BODY   (64u << 10)      /* one round of a reconciliation, either way; rows' states apart */
#define LIMIT_RECONCILE_CUT    (48u << 10)      /* where a sender cuts it */
#define LIMIT_RECONCILE_STATES (1u << 20)       /* the states of rows in one round, stored */
#define LIMIT_RECONCILE_ROWS   32u              /* rows that one round fetches */
#define LIMIT_RANGES_LEAF      32u              /* rows of a span that is answered by their ids */
#define LIMIT_RANGES_IDS       512u             /* ids of one span */
#define LIMIT_RANGES_UNITS     64u              /* units that one register's spans are narrowed to */
#define LIMIT_BUNDLE           (64u << 20)      /* content of a bundle */
#define LIMIT_BUNDLE_CUT       (40u << 20)      /* where a sender cuts it; the rest is for the next one */
#define LIMIT_BUNDLE_PART      (1u << 20)       /* where a sender cuts one body of segments in it */
#define LIMIT_BUNDLE_PARTS     10000u
#define LIMIT_EPOCH_CHAIN      4096u            /* former epochs followed */

#define SLICE_MS               200              /* the write lock is held no longer than this */
#define AWAY_DAYS              400
#define EVIDENCE_DAYS          400

#endif
