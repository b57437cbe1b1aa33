/** C with SSE intrinsics: vector for vector what firmware-node/kernel/assembly does, but reads the page where it lies. */
#include "page.h"

#include <immintrin.h>
#include <stdlib.h>
#include <string.h>

enum { chunk_px = 512, block_px = 16, lag_px = 4, behind = 3 * lag_px + 3, has_special = 1, not_white = 2 };

/** Entries of a chunk, one row after another, each begun by its lag; flags of its blocks. */
struct chunk {
  uint32_t entries[4][chunk_px + 4 * block_px];
  uint8_t flags[chunk_px / block_px];
};

struct work {
  struct chunk chunk;
  /** Thresholds, then masks, of four rows. */
  int16_t row_thresholds[mask_side][8][4];
};

static inline __m128i along(__m128i v, __m128i dither) {
  return _mm_srli_epi16(_mm_add_epi16(_mm_add_epi16(v, _mm_srli_epi16(v, 7)), dither), 3);
}

static inline __m128i grey_of(__m128i bb) {
  return _mm_add_epi32(_mm_and_si128(bb, _mm_set1_epi32(255)), _mm_set1_epi32(points));
}

static inline __m128i ends_of(__m128i bb, __m128i neutral) {
  return _mm_and_si128(neutral, _mm_or_si128(_mm_cmpeq_epi32(bb, _mm_setzero_si128()),
                                             _mm_cmpeq_epi32(bb, _mm_set1_epi32(0xff00ff))));
}

static void convert_row(const uint8_t *from, uint32_t *to, const int16_t *dither, int blocks, int blocks_on_page,
                        uint8_t *flags) {
  const __m128i pick_red_green = _mm_setr_epi8(0, -1, 1, -1, 3, -1, 4, -1, 6, -1, 7, -1, 9, -1, 10, -1);
  const __m128i pick_blue = _mm_setr_epi8(2, -1, 2, -1, 5, -1, 5, -1, 8, -1, 8, -1, 11, -1, 11, -1);
  const __m128i steps = _mm_set1_epi32(grid_side << 16 | grid_side * grid_side);
  const __m128i white = _mm_set1_epi32(points + 255);
  for (int block = 0; block < blocks; block++, from += 48, to += 16) {
    int light = 0xffff;
    if (block < blocks_on_page) {
      __m128i all = _mm_and_si128(_mm_loadu_si128((const __m128i *)from),
                                  _mm_and_si128(_mm_loadu_si128((const __m128i *)(from + 16)),
                                                _mm_loadu_si128((const __m128i *)(from + 32))));
      light = _mm_movemask_epi8(_mm_cmpeq_epi8(all, _mm_set1_epi8(-1)));
    }
    if (light == 0xffff) {
      for (int i = 0; i < 16; i += 4) _mm_storeu_si128((__m128i *)(to + i), white);
      flags[block] |= has_special;
      continue;
    }
    int found = not_white;
    for (int cell = 0; cell < 2; cell++) {
      const int16_t *d = dither + (block * 16 + cell * 8) % mask_side * 2;
      __m128i entries[2], blue[2], neutral[2];
      for (int i = 0; i < 2; i++) {
        /* 16 bytes for 12: the page has as much after it. */
        __m128i pixels = _mm_loadu_si128((const __m128i *)(from + cell * 24 + i * 12));
        __m128i rg = _mm_shuffle_epi8(pixels, pick_red_green), bb = _mm_shuffle_epi8(pixels, pick_blue);
        __m128i t = _mm_loadu_si128((const __m128i *)(d + i * 8));
        entries[i] = _mm_add_epi32(_mm_madd_epi16(along(rg, t), steps), _mm_srli_epi32(along(bb, t), 16));
        neutral[i] = _mm_cmpeq_epi32(rg, bb);
        blue[i] = bb;
      }
      if (!_mm_testz_si128(neutral[0], neutral[0]) || !_mm_testz_si128(neutral[1], neutral[1])) {
        int whole = _mm_movemask_epi8(_mm_and_si128(neutral[0], neutral[1])) == 0xffff;
        for (int i = 0; i < 2; i++) {
          __m128i grey = whole ? neutral[i] : ends_of(blue[i], neutral[i]);
          entries[i] = _mm_blendv_epi8(entries[i], grey_of(blue[i]), grey);
          if (!_mm_testz_si128(grey, grey)) found |= has_special;
        }
      }
      _mm_storeu_si128((__m128i *)(to + cell * 8), entries[0]);
      _mm_storeu_si128((__m128i *)(to + cell * 8 + 4), entries[1]);
    }
    flags[block] |= found;
  }
}

