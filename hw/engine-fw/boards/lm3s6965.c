/*
 * LM3S6965 (Cortex-M3, 50 MHz, 64 KiB of RAM): start-up, SysTick, the line on UART0, the bench panel (bench.h) on
 * UART1. Runs in `qemu-system-arm -M lm3s6965evb`. Registers after Stellaris LM3S6965 data sheet (DS-LM3S6965).
 */
#include <stdbool.h>

#include "../src/engine.h"
#include "../src/hal.h"
#include "bench.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))

#define SYSCTL_RIS REGISTER(0x400fe050u)
#define SYSCTL_RCC REGISTER(0x400fe060u)
#define SYSCTL_RCGC1 REGISTER(0x400fe104u)
#define SYSCTL_RCGC2 REGISTER(0x400fe108u)
#define GPIO_A_AFSEL REGISTER(0x40004420u)
#define GPIO_A_DEN REGISTER(0x4000451cu)
#define GPIO_D_AFSEL REGISTER(0x40007420u)
#define GPIO_D_DEN REGISTER(0x4000751cu)
#define UART(offset) REGISTER(0x4000c000u + (offset))
#define UART_DR UART(0x00)
#define UART_FR UART(0x18)
#define UART_IBRD UART(0x24)
#define UART_FBRD UART(0x28)
#define UART_LCRH UART(0x2c)
#define UART_CTL UART(0x30)
#define UART_IFLS UART(0x34)
#define UART_IM UART(0x38)
#define UART_ICR UART(0x44)
#define PANEL(offset) REGISTER(0x4000d000u + (offset))
#define PANEL_DR PANEL(0x00)
#define PANEL_FR PANEL(0x18)
#define PANEL_IBRD PANEL(0x24)
#define PANEL_FBRD PANEL(0x28)
#define PANEL_LCRH PANEL(0x2c)
#define PANEL_CTL PANEL(0x30)
#define FR_TX_FULL 0x20u
#define FR_RX_EMPTY 0x10u
#define UART_RX_INTERRUPTS 0x50u /* Receive, and receive time-out. */
#define NVIC_EN0 REGISTER(0xe000e100u)
#define UART0_IRQ 5
#define SYSTICK_CTRL REGISTER(0xe000e010u)
#define SYSTICK_LOAD REGISTER(0xe000e014u)
#define SYSTICK_VAL REGISTER(0xe000e018u)

#define CLOCK_HZ 50000000u
#define BAUD 3000000u
#define PANEL_BAUD 115200u
/* The divisor of a bit rate in 1/64, rounded. */
#define DIVISOR(baud) ((CLOCK_HZ * 4u + (baud) / 2) / (baud))

/* More than a whole window: decoding a band may take longer than it takes the window to arrive. A power of two. */
#define RX_BYTES 16384u
static uint8_t rx[RX_BYTES];
/* Written by the interrupt alone, and by the main loop alone; both count on for ever. */
static volatile uint32_t rx_head, rx_tail;
static volatile uint32_t now_ms;

void uart0_interrupt(void);
void systick_interrupt(void);

void uart0_interrupt(void) {
  /* Cleared before the queue is emptied: a byte that arrives in between raises it again. */
  UART_ICR = UART_RX_INTERRUPTS;
  while (!(UART_FR & FR_RX_EMPTY)) {
    uint8_t byte = (uint8_t)UART_DR;
    uint32_t head = rx_head;
    /* What does not fit is lost, and comes again: no worse than noise. */
    if (head - rx_tail == RX_BYTES) continue;
    rx[head % RX_BYTES] = byte;
    rx_head = head + 1;
  }
}

void systick_interrupt(void) { now_ms++; }

void hal_send(const uint8_t *bytes, size_t length) {
  while (length--) {
    while (UART_FR & FR_TX_FULL) {
    }
    UART_DR = *bytes++;
  }
}

static void clock_init(void) {
  /* On by the crystal first, then the PLL at 200 MHz by four. */
  uint32_t rcc = (SYSCTL_RCC | 1u << 11) & ~(1u << 22);
  SYSCTL_RCC = rcc;
  rcc &= ~(0xfu << 6 | 3u << 4 | 1u << 13 | 1u << 0 | 0xfu << 23);
  rcc |= 0xeu << 6 | 3u << 23 | 1u << 22;
  SYSCTL_RCC = rcc;
  for (uint32_t tries = 0; !(SYSCTL_RIS & 1u << 6) && tries < 100000; tries++) {
  }
  SYSCTL_RCC = rcc & ~(1u << 11);
}

static void board_init(void) {
  clock_init();
  SYSCTL_RCGC1 |= 3u; /* UART0 and UART1 */
  SYSCTL_RCGC2 |= 9u; /* their pins: port A, 0 and 1; port D, 2 and 3 */
  (void)SYSCTL_RCGC2;
  GPIO_A_AFSEL |= 3u;
  GPIO_A_DEN |= 3u;
  GPIO_D_AFSEL |= 12u;
  GPIO_D_DEN |= 12u;
  UART_CTL = 0;
  UART_IBRD = DIVISOR(BAUD) / 64;
  UART_FBRD = DIVISOR(BAUD) % 64;
  UART_LCRH = 0x70; /* 8N1, FIFOs */
  UART_IFLS = 0x12; /* Receive at half full. */
  UART_IM = UART_RX_INTERRUPTS;
  UART_CTL = 0x301;
  NVIC_EN0 = 1u << UART0_IRQ;
  /* Keys are few: they are fetched by the main loop. */
  PANEL_CTL = 0;
  PANEL_IBRD = DIVISOR(PANEL_BAUD) / 64;
  PANEL_FBRD = DIVISOR(PANEL_BAUD) % 64;
  PANEL_LCRH = 0x70;
  PANEL_CTL = 0x301;
  SYSTICK_LOAD = CLOCK_HZ / 1000 - 1;
  SYSTICK_VAL = 0;
  SYSTICK_CTRL = 7;
}

int main(void) {
  board_init();
  engine_init(SYSTICK_VAL);
  bench_init();
  for (;;) {
    while (rx_tail != rx_head) {
      uint8_t byte = rx[rx_tail % RX_BYTES];
      rx_tail++;
      engine_receive(byte, now_ms);
    }
    while (!(PANEL_FR & FR_RX_EMPTY)) bench_key((uint8_t)PANEL_DR, now_ms);
    bool more = engine_poll(now_ms);
    bench_poll(now_ms);
    /* A byte between the check and the sleep waits for the next tick, a millisecond. */
    if (!more && rx_tail == rx_head) __asm__ volatile("wfi");
  }
}

extern uint32_t stack_end, data_start, data_end, data_image, bss_start, bss_end;

void reset_handler(void);
void reset_handler(void) {
  for (uint32_t *from = &data_image, *to = &data_start; to < &data_end;) *to++ = *from++;
  for (uint32_t *to = &bss_start; to < &bss_end;) *to++ = 0;
  main();
}

/* A fault restarts the engine: the host notices by the boot id, and the job goes on. */
static void fault(void) { REGISTER(0xe000ed0cu) = 0x05fa0004u; }

__attribute__((section(".vectors"), used)) static void (*const vectors[16 + UART0_IRQ + 1])(void) = {
    [0] = (void (*)(void))&stack_end,
    [1] = reset_handler,
    [2] = fault,
    [3] = fault,
    [4] = fault,
    [5] = fault,
    [6] = fault,
    [15] = systick_interrupt,
    [16 + UART0_IRQ] = uart0_interrupt,
};
