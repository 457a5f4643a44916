/* Node: the root object of a daemon.  Everything hangs from it; opened and closed in mirrored order. */
#ifndef APP_NODE_H
#define APP_NODE_H

#include "app/settings.h"
#include "link/control.h"
#include "link/ledger.h"
#include "link/server.h"
#include "link/uplink.h"

struct kept_identity {                   /* the one in force first; who still uses a former one may go on */
	struct identity id;
	struct kept_identity *former;
};

struct node {
	struct settings settings;
	struct kept_identity *_Atomic identity;
	int lock;
	char *spool, *control_path;
	struct engine *engine;
	struct ledger *ledger;
	struct server *server;           /* NULL without listen */
	struct uplink *uplink;           /* NULL at the top */
	struct control *control;
};

/* Reads settings and identity, takes the lock, opens the engine.  No thread runs afterwards. */
int node_open(struct node *n, const char *home, struct err *err);
/* Starts the threads. */
int node_start(struct node *n, struct err *err);
/* Stops what runs and closes what is open, whatever came of the two above. */
void node_close(struct node *n);
/* HUP: reads terraced.conf again; `upstream` begins anew where it differs, what else differs is logged. */
void node_reload(struct node *n);

#endif
