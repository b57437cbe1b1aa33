/* Little-endian fields. Readers never go beyond the end: they give zeros and clear `ok`. */
#ifndef BYTES_H
#define BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct reader {
  const uint8_t *at;
  size_t left;
  bool ok;
};

static inline uint8_t read_u8(struct reader *r) {
  if (r->left == 0) {
    r->ok = false;
    return 0;
  }
  r->left--;
  return *r->at++;
}

static inline uint16_t read_u16(struct reader *r) {
  uint16_t low = read_u8(r);
  return (uint16_t)(low | read_u8(r) << 8);
}

static inline uint32_t read_u32(struct reader *r) {
  uint32_t low = read_u16(r);
  return low | (uint32_t)read_u16(r) << 16;
}

/* Writers are for buffers that are large enough by construction. */
static inline uint8_t *put_u8(uint8_t *p, uint8_t v) {
  *p++ = v;
  return p;
}

static inline uint8_t *put_u16(uint8_t *p, uint16_t v) {
  return put_u8(put_u8(p, (uint8_t)v), (uint8_t)(v >> 8));
}

static inline uint8_t *put_u32(uint8_t *p, uint32_t v) {
  return put_u16(put_u16(p, (uint16_t)v), (uint16_t)(v >> 16));
}

static inline uint8_t *put_text(uint8_t *p, const char *text) {
  uint8_t *count = p++;
  uint8_t n = 0;
  for (; text[n] != 0 && n < 63; n++) p = put_u8(p, (uint8_t)text[n]);
  *count = n;
  return p;
}

#endif
