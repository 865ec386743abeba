/* SHA-256 (FIPS 180-4), CRC-32C (Castagnoli, as in iSCSI) and a fast chained digest of tensors.
   Not for secrets: nothing in here is hardened against timing. */

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "file.h"

/* --- SHA-256 ------------------------------------------------------------------------------- */

static const uint32_t round_constant[64] = {
  0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
  0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
  0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
  0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
  0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
  0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
  0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
  0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2
};

static uint32_t ror (uint32_t x, int n) {
  return x >> n | x << (32 - n);
}

/* The compression function: 64 rounds over one block of 64 bytes. */
static void sha256_block (uint32_t state[8], const uint8_t *p) {
  uint32_t w[64], s[8];
  for (int i = 0; i < 16; i++, p += 4)
    w[i] = (uint32_t) p[0] << 24 | (uint32_t) p[1] << 16 | (uint32_t) p[2] << 8 | p[3];
  for (int i = 16; i < 64; i++) {
    uint32_t a = w[i - 15], b = w[i - 2];
    w[i] = w[i - 16] + (ror(a, 7) ^ ror(a, 18) ^ a >> 3) + w[i - 7] +
           (ror(b, 17) ^ ror(b, 19) ^ b >> 10);
  }
  memcpy(s, state, sizeof s);
  for (int i = 0; i < 64; i++) {
    uint32_t t = s[7] + (ror(s[4], 6) ^ ror(s[4], 11) ^ ror(s[4], 25)) +
                 ((s[4] & s[5]) ^ (~s[4] & s[6])) + round_constant[i] + w[i];
    uint32_t u = (ror(s[0], 2) ^ ror(s[0], 13) ^ ror(s[0], 22)) +
                 ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
    memmove(s + 1, s, 7 * sizeof *s);
    s[4] += t;
    s[0] = t + u;
  }
  for (int i = 0; i < 8; i++) state[i] += s[i];
}

void peri_sha256_init (peri_sha256 *h) {
  *h = (peri_sha256) {{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                       0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19}, 0, {0}};
}

/* Bytes in any pieces; whole blocks are taken where they are, the rest waits in h->block. */
void peri_sha256_add (peri_sha256 *h, const void *data, size_t n) {
  const uint8_t *p = data;
  while (n > 0) {
    size_t at = h->length % 64, take = n < 64 - at ? n : 64 - at;
    if (take == 64) sha256_block(h->state, p);
    else {
      memcpy(h->block + at, p, take);
      if (at + take == 64) sha256_block(h->state, h->block);
    }
    h->length += take;
    p += take;
    n -= take;
  }
}

/* Pads with one bit, zeros and the length in bits, and spells the state as 64 digits. */
void peri_sha256_hex (peri_sha256 *h, char out[65]) {
  static const char digit[] = "0123456789abcdef";
  static const uint8_t padding[64] = {0x80};
  uint64_t bits = h->length * 8;
  uint8_t tail[8];
  for (int i = 0; i < 8; i++) tail[i] = (uint8_t) (bits >> (56 - 8 * i));
  peri_sha256_add(h, padding, 1 + (119 - h->length % 64) % 64);
  peri_sha256_add(h, tail, 8);
  for (int i = 0; i < 64; i++) out[i] = digit[h->state[i / 8] >> (28 - 4 * (i % 8)) & 15];
  out[64] = 0;
}

/* `out` is undefined after a failure. */
peri_status peri_sha256_file (const char *path, char out[65]) {
  static _Thread_local char buffer[1 << 16];
  peri_sha256 h;
  int64_t size;
  ssize_t n;
  int fd = peri__open_file(path, &size);
  if (fd < 0) return peri_error();
  peri_sha256_init(&h);
  while ((n = read(fd, buffer, sizeof buffer)) > 0 || (n < 0 && errno == EINTR))
    if (n > 0) peri_sha256_add(&h, buffer, (size_t) n);
  peri_status status = n < 0 ? peri__fail_errno("read", path) : PERI_OK;
  close(fd);
  peri_sha256_hex(&h, out);
  return status;
}

/* --- CRC-32C ------------------------------------------------------------------------------- */

