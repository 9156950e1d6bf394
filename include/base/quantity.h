/* Numbers with their units, as people read them: for messages and tables. */
#ifndef GRAPEVINE_BASE_QUANTITY_H
#define GRAPEVINE_BASE_QUANTITY_H

/* "44.7 MiB"; "3.2 s", "2 min 05 s", "1 h 02 min": written to `out` (at least 32 bytes), which is returned. They
 * allocate nothing, so that a message about memory that ran out can use them. */
char *quantity_bytes(char out[32], double bytes);
char *quantity_duration(char out[32], double seconds);

#endif