/** What passes from pixel to pixel of two rows. */
struct error {
  __m128i a, b, c, carry;
};

/** Coverage of a pixel of two rows. */
static inline __m128i asked_at(const struct tables *tables, uint32_t upper, uint32_t lower) {
  __m128i asked = _mm_loadl_epi64((const __m128i *)tables->inks[upper]);
  return _mm_castps_si128(_mm_loadh_pi(_mm_castsi128_ps(asked), (const __m64 *)tables->inks[lower]));
}

/** One pixel of two rows: gives its dots, and what is now complete for the rows below. */
static inline __m128i step(struct error *error, __m128i asked, __m128i above, const int16_t (*thresholds)[4], int special,
                           __m128i *sum) {
  const __m128i black_lanes = _mm_setr_epi8(6, 7, 6, 7, 6, 7, -1, -1, 14, 15, 14, 15, 14, 15, -1, -1);
  __m128i come = _mm_add_epi16(error->carry, above);
  __m128i apart = _mm_setzero_si128();
  if (special) {
    __m128i limit = _mm_set1_epi16(full + 1);
    apart = _mm_cmpeq_epi16(_mm_max_epu16(asked, limit), asked);
    come = _mm_andnot_si128(apart, come);
  }
  __m128i mask = _mm_loadu_si128((const __m128i *)(thresholds + 4));
  __m128i by_mask = _mm_cmpgt_epi16(_mm_add_epi16(asked, _mm_srai_epi16(come, 5)), mask);
  __m128i threshold = _mm_avg_epu16(_mm_loadu_si128((const __m128i *)thresholds), asked);
  __m128i by_value = _mm_cmpgt_epi16(_mm_add_epi16(asked, come), threshold);
  __m128i light = _mm_cmpgt_epi16(_mm_set1_epi16(lightest + 1), asked);
  __m128i light_dot = _mm_and_si128(by_mask, _mm_cmpgt_epi16(come, _mm_set1_epi16(least_error - 1)));
  __m128i dot = _mm_blendv_epi8(by_value, light_dot, light);
  __m128i hidden = _mm_shuffle_epi8(dot, black_lanes);
  __m128i none = special ? _mm_or_si128(hidden, apart) : hidden;
  __m128i e = _mm_add_epi16(come, _mm_andnot_si128(none, _mm_add_epi16(asked, _mm_slli_epi16(dot, 13))));
  __m128i e2 = _mm_srai_epi16(e, 1), e4 = _mm_srai_epi16(e, 2), e8 = _mm_srai_epi16(e, 3), e16 = _mm_srai_epi16(e, 4);
  *sum = _mm_add_epi16(_mm_sub_epi16(error->a, _mm_add_epi16(e4, e8)), _mm_sub_epi16(_mm_sub_epi16(e, e2), e16));
  error->carry = _mm_sub_epi16(e2, e16);
  error->a = _mm_add_epi16(error->b, e16);
  error->b = _mm_add_epi16(error->c, e8);
  error->c = _mm_add_epi16(e4, e16);
  return _mm_blendv_epi8(dot, by_mask, hidden);
}

/** Eight pixels of four rows; dots as one byte a row and plane. */
static inline __m128i eight(const struct tables *tables, const struct work *work, int i, int mask_x, int16_t (*errors)[4],
                            struct error *upper, struct error *lower, int special) {
  __m128i dots = _mm_setzero_si128();
  const uint32_t(*entries)[chunk_px + 4 * block_px] = work->chunk.entries;
  for (int end = i + 8; i < end; i++, mask_x++, errors++) {
    __m128i upper_sum, lower_sum, above = _mm_loadl_epi64((const __m128i *)errors);
    const int16_t(*thresholds)[4] = work->row_thresholds[mask_x];
    __m128i asked = asked_at(tables, entries[0][i], entries[1][i]);
    __m128i upper_dot = step(upper, asked, above, thresholds, special, &upper_sum);
    asked = asked_at(tables, entries[2][i], entries[3][i]);
    __m128i lower_dot = step(lower, asked, _mm_setzero_si128(), thresholds + 2, special, &lower_sum);
    upper->carry = _mm_add_epi16(upper->carry, _mm_slli_si128(upper_sum, 8));
    lower->carry = _mm_add_epi16(lower->carry, _mm_alignr_epi8(lower_sum, upper_sum, 8));
    _mm_storeh_pi((__m64 *)(errors - behind), _mm_castsi128_ps(lower_sum));
    dots = _mm_sub_epi8(_mm_add_epi8(dots, dots), _mm_packs_epi16(upper_dot, lower_dot));
  }
  return dots;
}

