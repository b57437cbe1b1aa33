/*
 * The engine as a process, its line on standard input and output, the bench panel (bench.h) on descriptor 3 if that is
 * open: for sanitizers and for tests without a board. `posix-engine ROWS_PER_MS`.
 */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "../src/engine.h"
#include "../src/hal.h"
#include "bench.h"

static uint32_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint32_t)now.tv_sec * 1000u + (uint32_t)(now.tv_nsec / 1000000);
}

void hal_send(const uint8_t *bytes, size_t length) {
  while (length > 0) {
    ssize_t n = write(STDOUT_FILENO, bytes, length);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) exit(1);
    bytes += n;
    length -= (size_t)n;
  }
}

#define PANEL_FILENO 3

/* False at the end of what can be read. */
static bool read_into(int file, void (*take)(uint8_t byte, uint32_t now_ms)) {
  uint8_t bytes[4096];
  ssize_t n = read(file, bytes, sizeof bytes);
  for (ssize_t i = 0; i < n; i++) take(bytes[i], now_ms());
  return n > 0 || (n < 0 && errno == EINTR);
}

int main(int argc, char **argv) {
  if (argc > 1) bench_rows_per_ms = (uint32_t)strtoul(argv[1], NULL, 10);
  if (bench_rows_per_ms == 0) return 2;
  engine_init((uint32_t)getpid());
  bench_init();
  struct pollfd inputs[] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = PANEL_FILENO, .events = POLLIN}};
  for (;;) {
    poll(inputs, 2, 1);
    if (inputs[0].revents && !read_into(STDIN_FILENO, engine_receive)) return 0;
    /* Without a panel there is nothing to poll. */
    if (inputs[1].revents && !read_into(PANEL_FILENO, bench_key)) inputs[1].fd = -1;
    do bench_poll(now_ms());
    while (engine_poll(now_ms()));
  }
}
