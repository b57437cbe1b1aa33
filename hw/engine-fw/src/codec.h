/* Decoders of bands, docs/engine-link.md section 9. */
#ifndef CODEC_H
#define CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum codec { CODEC_RAW, CODEC_PACKBITS, CODEC_DELTA_ROW, CODEC_CONTEXT, CODEC_COUNT };

/*
 * Fills `plain`, `plain_length` bytes in rows of `stride`, and returns true; or false when the coded bytes are not exactly so
 * many. Writes nowhere else whatever they are. Not reentrant: the context codec keeps its 3 KiB of state in one place.
 */
bool codec_decode(enum codec codec, const uint8_t *coded, size_t coded_length, uint8_t *plain, size_t plain_length,
                  size_t stride);

#endif
