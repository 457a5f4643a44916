/* Service: what the service manager is told (sd_notify).  Without one every call does nothing. */
#ifndef APP_SERVICE_H
#define APP_SERVICE_H

#include <stdint.h>

void service_ready(const char *status);
void service_reloading(void);
void service_stopping(void);
void service_alive(void);
int64_t service_watchdog_ms(void);       /* how often service_alive is wanted; 0 = never */

#endif