static uint32_t crc_table[8][256];     /* [k][b]: byte b followed by k zero bytes */

static void fill_crc_table (void) {
  for (uint32_t b = 0; b < 256; b++) {
    uint32_t c = b;
    for (int bit = 0; bit < 8; bit++) c = c >> 1 ^ (0x82f63b78 & (0 - (c & 1)));
    crc_table[0][b] = c;
  }
  for (int k = 1; k < 8; k++)
    for (int b = 0; b < 256; b++)
      crc_table[k][b] = crc_table[k - 1][b] >> 8 ^ crc_table[0][crc_table[k - 1][b] & 255];
}

/* Continues `crc`, 0 at the start.  Eight table look-ups for eight bytes (Intel's slicing-by-8):
   their latencies overlap, which a byte at a time does not allow. */
uint32_t peri_crc32c (uint32_t crc, const void *data, size_t n) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  const uint8_t *p = data;
  pthread_once(&once, fill_crc_table);
  crc = ~crc;
  for (; n >= 8; n -= 8, p += 8) {
    uint64_t w;
    memcpy(&w, p, 8);
    w ^= crc;
    crc = 0;
    for (int k = 0; k < 8; k++) crc ^= crc_table[7 - k][w >> 8 * k & 255];
  }
  for (; n > 0; n--) crc = crc >> 8 ^ crc_table[0][(crc ^ *p++) & 255];
  return ~crc;
}

/* --- digest of tensors --------------------------------------------------------------------- */

/* XXH64 (Collet 2014) over dtype, shape and bytes, seeded with the chain: several bytes a cycle. */
#define P1 0x9e3779b185ebca87u
#define P2 0xc2b2ae3d27d4eb4fu
#define P3 0x165667b19e3779f9u
#define P4 0x85ebca77c2b2ae63u
#define P5 0x27d4eb2f165667c5u

static uint64_t rol (uint64_t x, int n) {
  return x << n | x >> (64 - n);
}

static uint64_t mix (uint64_t lane, uint64_t word) {
  return rol(lane + word * P2, 31) * P1;
}

static uint64_t xxh64 (uint64_t seed, const void *data, size_t n) {
  const uint8_t *p = data;
  uint64_t h = seed + P5, w[4];
  size_t left = n;
  if (n >= 32) {
    uint64_t lane[4] = {seed + P1 + P2, seed + P2, seed, seed - P1};
    for (; left >= 32; left -= 32, p += 32) {
      memcpy(w, p, 32);
      for (int i = 0; i < 4; i++) lane[i] = mix(lane[i], w[i]);
    }
    h = rol(lane[0], 1) + rol(lane[1], 7) + rol(lane[2], 12) + rol(lane[3], 18);
    for (int i = 0; i < 4; i++) h = (h ^ mix(0, lane[i])) * P1 + P4;
  }
  h += n;
  for (; left >= 8; left -= 8, p += 8) {
    memcpy(w, p, 8);
    h = rol(h ^ mix(0, w[0]), 27) * P1 + P4;
  }
  if (left >= 4) {
    uint32_t v;
    memcpy(&v, p, 4);
    h = rol(h ^ v * P1, 23) * P2 + P3;
    left -= 4;
    p += 4;
  }
  for (; left > 0; left--) h = rol(h ^ *p++ * P5, 11) * P1;
  h = (h ^ h >> 33) * P2;
  h = (h ^ h >> 29) * P3;
  return h ^ h >> 32;
}

/* Shape and dtype go first, so a reshaped tensor has another digest.  On failure (no memory to pack
   a strided x) the chain is not continued by its elements and the failure is recorded. */
uint64_t peri_digest (uint64_t chain, const peri_tensor *x) {
  if (!x) return chain;
  int64_t head[2 + PERI_MAXDIM] = {x->dtype, x->ndim};
  memcpy(head + 2, x->shape, x->ndim * sizeof *head);
  chain = xxh64(chain, head, (2u + x->ndim) * sizeof *head);
  size_t n;
  peri_scope scope = peri_scope_open();
  const void *data = peri__tensor_bytes(x, &n);
  if (data) chain = xxh64(chain, data, n);
  peri_scope_close(scope);
  return chain;
}
