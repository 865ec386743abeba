/* PNG through libpng, from and to byte tensors, with its text chunks.  libpng reports an error by
   longjmp; it lands in encode, decode or collect, which own nothing: what is owned sits in a codec,
   and the caller of these three frees it. */

#include <errno.h>
#include <png.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "file.h"

typedef struct {
  png_structp png;
  png_infop info;
  const char *path;
  FILE *file;              /* read from */
  int64_t size;
  peri_bytes out;          /* written to */
  bool failed;             /* the failure is recorded already */
} codec;

static void on_error (png_structp png, png_const_charp why) {
  codec *c = png_get_error_ptr(png);
  if (!c->failed) peri_fail(PERI_E_FORMAT, "%s is damaged: %s", c->path, why);
  longjmp(png_jmpbuf(png), 1);
}

static void on_warning (png_structp png, png_const_charp why) {
  (void) png;
  (void) why;
}

/* Stop libpng after a failure of our own. */
static _Noreturn void stop (codec *c) {
  c->failed = true;
  png_error(c->png, "");
}

/* --- writing ------------------------------------------------------------------------------- */

static void on_write (png_structp png, png_bytep data, size_t n) {
  codec *c = png_get_io_ptr(png);
  if (peri_bytes_add(&c->out, data, n) != PERI_OK) stop(c);
}

static void on_flush (png_structp png) {
  (void) png;
}

/* PNG wants 1 to 79 printable Latin letters, with single blanks inside only. */
static bool is_keyword (const char *s) {
  size_t n = strlen(s);
  if (n < 1 || n > 79 || s[0] == ' ' || s[n - 1] == ' ' || strstr(s, "  ")) return false;
  for (; *s; s++)
    if (*s < ' ' || *s > '~') return false;
  return true;
}

static bool is_ascii (const char *s) {
  for (; *s; s++)
    if (*s & 0x80) return false;
  return true;
}

/* ASCII texts become tEXt, which every viewer shows; others iTXt, which is UTF-8. */
static bool encode (codec *c, const peri_tensor *x, const uint8_t *pixel, int ntext,
                    const char *const *text) {
  if (setjmp(png_jmpbuf(c->png))) return false;
  png_set_write_fn(c->png, c, on_write, on_flush);
  static const int color[] = {0, PNG_COLOR_TYPE_GRAY, 0, PNG_COLOR_TYPE_RGB, PNG_COLOR_TYPE_RGBA};
  int channels = x->ndim == 3 ? (int) x->shape[2] : 1;
  png_set_IHDR(c->png, c->info, (png_uint_32) x->shape[1], (png_uint_32) x->shape[0], 8,
               color[channels], PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
               PNG_FILTER_TYPE_DEFAULT);
  for (int i = 0; i < ntext; i++) {
    char *key = (char *) (uintptr_t) text[2 * i], *value = (char *) (uintptr_t) text[2 * i + 1];
    png_text t = {.compression = is_ascii(value) ? PNG_TEXT_COMPRESSION_NONE
                                                 : PNG_ITXT_COMPRESSION_NONE,
                  .key = key, .text = value};
    if (t.compression == PNG_TEXT_COMPRESSION_NONE) t.text_length = strlen(value);
    else t.itxt_length = strlen(value);
    png_set_text(c->png, c->info, &t, 1);
  }
  png_write_info(c->png, c->info);
  for (int64_t y = 0; y < x->shape[0]; y++)
    png_write_row(c->png, pixel + y * x->shape[1] * channels);
  png_write_end(c->png, c->info);
  return true;
}

static bool check_image (const char *path, const peri_tensor *x, int ntext,
                         const char *const *text) {
  char shape[PERI_SHAPETEXT];
  bool fits = (x->ndim == 2 || (x->ndim == 3 && (x->shape[2] == 1 || x->shape[2] == 3 ||
                                                 x->shape[2] == 4))) &&
              x->shape[0] >= 1 && x->shape[0] <= 1000000 &&
              x->shape[1] >= 1 && x->shape[1] <= 1000000;
  if (x->dtype != PERI_BYTE)
    peri_fail(PERI_E_TYPE, "%s: an image is a byte tensor, this one is %s; use x:byte()", path,
              peri_dtype_name(x->dtype));
  else if (!fits)
    peri_fail(PERI_E_SHAPE, "%s: an image has shape (height, width) or (height, width, 1, 3 or 4) "
              "with sizes from 1 to 1000000, not %s", path, peri_shape_text(x, shape));
  else {
    for (int i = 0; i < ntext; i++) {
      if (is_keyword(text[2 * i])) continue;
      peri_fail(PERI_E_ARGUMENT, "%s: \"%.100s\" is no PNG keyword: 1 to 79 ASCII characters", path,
                text[2 * i]);
      return false;
    }
    return true;
  }
  return false;
}

/* Encoded in memory and then put on disk in one go.  No time of writing is stored, so equal images
   with equal texts are equal files. */
