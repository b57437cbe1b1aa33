/** What both native kernels are given: see main.c. */
#ifndef PAGE_H
#define PAGE_H
#include <stdint.h>

enum { full = 8192, grid_side = 33, mask_side = 128, lightest = 246, least_error = 384 };
enum { points = grid_side * grid_side * grid_side };

/** Tables of firmware-node/src/pixels/kernel.ts, as they lie in the kernel's memory. */
struct tables {
  int16_t inks[points + 256][4];
  int16_t thresholds[mask_side][mask_side][4];
  int16_t masks[mask_side][mask_side][4];
  int16_t dithers[mask_side][mask_side][2];
};

struct page {
  int width, height;
  /** sRGB, three bytes a pixel. */
  const uint8_t *pixels;
  const struct tables *tables;
  /** Cyan, magenta, yellow, black: rows of width / 8 bytes, the most significant bit left. */
  uint8_t *planes[4];
};

void scalar_kernel(const struct page *page);
void sse_kernel(const struct page *page);

#endif
