/* IDX, the format of MNIST: two zero bytes, a type, a rank, big-endian sizes, data; plain or gzip.
   Only unsigned bytes; the other types of the format are refused by name. */

#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "file.h"

static bool damaged (const char *path, const char *why) {
  peri_fail(PERI_E_FORMAT, "%s is damaged: %s", path, why);
  return false;
}

/* n bytes or a failure.  gzread takes what is not gzip as it is. */
static bool take (gzFile gz, const char *path, void *out, size_t n) {
  for (char *p = out; n > 0;) {
    unsigned part = n < (1u << 30) ? (unsigned) n : 1u << 30;
    int got = gzread(gz, p, part), error = 0;
    if (got <= 0) {
      const char *why = gzerror(gz, &error);
      if (error == Z_ERRNO) return peri__fail_errno("read", path), false;
      return damaged(path, error == Z_OK || error == Z_BUF_ERROR ? "it ends too early" : why);
    }
    p += got;
    n -= (size_t) got;
  }
  return true;
}

/* The shape, checked against what a file of `size` bytes can hold. */
static bool take_head (gzFile gz, const char *path, int64_t size, peri_dims *shape) {
  static const char *const other[] = {"int8", "an unknown type", "int16", "int32", "float32",
                                      "float64"};
  uint8_t magic[4], s[4];
  double count = 1;
  if (!take(gz, path, magic, 4)) return false;
  int type = magic[2];
  if (magic[0] || magic[1] || type < 8 || type > 14) {
    peri_fail(PERI_E_FORMAT, "%s is not an IDX file: it starts with %02x %02x %02x %02x", path,
              magic[0], magic[1], magic[2], magic[3]);
    return false;
  }
  if (type != 8) {
    peri_fail(PERI_E_TYPE, "%s holds %s; only IDX files of unsigned bytes are read", path,
              type > 8 ? other[type - 9] : "");
    return false;
  }
  if (magic[3] > PERI_MAXDIM) return damaged(path, "it claims more than 8 axes");
  shape->n = magic[3];
  for (int i = 0; i < shape->n; i++) {
    if (!take(gz, path, s, 4)) return false;
    shape->at[i] = (int64_t) s[0] << 24 | s[1] << 16 | s[2] << 8 | s[3];
    count *= (double) shape->at[i];
  }
  double head = 4 + 4 * shape->n;
  if (gzdirect(gz) && head + count != (double) size) {
    peri_fail(PERI_E_FORMAT, "%s is damaged: its sizes ask for %.0f bytes and it has %lld", path,
              head + count, (long long) size);
    return false;
  }
  return peri__check_claim(path, count, (double) size);
}

/* Memory is asked for after the sizes were checked against the file: exactly where it is plain,
   against what deflate can at most shrink where it is gzip. */
peri_tensor *peri_idx_read (const char *path) {
  peri_dims shape;
  peri_tensor *x = NULL;
  char more;
  int64_t size;
  int fd = peri__open_file(path, &size);
  gzFile gz = fd < 0 ? NULL : gzdopen(fd, "rb");
  if (!gz) {
    if (fd < 0) return NULL;
    close(fd);
    return peri_null(PERI_E_MEMORY, "out of memory reading %s", path);
  }
  gzbuffer(gz, 1 << 16);
  bool ok = take_head(gz, path, size, &shape);
  if (ok) ok = (x = peri_empty(PERI_BYTE, shape)) && take(gz, path, x->data, (size_t) x->count);
  if (ok) {       /* reading past the end makes zlib check the sum of the whole */
    int rest = gzread(gz, &more, 1), error = 0;
    gzerror(gz, &error);
    if (rest > 0) ok = damaged(path, "it has more bytes than its sizes ask for");
    else if (rest < 0 || error != Z_OK) ok = damaged(path, "the gzip sum of its data is wrong");
  }
  gzclose(gz);
  return ok ? x : NULL;
}
