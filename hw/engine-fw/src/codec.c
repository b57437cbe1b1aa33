#include "codec.h"

#include <string.h>

static bool decode_raw(const uint8_t *coded, size_t coded_length, uint8_t *plain, size_t plain_length) {
  if (coded_length != plain_length) return false;
  memcpy(plain, coded, plain_length);
  return true;
}

static bool decode_packbits(const uint8_t *coded, size_t coded_length, uint8_t *plain, size_t plain_length) {
  size_t read = 0, written = 0;
  while (read < coded_length) {
    uint8_t control = coded[read++];
    if (control == 128) continue;
    bool literal = control < 128;
    size_t count = literal ? control + 1u : 257u - control;
    size_t taken = literal ? count : 1;
    if (count > plain_length - written || taken > coded_length - read) return false;
    if (literal) memcpy(plain + written, coded + read, count);
    else memset(plain + written, coded[read], count);
    read += taken;
    written += count;
  }
  return written == plain_length;
}

#define END_OF_ROW 0xff

static bool decode_delta_row(const uint8_t *coded, size_t coded_length, uint8_t *plain, size_t plain_length,
                             size_t stride) {
  size_t read = 0;
  for (size_t row = 0; row < plain_length; row += stride) {
    if (row == 0) memset(plain, 0, stride);
    else memcpy(plain + row, plain + row - stride, stride);
    size_t x = 0;
    while (x < stride) {
      if (read == coded_length) return false;
      uint8_t command = coded[read++];
      if (command == END_OF_ROW) break;
      size_t count = (command >> 5) + 1u;
      size_t keep = command & 31;
      for (uint8_t more = keep == 31 ? 255 : 0; more == 255;) {
        if (read == coded_length || keep > stride) return false;
        more = coded[read++];
        keep += more;
      }
      if (keep > stride - x || count > stride - x - keep || count > coded_length - read) return false;
      x += keep;
      memcpy(plain + row + x, coded + read, count);
      read += count;
      x += count;
    }
  }
  return read == coded_length;
}

#define QUIET_CONTEXT 1024
#define FIRST_SHIFT 2
#define LAST_SHIFT 5

static struct {
  uint16_t p[QUIET_CONTEXT + 1];
  uint8_t shift[QUIET_CONTEXT + 1];
  uint32_t range, code;
  const uint8_t *coded;
  size_t length, read;
} coder;

static uint32_t next_byte(void) {
  uint32_t byte = coder.read < coder.length ? coder.coded[coder.read] : 0;
  coder.read++;
  return byte;
}

static unsigned decision(unsigned context) {
  uint32_t p = coder.p[context];
  unsigned shift = coder.shift[context];
  uint32_t bound = (coder.range >> 16) * p;
  unsigned bit = coder.code < bound;
  if (bit) {
    coder.range = bound;
    p += (65536 - p) >> shift;
  } else {
    coder.code -= bound;
    coder.range -= bound;
    p -= p >> shift;
  }
  coder.p[context] = (uint16_t)p;
  if (shift < LAST_SHIFT) coder.shift[context] = (uint8_t)(shift + 1);
  while (coder.range < 1u << 24) {
    coder.range <<= 8;
    coder.code = coder.code << 8 | next_byte();
  }
  return bit;
}

/* The byte at a column and its neighbours: left in bits 23 to 16, itself in 15 to 8, right in 7 to 0. */
static uint32_t around(const uint8_t *row, size_t column, size_t stride) {
  uint32_t left = column > 0 ? row[column - 1] : 0;
  uint32_t right = column + 1 < stride ? row[column + 1] : 0;
  return left << 16 | (uint32_t)row[column] << 8 | right;
}

static bool decode_context(const uint8_t *coded, size_t coded_length, uint8_t *plain, size_t plain_length,
                           size_t stride) {
  for (size_t i = 0; i <= QUIET_CONTEXT; i++) coder.p[i] = 32768;
  memset(coder.shift, FIRST_SHIFT, sizeof coder.shift);
  coder.range = 0xffffffff;
  coder.coded = coded;
  coder.length = coded_length;
  coder.read = 0;
  for (int i = 0; i < 4; i++) coder.code = coder.code << 8 | next_byte();

  for (size_t row = 0; row < plain_length; row += stride) {
    uint8_t *here = plain + row;
    for (size_t column = 0; column < stride; column++) {
      uint32_t left = column > 0 ? here[column - 1] : 0;
      uint32_t above = row >= stride ? around(here - stride, column, stride) : 0;
      uint32_t above2 = row >= 2 * stride ? around(here - 2 * stride, column, stride) : 0;
      if ((above | above2 | left) == 0 && !decision(QUIET_CONTEXT)) {
        here[column] = 0;
        continue;
      }
      uint32_t pixels = left;
      for (int bit = 7; bit >= 0; bit--) {
        unsigned context = (above2 >> (bit + 7) & 7) << 7 | (above >> (bit + 6) & 31) << 2 | (pixels & 3);
        pixels = pixels << 1 | decision(context);
      }
      here[column] = (uint8_t)pixels;
    }
  }
  return coder.read >= coder.length;
}

bool codec_decode(enum codec codec, const uint8_t *coded, size_t coded_length, uint8_t *plain, size_t plain_length,
                  size_t stride) {
  switch (codec) {
  case CODEC_RAW:
    return decode_raw(coded, coded_length, plain, plain_length);
  case CODEC_PACKBITS:
    return decode_packbits(coded, coded_length, plain, plain_length);
  case CODEC_DELTA_ROW:
    return decode_delta_row(coded, coded_length, plain, plain_length, stride);
  case CODEC_CONTEXT:
    return decode_context(coded, coded_length, plain, plain_length, stride);
  default:
    return false;
  }
}
