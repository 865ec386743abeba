/* The program `perigee`: reads its arguments and runs a script, a line of code, a command or the
   prompt.  Holds nothing of tensors, and no command: those are Lua, in perigee.cli. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "front.h"

#ifndef PERI_HOME
#define PERI_HOME "."
#endif

/* Exit codes a shell expects: 2 for a wrong command line, 128 + SIGINT after Ctrl-C. */
enum { EXIT_USAGE = 2, EXIT_INTERRUPT = 130 };

static const char usage[] =
  "usage: perigee COMMAND [ARGUMENT...]   run, show, diff ...: `perigee help` lists the commands\n"
  "       perigee FILE.lua [ARGUMENT...]  run a script; `-` reads it from the standard input\n"
  "       perigee -e CODE [ARGUMENT...]   run a line of code, with `peri` loaded when it is used\n"
  "       perigee                         start the prompt\n"
  "       perigee -v, --version           print the version\n"
  "       perigee -h, --help              print this\n";

/* --- calling ------------------------------------------------------------------------------- */

static lua_State *running;
static volatile sig_atomic_t interrupted;

static void stop (lua_State *L, lua_Debug *ar) {
  (void)ar;
  lua_sethook(L, NULL, 0, 0);
  luaL_error(L, "interrupted");
}

/* Only sets a hook, which is all that may be done to a state from a signal.  The default comes back
   so that a chunk stuck in C code still dies of a second Ctrl-C. */
static void on_interrupt (int number) {
  signal(number, SIG_DFL);
  interrupted = 1;
  lua_sethook(running, stop, LUA_MASKCALL | LUA_MASKRET | LUA_MASKLINE | LUA_MASKCOUNT, 1);
}

static int add_traceback (lua_State *L) {
  const char *message = lua_tostring(L, 1);
  if (message == NULL) {
    if (luaL_callmeta(L, 1, "__tostring") && lua_type(L, -1) == LUA_TSTRING)
      return 1;                         /* an object that knows its text wants no traceback */
    message = lua_pushfstring(L, "(error object is a %s value)", luaL_typename(L, 1));
  }
  luaL_traceback(L, L, message, 1);
  return 1;
}

int peri__call (lua_State *L, int narg, int nresults) {
  int base = lua_gettop(L) - narg;
  lua_pushcfunction(L, add_traceback);
  lua_insert(L, base);
  struct sigaction before, ours = {.sa_handler = on_interrupt, .sa_flags = SA_RESTART};
  sigemptyset(&ours.sa_mask);
  sigaction(SIGINT, NULL, &before);
  /* A chunk started in the background ignores Ctrl-C, and a handler set earlier has its reasons. */
  bool listen = before.sa_handler == SIG_DFL;
  running = L;
  interrupted = 0;
  if (listen)
    sigaction(SIGINT, &ours, NULL);
  int status = lua_pcall(L, narg, nresults, base);
  if (listen) {
    struct sigaction now;
    sigaction(SIGINT, NULL, &now);
    if (now.sa_handler == on_interrupt)
      sigaction(SIGINT, &before, NULL);
  }
  if (interrupted)                      /* it may have come too late to be noticed */
    lua_sethook(L, NULL, 0, 0);
  lua_remove(L, base);
  return status;
}

bool peri__was_interrupted (void) {
  bool was = interrupted != 0;
  interrupted = 0;
  return was;
}

void peri__report (lua_State *L, int status) {
  if (status == LUA_OK)
    return;
  const char *message = lua_tostring(L, -1);
  fflush(stdout);
  fprintf(stderr, "perigee: %s\n", message ? message : "(an error without a text)");
  fflush(stderr);
  lua_pop(L, 1);
}

/* --- globals -------------------------------------------------------------------------------- */

/* __index of _G: `peri` is required when it is first mentioned, any other name is nil. */
static int l_find_global (lua_State *L) {
  if (lua_type(L, 2) != LUA_TSTRING || strcmp(lua_tostring(L, 2), "peri") != 0)
    return 0;
  lua_getglobal(L, "require");
  lua_pushliteral(L, "perigee");
  lua_call(L, 1, 1);
  lua_pushvalue(L, -1);
  lua_setglobal(L, "peri");
  return 1;
}

void peri__relax_globals (lua_State *L) {
  lua_pushglobaltable(L);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, l_find_global);
  lua_setfield(L, -2, "__index");
  lua_setmetatable(L, -2);
  lua_pop(L, 1);
}

/* --- what the arguments ask for ----------------------------------------------------------- */

/* The global `arg` as in lua: the script's name at 0, its arguments from 1, the rest below. */
static void set_arg (lua_State *L, int argc, char **argv, int script) {
  lua_createtable(L, argc > script ? argc - script - 1 : 0, script + 1);
  for (int i = 0; i < argc; i++) {
    lua_pushstring(L, argv[i]);
    lua_rawseti(L, -2, i - script);
  }
  lua_pushglobaltable(L);
  lua_pushliteral(L, "arg");
  lua_pushvalue(L, -3);
  lua_rawset(L, -3);                    /* a declared global, whatever the state's rules */
  lua_pop(L, 2);
}

/* A chunk that started a run ends it by ending, well or with the message on the top, which is
   popped. Returns a Lua status. */
