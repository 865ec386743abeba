/* The prompt: reads lines, joins them into chunks, runs them and shows what they give.  With a file
   or a pipe as input it does the same without prompts.  Values and names are shown by repl_show.c
   and repl_complete.c. */
#include <editline/readline.h>
#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>

#include "repl.h"

enum { HISTORY = 2000, PATH = 1024 };

static const double slow = 1;           /* seconds after which a command's time is told */

/* --- lines --- */

typedef struct {
  bool interactive;
  char *line;                   /* of getline, or of readline */
  size_t size;
  char history[PATH];           /* "" when there is none */
} reader;

static volatile sig_atomic_t cancelled;

static void on_interrupt (int number) {
  (void) number;
  cancelled = 1;
}

/* One character for the line editor.  Ctrl-C ends the line as if the input had ended. */
static int read_character (FILE *f) {
  mbstate_t state;
  unsigned char byte;
  wchar_t c;
  memset(&state, 0, sizeof state);
  while (!cancelled) {
    ssize_t n = read(fileno(f), &byte, 1);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return -1;
    size_t length = mbrtowc(&c, (char *) &byte, 1, &state);
    if (length == (size_t) -2) continue;
    return length == (size_t) -1 ? byte : (int) c;
  }
  return -1;
}

/* Make the folders on the way to a file. */
static void make_folders (char *path) {
  for (char *p = strchr(path + 1, '/'); p; p = strchr(p + 1, '/')) {
    *p = '\0';
    mkdir(path, 0700);
    *p = '/';
  }
}

/* Write what the editor knows, in place of a file that has grown to twice that. */
static void shorten_history (const reader *r) {
  char path[PATH + 8];
  snprintf(path, sizeof path, "%s.tmp", r->history);
  FILE *f = fopen(path, "w");
  if (!f) return;
  for (int i = 0; i < history_length; i++) {
    const HIST_ENTRY *entry = history_get(history_base + i);
    if (entry) fprintf(f, "%s\n", entry->line);
  }
  if (fclose(f) == 0) rename(path, r->history);
}

/* One line of the file is one entry, so that sessions side by side can add to it. */
static void open_history (reader *r) {
  const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
  int n = state && *state == '/' ? snprintf(r->history, PATH, "%s/perigee/history", state)
        : home && *home ? snprintf(r->history, PATH, "%s/.local/state/perigee/history", home)
        : PATH;
  if (n < 0 || n >= PATH) {
    r->history[0] = '\0';
    return;
  }
  using_history();
  stifle_history(HISTORY);
  make_folders(r->history);
  FILE *f = fopen(r->history, "r");
  int lines = 0;
  for (ssize_t size; f && (size = getline(&r->line, &r->size, f)) >= 0; lines++) {
    if (size > 0 && r->line[size - 1] == '\n') r->line[size - 1] = '\0';
    add_history(r->line);
  }
  if (f) fclose(f);
  if (lines > 2 * HISTORY) shorten_history(r);
}

/* Written at once, so that nothing is lost with the session; a folder that cannot be written is no
   error. */
static void remember (reader *r, const char *line) {
  const HIST_ENTRY *last = NULL;
  if (history_length > 0) last = history_get(history_base + history_length - 1);
  if (line[strspn(line, " \t")] == '\0' || (last && strcmp(last->line, line) == 0)) return;
  add_history(line);
  FILE *f = r->history[0] ? fopen(r->history, "a") : NULL;
  if (!f) return;
  fprintf(f, "%s\n", line);
  fclose(f);
}

typedef enum { GOT_LINE, GOT_CANCEL, GOT_END } got;

static got read_edited (reader *r, const char *prompt) {
  struct sigaction before, ours = {.sa_handler = on_interrupt};
  sigemptyset(&ours.sa_mask);
  cancelled = 0;
  fflush(stdout);
  sigaction(SIGINT, &ours, &before);
  free(r->line);
  r->line = readline(prompt);
  sigaction(SIGINT, &before, NULL);
  if (r->line && !cancelled) {
    remember(r, r->line);
    return GOT_LINE;
  }
  putchar('\n');
  return cancelled ? GOT_CANCEL : GOT_END;
}

static got read_line (reader *r, const char *prompt) {
  if (r->interactive) return read_edited(r, prompt);
  ssize_t n = getline(&r->line, &r->size, stdin);
  if (n < 0) return GOT_END;
  if (n > 0 && r->line[n - 1] == '\n') r->line[n - 1] = '\0';
  return GOT_LINE;
}

/* --- completion --- */

static lua_State *completing;
static const char completions = 0;      /* its address is the key of the list in the registry */

/* Takes one name after another off the list.  Allocates nothing in Lua, so it cannot raise. */
static char *next_completion (const char *text, int first) {
  static lua_Integer at;
  lua_State *L = completing;
  (void) text;
  if (first == 0) at = 0;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &completions);
  char *name = NULL;
  if (lua_istable(L, -1)) {
    lua_rawgeti(L, -1, ++at);
    if (lua_type(L, -1) == LUA_TSTRING) name = strdup(lua_tostring(L, -1));
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return name;
}

static int l_list_completions (lua_State *L) {
  peri__complete(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &completions);
  return 0;
}

static char **complete (const char *text, int start, int end) {
  lua_State *L = completing;
  (void) start, (void) end;
  rl_attempted_completion_over = 1;             /* no names of files instead */
  rl_completion_append_character = '\0';
  if (!lua_checkstack(L, 20)) return NULL;
  lua_pushcfunction(L, l_list_completions);
  lua_pushstring(L, text);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) {        /* a metamethod raised: nothing to offer */
    lua_pop(L, 1);
    return NULL;
  }
  return rl_completion_matches(text, next_completion);
}

