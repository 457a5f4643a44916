/* Disk: a VFS of SQLite that forgets what was not synced.  For tests of power cuts and of disks that fail.
 *
 * It stands on the system's own VFS, and never waits for a real disk.  Of the files whose names begin with the victim's path it counts what can be torn
 * (write, truncate, sync, delete); at the chosen count the disk dies (every later call on these files fails) or fails
 * once.  After a death disk_power_cut makes the files what a disk could hold: what was synced, and of the rest any
 * sectors, drawn from the seed. */
#ifndef TEST_DISK_H
#define TEST_DISK_H

#include "base/bytes.h"

enum disk_fault { DISK_DIES, DISK_ERROR, DISK_FULL };

void disk_start(void);                   /* the VFS becomes the default of this process */
/* From now on: files of this path are the victim's, and are on the disk as they are now.  at = 0: nothing fails. */
void disk_arm(const char *path, uint32_t at, enum disk_fault fault);
uint32_t disk_count(void);               /* of the victim's calls since disk_arm */
void disk_refuse(uint32_t times);        /* after disk_arm: DISK_ERROR and DISK_FULL last for so many calls; else for one */
bool disk_struck(void);                  /* the fault has happened */
void disk_mend(void);                    /* from now on nothing fails */
void disk_rest(void);                    /* nobody is the victim any more; only when every connection to it is closed */
/* Only when every connection to the victim is closed.  false = the files could not be written. */
bool disk_power_cut(uint64_t seed);
bool disk_put(const char *path, struct slice content);           /* a whole file, for tests that set the scene */

#endif
