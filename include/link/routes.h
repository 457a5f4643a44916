/* Routes: the table of what a parent answers (design protocol §4), method and path to the engine's calls. */
#ifndef LINK_ROUTES_H
#define LINK_ROUTES_H

#include "link/server.h"

extern const struct route routes_link[];

#endif