peri_status peri_png_write (const char *path, const peri_tensor *image, int ntext,
                            const char *const *text) {
  size_t n;
  if (!image) return peri_error();
  if (!check_image(path, image, ntext, text)) return peri_error();
  peri_scope scope = peri_scope_open();
  codec c = {.path = path};
  bool done = false;
  const uint8_t *pixel = peri__tensor_bytes(image, &n);
  if (pixel) {
    c.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &c, on_error, on_warning);
    c.info = c.png ? png_create_info_struct(c.png) : NULL;
    if (!c.info) peri_fail(PERI_E_MEMORY, "out of memory writing %s", path);
    else done = encode(&c, image, pixel, ntext, text);
    png_destroy_write_struct(&c.png, &c.info);
  }
  peri_status status = done ? peri_file_replace(path, c.out.data, c.out.n) : peri_error();
  peri_bytes_free(&c.out);
  peri_scope_close(scope);
  return status;
}

/* --- reading ------------------------------------------------------------------------------- */

static void on_read (png_structp png, png_bytep out, size_t n) {
  codec *c = png_get_io_ptr(png);
  if (fread(out, 1, n, c->file) == n) return;
  if (ferror(c->file)) peri__fail_errno("read", c->path);
  else peri_fail(PERI_E_FORMAT, "%s is damaged: it ends too early", c->path);
  stop(c);
}

/* On failure the caller still closes what was opened. */
static bool open_reader (codec *c) {
  uint8_t signature[8];
  int fd = peri__open_file(c->path, &c->size);
  if (fd < 0) return false;
  if (!(c->file = fdopen(fd, "rb"))) {
    close(fd);
    return peri__fail_errno("read", c->path), false;
  }
  if (fread(signature, 1, 8, c->file) != 8 || png_sig_cmp(signature, 0, 8) != 0)
    return peri_fail(PERI_E_FORMAT, "%s is not a PNG file", c->path), false;
  c->png = png_create_read_struct(PNG_LIBPNG_VER_STRING, c, on_error, on_warning);
  c->info = c->png ? png_create_info_struct(c->png) : NULL;
  if (!c->info) return peri_fail(PERI_E_MEMORY, "out of memory reading %s", c->path), false;
  png_set_read_fn(c->png, c, on_read);
  png_set_sig_bytes(c->png, 8);
  png_set_chunk_malloc_max(c->png, 64 << 20);     /* a text or profile that unpacks to more */
  return true;
}

static void close_reader (codec *c) {
  if (c->png) png_destroy_read_struct(&c->png, &c->info, NULL);
  if (c->file) fclose(c->file);
}

/* Whatever is in the file becomes 8 bits and 1, 3 or 4 channels. */
static peri_tensor *decode (codec *c) {
  if (setjmp(png_jmpbuf(c->png))) return NULL;
  png_read_info(c->png, c->info);
  png_uint_32 h = png_get_image_height(c->png, c->info), w = png_get_image_width(c->png, c->info);
  png_set_expand(c->png);
  png_set_scale_16(c->png);
  if (png_get_color_type(c->png, c->info) == PNG_COLOR_TYPE_GRAY_ALPHA ||
      (png_get_color_type(c->png, c->info) == PNG_COLOR_TYPE_GRAY &&
       png_get_valid(c->png, c->info, PNG_INFO_tRNS))) png_set_gray_to_rgb(c->png);
  int passes = png_set_interlace_handling(c->png);
  png_read_update_info(c->png, c->info);
  int channels = png_get_channels(c->png, c->info);
  size_t row = png_get_rowbytes(c->png, c->info);
  /* a palette of 1 bit a pixel grows by 32 */
  if (!peri__check_claim(c->path, (double) h * (double) row, 32.0 * (double) c->size)) stop(c);
  peri_dims shape = {channels == 1 ? 2 : 3, {h, w, channels}};
  peri_tensor *x = peri_empty(PERI_BYTE, shape);
  if (!x) stop(c);
  for (int pass = 0; pass < passes; pass++)
    for (size_t y = 0; y < h; y++) png_read_row(c->png, (uint8_t *) x->data + y * row, NULL);
  png_read_end(c->png, c->info);
  return x;
}

/* All texts, those behind the image included, as key, zero, value, zero. */
static bool collect (codec *c, peri_bytes *out) {
  if (setjmp(png_jmpbuf(c->png))) return false;
  png_textp text;
  png_read_info(c->png, c->info);
  png_set_expand(c->png);
  png_uint_32 h = png_get_image_height(c->png, c->info);
  int passes = png_set_interlace_handling(c->png), n;
  png_read_update_info(c->png, c->info);
  for (int pass = 0; pass < passes; pass++)       /* texts may stand behind the image */
    for (size_t y = 0; y < h; y++) png_read_row(c->png, NULL, NULL);
  png_read_end(c->png, c->info);
  png_get_text(c->png, c->info, &text, &n);
  for (int i = 0; i < n; i++)
    if (peri_bytes_add(out, text[i].key, strlen(text[i].key) + 1) != PERI_OK ||
        peri_bytes_add(out, text[i].text, strlen(text[i].text) + 1) != PERI_OK) return false;
  return true;
}

peri_tensor *peri_png_read (const char *path) {
  codec c = {.path = path};
  peri_tensor *x = open_reader(&c) ? decode(&c) : NULL;
  close_reader(&c);
  return x;
}

peri_status peri_png_text (const char *path, peri_bytes *out) {
  codec c = {.path = path};
  bool done = open_reader(&c) && collect(&c, out);
  close_reader(&c);
  return done ? PERI_OK : peri_error();
}
