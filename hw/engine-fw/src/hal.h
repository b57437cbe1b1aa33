/* What a board must provide. */
#ifndef HAL_H
#define HAL_H

#include <stddef.h>
#include <stdint.h>

/* Sends bytes on the line; returns when the last is on its way. */
void hal_send(const uint8_t *bytes, size_t length);

/* Mechanics: how long things take. They are begun by the call and done after so many milliseconds. */
uint32_t hal_feed(void);
/* Lays rows of one plane (colorant 0 to 3) on the paper, from row `y`; `new_rows` of them are the first plane of their strip. */
uint32_t hal_print(unsigned colorant, uint32_t y, const uint8_t *bits, size_t stride, unsigned rows, uint32_t new_rows);
/* Rows that stay blank. */
uint32_t hal_skip(uint32_t rows);
uint32_t hal_eject(void);
/* Throws out the sheet in the path, if there is one; at once. */
void hal_throw_out(void);

#endif
