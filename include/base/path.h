/* Paths as users write them, who expect of every program what their shell does. */
#ifndef GRAPEVINE_BASE_PATH_H
#define GRAPEVINE_BASE_PATH_H

#include "base/text.h"

/* The path with `~/` and `~user/` at its beginning, `$NAME` and `${NAME}` anywhere replaced; `$$` and `$~` are
 * the signs themselves. Owned by the caller. NULL where something is not known: an undefined variable, an unknown user,
 * no home, a brace that is not closed; `trouble` then says what and how to mend it. */
char *path_expand(const char *path, struct text *trouble);

/* Add the path so that path_expand gives it back as it is. */
void path_add_literal(struct text *text, const char *path);

#endif
