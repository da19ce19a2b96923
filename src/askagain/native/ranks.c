/* What ranks.py does in C: the products of a question with candidates whose rows lie anywhere in a large table. It
   starts no threads. */

#include <stdint.h>

#define TOGETHER 4 /* candidates that are multiplied together */

static inline void fetch(const float *row, int64_t dim) {
    for (int64_t at = 0; at < dim; at += 16) __builtin_prefetch(row + at);
}

/* The products of a row with `count` others, at most TOGETHER. */
static inline void multiply(const float *rows, int64_t dim, const float *row, const int32_t *others, int64_t count,
                            float *products) {
    const float *other[TOGETHER];
    float sums[TOGETHER] = {0};
    for (int64_t i = 0; i < TOGETHER; i++) other[i] = rows + (int64_t)others[i < count ? i : 0] * dim;
    float a = 0, b = 0, c = 0, d = 0;
#pragma omp simd reduction(+ : a, b, c, d)
    for (int64_t j = 0; j < dim; j++) {
        a += row[j] * other[0][j];
        b += row[j] * other[1][j];
        c += row[j] * other[2][j];
        d += row[j] * other[3][j];
    }
    sums[0] = a, sums[1] = b, sums[2] = c, sums[3] = d;
    for (int64_t i = 0; i < count; i++) products[i] = sums[i];
}

/* By how much each further text of a row is nearer to its first text than its second text is. The texts of row `r` are
   `ids` from `offsets[r]` to `offsets[r + 1]`, two at least, and its leads stand at `leads + r * width`. */
void put_leads(const float *rows, int64_t dim, const int32_t *ids, const int64_t *offsets, int64_t count, int64_t width,
               float *leads) {
    for (int64_t r = 0; r < count; r++) {
        const int32_t *texts = ids + offsets[r];
        int64_t further = offsets[r + 1] - offsets[r] - 2;
        const float *question = rows + (int64_t)texts[0] * dim;
        float *lead = leads + r * width, own;
        multiply(rows, dim, question, texts + 1, 1, &own);
        for (int64_t i = 0; i < further; i += TOGETHER) {
            for (int64_t j = i + TOGETHER; j < further && j < i + 2 * TOGETHER; j++)
                fetch(rows + (int64_t)texts[2 + j] * dim, dim);
            multiply(rows, dim, question, texts + 2 + i, further - i < TOGETHER ? further - i : TOGETHER, lead + i);
        }
        for (int64_t i = 0; i < further; i++) lead[i] -= own;
    }
}
