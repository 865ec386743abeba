/* The prompt: reads lines, completes them into chunks, prints what they give.  Holds no tensors. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "front.h"

int peri__repl (lua_State *L) {
  char *line = NULL;
  size_t size = 0;
  peri__relax_globals(L);
  while (getline(&line, &size, stdin) >= 0) {
    int status = luaL_loadbufferx(L, line, strlen(line), "=stdin", "t");
    if (status == LUA_OK)
      status = peri__call(L, 0, 0);
    peri__report(L, status);
  }
  free(line);
  return 0;
}