static int end_run (lua_State *L, int status) {
  int top = lua_gettop(L) - (status != LUA_OK), ended = LUA_OK;
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  if (lua_getfield(L, -1, "perigee.run") == LUA_TTABLE) {
    lua_getfield(L, -1, "ended");
    lua_pushboolean(L, status == LUA_OK);
    if (status == LUA_OK)
      lua_pushnil(L);
    else
      lua_pushvalue(L, top + 1);
    ended = peri__call(L, 2, 0);
    peri__report(L, ended);
  }
  lua_settop(L, top);
  return ended;
}

/* Call the loaded chunk with the arguments from `first` on. */
static int run_chunk (lua_State *L, int status, int argc, char **argv, int first) {
  if (status == LUA_OK) {
    int n = argc > first ? argc - first : 0;
    luaL_checkstack(L, n + 2, "too many arguments");
    for (int i = 0; i < n; i++)
      lua_pushstring(L, argv[first + i]);
    status = peri__call(L, n, 0);
  }
  if (status != LUA_OK)
    lua_pushvalue(L, -1);               /* the report pops one */
  peri__report(L, status);
  bool was_interrupted = peri__was_interrupted();
  int ended = end_run(L, status);
  if (status == LUA_OK && ended == LUA_OK)
    return EXIT_SUCCESS;
  return was_interrupted ? EXIT_INTERRUPT : EXIT_FAILURE;
}

static int l_command (lua_State *L) {
  lua_getglobal(L, "require");
  lua_pushliteral(L, "perigee.cli");
  lua_call(L, 1, 1);
  lua_pushvalue(L, 1);
  lua_call(L, 1, 1);
  return 1;
}

/* `require("perigee.cli")` called with the list of arguments; what it returns is the exit code. */
static int run_command (lua_State *L, int argc, char **argv) {
  lua_pushcfunction(L, l_command);
  lua_createtable(L, argc - 1, 1);
  for (int i = 0; i < argc; i++) {
    lua_pushstring(L, argv[i]);
    lua_rawseti(L, -2, i);
  }
  int status = peri__call(L, 1, 1);
  if (status != LUA_OK) {
    peri__report(L, status);
    return peri__was_interrupted() ? EXIT_INTERRUPT : EXIT_FAILURE;
  }
  int code = lua_isinteger(L, -1) ? (int)lua_tointeger(L, -1)
           : lua_isboolean(L, -1) && !lua_toboolean(L, -1) ? EXIT_FAILURE : EXIT_SUCCESS;
  lua_pop(L, 1);
  /* a command that was interrupted has reported it like any error */
  return code != EXIT_SUCCESS && peri__was_interrupted() ? EXIT_INTERRUPT : code;
}

static bool is_script (const char *name) {
  size_t n = strlen(name);
  return strcmp(name, "-") == 0 || strchr(name, '/') != NULL
      || (n > 4 && strcmp(name + n - 4, ".lua") == 0);
}

static int run_arguments (lua_State *L, int argc, char **argv) {
  const char *first = argc > 1 ? argv[1] : NULL;
  if (first == NULL) {
    set_arg(L, argc, argv, 0);
    return peri__repl(L);
  }
  if (strcmp(first, "-e") == 0) {
    if (argc < 3) {
      fputs("perigee: -e wants the code to run: perigee -e 'print(peri.ones(2, 3))'\n", stderr);
      return EXIT_USAGE;
    }
    set_arg(L, argc, argv, 2);
    peri__relax_globals(L);
    int status = luaL_loadbufferx(L, argv[2], strlen(argv[2]), "=(command line)", "t");
    return run_chunk(L, status, argc, argv, 3);
  }
  if (is_script(first)) {
    set_arg(L, argc, argv, 1);
    int status = luaL_loadfilex(L, strcmp(first, "-") == 0 ? NULL : first, "t");
    return run_chunk(L, status, argc, argv, 2);
  }
  set_arg(L, argc, argv, 0);
  return run_command(L, argc, argv);
}

static struct {
  int argc;
  char **argv;
  int code;
} job;

/* Everything that may raise happens below this, so nothing panics. */
static int l_main (lua_State *L) {
  job.code = run_arguments(L, job.argc, job.argv);
  return 0;
}

/* A full disk under a redirected output is a failure, not a short file. */
static int close_output (int code) {
  if (fflush(stdout) == 0 && !ferror(stdout))
    return code;
  perror("perigee: standard output");
  return code == EXIT_SUCCESS ? EXIT_FAILURE : code;
}

int main (int argc, char **argv) {
  const char *first = argc > 1 ? argv[1] : "";
  if (strcmp(first, "-h") == 0 || strcmp(first, "--help") == 0) {
    fputs(usage, stdout);
    return close_output(EXIT_SUCCESS);
  }
  if (strcmp(first, "-v") == 0 || strcmp(first, "--version") == 0) {
    printf("perigee %s (%s)\n", PERIGEE_VERSION, LUA_RELEASE);
    return close_output(EXIT_SUCCESS);
  }
  const char *home = getenv("PERIGEE_HOME");
  lua_State *L = peri__new_state(home != NULL && *home != '\0' ? home : PERI_HOME);
  if (L == NULL) {
    fputs("perigee: not enough memory to start\n", stderr);
    return EXIT_FAILURE;
  }
  job.argc = argc;
  job.argv = argv;
  lua_pushcfunction(L, l_main);
  int status = lua_pcall(L, 0, 0, 0);
  peri__report(L, status);
  int code = status == LUA_OK ? job.code : EXIT_FAILURE;
  lua_close(L);
  return close_output(code);
}
