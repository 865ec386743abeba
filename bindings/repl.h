/* What the prompt is made of: reading lines (repl.c), completing them (repl_complete.c), showing
   values and help (repl_show.c). */
#ifndef PERIGEE_REPL_H
#define PERIGEE_REPL_H

#include "front.h"

/* Names that a text such as "peri.nn.li" or "x:su" may become: the argument is the text, the result
   a sorted list of whole texts.  A lua_CFunction, to be called protected. */
int peri__complete (lua_State *L);
/* Print the arguments as the prompt shows results.  A lua_CFunction. */
int peri__show_results (lua_State *L);
/* Print what is known of the name given; a list of operations for "".  A lua_CFunction. */
int peri__show_help (lua_State *L);
/* Push the value that "peri.nn.linear" or "x:sum" names, nil when there is none. */
void peri__push_named (lua_State *L, const char *name, size_t n);

#endif
