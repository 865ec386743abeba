/* What the interpreter's front shares: calling Lua under a traceback and Ctrl-C, and the prompt. */
#ifndef PERIGEE_FRONT_H
#define PERIGEE_FRONT_H

#include "lib.h"

/* Call the function below its `narg` arguments.  On an error its text with a traceback, or an error
   object that knows how to become text, is left instead of the results.  While it runs Ctrl-C is an
   error inside the chunk; a second one ends the process.  Returns a Lua status. */
int peri__call (lua_State *L, int narg, int nresults);
/* Print the error on the top of the stack to stderr, if `status` is one, and pop it. */
void peri__report (lua_State *L, int status);
/* Was the last peri__call ended by Ctrl-C?  Asking forgets it. */
bool peri__was_interrupted (void);
/* Let chunks use undeclared globals, and find `peri` loaded at its first use. */
void peri__relax_globals (lua_State *L);
/* repl.c: the prompt on stdin.  Returns the exit code. */
int peri__repl (lua_State *L);

#endif
