/*
 * The engine as a process, its line on standard input and output: for sanitizers and for tests without a board. SIGUSR1 takes
 * the paper away, SIGUSR2 brings it back. `posix-engine ROWS_PER_MS`.
 */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "../src/engine.h"
#include "../src/hal.h"

static uint32_t rows_per_ms = 24;
static volatile sig_atomic_t paper_out;

static void take_paper(int signal) { paper_out = signal == SIGUSR1; }

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

uint32_t hal_feed(void) { return 2; }
uint32_t hal_eject(void) { return 2; }
uint32_t hal_skip(uint32_t rows) { return rows / rows_per_ms; }
void hal_throw_out(void) {}

uint32_t hal_print(unsigned colorant, uint32_t y, const uint8_t *bits, size_t stride, unsigned rows, uint32_t new_rows) {
  (void)colorant, (void)y, (void)bits, (void)stride, (void)rows;
  return new_rows / rows_per_ms;
}

int main(int argc, char **argv) {
  if (argc > 1) rows_per_ms = (uint32_t)strtoul(argv[1], NULL, 10);
  if (rows_per_ms == 0) return 2;
  struct sigaction action = {.sa_handler = take_paper};
  sigaction(SIGUSR1, &action, NULL);
  sigaction(SIGUSR2, &action, NULL);
  engine_init((uint32_t)getpid());
  for (;;) {
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    if (poll(&input, 1, 1) > 0) {
      uint8_t bytes[4096];
      ssize_t n = read(STDIN_FILENO, bytes, sizeof bytes);
      if (n == 0 || (n < 0 && errno != EINTR)) return 0;
      for (ssize_t i = 0; i < n; i++) engine_receive(bytes[i], now_ms());
    }
    engine_set_reasons(paper_out ? REASON_MEDIA_EMPTY : 0, now_ms());
    while (engine_poll(now_ms())) {
    }
  }
}
