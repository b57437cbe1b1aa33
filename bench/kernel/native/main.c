/**
 * `native scalar|sse WIDTH HEIGHT RUNS TABLES PIXELS PLANES`: halftones a page of sRGB so many times, writes its four planes, and
 * prints the CPU seconds of each run. WIDTH is a multiple of 16, HEIGHT one of 4.
 */
#include "page.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void *read_file(const char *path, size_t bytes, size_t room) {
  FILE *file = fopen(path, "rb");
  void *data = malloc(bytes + room);
  if (!file || !data || fread(data, 1, bytes, file) != bytes) {
    fprintf(stderr, "cannot read %zu bytes of %s\n", bytes, path);
    exit(1);
  }
  fclose(file);
  return data;
}

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return now.tv_sec + now.tv_nsec / 1e9;
}

int main(int argc, char **argv) {
  if (argc != 8) return 2;
  struct page page = {.width = atoi(argv[2]), .height = atoi(argv[3])};
  if (page.width <= 0 || page.width % 16 || page.height <= 0 || page.height % 4) return 2;
  size_t plane_bytes = (size_t)page.width / 8 * page.height;
  page.tables = read_file(argv[5], sizeof *page.tables, 0);
  page.pixels = read_file(argv[6], (size_t)page.width * page.height * 3, 64);
  for (int plane = 0; plane < 4; plane++) page.planes[plane] = calloc(1, plane_bytes);
  for (int run = 0; run < atoi(argv[4]); run++) {
    double begin = seconds();
    (strcmp(argv[1], "sse") == 0 ? sse_kernel : scalar_kernel)(&page);
    printf("%f\n", seconds() - begin);
  }
  FILE *file = fopen(argv[7], "wb");
  for (int plane = 0; file && plane < 4; plane++) fwrite(page.planes[plane], 1, plane_bytes, file);
  return !file || fclose(file) != 0;
}