static void start_editor (lua_State *L, reader *r) {
  setlocale(LC_CTYPE, "");
  completing = L;
  rl_readline_name = "perigee";
  rl_getc_function = read_character;
  rl_attempted_completion_function = complete;
  rl_completer_word_break_characters = " \t\n\"\\'><=;+-*/%^~#{}()[],|&";
  rl_initialize();
  open_history(r);
  printf("Perigee %s, %s.  ? for help, Ctrl-D to leave.\n", PERIGEE_VERSION, LUA_VERSION);
}

/* --- chunks --- */

/* Does the message on the top say that the text stopped too early? */
static bool is_incomplete (lua_State *L, int status) {
  static const char end[] = "<eof>";
  size_t n;
  const char *message = lua_tolstring(L, -1, &n);
  return status == LUA_ERRSYNTAX && n >= sizeof end - 1
         && strcmp(message + n - (sizeof end - 1), end) == 0;
}

/* Load the text at stack index 1 as an expression or as statements.  The start of an expression, as
   "{1," is, may be no statement: then it is the expression that is incomplete. */
static int load_chunk (lua_State *L) {
  size_t n;
  const char *text = lua_pushfstring(L, "return %s", lua_tostring(L, 1));
  int as_expression = luaL_loadbufferx(L, text, strlen(text), "=stdin", "t");
  lua_remove(L, -2);
  if (as_expression == LUA_OK) return LUA_OK;
  bool started = is_incomplete(L, as_expression);
  text = lua_tolstring(L, 1, &n);
  int status = luaL_loadbufferx(L, text, n, "=stdin", "t");
  bool take_back = started && status == LUA_ERRSYNTAX;
  lua_remove(L, take_back ? -1 : -2);
  return take_back ? as_expression : status;
}

/* Read lines until they make a chunk; it, or a message, is left at stack index 1.  False at the end
   of the input; LUA_YIELD, which no load gives, stands for a line taken back or a plea for help. */
static bool read_chunk (lua_State *L, reader *r, int *status) {
  const char *prompt = "> ";
  lua_settop(L, 0);
  for (;;) {
    got what = read_line(r, prompt);
    *status = LUA_YIELD;
    if (what == GOT_CANCEL) {
      lua_settop(L, 0);
      return true;
    }
    if (what == GOT_END) {
      lua_settop(L, lua_gettop(L) ? 2 : 0);     /* a chunk cut short: its message is at 2 */
      if (lua_gettop(L) == 0) return false;
      lua_remove(L, 1);
      *status = LUA_ERRSYNTAX;
      return true;
    }
    if (lua_gettop(L) == 0) {
      lua_pushstring(L, r->line);
      if (r->line[strspn(r->line, " \t")] == '?') return true;
    } else {
      lua_settop(L, 1);
      lua_pushfstring(L, "\n%s", r->line);
      lua_concat(L, 2);
    }
    *status = load_chunk(L);
    if (!is_incomplete(L, *status)) {
      lua_remove(L, 1);
      return true;
    }
    prompt = ">> ";
  }
}

/* A traceback that leads nowhere but to the prompt is noise. */
static void report (lua_State *L) {
  const char *message = lua_tostring(L, -1);
  const char *trace = message ? strstr(message, "\nstack traceback:") : NULL;
  bool tells = false;
  if (trace)
    for (const char *p = strchr(trace + 1, '\n'); p; p = strchr(p + 1, '\n'))
      tells |= strncmp(p, "\n\t[C]", 5) != 0 && strncmp(p, "\n\tstdin:", 8) != 0
               && strncmp(p, "\n\t(", 3) != 0;
  fflush(stdout);
  if (trace && !tells) fprintf(stderr, "%.*s\n", (int) (trace - message), message);
  else fprintf(stderr, "%s\n", message ? message : "(an error without a text)");
  fflush(stderr);
}

static double seconds (void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double) t.tv_sec + 1e-9 * (double) t.tv_nsec;
}

/* Run the chunk on the top and show its results. */
static bool run_chunk (lua_State *L, const reader *r) {
  double start = seconds();
  int status = peri__call(L, 0, LUA_MULTRET);
  double took = seconds() - start;
  if (status == LUA_OK && lua_gettop(L) > 0) {
    lua_pushcfunction(L, peri__show_results);
    lua_insert(L, 1);
    status = peri__call(L, lua_gettop(L) - 1, 0);
  }
  if (status != LUA_OK) report(L);
  else if (r->interactive && took > slow) printf("[%.1f s]\n", took);
  return status == LUA_OK;
}

/* "? name" at stack index 1 */
static bool run_help (lua_State *L) {
  const char *s = lua_tostring(L, 1);
  s += strspn(s, " \t?");
  size_t n = strlen(s);
  while (n > 0 && strchr(" \t()", s[n - 1])) n--;
  lua_pushcfunction(L, peri__show_help);
  lua_pushlstring(L, s, n);
  int status = peri__call(L, 1, 0);
  if (status != LUA_OK) report(L);
  return status == LUA_OK;
}

int peri__repl (lua_State *L) {
  reader r = {.interactive = isatty(STDIN_FILENO)};
  bool failed = false;
  int status;
  peri__relax_globals(L);
  if (r.interactive) start_editor(L, &r);
  while (read_chunk(L, &r, &status)) {
    bool fine = true;
    if (status == LUA_OK) fine = run_chunk(L, &r);
    else if (status == LUA_YIELD) fine = lua_gettop(L) == 0 || run_help(L);
    else {
      report(L);
      fine = false;
    }
    failed |= !fine;
    lua_settop(L, 0);
  }
  free(r.line);
  return failed && !r.interactive ? EXIT_FAILURE : EXIT_SUCCESS;
}