static void store_dots(const struct page *page, int row, int x, __m128i dots, int first) {
  int16_t lanes[8];
  dots = _mm_or_si128(_mm_slli_epi16(dots, 8), _mm_srli_epi16(dots, 8));
  _mm_storeu_si128((__m128i *)lanes, dots);
  size_t at = (size_t)row * (page->width / 8) + x / 8;
  for (int plane = 0; plane < 4; plane++) memcpy(page->planes[plane] + at, lanes + first + plane, 2);
}

static void four_rows(const struct page *page, int row, int16_t (*errors)[4], struct work *work) {
  const struct tables *tables = page->tables;
  int width = page->width;
  for (int r = 0; r < 4; r++) {
    for (int x = 0; x < mask_side; x++) {
      int y = (row + r) % mask_side, place = (x - r * lag_px) & (mask_side - 1);
      memcpy(work->row_thresholds[x][r], tables->thresholds[y][place], 8);
      memcpy(work->row_thresholds[x][4 + r], tables->masks[y][place], 8);
    }
    for (int x = 0; x < r * lag_px; x++) work->chunk.entries[r][x] = points + 255;
  }
  struct error upper = {0}, lower = {0};
  __m128i before_upper = _mm_setzero_si128(), before_lower = _mm_setzero_si128();
  int flags_before = has_special;
  for (int first = 0, end = width + block_px; first < end; first += chunk_px) {
    int blocks = (end - first < chunk_px ? end - first : chunk_px) / block_px;
    memset(work->chunk.flags, 0, sizeof work->chunk.flags);
    for (int r = 0; r < 4; r++)
      convert_row(page->pixels + ((size_t)(row + r) * width + first) * 3, work->chunk.entries[r] + r * lag_px,
                  tables->dithers[(row + r) % mask_side][0], blocks, (width - first) / block_px, work->chunk.flags);
    for (int block = 0; block < blocks; block++) {
      int x = first + block * block_px, flags = flags_before | work->chunk.flags[block];
      flags_before = work->chunk.flags[block];
      __m128i dots[2] = {_mm_setzero_si128(), _mm_setzero_si128()};
      if (!(flags & not_white)) {
        int16_t(*below)[4] = errors + x - behind;
        memset(below, 0, block_px * sizeof *below);
        _mm_storeh_pi((__m64 *)below[0], _mm_castsi128_ps(lower.a));
        _mm_storeh_pi((__m64 *)below[1], _mm_castsi128_ps(lower.b));
        _mm_storeh_pi((__m64 *)below[2], _mm_castsi128_ps(lower.c));
        memset(&upper, 0, sizeof upper);
        memset(&lower, 0, sizeof lower);
      } else {
        for (int half = 0; half < 2; half++) {
          int i = block * block_px + half * 8, at = first + i;
          if (flags & has_special) dots[half] = eight(tables, work, i, at % mask_side, errors + at, &upper, &lower, 1);
          else dots[half] = eight(tables, work, i, at % mask_side, errors + at, &upper, &lower, 0);
        }
      }
      __m128i dots_upper = _mm_unpacklo_epi8(dots[1], dots[0]), dots_lower = _mm_unpackhi_epi8(dots[1], dots[0]);
      if (x < width) store_dots(page, row, x, dots_upper, 0);
      if (x > 0) {
        int to = x - block_px;
        store_dots(page, row + 1, to, _mm_or_si128(_mm_slli_epi16(before_upper, 4), _mm_srli_epi16(dots_upper, 12)), 4);
        store_dots(page, row + 2, to, _mm_or_si128(_mm_slli_epi16(before_lower, 8), _mm_srli_epi16(dots_lower, 8)), 0);
        store_dots(page, row + 3, to, _mm_or_si128(_mm_slli_epi16(before_lower, 12), _mm_srli_epi16(dots_lower, 4)), 4);
      }
      before_upper = dots_upper;
      before_lower = dots_lower;
    }
    for (int r = 1; r < 4; r++)
      memcpy(work->chunk.entries[r], work->chunk.entries[r] + chunk_px, r * lag_px * sizeof work->chunk.entries[r][0]);
  }
}

void sse_kernel(const struct page *page) {
  int margin = 4 * block_px;
  int16_t(*errors)[4] = calloc(page->width + 2 * margin, sizeof *errors);
  struct work *work = calloc(1, sizeof *work);
  for (int row = 0; row < page->height; row += 4) four_rows(page, row, errors + margin, work);
  free(errors);
  free(work);
}
