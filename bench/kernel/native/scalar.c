/** Plain C: pixel by pixel, row by row, what firmware-node/src/pixels says. */
#include "page.h"

#include <stdlib.h>
#include <string.h>

static inline int along(int value, int dither) { return (value + (value >> 7) + dither) >> 3; }

/** Entries of `inks` for a row. */
static void convert_row(const uint8_t *rgb, int width, const int16_t (*dithers)[2], uint16_t *entries) {
  for (int cell = 0; cell < width; cell += 8) {
    int neutral = 1;
    for (int x = cell; x < cell + 8; x++) neutral &= rgb[x * 3] == rgb[x * 3 + 1] && rgb[x * 3] == rgb[x * 3 + 2];
    for (int x = cell; x < cell + 8; x++) {
      int r = rgb[x * 3], g = rgb[x * 3 + 1], b = rgb[x * 3 + 2], t = dithers[x % mask_side][0];
      if (neutral || (r | g | b) == 0 || (r & g & b) == 255) entries[x] = points + r;
      else entries[x] = (along(r, t) * grid_side + along(g, t)) * grid_side + along(b, t);
    }
  }
}

void scalar_kernel(const struct page *page) {
  int width = page->width;
  uint16_t *entries = malloc(width * sizeof *entries);
  /* Error that has come to a pixel of the row, and to one of the row below; three pixels of margin. */
  int16_t(*above)[4] = calloc(width + 3, sizeof *above), (*below)[4] = calloc(width + 3, sizeof *below);
  for (int y = 0; y < page->height; y++) {
    const int16_t(*thresholds)[4] = page->tables->thresholds[y % mask_side];
    const int16_t(*masks)[4] = page->tables->masks[y % mask_side];
    convert_row(page->pixels + (size_t)y * width * 3, width, page->tables->dithers[y % mask_side], entries);
    memset(below, 0, (width + 3) * sizeof *below);
    int right[4] = {0}, dots[4] = {0};
    for (int x = 0; x < width; x++) {
      const int16_t *asked = page->tables->inks[entries[x]];
      /* Black first: under its dots colours make no error. */
      for (int plane = 3; plane >= 0; plane--) {
        int a = asked[plane], e = 0, dot = a > full;
        if (a >= 0 && a <= full) {
          int come = above[x + 3][plane] + right[plane], hidden = plane < 3 && dots[3] & 1;
          int by_mask = a + (come >> 5) > masks[x % mask_side][plane];
          if (hidden) dot = by_mask;
          else if (a <= lightest) dot = by_mask && come >= least_error;
          else dot = a + come > (thresholds[x % mask_side][plane] + a + 1) >> 1;
          e = hidden ? come : a + come - (dot ? full : 0);
        }
        dots[plane] = dots[plane] << 1 | dot;
        int e2 = e >> 1, e4 = e >> 2, e8 = e >> 3, e16 = e >> 4;
        right[plane] = e2 - e16;
        below[x + 3][plane] += e4 + e16;
        below[x + 2][plane] += e8;
        below[x + 1][plane] += e16;
        below[x][plane] += e - e2 - e4 - e8 - e16;
      }
      if (x % 8 == 7) {
        for (int plane = 0; plane < 4; plane++) page->planes[plane][(size_t)y * (width / 8) + x / 8] = dots[plane];
      }
    }
    int16_t(*swap)[4] = above;
    above = below;
    below = swap;
  }
  free(entries);
  free(above);
  free(below);
}
