/* What terms.py does in C: products of sparse rows. It is compiled without fused multiplication and addition, whose sums
   are rounded otherwise than those of NumPy and SciPy. */

#include <stdint.h>

#define AHEAD 8 /* rows that are asked for before their turn */

/* The products, [count], of one sparse row, [size], with those at `chosen`; each adds up in the order of the columns.
   `weights`: [columns] zeros, which they are again when it returns. `begins`: [rows + 1], of each row's terms. */
void multiply_rows(double *weights, const int32_t *terms, const double *values, int64_t size, const int64_t *begins,
                   const int32_t *columns, const double *numbers, const int64_t *chosen, int64_t count,
                   double *products) {
    for (int64_t i = 0; i < size; i++) weights[terms[i]] = values[i];
    for (int64_t i = 0; i < count; i++) {
        if (i + 2 * AHEAD < count) __builtin_prefetch(begins + chosen[i + 2 * AHEAD]);
        if (i + AHEAD < count) {
            __builtin_prefetch(columns + begins[chosen[i + AHEAD]]);
            __builtin_prefetch(numbers + begins[chosen[i + AHEAD]]);
        }
        double sum = 0;
        for (int64_t k = begins[chosen[i]]; k < begins[chosen[i] + 1]; k++) sum += weights[columns[k]] * numbers[k];
        products[i] = sum;
    }
    for (int64_t i = 0; i < size; i++) weights[terms[i]] = 0;
}
